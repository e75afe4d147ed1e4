"""The parameters of a network by kind of layer, counted without building it."""

from __future__ import annotations

import math
from typing import Dict, Iterable

from ..checkpoint.names import encoder_shapes, head_shapes
from ..config import BertConfig

# Kind of layer -> what the common names of its arrays have, and no others. An array of another kind
# counts under its own name.
_KINDS = {
    'word embedding': 'word_embed.',
    'position embedding': '.position_weight',
    'token type embedding': 'token_type_embed.',
    'attention query, key, value': '.attention_cell.',
    'attention output': '.proj.',
    'feed-forward': '.ffn.ffn_',
    'layer normalisation': 'layer_norm.',
}
_TITLES = {
    'embed project': 'embedding projection',
    'masked_lm': 'masked words',
    'span': 'answer',
    'tagger': 'tags',
    'next_sentence': 'next sentence',
    'classifier': 'classes',
    'choice': 'choices',
}


def count_parameters(
    config: BertConfig, heads: Iterable[str] = (), num_classes: int = 2
) -> Dict[str, int]:
    """Count the parameters of a network by kind of layer.

    Parameters
    ----------
    config : BertConfig
    heads : iterable of str
        Of :attr:`.Checkpoint.heads`.
    num_classes : int
        Of its classifier or tagger.

    Returns
    -------
    dict of str to int
        Kind -> number; a shared weight is counted once, with the word embedding.

    Examples
    --------
    >>> from gluon_bert import BertConfig
    >>> config = BertConfig(vocab_size=30522, units=768, hidden_size=3072, num_layers=12,
    ...                     num_heads=12, max_length=512, num_token_types=2, dropout=0.1,
    ...                     layer_norm_eps=1e-12, activation='gelu', pooler_activation='tanh')
    >>> sum(count_parameters(config, heads=['pooler']).values())
    109482240
    """
    counts = dict.fromkeys(_KINDS, 0)
    for name, shape in encoder_shapes(config).items():
        kind = next((kind for kind, part in _KINDS.items() if part in name), None)
        kind = name.partition('.')[0].replace('_', ' ') if kind is None else kind
        counts[kind] = counts.get(kind, 0) + math.prod(shape)
    for head in heads:
        counts[head] = sum(map(math.prod, head_shapes(config, head, num_classes).values()))
    return {kind: count for kind, count in counts.items() if count}


def title_of(kind: str) -> str:
    """Put a kind of :func:`count_parameters` into words."""
    return _TITLES.get(kind, kind)


def short_count(number: int) -> str:
    """Write a number of parameters for people: '1,536', '0.59 M', '109.48 M'."""
    return f'{number:,}' if number < 100_000 else f'{number / 1e6:,.2f} M'
