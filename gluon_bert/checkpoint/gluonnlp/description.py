"""Find out what a .params file does not say itself: hyper-parameters, labels, task, tokenizer."""

from __future__ import annotations

import logging
import re
import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterable, Mapping, Optional, Tuple

import numpy as np

from ..._internal.json import read_object
from ..._internal.types import PathLike
from ...config import BertConfig
from ...families import FAMILIES, family_by_prefix
from ..arrays import shape_of
from ..huggingface.config import read_config
from ..huggingface.cross_encoder import read_score_activation
from ..schema import PROBLEM_TYPES
from ..sentence import ACTIVATIONS
from ..task_file import has_task, read_task_file

logger = logging.getLogger(__name__)

CONFIG_FILES = ('config.json', 'bert_config.json')

_LAYER = re.compile(r'encoder\.transformer_cells\.(\d+)\.')
_FIELDS = (
    *('config', 'family', 'lower', 'labels', 'problem_type', 'max_tokens', 'dropout', 'task'),
    'score_activation',
)


class MissingHyperParameters(ValueError):
    """Raised where the arrays of a file do not determine the network."""


@dataclass(frozen=True)
class Description:
    """Facts about the network of a .params file that other files state.

    Parameters
    ----------
    place : Path, optional
        The file that says it; None if none does.
    config : BertConfig, optional
    family : str, optional
    lower : bool, optional
        Whether text is lower-cased.
    labels, problem_type, max_tokens, dropout, score_activation
        As in :class:`.Checkpoint`.
    task : dict, optional
        As in :class:`.TaskFile`.
    """

    place: Optional[Path] = None
    config: Optional[BertConfig] = None
    family: Optional[str] = None
    lower: Optional[bool] = None
    labels: Tuple[str, ...] = ()
    problem_type: str = ''
    max_tokens: Optional[int] = None
    dropout: Optional[float] = None
    task: Optional[Dict[str, Any]] = None
    score_activation: Optional[str] = None


def find_description(path: PathLike) -> Description:
    """Find what the files beside a .params file say about it.

    The first of these counts: ``<stem>.json``, in this package's layout or that of a configuration
    of transformers or Google; ``task.json`` of this package; ``config.json`` or
    ``bert_config.json``.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Description
        An empty one if there is none of these files.

    Raises
    ------
    ValueError
        If one of them is damaged.
    """
    path = Path(path)
    if path.with_suffix('.json').is_file():
        return read_description(path.with_suffix('.json'))
    if has_task(path.parent):
        described = read_task_file(path)
        return Description(described.path, described.config, task=described.task)
    for name in CONFIG_FILES:
        if (path.parent / name).is_file():
            return read_description(path.parent / name)
    return Description()


def is_described(path: PathLike) -> bool:
    """Tell if a file beside a .params file states its configuration, or the path is another's."""
    path = Path(path)
    return path.suffix != '.params' or find_description(path).config is not None


def read_description(path: PathLike) -> Description:
    """Read hyper-parameters, and what else stands with them, from a file of their own.

    Parameters
    ----------
    path : str or Path
        The .json that this package writes beside a .params file, an object of the fields of
        :class:`.BertConfig`, transformers' config.json, or Google's bert_config.json.

    Returns
    -------
    Description

    Raises
    ------
    FileNotFoundError, ValueError
        If it is absent or none of these.
    """
    path = Path(path)
    content = read_object(path)
    if 'config' in content:
        return _read_ours(path, content)
    if 'units' in content:
        return Description(path, _config(path, content))
    if not {'model_type', 'hidden_size', 'dim'} & {*content}:
        raise ValueError(
            f'{path}: states no configuration of a network: it has none of config, units, '
            'hidden_size, model_type'
        )
    # Google's has no model_type; its keys are those of transformers' BERT.
    theirs = read_config(path, array_names=('bert.embeddings',))
    return Description(
        path,
        theirs.config,
        theirs.family,
        labels=theirs.labels,
        problem_type=theirs.problem_type,
        dropout=theirs.dropout,
        score_activation=read_score_activation(path),
    )


def guess_config(
    arrays: Mapping[str, np.ndarray],
    file_names: Iterable[str],
    family: Optional[str],
    num_heads: Optional[int],
) -> BertConfig:
    """Make the configuration of a network that one of GluonNLP's classes wrote.

    Parameters
    ----------
    arrays : mapping of str to numpy.ndarray
        By common names.
    file_names : iterable of str
        Their names in the file.
    family : str, optional
        By default as the names tell.
    num_heads : int, optional
        The file does not contain it.

    Returns
    -------
    BertConfig
        What neither shapes nor arguments determine is as GluonNLP's classes have it.

    Raises
    ------
    MissingHyperParameters
        If the number of heads or the family is needed.
    ValueError
        If the arrays are not those of a BERT.
    """
    sizes: Dict[str, Any] = sizes_of(arrays)
    family = family or _family_by_names(arrays, file_names)
    if num_heads is None:
        raise MissingHyperParameters(
            'the number of attention heads is not in the file, and no file beside it states it: '
            'give num_heads (--num_heads), or a configuration (--config FILE)'
        )
    return BertConfig(
        **sizes,
        num_heads=num_heads,
        dropout=0.1,
        layer_norm_eps=FAMILIES[family].gluonnlp_eps,
        activation='gelu',
        pooler_activation='tanh',
    )


def sizes_of(arrays: Mapping[str, np.ndarray]) -> Dict[str, int]:
    """Read the fields of a configuration that the shapes of the arrays determine.

    Raises
    ------
    ValueError
        If the arrays are not those of a BERT.
    """
    for name in (
        'word_embed.0.weight',
        'encoder.position_weight',
        'encoder.transformer_cells.0.ffn.ffn_1.weight',
    ):
        if name not in arrays or len(shape_of(arrays, name)) != 2:
            raise ValueError(f'has no {name}: not a BERT of GluonNLP')
    vocab_size, units = shape_of(arrays, 'word_embed.0.weight')
    types = 'token_type_embed.0.weight'
    return {
        'vocab_size': vocab_size,
        'units': units,
        'num_layers': len({int(match[1]) for match in map(_LAYER.match, arrays) if match}),
        'hidden_size': shape_of(arrays, 'encoder.transformer_cells.0.ffn.ffn_1.weight')[0],
        'max_length': shape_of(arrays, 'encoder.position_weight')[0],
        'num_token_types': shape_of(arrays, types)[0] if types in arrays else 0,
    }


def _family_by_names(arrays, file_names):
    family = family_by_prefix(file_names)
    if 'token_type_embed.0.weight' in arrays or not FAMILIES[family].gluonnlp_token_types:
        return family
    without = [
        name
        for name, row in FAMILIES.items()
        if not row.gluonnlp_token_types and 'embedding_units' not in row.keys
    ]
    raise MissingHyperParameters(
        'it has no token types, and its names do not tell whose network it is: give family '
        f'({", ".join(without)}), or a configuration (--config FILE, such as a config.json)'
    )


def _read_ours(path, content):
    for name in content:
        if name not in _FIELDS:
            raise ValueError(
                f'{path}: {reprlib.repr(name)} is unknown; there are: {", ".join(_FIELDS)}'
            )
    values = {name: content.get(name) for name in _FIELDS}
    for key, allowed in (
        ('family', (None, *FAMILIES)),
        ('lower', (None, True, False)),
        ('problem_type', (None, *PROBLEM_TYPES)),
        ('score_activation', (None, *ACTIVATIONS)),
    ):
        if values[key] not in allowed:
            raise ValueError(
                f'{path}: {key} is {reprlib.repr(values[key])}: expected one of {allowed}'
            )
    labels = [] if values['labels'] is None else values['labels']
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ValueError(f'{path}: labels is {reprlib.repr(labels)}: expected names')
    longest, dropout, task = (values[key] for key in ('max_tokens', 'dropout', 'task'))
    if longest is not None and (type(longest) is not int or not 1 <= longest < 2**31):
        raise ValueError(
            f'{path}: max_tokens is {reprlib.repr(longest)}: expected a whole number from 1'
        )
    if dropout is not None and (type(dropout) not in (int, float) or not 0 <= dropout < 1):
        raise ValueError(f'{path}: dropout is {reprlib.repr(dropout)}: expected a number in [0, 1)')
    if task is not None and not (isinstance(task, dict) and isinstance(task.get('task'), str)):
        raise ValueError(f'{path}: task is {reprlib.repr(task)}: expected the settings of a task')
    values.update(
        config=_config(path, values['config']),
        labels=tuple(labels),
        problem_type=values['problem_type'] or '',
    )
    return Description(path, **values)


def _config(path, values):
    try:
        return BertConfig.from_dict(values)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None
