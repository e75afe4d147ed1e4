"""The backend of the Predictor that runs the Gluon network itself.

What MXNet computes is called under the network's lock, for its compiled blocks are not reentrant.
"""

from __future__ import annotations

import functools
import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Optional

import numpy as np
from mxnet import nd

from ..data.features import Features, pad_batch, sequential_batches
from ..kernels.packing import Packed
from ..kernels.top_words import TopWords, best_of_scores
from ..modeling.bert import BertModel
from ..modeling.block import BertBlock
from ..modeling.outputs import BertOutput
from ..modeling.pooling import mean_pool
from .devices import devices_of
from .heads import Positions
from .pooling import Pooling, pool_rows


class GluonBackend:
    """The network itself, on its devices in turn.

    Parameters
    ----------
    network : BertBlock
    bert : BertModel
        In it.
    num_layers : int, optional
        Of a BertModel: give the encodings after so many layers alone.
    """

    def __init__(self, network: BertBlock, bert: BertModel, num_layers: Optional[int]) -> None:
        self._network, self._bert, self._num_layers = network, bert, num_layers

    def __call__(
        self,
        inputs: nd.NDArray,
        token_types: Optional[nd.NDArray] = None,
        valid_length: Optional[nd.NDArray] = None,
        *others: nd.NDArray,
    ) -> Any:
        """Compute what the network does for padded arrays."""
        if self._num_layers is None:
            return self._network(inputs, token_types, valid_length, *others)
        outputs = self._bert.layer_outputs(
            inputs, token_types, valid_length, attentions=False, layers=[self._num_layers]
        )
        return outputs.encodings[0]

    def divide(self, lengths: np.ndarray, batch_size: int) -> list[np.ndarray]:
        """Divide sequences into batches of like lengths: their indices."""
        return sequential_batches(lengths, batch_size)

    def outputs(
        self,
        batches: Iterable[Sequence[Features]],
        pooling: Optional[Pooling] = None,
        positions: Optional[Positions] = None,
    ) -> Iterator[Any]:
        """Compute the outputs of batches of features, as of :meth:`.Predictor.batches`."""
        devices = devices_of(self._network)
        waiting: deque[Any] = deque()  # while the first is read, the devices have the next ones
        for features, device in zip(batches, itertools.cycle(devices)):
            # Arrays are made, computed and freed under the lock: a process that is forked
            # meanwhile would find MXNet's memory locked for ever.
            with self._network.lock:
                waiting.append((features, self._run(features, positions, device, pooling)))
            if len(waiting) > len(devices):
                yield self._read(waiting, pooling, positions)
        while waiting:
            yield self._read(waiting, pooling, positions)

    def _run(self, features, positions, device, pooling):
        arrays = [
            nd.array(array, dtype='float32', ctx=device)
            for array in (*pad_batch(features, 0), *_pad_positions(positions))
        ]
        return self(*arrays) if pooling is None else self._pool(pooling, *arrays)

    def _read(self, waiting, pooling, positions):
        """Take the first outputs from those that wait, as NumPy arrays without padding."""
        with self._network.lock:
            features, outputs = waiting.popleft()
            lengths = [feature.valid_length for feature in features]
            if pooling is not None and outputs.ndim == 3:
                none = np.zeros(0, 'int32')
                packed = Packed(none, none, np.array(lengths, 'int32'))
                return pool_rows(
                    pooling, packed, np.concatenate(_without_padding(outputs, lengths))
                )
            if isinstance(outputs, nd.NDArray):
                return _without_padding(outputs, lengths)
            others = {} if positions is None else {'masked_lm': [len(row) for row in positions]}
            return type(outputs)(
                *(
                    _without_padding(part, others.get(name, lengths))
                    for name, part in zip(outputs._fields, outputs)
                )
            )

    def top_words(
        self, features: Sequence[Features], positions: Positions, k: int, num_words: int
    ) -> list[TopWords]:
        """Find the best words for masks, as of :meth:`.Predictor.top_words`."""
        scores = next(self.outputs([features], None, positions)).masked_lm
        return [best_of_scores(rows, k, num_words) for rows in scores]

    def _pool(self, pooling, inputs, token_types, lengths):
        """NDArrays (N, T), (N, T), (N,) -> (N, C), or (N, T, C) to be pooled in NumPy."""
        run = self if self._network is self._bert else self._bert
        output = run(inputs, token_types, lengths)
        if pooling.reads_pooler:
            return output.pooled
        sequence = output.sequence if isinstance(output, BertOutput) else output  # (N, T, C)
        on_device = _POOL.get(pooling)
        return sequence if on_device is None else on_device(sequence, lengths)


def _max_pool(sequence, lengths):
    masked = nd.SequenceMask(sequence, lengths, use_sequence_length=True, value=-1e30, axis=1)
    return masked.max(axis=1)


# What is computed on the device.
_POOL = {
    Pooling(('mean',)): functools.partial(mean_pool, normalize=False),
    Pooling(('cls',)): lambda sequence, lengths: sequence[:, 0],
    Pooling(('max',)): _max_pool,
}


def _pad_positions(positions):
    """[(N, P)], filled with 0, of lists of positions; [] for None."""
    if positions is None:
        return []
    padded = np.zeros((len(positions), max([1, *map(len, positions)])), 'int32')
    for row, places in zip(padded, positions):
        row[: len(places)] = places
    return [padded]


def _without_padding(array, lengths):
    """NDArray (N, K) -> (N, K); (N, T, K) -> list of (T, K)."""
    array = array.asnumpy()
    # Copies: a view would keep the padding of its batch in memory.
    return (
        array if array.ndim == 2 else [row[:length].copy() for row, length in zip(array, lengths)]
    )
