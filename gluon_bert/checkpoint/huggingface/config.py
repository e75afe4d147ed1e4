"""transformers' config.json, both ways."""

from __future__ import annotations

import logging
import reprlib
from typing import Any, Collection, Dict, Iterable, Mapping, NamedTuple, Optional, Tuple

from ..._internal.json import read_object
from ..._internal.suggestions import nearest
from ..._internal.types import PathLike
from ...config import BertConfig
from ...families import FAMILIES, Requirement
from ..schema import PROBLEM_TYPES
from ..tensor_file import existing
from .name_maps import NAME_MAPS

logger = logging.getLogger(__name__)

_MAX_BYTES = 10 << 20

# transformers' names of activations, all that are the same function; the first is written.
_ACTIVATIONS = {
    'gelu': ('gelu', 'gelu_python'),
    'gelu_tanh': ('gelu_new', 'gelu_pytorch_tanh', 'gelu_python_tanh', 'gelu_fast'),
    'relu': ('relu',),
}


# What is in front of the arrays of an old folder -> the family; the first of several that share it.
_FAMILY_OF_PREFIX = {NAME_MAPS[family].prefix: family for family in reversed(tuple(FAMILIES))}

# Of every family; a family may have more.
_REQUIREMENTS = (
    Requirement('position_embedding_type', ('absolute',), 'only absolute positions are supported'),
    Requirement('is_decoder', (False,), 'only encoders are supported'),
    Requirement('add_cross_attention', (False,), 'only encoders are supported'),
    Requirement(
        'use_task_id', (False,), 'the task embedding of ERNIE 2.0 and 3.0 is not supported'
    ),
    Requirement('pruned_heads', ({},), 'layers of different widths are not supported'),
    Requirement('quantization_config', (), 'quantised weights are not supported'),
)


class HuggingfaceConfig(NamedTuple):
    """The content of a config.json.

    Parameters
    ----------
    config : BertConfig
    family : str
    architecture : str
        transformers' class; empty if not said.
    padding_id : int
        Of a family whose positions begin at the row after it; else 0.
    num_classes : int, optional
        Of a classifier or tagger, if said.
    labels : tuple of str
        Their names; empty if not said.
    problem_type : str
        Of ``PROBLEM_TYPES``; empty if not said.
    dropout : float, optional
        In front of a classifier, if it is not that of the other layers.
    """

    config: BertConfig
    family: str
    architecture: str
    padding_id: int
    num_classes: Optional[int]
    labels: Tuple[str, ...]
    problem_type: str
    dropout: Optional[float] = None


def read_config(path: PathLike, array_names: Iterable[str] = ()) -> HuggingfaceConfig:
    """Read a config.json.

    Parameters
    ----------
    path : str or Path
    array_names : iterable of str
        transformers' names of the arrays beside it; they tell the family where config.json, being
        old, does not.

    Returns
    -------
    HuggingfaceConfig

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is absent, no such file, or of a network that is not one of these families.
    """
    path = existing(path)
    values = read_object(path)
    try:
        return _parse(values, array_names)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None


def _parse(values, array_names):
    architectures = values.get('architectures') or ['']
    if not isinstance(architectures, list) or not isinstance(architectures[0], str):
        raise _unexpected('architectures', architectures, 'a list of names')
    family = _family(values, architectures[0], array_names)
    row = FAMILIES[family]
    for key, allowed, reason in (*_REQUIREMENTS, *row.requirements):
        if values.get(key) is not None and values[key] not in allowed:
            raise ValueError(f'{key} is {reprlib.repr(values[key])}: {reason}')
    fields = {'pooler_activation': row.pooler_activation, **row.fixed}
    for field, (names, default) in row.keys.items():
        key = next((name for name in names if name in values), names[0])
        fields[field] = _CHECKS.get(field, _whole)(key, values.get(key, default))
    _check_width(values, fields, row)
    padding_id = _cut_positions(values, fields, row) if row.positions_follow_padding else 0
    num_classes, labels = _classes(values)
    config = BertConfig(**fields)
    problem_type = values.get('problem_type') or ''
    if problem_type not in ('', *PROBLEM_TYPES):
        raise _unexpected('problem_type', problem_type, f'one of {", ".join(PROBLEM_TYPES)}')
    _warn_attention_dropout(values, config, row)
    return HuggingfaceConfig(
        config,
        family,
        architectures[0],
        padding_id,
        num_classes,
        labels,
        problem_type,
        _head_dropout(values, config, row),
    )


def _head_dropout(values, config, row):
    (key,), default = row.head_dropout
    value = values.get(key)
    value = default if value is None else _fraction(key, value)
    return None if value == config.dropout else value


def _warn_attention_dropout(values, config, row):
    value = values.get(row.attention_dropout)
    if value is not None and _fraction(row.attention_dropout, value) != config.dropout:
        logger.warning(
            '%s is %s: a network has one dropout here, and %s is taken in its place; it has no '
            'effect on predictions',
            row.attention_dropout,
            value,
            config.dropout,
        )


def _family(values, architecture, array_names):
    family = values.get('model_type')
    if family is None:
        # Not yet written in 2019.
        candidates = [
            name for name, row in FAMILIES.items() if architecture.startswith(row.class_prefix)
        ] or [
            family
            for prefix, family in _FAMILY_OF_PREFIX.items()
            if any(array.startswith(prefix) for array in array_names)
        ]
        if len(candidates) != 1:
            raise ValueError(f'has no model_type: add one of {", ".join(FAMILIES)}')
        return candidates[0]
    if not isinstance(family, str) or family not in FAMILIES:
        near = nearest(family, FAMILIES, cutoff=0.4)
        hint = f', the nearest is {near!r}' if near else ''
        raise _unexpected('model_type', family, f'one of {", ".join(FAMILIES)}{hint}')
    return family


def _cut_positions(values, fields, row):
    """Leave out the positions up to the padding id, which is returned."""
    padding_id = values.get('pad_token_id')
    padding_id = (
        row.padding_id if padding_id is None else _whole('pad_token_id', padding_id, least=0)
    )
    if fields['max_length'] < padding_id + 2:
        raise _unexpected(
            'max_position_embeddings',
            fields['max_length'],
            f'at least pad_token_id + 2 = {padding_id + 2}',
        )
    fields['max_length'] -= padding_id + 1
    return padding_id


def _check_width(values, fields, row):
    width, heads = fields['units'], fields['num_heads']
    if width % heads:
        raise ValueError(f'the width {width} is not a multiple of the {heads} attention heads')
    embedding = values.get('embedding_size')
    if 'embedding_units' in row.keys:
        if fields['embedding_units'] == width and not row.always_projects:
            fields['embedding_units'] = None
    elif embedding is not None and embedding != width:
        raise ValueError(
            f'embedding_size is {reprlib.repr(embedding)}: an embedding narrower or '
            f'wider than the layers ({width}) is not supported'
        )


def _classes(values):
    """Number of classes and their names, as far as said."""
    names = values.get('id2label')
    number = values.get('num_labels')
    number = None if number is None else _whole('num_labels', number)
    if names is None or names == {}:
        return number, ()
    expected = 'an object of 0, 1, 2, ... with the name of each'
    if not isinstance(names, dict):
        raise _unexpected('id2label', names, expected)
    labels = [names.get(str(i)) for i in range(len(names))]
    if any(isinstance(label, bool) or not isinstance(label, (str, int)) for label in labels):
        raise _unexpected('id2label', names, expected)
    if number not in (None, len(labels)):
        raise ValueError(f'num_labels is {number}, but id2label has {len(labels)} names')
    return len(labels), tuple(map(str, labels))


def _whole(key, value, least=1):
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise _unexpected(key, value, f'a whole number from {least}')
    return value


def _fraction(key, value):
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1:
        raise _unexpected(key, value, 'a number in [0, 1)')
    return float(value)


def _epsilon(key, value):
    if not _fraction(key, value):
        raise _unexpected(key, value, 'a number in (0, 1)')
    return float(value)


def _activation(key, value):
    for ours, theirs in _ACTIVATIONS.items():
        if value in theirs:
            return ours
    known = ', '.join(name for theirs in _ACTIVATIONS.values() for name in theirs)
    raise _unexpected(key, value, f'one of {known}')


_CHECKS = {
    'num_token_types': lambda key, value: _whole(key, value, least=0),
    'dropout': _fraction,
    'layer_norm_eps': _epsilon,
    'activation': _activation,
}


def _unexpected(key, value, expected):
    return ValueError(f'{key} is {reprlib.repr(value)}: expected {expected}')


def config_values(
    config: BertConfig,
    family: str,
    heads: Collection[str],
    num_classes: Optional[int] = None,
    labels: Tuple[str, ...] = (),
    special_ids: Optional[Mapping[str, int]] = None,
    problem_type: str = '',
    dropout: Optional[float] = None,
) -> Dict[str, Any]:
    """Make the content of config.json for a network.

    Parameters
    ----------
    config : BertConfig
    family : str
    heads : iterable of str
        Of :attr:`.Checkpoint.heads`.
    num_classes : int, optional
        Of its classifier or tagger.
    labels : tuple of str
        Their names, if known.
    special_ids : dict of str to int, optional
        'pad_token_id', and others that config.json may have.
    problem_type : str
        Of a classifier, if known.
    dropout : float, optional
        In front of it, if it is not that of the configuration.

    Returns
    -------
    dict
    """
    row = FAMILIES[family]
    special_ids = {'pad_token_id': row.padding_id, **(special_ids or {})}
    values: Dict[str, Any] = {
        'architectures': [_architecture(family, heads)],
        'model_type': family,
        'initializer_range': 0.02,
        'tie_word_embeddings': True,
        **special_ids,
    }
    for field, (names, _) in row.keys.items():
        values[names[0]] = getattr(config, field)
    if 'embedding_units' in row.keys:
        if config.embedding_units == (None if row.always_projects else config.units):
            raise ValueError(
                f"embedding_units is {config.embedding_units}, transformers' {family} of width "
                f'{config.units} has {"a number" if row.always_projects else "None or another"}'
            )
        values[row.keys['embedding_units'].names[0]] = config.embedding_width
    values[row.keys['activation'].names[0]] = _ACTIVATIONS[config.activation][0]
    values[row.attention_dropout] = config.dropout
    if {'classifier', 'choice', 'tagger'} & {*heads}:
        (key,), default = row.head_dropout
        if dropout != (None if default == config.dropout else default):
            values[key] = config.dropout if dropout is None else dropout
    if row.needs_token_types:
        values[row.keys['num_token_types'].names[0]] = max(1, config.num_token_types)
    if row.positions_follow_padding:
        values[row.keys['max_length'].names[0]] += special_ids['pad_token_id'] + 1
    if labels or num_classes not in (None, 2):
        labels = labels or tuple(f'LABEL_{i}' for i in range(num_classes or 0))
        values['id2label'] = {str(i): label for i, label in enumerate(labels)}
        values['label2id'] = {label: i for i, label in enumerate(labels)}
    if problem_type and 'classifier' in heads:
        values['problem_type'] = problem_type
    return dict(sorted(values.items()))


def _architecture(family, heads):
    suffix = next(
        suffix
        for needed, suffix in NAME_MAPS[family].architectures.items()
        if set(needed) <= set(heads)
    )
    return FAMILIES[family].class_prefix + suffix
