"""Files beside the variables of Google's BERT: ``bert_config.json`` and ``vocab.txt``."""

from __future__ import annotations

import re
import reprlib
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Dict, Optional

from ... import data
from ..._internal.json import read_json
from ..._internal.types import PathLike
from ...config import BertConfig
from ..schema import check_vocab_size

CONFIG = 'bert_config.json'
VOCAB = 'vocab.txt'
TOKENIZER_CONFIG = 'tokenizer_config.json'

# Key -> field of BertConfig; whole numbers, all needed.
_KEYS = {
    'vocab_size': 'vocab_size',
    'hidden_size': 'units',
    'intermediate_size': 'hidden_size',
    'num_hidden_layers': 'num_layers',
    'num_attention_heads': 'num_heads',
    'max_position_embeddings': 'max_length',
    'type_vocab_size': 'num_token_types',
}
# Key -> field, and what it is where it is not written.
_NUMBERS = {'hidden_dropout_prob': ('dropout', 0.1), 'layer_norm_eps': ('layer_norm_eps', 1e-12)}
# Of hidden_act; of two that are one function the first is written.
_ACTIVATIONS = {'gelu': 'gelu', 'gelu_new': 'gelu_tanh', 'gelu_tanh': 'gelu_tanh', 'relu': 'relu'}

# In a folder's name; Google's scripts refuse --do_lower_case where it contradicts the name.
_CASES = re.compile(r'(?:^|[^a-z])(uncased|cased|chinese|multilingual)(?![a-z])')


def read_config(folder: PathLike) -> BertConfig:
    """Read the configuration in a folder's ``bert_config.json``; it may have other keys.

    Parameters
    ----------
    folder : str or Path

    Returns
    -------
    BertConfig

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is absent, not JSON, or a key is missing or has a value that cannot be.
    """
    path = Path(folder, CONFIG)
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such file; it says what the variables are')
    values, fields = _read_object(path), {}
    try:
        for key, field in _KEYS.items():
            if key not in values:
                raise ValueError(f'has no {key}')
            fields[field] = _typed(key, values[key], int, 'a whole number')
        for key, (field, default) in _NUMBERS.items():
            number = _typed(key, values.get(key, default), (int, float), 'a number')
            fields[field] = float(number)
        activation = _typed('hidden_act', values.get('hidden_act', 'gelu'), str, 'a name')
        if activation not in _ACTIVATIONS:
            raise ValueError(
                f'hidden_act={reprlib.repr(activation)}: expected one of {", ".join(_ACTIVATIONS)}'
            )
        return BertConfig(activation=_ACTIVATIONS[activation], pooler_activation='tanh', **fields)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None


def config_values(config: BertConfig) -> Dict[str, Any]:
    """Make the content of ``bert_config.json`` for a network.

    Parameters
    ----------
    config : BertConfig

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        If Google's BERT cannot be such a network.
    """
    if not config.num_token_types:
        raise ValueError("num_token_types=0, Google's BERT has token types")
    if config.pooler_activation != 'tanh':
        raise ValueError(
            f"pooler_activation={config.pooler_activation!r}, Google's BERT has 'tanh'"
        )
    for field in fields(config):
        if field.default is not MISSING and getattr(config, field.name) != field.default:
            raise ValueError(
                f"{field.name}={getattr(config, field.name)!r}, Google's BERT has {field.default!r}"
            )
    values = {key: getattr(config, field) for key, field in _KEYS.items()}
    values.update((key, getattr(config, field)) for key, (field, _) in _NUMBERS.items())
    values['attention_probs_dropout_prob'] = config.dropout
    values['hidden_act'] = next(
        name for name, activation in _ACTIVATIONS.items() if activation == config.activation
    )
    return values


def read_tokenizer(folder: PathLike, config: BertConfig) -> Optional[data.SubwordTokenizer]:
    """Read the tokenizer of a folder; None if it has no vocabulary.

    Whether it lower-cases is taken from ``do_lower_case`` in ``tokenizer_config.json`` or
    ``bert_config.json``, else from the folder's name, else from the vocabulary.

    Parameters
    ----------
    folder : str or Path
    config : BertConfig
        The vocabulary may be smaller than its ``vocab_size``.

    Returns
    -------
    BertTokenizer, another tokenizer if the folder has one, or None

    Raises
    ------
    ValueError
        If a file is damaged, or the vocabulary has more tokens than the word embedding rows.
    """
    folder = Path(folder)
    lower = _stated_lower(folder / TOKENIZER_CONFIG)
    if lower is None:
        lower = _stated_lower(folder / CONFIG)
    if lower is None:
        lower = _named_lower(folder.resolve().name)
    tokenizer = data.read_tokenizer(folder, lower=lower)
    check_vocab_size(tokenizer, config.vocab_size, folder)
    return tokenizer


def _stated_lower(path):
    value = _read_object(path).get('do_lower_case') if path.is_file() else None
    if value is not None and not isinstance(value, bool):
        raise ValueError(f'{path}: do_lower_case={reprlib.repr(value)}: expected true or false')
    return value


def _named_lower(name):
    cases = _CASES.findall(name.lower())
    return 'cased' not in cases if cases else None


def _read_object(path):
    values = read_json(path)
    if not isinstance(values, dict):
        raise ValueError(f'{path}: holds a {type(values).__name__}, not an object')
    return values


def _typed(key, value, types, expected):
    if isinstance(value, bool) or not isinstance(value, types):
        raise ValueError(f'{key}={reprlib.repr(value)}: expected {expected}')
    return value
