"""A BERT as a graph of ONNX operators: the maths of modeling/layers.py and modeling/heads.py again.

Weights stand in the graph by the common names of :mod:`gluon_bert.checkpoint.names`. Inputs and
outputs have transformers' names, and the same number of dimensions. Letters in shapes: N sequences,
T tokens, C units, H heads, D = C / H, E width of the embeddings, K classes, V words.
"""

from __future__ import annotations

import math
from typing import List

import numpy as np

from ..config import BertConfig
from .onnx_graph import FLOAT, Graph

MASKED = -1e9  # as in modeling/layers.py
_CELL = 'encoder.transformer_cells.'


def inputs_of(config: BertConfig) -> List[str]:
    """List the graph's inputs, each int64 of shape (N, T)."""
    return ['input_ids', 'attention_mask'] + ['token_type_ids'] * bool(config.num_token_types)


def add_encoder(graph: Graph, config: BertConfig) -> str:
    """Add the embeddings and all layers; return the encodings, (N, T, C)."""
    hidden = _embeddings(graph, config)
    valid = graph.op('Cast', 'attention_mask', to=FLOAT)  # (N, T)
    padded = graph.op('Sub', graph.constant(1.0), valid)
    mask = graph.op(
        'Unsqueeze',
        graph.op('Mul', padded, graph.constant(MASKED)),
        graph.constant([1, 2], np.int64),
    )  # (N, 1, 1, T)
    for number in range(config.num_layers):
        hidden = _layer(graph, config, number, hidden, mask)
    return hidden


def _embeddings(graph, config):
    axis = graph.constant([0], np.int64)
    length = graph.op(
        'Slice', graph.op('Shape', 'input_ids'), graph.constant([1], np.int64),
        graph.constant([2], np.int64),
    )  # fmt: skip
    hidden = graph.op(
        'Add',
        graph.table('word_embed.0.weight', 'input_ids'),
        graph.op('Slice', graph.weight('encoder.position_weight'), axis, length, axis),
    )
    if config.num_token_types:
        types = graph.op('Gather', graph.weight('token_type_embed.0.weight'), 'token_type_ids')
        hidden = graph.op('Add', hidden, types)
    hidden = _norm(graph, config, hidden, 'encoder.layer_norm')  # (N, T, E)
    return graph.dense(hidden, 'embed_project') if config.embedding_units else hidden


def _norm(graph, config, x, name):
    gamma, beta = graph.weight(f'{name}.gamma'), graph.weight(f'{name}.beta')
    return graph.norm(x, gamma, beta, config.layer_norm_eps)


def _layer(graph, config, number, hidden, mask):
    cell = f'{_CELL}{0 if config.share_layers else number}.'
    context = _attention(graph, config, number, cell, hidden, mask)
    attended = graph.dense(context, f'{cell}proj', f'{number}.output')
    hidden = _norm(graph, config, graph.op('Add', hidden, attended), f'{cell}layer_norm')
    inner = graph.activation(
        graph.dense(hidden, f'{cell}ffn.ffn_1', f'{number}.expand'), config.activation
    )
    transformed = graph.dense(inner, f'{cell}ffn.ffn_2', f'{number}.contract')
    return _norm(graph, config, graph.op('Add', hidden, transformed), f'{cell}ffn.layer_norm')


def _attention(graph, config, number, cell, hidden, mask):
    """Vaswani et al. (2017), section 3.2.2: (N, T, C)."""
    units, heads = config.units, config.num_heads
    by_head = graph.constant([0, 0, heads, units // heads], np.int64)

    def part(name, order):
        dense = f'{cell}attention_cell.proj_{name}'
        projected = graph.dense(hidden, dense, f'{number}.query_key_value')
        return graph.op('Transpose', graph.op('Reshape', projected, by_head), perm=order)

    query, value = part('query', [0, 2, 1, 3]), part('value', [0, 2, 1, 3])  # (N, H, T, D)
    scores = graph.op('MatMul', query, part('key', [0, 2, 3, 1]))  # (N, H, T, T)
    scores = graph.op('Mul', scores, graph.constant(1 / math.sqrt(units // heads)))
    weights = graph.op('Softmax', graph.op('Add', scores, mask), axis=-1)
    context = graph.op('Transpose', graph.op('MatMul', weights, value), perm=[0, 2, 1, 3])
    return graph.op('Reshape', context, graph.constant([0, 0, units], np.int64))


def add_pooler(graph: Graph, config: BertConfig, sequence: str) -> str:
    """Add the dense layer on the first token; return the pooled vectors, (N, C)."""
    first = graph.op('Gather', sequence, graph.constant(0, np.int64), axis=1)
    return graph.activation(graph.dense(first, 'pooler'), config.pooler_activation)


def add_masked_lm(graph: Graph, config: BertConfig, sequence: str) -> str:
    """Add the scores of all words at all tokens, (N, T, V)."""
    hidden = graph.activation(graph.dense(sequence, 'decoder.0'), config.activation)
    hidden = _norm(graph, config, hidden, 'decoder.2')
    words = graph.op('Transpose', graph.table('word_embed.0.weight'), perm=[1, 0])
    scores = graph.op('MatMul', hidden, words)
    return graph.op('Add', scores, graph.weight('decoder.3.bias'))
