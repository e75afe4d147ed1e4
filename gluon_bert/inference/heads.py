"""Heads on the native kernels: from the encodings of a batch to the network's outputs.

M tokens of N sequences in all, C units, K scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

from ..checkpoint.encoder_arrays import float32
from ..checkpoint.sentence import Normalize
from ..config import BertConfig
from ..kernels.dense import NativeDense
from ..kernels.packing import Packed
from ..kernels.top_words import TopWords, top_words
from ..modeling.kinds import KINDS
from ..modeling.outputs import BertOutput, pretraining_output
from .pooling import Pooling, pool_rows

Positions = Sequence[Sequence[int]]


class EncoderHead:
    """No head: the encodings, with the pooled vectors where there are any."""

    def __init__(self, use_pooler: bool) -> None:
        self.reads = True, use_pooler
        """Whether it needs the encodings of the tokens, and the pooled vectors."""

    def __call__(
        self, packed: Packed, rows: Any, pooled: Any, positions: Optional[Positions]
    ) -> Any:
        """Compute the outputs of a batch.

        Parameters
        ----------
        packed : Packed
        rows : numpy.ndarray, shape (M, C), or None
        pooled : numpy.ndarray, shape (N, C), or None
        positions : sequence of sequence of int, optional
            Where words are masked in each sequence.
        """
        encodings = packed.split(rows)
        return encodings if pooled is None else BertOutput(encodings, pooled)


class DenseHead:
    """One dense layer on the pooled vectors, or on the encoding of each token."""

    def __init__(self, layer: Dense, reads_pooled: bool) -> None:
        self.reads = not reads_pooled, reads_pooled
        self.layer = layer

    def __call__(
        self, packed: Packed, rows: Any, pooled: Any, positions: Optional[Positions]
    ) -> Any:
        return self.layer(pooled) if rows is None else packed.split(self.layer(rows))


class VectorHead:
    """One dense layer on the pooled encodings of each sequence."""

    reads = True, False

    def __init__(self, layer: Dense, pooling: str, normalize: bool) -> None:
        self.layer, self._pooling = layer, Pooling((pooling,))
        self._normalize = Normalize() if normalize else None

    def __call__(
        self, packed: Packed, rows: Any, pooled: Any, positions: Optional[Positions]
    ) -> Any:
        vectors = pool_rows(self._pooling, packed, rows)
        return self.layer(vectors if self._normalize is None else self._normalize(vectors))


class PretrainingHeads:
    """The heads of pre-training, both or one of them."""

    def __init__(
        self,
        use_pooler: bool,
        next_sentence: Optional[Dense],
        masked_lm: Optional[MaskedLanguageModel],
    ) -> None:
        self.reads = True, use_pooler
        self.next_sentence, self.masked_lm = next_sentence, masked_lm
        self.output_type = pretraining_output(
            use_pooler, next_sentence is not None, masked_lm is not None
        )

    def __call__(
        self, packed: Packed, rows: Any, pooled: Any, positions: Optional[Positions]
    ) -> Any:
        parts: list = [packed.split(rows)] + ([] if pooled is None else [pooled])
        if self.next_sentence is not None:
            parts.append(self.next_sentence(pooled))  # (N, 2)
        if self.masked_lm is not None and positions is not None:
            chosen, ends = _masked_rows(packed, rows, positions)
            parts.append(np.split(self.masked_lm(chosen), ends))
        return self.output_type(*parts)

    def top_words(
        self, packed: Packed, rows: np.ndarray, positions: Positions, k: int, num_words: int
    ) -> list[TopWords]:
        """Find the best words at the masked positions of each sequence."""
        chosen, ends = _masked_rows(packed, rows, positions)
        best = self.masked_lm.top_words(chosen, k, num_words)  # type: ignore[union-attr]
        return [TopWords(*parts) for parts in zip(*(np.split(array, ends) for array in best))]


def _masked_rows(packed, rows, positions):
    """The encodings at masked positions, and where to split them by sequence."""
    indices = [np.asarray(row, int) + start for row, start in zip(positions, packed.starts)]
    return rows[np.concatenate(indices)], np.cumsum([len(row) for row in positions])[:-1]


class Dense:
    """A dense layer with its number of threads: (rows, in) -> (rows, out).

    The scores of a row do not depend on the rows beside it.
    """

    def __init__(
        self, arrays: Any, name: str, num_threads: int, activation: Optional[str] = None
    ) -> None:
        self._layer = NativeDense(arrays[f'{name}.weight'], arrays[f'{name}.bias'])
        self._arguments = num_threads, activation

    def __call__(self, rows: Any) -> np.ndarray:
        return self._layer(rows, *self._arguments)


class MaskedLanguageModel:
    """Scores of all words (Devlin et al., 2019, section 3.1, task 1): (rows, C) -> (rows, V)."""

    def __init__(
        self, arrays: Any, words: np.ndarray, config: BertConfig, num_threads: int
    ) -> None:
        self._dense = Dense(arrays, 'decoder.0', num_threads, config.activation)
        self._gamma, self._beta, self._bias = (
            float32(arrays[f'decoder.{name}']) for name in ('2.gamma', '2.beta', '3.bias')
        )
        self._words, self._eps = words, np.float32(config.layer_norm_eps)
        self._num_threads = num_threads

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        return self._hidden(rows) @ self._words.T + self._bias

    def top_words(self, rows: np.ndarray, k: int, num_words: int) -> TopWords:
        """Find the best words at each of some positions, without the scores of all."""
        return top_words(
            self._hidden(rows), self._words, self._bias, k, num_words, self._num_threads
        )

    def _hidden(self, rows):
        """The input of the decoder."""
        hidden = self._dense(rows)
        hidden -= hidden.mean(axis=1, keepdims=True)
        hidden /= np.sqrt(np.square(hidden).mean(axis=1, keepdims=True) + self._eps)
        return hidden * self._gamma + self._beta


def make_head(network: Any, words: np.ndarray, use_pooler: bool, num_threads: int) -> Any:
    """Make the head of a network.

    Parameters
    ----------
    network : TrainedNetwork, BertModel or BertHead
    words : numpy.ndarray, shape (V, C)
        The embeddings of all words.
    use_pooler : bool
        Whether the encoder gives pooled vectors.
    num_threads : int

    Returns
    -------
    EncoderHead, DenseHead, VectorHead or PretrainingHeads
    """
    kind = KINDS[network.kind]
    if not kind.heads:
        return EncoderHead(use_pooler)
    arrays = network.head_arrays()
    if kind.reads == 'vectors':
        layer = Dense(arrays, kind.dense, num_threads)
        return VectorHead(layer, network.pooling, network.normalize)
    if kind.dense:
        return DenseHead(Dense(arrays, kind.dense, num_threads), kind.reads == 'pooled')
    return PretrainingHeads(
        use_pooler,
        Dense(arrays, 'classifier', num_threads) if 'classifier.weight' in arrays else None,
        MaskedLanguageModel(arrays, words, network.config, num_threads)
        if 'decoder.0.weight' in arrays
        else None,
    )
