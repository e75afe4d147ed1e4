"""Look up rows by their names, without MXNet."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Optional, Tuple

from .._internal.suggestions import unknown_name
from ..config import BertConfig
from ..families import DEFAULT_FAMILY
from .schema import HubFile
from .tables.architectures import ARCHITECTURES, FAMILIES
from .tables.names import DATASET_ALIASES
from .tables.vocabularies import VOCABULARIES
from .tables.weights import WEIGHTS

logger = logging.getLogger(__name__)

_said: set = set()  # names of the hub whose meaning is in the log


class ModelName(NamedTuple):
    """The name of a trained model: an architecture and the data set it was trained on."""

    name: str
    dataset_name: str


@functools.cache
def hub_names() -> Mapping[str, ModelName]:
    """Return the models by their names on the Hugging Face hub.

    Returns
    -------
    mapping of str to ModelName
        By the repository, such as 'google-bert/bert-base-uncased', and by its name alone.
    """
    names: dict[str, ModelName] = {}
    for key, row in WEIGHTS.items():
        for repository in dict.fromkeys(_repositories(row)):
            for name in (repository, repository.rpartition('/')[2]):
                names.setdefault(name, ModelName(*key))
    return MappingProxyType(names)


def find_model(text: str) -> Optional[ModelName]:
    """Find the model that one text names: 'NAME/DATASET', or its name on the hub.

    Returns
    -------
    ModelName or None
        None if it names none; a name of the hub names a file or folder first, if there is one. What
        it stands for is said in the log, once.

    Raises
    ------
    ValueError
        If the text is the name of an architecture, a slash, and no data set of it.
    """
    name, slash, dataset_name = str(text).partition('/')
    if slash and name in ARCHITECTURES:
        return resolve(name, dataset_name)
    is_name = str(text) in hub_names() and not Path(text).exists()
    return _find_hub_name(str(text)) if is_name else None


def expand_name(name: str, dataset_name: Optional[str]) -> Tuple[str, Optional[str]]:
    """Return an architecture and its data set, given these or one name of the hub.

    Raises
    ------
    ValueError
        If a name of the hub is given with another data set than its own.
    """
    if name in ARCHITECTURES:
        return name, dataset_name
    key = _find_hub_name(name) if isinstance(name, str) else None
    if key is None:
        return name, dataset_name
    if dataset_name is not None:
        given = DATASET_ALIASES.get(str(dataset_name), dataset_name)
        if given != key.dataset_name:
            raise ValueError(
                f'dataset_name={dataset_name!r}: {name} is {key.name} on {key.dataset_name}; leave '
                f'dataset_name out'
            )
    return key


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
    name, _ = expand_name(name, None)
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


def resolve(name: str, dataset_name: Optional[str] = None) -> ModelName:
    """Return the names of a trained model in the tables.

    Parameters
    ----------
    name : str
        An architecture, or a name of the hub such as 'bert-base-uncased'.
    dataset_name : str, optional
        It may be an older name of GluonNLP. Left out for a name of the hub.

    Returns
    -------
    ModelName

    Raises
    ------
    ValueError
        If there is no such row; the message lists the available ones.
    """
    name, dataset_name = expand_name(name, dataset_name)
    look_up(ARCHITECTURES, name, 'model')
    if dataset_name is None:
        raise ValueError(f'{name}: expected a data set, too; it is available on: {_datasets(name)}')
    dataset_name = resolve_dataset(dataset_name)
    if (name, dataset_name) not in WEIGHTS:
        models = [architecture for architecture, data in list_models() if data == dataset_name]
        raise ValueError(
            f'no trained parameters of {name} on {dataset_name} are listed; {name} is available '
            'on: '
            f'{_datasets(name)}; models on {dataset_name}: '
            f'{", ".join(models) or "none"}'
        )
    return ModelName(name, dataset_name)


def get_config(name: str, vocab_size: int, dropout: Optional[float] = None) -> BertConfig:
    """Build the configuration of an architecture.

    Parameters
    ----------
    name : str
        Such as 'bert_12_768_12', or a model's name on the hub.
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
    name, _ = expand_name(name, None)
    hyper_parameters = dict(look_up(ARCHITECTURES, name, 'model'))
    if dropout is not None:
        hyper_parameters['dropout'] = dropout
    return BertConfig(vocab_size=vocab_size, **hyper_parameters)


def _datasets(name):
    return ', '.join(data for other, data in list_models() if other == name) or 'nothing'


def _find_hub_name(name):
    key = hub_names().get(name)
    if key is not None and name not in _said:
        _said.add(name)
        logger.info('%s is %s on %s', name, *key)
    return key


def _repositories(row):
    for source in row.sources:
        for file in source if isinstance(source, tuple) else (source,):
            if isinstance(file, HubFile):
                yield file.repository


def look_up(table: Mapping[str, Any], name: str, kind: str) -> Any:
    """Return a row by its name; ValueError with the nearest name if there is none."""
    if name in table:
        return table[name]
    others = hub_names() if table is ARCHITECTURES else ()
    raise unknown_name(kind, name, sorted(table), others=others)
