"""Attention of all layers and heads on one sequence, in NumPy.

T tokens, C units, L layers, H heads.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

import numpy as np

from .._internal.numerics import erf, softmax
from ..checkpoint.encoder_arrays import check_arrays, float32
from ..checkpoint.names import encoder_shapes
from ..config import BertConfig
from ..data.features import Features, SentenceTransform
from ..data.tokenizers.base import SubwordTokenizer
from .checks import bert_of, checked_length, inner_bert
from .trained import TrainedNetwork

_ACTIVATIONS = {
    'gelu': lambda x: x / 2 * (1 + erf(x / math.sqrt(2))),
    'gelu_tanh': lambda x: x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    'relu': lambda x: np.maximum(x, 0),
}
# Field of BertConfig -> the values that are computed; None: all that the field can have.
_SUPPORTED = {
    'vocab_size': None,
    'units': None,
    'hidden_size': None,
    'num_layers': None,
    'num_heads': None,
    'max_length': None,
    'num_token_types': None,
    'dropout': None,
    'layer_norm_eps': None,
    'activation': tuple(_ACTIVATIONS),
    'pooler_activation': None,
    'embedding_units': None,
    'share_layers': None,
}


class Attention(NamedTuple):
    """The T tokens of one sequence, and each head's ``probabilities``, shape (L, H, T, T).

    A row of a map is a query token, a column a key token; rows sum to 1. The first ``num_first``
    tokens are [CLS], the first text and its [SEP].
    """

    tokens: list[str]
    probabilities: np.ndarray
    num_first: int


def supports(config: BertConfig) -> bool:
    """Tell from its configuration alone whether the attention of a network is computed here.

    Parameters
    ----------
    config : BertConfig

    Returns
    -------
    bool
    """
    return config.is_within(_SUPPORTED)


def attention_of(
    model: Any,
    tokenizer: SubwordTokenizer,
    text: str,
    pair: Optional[str] = None,
    max_length: Optional[int] = None,
) -> Attention:
    """Compute the attention of a model on a text or a pair of texts.

    Parameters
    ----------
    model : TrainedNetwork, BertModel, or a network around one
        Such as ``pipeline.trained`` of a pipeline. See :func:`attention_probabilities`.
    tokenizer : BertTokenizer, BytePairTokenizer or SentencePieceTokenizer
    text : str
    pair : str, optional
    max_length : int, optional
        The longest sequence in tokens, special tokens included; longer ones are cut. By default
        the model's limit.

    Returns
    -------
    Attention

    Raises
    ------
    ValueError
        If the tokenizer is not the model's, the length is out of range, or the network is one whose
        attention is not computed here.

    Examples
    --------
    >>> from gluon_bert.inference.attention import attention_of
    >>> from gluon_bert.inference.trained import open_network
    >>> network = open_network('bert_6_384_12/all_minilm_l6_v2')
    >>> attention = attention_of(network, network.checkpoint.tokenizer, 'Rain falls.', 'Sun')
    >>> attention.tokens
    ['[CLS]', 'rain', 'falls', '.', '[SEP]', 'sun', '[SEP]']
    >>> attention.probabilities.shape, attention.num_first
    ((6, 12, 7, 7), 5)
    """
    bert = bert_of(model, tokenizer)
    features = SentenceTransform(tokenizer, checked_length(bert, max_length))(text, pair)
    probabilities = attention_probabilities(bert, features)
    return describe_attention(tokenizer, features, probabilities, bool(pair))


def describe_attention(
    tokenizer: SubwordTokenizer, features: Features, probabilities: np.ndarray, is_pair: bool
) -> Attention:
    """Put the tokens of a sequence beside its attention.

    Parameters
    ----------
    tokenizer : SubwordTokenizer
    features : Features
    probabilities : numpy.ndarray, shape (L, H, T, T)
    is_pair : bool
        Whether the sequence is of a pair of texts.

    Returns
    -------
    Attention
    """
    tokens = tokenizer.convert_ids_to_tokens(features.inputs.tolist())
    num_first = len(tokens)
    if is_pair:
        num_second = int(features.token_types.sum())
        separator = tokenizer.vocabulary.sep_token
        num_first = num_first - num_second if num_second else tokens.index(separator) + 1
    return Attention(tokens, probabilities, num_first)


def attention_probabilities(network: Any, features: Features) -> np.ndarray:
    """Compute the attention probabilities of all layers and heads on one sequence.

    The native kernels do not keep them, so the layers are computed here, up to the last one's
    attention (Vaswani et al., 2017, section 3.2; Devlin et al., 2019, section 3), and MXNet is not
    needed. They are computed in float32 from the weights as they were trained: where a
    :class:`.Predictor` of the network computes in a lower precision, its own probabilities differ
    by the errors of that precision.

    Parameters
    ----------
    network : TrainedNetwork, BertModel, or a network around one
    features : Features

    Returns
    -------
    numpy.ndarray, float32, shape (L, H, T, T)
        A row is a query token, a column a key token; rows sum to 1.

    Raises
    ------
    ValueError
        If the network is one whose attention is not computed here, its checkpoint lacks an array,
        or an id or a token type is out of range.
    """
    bert = inner_bert(network)
    config = bert.config
    if not supports(config):
        raise ValueError(f'the attention of a network with {config} is not computed')
    _check(features, config)
    arrays = _arrays(bert)
    length = features.valid_length
    shape = config.num_layers, config.num_heads, length, length
    probabilities = np.empty(shape, 'float32')
    # A network with NaN or infinity in it has NaN as its probabilities.
    with np.errstate(invalid='ignore', over='ignore'):
        hidden = _embed(arrays, config, features)
        for number in range(config.num_layers):
            cell = f'encoder.transformer_cells.{0 if config.share_layers else number}.'
            probabilities[number], values = _attend(arrays, cell, config, hidden)
            if number + 1 < config.num_layers:
                hidden = _layer(arrays, cell, config, hidden, probabilities[number], values)
    return probabilities


def encode_expanded(network: Any, features: Features, num_keys: int) -> np.ndarray:
    """Encode a sequence whose tokens all attend to its first ones alone, without MXNet.

    Parameters
    ----------
    network : TrainedNetwork, BertModel, or a network around one
    features : Features
    num_keys : int

    Returns
    -------
    numpy.ndarray, float32, shape (T, C)

    Raises
    ------
    ValueError
        As :func:`attention_probabilities`.
    """
    bert = inner_bert(network)
    config = bert.config
    if not supports(config):
        raise ValueError(f'the attention of a network with {config} is not computed')
    _check(features, config)
    arrays = _arrays(bert)
    hidden = _embed(arrays, config, features)
    for number in range(config.num_layers):
        cell = f'encoder.transformer_cells.{0 if config.share_layers else number}.'
        probabilities, values = _attend(arrays, cell, config, hidden, num_keys)
        hidden = _layer(arrays, cell, config, hidden, probabilities, values)
    return hidden


def _check(features, config):
    """Raise ValueError unless the network can read a sequence."""
    if not 1 <= features.valid_length <= config.max_length:
        raise ValueError(
            f'features have {features.valid_length} tokens, expected 1 to {config.max_length}'
        )
    for name, array, limit in (
        ('inputs', features.inputs, config.vocab_size),
        ('token_types', features.token_types, max(config.num_token_types, 1)),
    ):
        if array.shape != (features.valid_length,):
            raise ValueError(
                f'{name} of the features have shape {array.shape}, expected '
                f'({features.valid_length},)'
            )
        if array.min() < 0 or array.max() >= limit:
            raise ValueError(
                f'{name} of the features are from {array.min()} to {array.max()}, expected 0 to '
                f'{limit - 1}'
            )


def _arrays(bert) -> Mapping[str, np.ndarray]:
    """The arrays of a BERT by their common names, those of files where they lie."""
    if not isinstance(bert, TrainedNetwork):
        return bert.checkpoint_arrays()
    checkpoint = bert.checkpoint
    try:
        check_arrays(checkpoint.arrays, encoder_shapes(bert.config))
    except ValueError as error:
        raise ValueError(f'{checkpoint.source}: {error}') from None
    return checkpoint.arrays


def _embed(arrays, config, features):
    """The inputs of the first layer, (T, C)."""
    hidden = float32(arrays['word_embed.0.weight'][features.inputs])
    hidden = hidden + float32(arrays['encoder.position_weight'][: len(hidden)])
    if config.num_token_types:
        hidden += float32(arrays['token_type_embed.0.weight'][features.token_types])
    hidden = _norm(arrays, 'encoder.layer_norm', config, hidden)
    return hidden if config.embedding_units is None else _dense(arrays, 'embed_project', hidden)


def _attend(arrays, cell, config, hidden, num_keys=None):
    """Probabilities (H, T, K) and values (H, K, D) of a layer, K keys of T; D = C / H."""
    query, key, values = (
        _dense(arrays, f'{cell}attention_cell.proj_{part}', hidden)
        .reshape(len(hidden), config.num_heads, -1)
        .transpose(1, 0, 2)
        for part in ('query', 'key', 'value')
    )
    key, values = key[:, :num_keys], values[:, :num_keys]
    scores = query @ key.transpose(0, 2, 1) / np.float32(math.sqrt(query.shape[2]))
    return softmax(scores).astype('float32'), values


def _layer(arrays, cell, config, hidden, probabilities, values):
    """The output of a layer after its attention, (T, C)."""
    context = (probabilities @ values).transpose(1, 0, 2).reshape(hidden.shape)
    hidden = hidden + _dense(arrays, f'{cell}proj', context)
    hidden = _norm(arrays, f'{cell}layer_norm', config, hidden)
    expanded = _ACTIVATIONS[config.activation](_dense(arrays, f'{cell}ffn.ffn_1', hidden))
    hidden = hidden + _dense(arrays, f'{cell}ffn.ffn_2', expanded)
    return _norm(arrays, f'{cell}ffn.layer_norm', config, hidden)


def _dense(arrays, name, x):
    return x @ float32(arrays[f'{name}.weight']).T + float32(arrays[f'{name}.bias'])


def _norm(arrays, name, config, x):
    x = x - x.mean(axis=1, keepdims=True)
    x /= np.sqrt(np.square(x).mean(axis=1, keepdims=True) + np.float32(config.layer_norm_eps))
    return x * float32(arrays[f'{name}.gamma']) + float32(arrays[f'{name}.beta'])
