"""transformers' config.json, both ways."""

from __future__ import annotations

import reprlib
from typing import NamedTuple, Optional, Tuple

from ..._internal.json import read_object
from ..._internal.suggestions import nearest
from ...config import BertConfig
from ..schema import PROBLEM_TYPES
from ..tensor_file import existing
from .name_maps import CLASS_NAMES, NAME_MAPS

_MAX_BYTES = 10 << 20

# transformers' names of activations, all that are the same function; the first is written.
_ACTIVATIONS = {
    'gelu': ('gelu', 'gelu_python'),
    'gelu_tanh': ('gelu_new', 'gelu_pytorch_tanh', 'gelu_python_tanh', 'gelu_fast'),
    'relu': ('relu',),
}


class _Key(NamedTuple):
    """Names of a value in config.json, and what transformers takes when it is not there."""

    names: Tuple[str, ...]
    default: object


# Field of BertConfig -> key; of transformers' configuration classes, read from their source.
_BERT_KEYS = {
    'vocab_size': _Key(('vocab_size',), 30522),
    'units': _Key(('hidden_size',), 768),
    'hidden_size': _Key(('intermediate_size',), 3072),
    'num_layers': _Key(('num_hidden_layers',), 12),
    'num_heads': _Key(('num_attention_heads',), 12),
    'max_length': _Key(('max_position_embeddings',), 512),
    'num_token_types': _Key(('type_vocab_size',), 2),
    'dropout': _Key(('hidden_dropout_prob',), 0.1),
    'layer_norm_eps': _Key(('layer_norm_eps',), 1e-12),
    'activation': _Key(('hidden_act',), 'gelu'),
}
_KEYS = {
    'bert': _BERT_KEYS,
    'ernie': _BERT_KEYS,
    'roberta': {**_BERT_KEYS, 'vocab_size': _Key(('vocab_size',), 50265)},
    'distilbert': {
        'vocab_size': _Key(('vocab_size',), 30522),
        'units': _Key(('dim', 'hidden_size'), 768),
        'hidden_size': _Key(('hidden_dim',), 3072),
        'num_layers': _Key(('n_layers', 'num_hidden_layers'), 6),
        'num_heads': _Key(('n_heads', 'num_attention_heads'), 12),
        'max_length': _Key(('max_position_embeddings',), 512),
        'dropout': _Key(('dropout',), 0.1),
        'activation': _Key(('activation',), 'gelu'),
    },
}
_ATTENTION_DROPOUT = {'distilbert': 'attention_dropout'}
_PADDING_IDS = {'roberta': 1}

# What a DistilBERT always has.
DISTILBERT = {'num_token_types': 0, 'layer_norm_eps': 1e-12}

# Key, the values that this network has (absent and null are the same), why not others.
_REQUIRED = (
    ('position_embedding_type', ('absolute',), 'only absolute positions are supported'),
    ('is_decoder', (False,), 'only encoders are supported'),
    ('add_cross_attention', (False,), 'only encoders are supported'),
    ('use_task_id', (False,), 'the task embedding of ERNIE 2.0 and 3.0 is not supported'),
    ('pruned_heads', ({},), 'layers of different widths are not supported'),
    ('quantization_config', (), 'quantised weights are not supported'),
)


class HuggingfaceConfig(NamedTuple):
    """What a config.json says.

    Parameters
    ----------
    config : BertConfig
    family : str
    architecture : str
        transformers' class; empty if not said.
    padding_id : int
        Of RoBERTa, whose positions begin at the row after it; else 0.
    num_classes : int, optional
        Of a classifier or tagger, if said.
    labels : tuple of str
        Their names; empty if not said.
    problem_type : str
        Of ``PROBLEM_TYPES``; empty if not said.
    """

    config: BertConfig
    family: str
    architecture: str
    padding_id: int
    num_classes: Optional[int]
    labels: Tuple[str, ...]
    problem_type: str


def read_config(path, array_names=()):
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
    for key, allowed, reason in _REQUIRED:
        if values.get(key) is not None and values[key] not in allowed:
            raise ValueError(f'{key} is {reprlib.repr(values[key])}: {reason}')
    fields = {} if family != 'distilbert' else dict(DISTILBERT)
    for field, (names, default) in _KEYS[family].items():
        key = next((name for name in names if name in values), names[0])
        fields[field] = _CHECKS.get(field, _whole)(key, values.get(key, default))
    _check_width(values, fields)
    padding_id = _cut_positions(values, fields) if family == 'roberta' else 0
    num_classes, labels = _classes(values)
    config = BertConfig(pooler_activation='relu' if family == 'distilbert' else 'tanh', **fields)
    problem_type = values.get('problem_type') or ''
    if problem_type not in ('', *PROBLEM_TYPES):
        raise _unexpected('problem_type', problem_type, f'one of {", ".join(PROBLEM_TYPES)}')
    return HuggingfaceConfig(
        config, family, architectures[0], padding_id, num_classes, labels, problem_type
    )


def _family(values, architecture, array_names):
    family = values.get('model_type')
    if family is None:
        # Not yet written in 2019.
        found = [
            name for name, theirs in CLASS_NAMES.items() if architecture.startswith(theirs)
        ] or [
            name
            for name, name_map in NAME_MAPS.items()
            if any(array.startswith(name_map.prefix) for array in array_names)
        ]
        if len(found) != 1:
            raise ValueError(f'has no model_type: add one of {", ".join(NAME_MAPS)}')
        return found[0]
    if not isinstance(family, str) or family not in NAME_MAPS:
        near = nearest(family, NAME_MAPS, cutoff=0.4)
        hint = f', the nearest is {near!r}' if near else ''
        raise _unexpected('model_type', family, f'one of {", ".join(NAME_MAPS)}{hint}')
    return family


def _cut_positions(values, fields):
    """RoBERTa's padding id; its positions begin after it."""
    padding_id = values.get('pad_token_id')
    padding_id = (
        _PADDING_IDS['roberta']
        if padding_id is None
        else _whole('pad_token_id', padding_id, least=0)
    )
    if fields['max_length'] < padding_id + 2:
        raise _unexpected(
            'max_position_embeddings',
            fields['max_length'],
            f'at least pad_token_id + 2 = {padding_id + 2}',
        )
    fields['max_length'] -= padding_id + 1
    return padding_id


def _check_width(values, fields):
    width, heads = fields['units'], fields['num_heads']
    if width % heads:
        raise ValueError(f'the width {width} is not a multiple of the {heads} attention heads')
    embedding = values.get('embedding_size')
    if embedding is not None and embedding != width:
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
    config, family, heads, num_classes=None, labels=(), special_ids=None, problem_type=''
):
    """What config.json says of a network.

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

    Returns
    -------
    dict
    """
    special_ids = {'pad_token_id': _PADDING_IDS.get(family, 0), **(special_ids or {})}
    values = {
        'architectures': [_architecture(family, heads)],
        'model_type': family,
        'initializer_range': 0.02,
        'tie_word_embeddings': True,
        **special_ids,
    }
    for field, (names, _) in _KEYS[family].items():
        values[names[0]] = getattr(config, field)
    activation = _KEYS[family]['activation'].names[0]
    values[activation] = _ACTIVATIONS[config.activation][0]
    values[_ATTENTION_DROPOUT.get(family, 'attention_probs_dropout_prob')] = config.dropout
    if family != 'distilbert':
        values['type_vocab_size'] = max(1, config.num_token_types)
    if family == 'roberta':
        values['max_position_embeddings'] += special_ids['pad_token_id'] + 1
    if labels or num_classes not in (None, 2):
        labels = labels or tuple(f'LABEL_{i}' for i in range(num_classes))
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
    return CLASS_NAMES[family] + suffix
