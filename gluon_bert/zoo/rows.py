"""Look up rows by their names, without MXNet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from .._internal.suggestions import did_you_mean
from ..config import BertConfig
from ..families import DEFAULT_FAMILY
from .tables.architectures import ARCHITECTURES, FAMILIES
from .tables.names import DATASET_ALIASES
from .tables.vocabularies import VOCABULARIES
from .tables.weights import WEIGHTS


class ModelName(NamedTuple):
    """The name of a trained model: an architecture and the data set it was trained on."""

    name: str
    dataset_name: str


def list_models() -> list[ModelName]:
    """List the trained models as (name, dataset_name), sorted by family and size.

    Examples
    --------
    >>> ('bert_6_384_12', 'all_minilm_l6_v2') in list_models()
    True
    """

    def place(key):
        family, *sizes = key[0].split('_')
        return family, [int(size) for size in sizes], key[1]

    return [ModelName(*key) for key in sorted(WEIGHTS, key=place)]


def family_of(name: str) -> str:
    """Return the family of an architecture, such as 'bert' or 'roberta'."""
    look_up(ARCHITECTURES, name, 'model')
    return FAMILIES.get(name, DEFAULT_FAMILY)


def resolve_dataset(dataset_name: str) -> str:
    """Return a data set's name in the tables, given that name or an alias.

    Raises
    ------
    ValueError
        If there is no such data set; the message names the nearest.
    """
    name = DATASET_ALIASES.get(dataset_name, dataset_name)
    look_up(VOCABULARIES, name, 'data set')
    return name


def resolve(name: str, dataset_name: str) -> ModelName:
    """Return the names of a trained model in the tables.

    Parameters
    ----------
    name, dataset_name : str
        The data set's name may be an older one of GluonNLP.

    Returns
    -------
    ModelName

    Raises
    ------
    ValueError
        If there is no such row; the message lists the available ones.
    """
    look_up(ARCHITECTURES, name, 'model')
    dataset_name = resolve_dataset(dataset_name)
    if (name, dataset_name) not in WEIGHTS:
        datasets = [data for architecture, data in list_models() if architecture == name]
        models = [architecture for architecture, data in list_models() if data == dataset_name]
        raise ValueError(
            f'no trained parameters of {name} on {dataset_name} are listed; {name} is available '
            'on: '
            f'{", ".join(datasets) or "nothing"}; models on {dataset_name}: '
            f'{", ".join(models) or "none"}'
        )
    return ModelName(name, dataset_name)


def get_config(name: str, vocab_size: int, dropout: Optional[float] = None) -> BertConfig:
    """Build the configuration of an architecture.

    Parameters
    ----------
    name : str
        Such as 'bert_12_768_12'.
    vocab_size : int
    dropout : float, optional
        Instead of the architecture's own.

    Returns
    -------
    BertConfig

    Raises
    ------
    ValueError
        If there is no such architecture; the message names the nearest.
    """
    hyper_parameters = dict(look_up(ARCHITECTURES, name, 'model'))
    if dropout is not None:
        hyper_parameters['dropout'] = dropout
    return BertConfig(vocab_size=vocab_size, **hyper_parameters)


def look_up(table: Mapping[str, Any], name: str, kind: str) -> Any:
    """Return a row by its name; ValueError with the nearest name if there is none."""
    if name in table:
        return table[name]
    hint = did_you_mean(name, table, cutoff=0.4)
    raise ValueError(f'unknown {kind} {name!r}{hint} (allowed: {", ".join(sorted(table))})')
