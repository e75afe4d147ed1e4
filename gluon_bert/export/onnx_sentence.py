"""Sentence vectors as ONNX operators: pooling and the modules after it.

The maths is that of inference/pooling.py and checkpoint/sentence.py. Letters in shapes: N
sequences, T tokens, C units.
"""

from __future__ import annotations

import logging
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Tuple, Type

import numpy as np

from ..checkpoint.schema import Checkpoint
from ..checkpoint.sentence import (
    NORM_EPS,
    Dense,
    LayerNorm,
    Normalize,
    SentenceModule,
    SentenceSettings,
)
from ..inference.pooling import SEPARATOR, parse_pooling
from ..inference.sentence_options import with_normalize
from .onnx_encoder import add_pooler
from .onnx_graph import FLOAT, INT64, Graph

logger = logging.getLogger(__name__)

_LOWEST = float(np.finfo('float32').min)
_LAYER_NORM_EPS = 1e-5  # of sentence-transformers' module


class Vectors(NamedTuple):
    """The sentence vectors of a graph: ways of pooling, side by side, and the modules after."""

    modes: Tuple[str, ...]
    modules: Tuple[SentenceModule, ...]

    def arrays(self) -> Dict[str, np.ndarray]:
        """Return the modules' arrays by the names that they have in the graph."""
        return {
            f'{_prefix(number)}{name}': array
            for number, module in enumerate(self.modules)
            for name, array in module.arrays().items()
        }

    def add(self, graph: Graph, checkpoint: Checkpoint, sequence: str) -> None:
        """Add the output ``sentence_embedding``, (N, C)."""
        parts = [
            add_pooler(graph, checkpoint.config, sequence)
            if mode == 'pooler'
            else _POOLINGS[mode](graph, sequence)
            for mode in self.modes
        ]
        vectors = parts[0] if len(parts) == 1 else graph.op('Concat', *parts, axis=1)
        for number, module in enumerate(self.modules):
            vectors = _MODULES[type(module)](graph, module, _prefix(number), vectors)
        settings = SentenceSettings(modules=self.modules)
        width = settings.output_units(checkpoint.config.units * len(self.modes))
        graph.give('sentence_embedding', vectors, ['batch_size', width])


def choose_vectors(
    checkpoint: Checkpoint, pooling: Optional[str], normalize: Optional[bool]
) -> Optional[Vectors]:
    """Choose what makes the vectors of a network, as a :class:`.SentenceEncoder` does.

    Parameters
    ----------
    checkpoint : Checkpoint
    pooling : str, optional
        Of a network that is no sentence model; see :func:`.parse_pooling`.
    normalize : bool, optional
        Scale the vectors to length 1. By default True, but for a sentence model that compares
        vectors by another similarity than the cosine as its modules do.

    Returns
    -------
    Vectors or None
        None for a network that is no sentence model, without ``pooling``.

    Raises
    ------
    ValueError
        If the pooling is another than the sentence model's, or the network has no pooler for it.
    """
    settings = checkpoint.sentence
    modes: Any = None if pooling is None else parse_pooling(pooling)
    if settings is None and modes is None:
        if normalize is not None:
            raise ValueError('normalize is for sentence vectors: give pooling, too')
        return None
    modes = None if modes is None else modes.modes
    if settings is not None and modes not in (None, settings.modes):
        raise ValueError(
            f'pooling={pooling!r}: this model makes its vectors by '
            f'{SEPARATOR.join(settings.modes)}: leave pooling out'
        )
    settings = settings or SentenceSettings(modules=(Normalize(),))
    modes = modes or settings.modes
    if 'pooler' in modes and 'pooler' not in checkpoint.heads:
        raise ValueError(f'pooling={pooling!r}: the network has no pooler')
    modules = settings.modules
    if normalize is not None or settings.similarity == 'cosine':
        modules = with_normalize(modules, normalize is not False)
    _warn(settings)
    return Vectors(modes, modules)


def _warn(settings):
    """Say what a graph, which reads tokens, leaves to the reader of texts."""
    if settings.lower:
        logger.warning('the graph reads tokens: this model wants texts in lower case')
    if settings.prompts and not settings.include_prompt:
        logger.warning(
            'the graph pools over all tokens: this model leaves out those of a prompt (%s), so '
            'vectors of texts with a prompt differ',
            ', '.join(map(repr, settings.prompts)),
        )


def _prefix(number):
    return f'sentence.{number}.'


def _valid(graph):
    """The mask as float32, (N, T, 1)."""
    valid = graph.op('Cast', 'attention_mask', to=FLOAT)
    return graph.op('Unsqueeze', valid, graph.constant([2], np.int64))


def _weighted_sum(graph, sequence, weights):
    """(N, T, C), (N, T, 1) -> (N, C), (N, 1)."""
    total = graph.reduce('ReduceSum', graph.op('Mul', sequence, weights), 1)
    weight = graph.reduce('ReduceSum', weights, 1)
    axis = graph.constant([1], np.int64)
    return [graph.op('Squeeze', part, axis) for part in (total, weight)]


def _mean(graph, sequence):
    """Reimers and Gurevych (2019), section 3."""
    total, count = _weighted_sum(graph, sequence, _valid(graph))
    return graph.op('Div', total, count)


def _mean_sqrt_len(graph, sequence):
    total, count = _weighted_sum(graph, sequence, _valid(graph))
    return graph.op('Div', total, graph.op('Sqrt', count))


def _weighted_mean(graph, sequence):
    """The mean by weights that grow with the position, from 1."""
    valid = _valid(graph)
    positions = graph.op('CumSum', valid, graph.constant(1, np.int64))
    total, weight = _weighted_sum(graph, sequence, graph.op('Mul', positions, valid))
    return graph.op('Div', total, weight)


def _max(graph, sequence):
    valid = graph.op('Equal', _valid(graph), graph.constant(1.0))
    masked = graph.op('Where', valid, sequence, graph.constant(_LOWEST))
    return graph.op('Squeeze', graph.reduce('ReduceMax', masked, 1), graph.constant([1], np.int64))


def _first(graph, sequence):
    return graph.op('Gather', sequence, graph.constant(0, np.int64), axis=1)


def _last(graph, sequence):
    mask = graph.op('Cast', 'attention_mask', to=INT64)
    count = graph.reduce('ReduceSum', mask, 1)  # (N, 1)
    last = graph.op('Sub', count, graph.constant(1, np.int64))
    return graph.op('GatherND', sequence, last, batch_dims=1)


_POOLINGS: Mapping[str, Callable[[Graph, str], str]] = {
    'cls': _first,
    'max': _max,
    'mean': _mean,
    'mean_sqrt_len': _mean_sqrt_len,
    'weightedmean': _weighted_mean,
    'lasttoken': _last,
}


def _add_dense(graph, module, prefix, vectors):
    outputs = graph.op('MatMul', vectors, graph.weight(f'{prefix}linear.weight', transposed=True))
    if module.bias is not None:
        outputs = graph.op('Add', outputs, graph.weight(f'{prefix}linear.bias'))
    return graph.activation(outputs, module.activation)


def _add_layer_norm(graph, module, prefix, vectors):
    gamma, beta = graph.weight(f'{prefix}norm.weight'), graph.weight(f'{prefix}norm.bias')
    return graph.norm(vectors, gamma, beta, _LAYER_NORM_EPS)


def _add_normalize(graph, module, prefix, vectors):
    length = graph.op('Sqrt', graph.reduce('ReduceSum', graph.op('Mul', vectors, vectors), 1))
    return graph.op('Div', vectors, graph.op('Max', length, graph.constant(NORM_EPS)))


_MODULES: Mapping[Type[SentenceModule], Callable[[Graph, Any, str, str], str]] = {
    Dense: _add_dense,
    LayerNorm: _add_layer_norm,
    Normalize: _add_normalize,
}
