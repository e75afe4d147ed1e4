"""BERT in NumPy: one sequence at a time, no batching, no masking, no tricks. The oracle."""

import math

import numpy as np


def layer_norm(x, p, name, eps):
    centred = x - x.mean(-1, keepdims=True)
    scale = np.sqrt((centred**2).mean(-1, keepdims=True) + eps)
    return centred / scale * p[name + '.gamma'] + p[name + '.beta']


def dense(x, p, name):
    return x @ p[name + '.weight'].T + p[name + '.bias']


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


ACTIVATIONS = {
    'gelu': lambda x: x / 2 * (1 + np.vectorize(math.erf)(x / math.sqrt(2))),
    'gelu_tanh': lambda x: x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    'relu': lambda x: np.maximum(x, 0),
}


def attention(x, p, name, num_heads):
    """(T, C) -> context (T, C) and probabilities (H, T, T)."""
    query, key, value = (dense(x, p, f'{name}.proj_{part}') for part in ('query', 'key', 'value'))
    contexts, probabilities = [], []
    for q, k, v in zip(*(np.split(part, num_heads, axis=1) for part in (query, key, value))):
        weights = softmax(q @ k.T / math.sqrt(q.shape[1]))
        contexts.append(weights @ v)
        probabilities.append(weights)
    return np.concatenate(contexts, axis=1), np.stack(probabilities)


def bert(config, p, inputs, token_types):
    """Encode one unpadded sequence, with parameters by GluonNLP's names, in double precision.

    ids (T,) -> sequence (T, C), pooled (C,), encodings [(T, C)], attentions [(H, T, T)].
    """
    p = {name: array.astype(np.float64) for name, array in p.items()}
    x = p['word_embed.0.weight'][inputs] + p['encoder.position_weight'][: len(inputs)]
    if config.num_token_types:
        x = x + p['token_type_embed.0.weight'][token_types]
    x = layer_norm(x, p, 'encoder.layer_norm', config.layer_norm_eps)
    if config.embedding_units is not None:
        x = dense(x, p, 'embed_project')
    encodings, attentions = [x], []
    for i in range(config.num_layers):
        name = f'encoder.transformer_cells.{0 if config.share_layers else i}.'
        context, probabilities = attention(x, p, name + 'attention_cell', config.num_heads)
        x = layer_norm(
            x + dense(context, p, name + 'proj'), p, name + 'layer_norm', config.layer_norm_eps
        )
        expanded = ACTIVATIONS[config.activation](dense(x, p, name + 'ffn.ffn_1'))
        x = layer_norm(
            x + dense(expanded, p, name + 'ffn.ffn_2'),
            p,
            name + 'ffn.layer_norm',
            config.layer_norm_eps,
        )
        encodings.append(x)
        attentions.append(probabilities)
    pooled = {'tanh': np.tanh, **ACTIVATIONS}[config.pooler_activation](dense(x[0], p, 'pooler'))
    return x, pooled, encodings, attentions
