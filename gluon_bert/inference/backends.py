"""The backend of the Predictor in native code, over valid tokens alone.

Several threads may call it at once: a call has memory of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Optional

import numpy as np

from ..data.features import Features
from ..kernels.encoder import NativeEncoder
from ..kernels.packing import pack
from ..kernels.top_words import TopWords
from .checks import inner_bert
from .heads import Positions, make_head
from .pooling import POOLINGS, Pooling, pool_rows  # noqa: F401 (POOLINGS' home in 0.1)

_TOKENS = 2048  # of a batch without padding, for each thread: enough to keep all of them busy


class NativeBackend:
    """The encoder and the heads in native code.

    Parameters
    ----------
    network : TrainedNetwork, BertModel or BertHead
    num_threads : int
    precision, float32_layers, num_layers, activation_scales
        As for :class:`.Predictor`; the last as in :class:`.LowPrecision`.
    """

    def __init__(
        self,
        network: Any,
        num_threads: int,
        precision: str = 'float32',
        float32_layers: Iterable[str] = (),
        num_layers: Optional[int] = None,
        activation_scales: Optional[Mapping[str, Sequence[float]]] = None,
    ) -> None:
        self.network, self._num_threads = network, num_threads
        options = precision, tuple(float32_layers), num_layers, activation_scales, num_threads
        make = getattr(network, 'make_encoder', None)  # of a TrainedNetwork
        self._encoder = make(*options) if make else NativeEncoder(inner_bert(network), *options)
        self.head = make_head(network, self._encoder.words, self._encoder.use_pooler, num_threads)

    def __call__(self, *arrays: Any) -> Any:
        """Compute what the network does for padded arrays of MXNet."""
        from .padded import run_padded

        return run_padded(self, *arrays)

    def divide(self, lengths: np.ndarray, batch_size: int) -> list[np.ndarray]:
        """Divide sequences into batches with about the same number of tokens: their indices."""
        order = np.argsort(-lengths, kind='stable')
        tokens = lengths.sum()
        count = max(1, round(tokens / (_TOKENS * self._num_threads)))
        if count == 1:
            return [order] if len(order) else []
        last = lengths[order].cumsum() - 1
        number = last * count // max(1, tokens)
        return np.split(order, np.flatnonzero(np.diff(number)) + 1)

    def outputs(
        self,
        batches: Iterable[Sequence[Features]],
        pooling: Optional[Pooling] = None,
        positions: Optional[Positions] = None,
    ) -> Iterator[Any]:
        """Compute the outputs of batches of features, as of :meth:`.Predictor.batches`."""
        for features in batches:
            packed = pack(features)
            if pooling is None:
                yield self.head(packed, *self.encode(packed, *self.head.reads), positions)
            else:
                rows, pooled = self.encode(packed, not pooling.reads_pooler, pooling.reads_pooler)
                yield pooled if rows is None else pool_rows(pooling, packed, rows)

    def top_words(
        self, features: Sequence[Features], positions: Positions, k: int, num_words: int
    ) -> list[TopWords]:
        """Find the best words for masks, as of :meth:`.Predictor.top_words`."""
        packed = pack(features)
        rows, _ = self.encode(packed, True, False)
        return self.head.top_words(packed, rows, positions, k, num_words)

    def encode(self, packed: Any, sequence: bool, pooled: bool) -> tuple:
        """Compute the encodings of the tokens, (M, C), and pooled vectors, (N, C), as wanted."""
        inputs, token_types, lengths = packed
        return self._encoder(inputs, token_types, lengths, self._num_threads, sequence, pooled)
