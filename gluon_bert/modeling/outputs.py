"""Outputs of networks."""

from __future__ import annotations

import functools
from typing import Any, List, NamedTuple, Tuple


class BertOutput(NamedTuple):
    """Outputs of a BERT: ``sequence`` (N, T, C) and ``pooled`` (N, C)."""

    sequence: object
    pooled: object


class LayerOutputs(NamedTuple):
    """Outputs of each layer.

    ``encodings``: the embeddings, then every layer's output, each (N, T, C). ``attentions``: every
    layer's probabilities, each (N, H, T, T).
    """

    encodings: List[Any]
    attentions: List[Any]


def pretraining_output(use_pooler: bool, use_classifier: bool, use_decoder: bool) -> Any:
    """Make the NamedTuple that a :class:`.BertForPretraining` returns, the same at each call."""
    parts = (
        ('sequence', True),
        ('pooled', use_pooler),
        ('next_sentence', use_classifier),
        ('masked_lm', use_decoder),
    )
    return _output_type(tuple(name for name, used in parts if used))


@functools.cache
def _output_type(parts: Tuple[str, ...]) -> Any:
    return NamedTuple('PretrainingOutput', [(name, object) for name in parts])
