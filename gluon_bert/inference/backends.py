"""Backends of the Predictor: native code over valid tokens alone, or the network itself.

M tokens of N sequences in all, T of one, C units. Both may be called by several threads at once:
a call of the native encoder has memory of its own, and what MXNet computes is called under the
network's lock, for its compiled blocks are not reentrant.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Optional, Union

import numpy as np
from mxnet import nd

from ..data import Features, pad_batch, sequential_batches
from ..kernels.encoder import NativeEncoder
from ..kernels.packing import Packed, pack, unpad
from ..modeling.bert import BertBlock, BertModel, BertOutput
from ..modeling.block import check_inputs, check_values
from ..modeling.heads import BertForPretraining, BertHead
from ..modeling.pooling import mean_pool
from .batches import inner_bert
from .devices import devices_of, run_batches
from .pooling import POOLINGS, Pooling, pool_rows  # noqa: F401 (POOLINGS' home in 0.1)

_TOKENS = 2048  # of a batch without padding, for each thread: enough to keep all of them busy

Positions = Sequence[Sequence[int]]


class NativeBackend:
    """The encoder in native code, the heads as they are.

    Parameters
    ----------
    head : BertModel or BertHead
    num_threads : int
    precision, float32_layers, num_layers, activation_scales
        As for :class:`.Predictor`; the last as in :class:`.LowPrecision`.
    """

    def __init__(
        self,
        head: Union[BertModel, BertHead],
        num_threads: int,
        precision: str = 'float32',
        float32_layers: Iterable[str] = (),
        num_layers: Optional[int] = None,
        activation_scales: Optional[Mapping[str, Sequence[float]]] = None,
    ) -> None:
        self._head, self._num_threads = head, num_threads
        bert = inner_bert(head)
        self._encoder = NativeEncoder(
            bert, precision, float32_layers, num_layers, activation_scales
        )
        self._ctx = bert.embeddings.word.weight.list_ctx()[0]

    def __call__(
        self,
        inputs: nd.NDArray,
        token_types: Optional[nd.NDArray] = None,
        valid_length: Optional[nd.NDArray] = None,
        *others: nd.NDArray,
    ) -> Any:
        """Compute what the network does for padded arrays."""
        inputs, token_types, valid_length, *others = self._head.arguments(
            inputs, token_types, valid_length, *others
        )
        check_inputs(self._head.config, inputs, inputs if token_types is None else token_types)
        if valid_length is None or valid_length.shape == inputs.shape[:1]:  # else unpad says so
            check_values(self._head.config, inputs, token_types, valid_length)
        packed, valid = unpad(inputs, token_types, valid_length)
        rows, pooled = self._encode(packed)
        return self._padded_outputs(rows, pooled, valid, others)

    def divide(self, lengths: np.ndarray, batch_size: int) -> list[np.ndarray]:
        """Divide sequences into batches with about the same number of tokens: their indices."""
        order = np.argsort(-lengths, kind='stable')
        tokens, last = lengths.sum(), lengths[order].cumsum() - 1
        count = max(1, round(tokens / (_TOKENS * self._num_threads)))
        number = last * count // max(1, tokens)
        return np.split(order, np.flatnonzero(np.diff(number)) + 1) if len(order) else []

    def outputs(
        self,
        batches: Iterable[Sequence[Features]],
        pooling: Optional[Pooling] = None,
        positions: Optional[Positions] = None,
    ) -> Iterator[Any]:
        """Compute the outputs of batches of features, as of :meth:`.Predictor.batches`."""
        for features in batches:
            packed = pack(features)
            rows, pooled = self._encode(packed, pooling)
            if pooling is None:
                yield self._outputs(packed, rows, pooled, positions)
            else:
                yield pooled if rows is None else pool_rows(pooling, packed, rows)

    def _encode(self, packed, pooling=None):
        """The encodings of the tokens, (M, C), and pooled vectors, (N, C), as they are needed."""
        if pooling is not None:
            needed = not pooling.reads_pooler, pooling.reads_pooler
        elif isinstance(self._head, (BertModel, BertForPretraining)):
            needed = True, self._encoder.use_pooler
        else:
            needed = self._head.reads == 'sequence', self._head.reads == 'pooled'
        return self._encoder(*packed, self._num_threads, *needed)

    def _outputs(self, packed, rows, pooled, positions):
        head = self._head
        if isinstance(head, BertForPretraining):
            parts = [packed.split(rows)] + ([] if pooled is None else [pooled])
            if hasattr(head, 'next_sentence'):
                parts.append(self._rows(head.next_sentence, pooled))  # (N, 2)
            if hasattr(head, 'masked_lm'):
                parts.append(self._masked_scores(packed, rows, positions))
            return head.output_type(*parts)
        if isinstance(head, BertModel):
            encodings = packed.split(rows)
            return encodings if pooled is None else BertOutput(encodings, pooled)
        if pooled is not None:
            return self._rows(head.scores, pooled)
        return packed.split(self._rows(head.scores, rows))

    def _masked_scores(self, packed, rows, positions):
        """The scores of all words at the positions in each sequence: list of (P, V)."""
        indices = np.concatenate(
            [np.asarray(row, int) + start for row, start in zip(positions, packed.starts)]
        )
        scores = np.zeros((0, self._encoder.config.vocab_size), 'float32')
        if len(indices):
            places = nd.arange(len(indices), ctx=self._ctx).expand_dims(0)
            scores = self._rows(self._head.masked_lm, rows[indices][None], places)[0]
        return np.split(scores, np.cumsum([len(row) for row in positions])[:-1])

    def _padded_outputs(self, sequence, pooled, valid, others):
        """The network's outputs as it returns them, padded."""
        head = self._head
        if isinstance(head, BertModel):
            rows = self._padded(sequence, valid)
            return rows if pooled is None else BertOutput(rows, self._array(pooled))
        if isinstance(head, BertForPretraining):
            encodings = [self._padded(sequence, valid)]
            if pooled is not None:
                encodings.append(self._array(pooled))
            with head.lock:
                scores = head.scores(encodings, *others)
            return head.output_type(*encodings, *scores)
        if head.reads == 'pooled':
            return self._run(head.scores, pooled)
        return self._padded(self._rows(head.scores, sequence), valid)

    def _run(self, part, rows, *others):
        """The output of a part of the head, an NDArray, from rows in NumPy."""
        with self._head.lock:
            return part(self._array(rows), *others)

    def _rows(self, part, rows, *others):
        """The same in NumPy; the lock is held until it is computed, which a fork waits for."""
        with self._head.lock:
            return self._run(part, rows, *others).asnumpy()

    def _array(self, rows):
        return nd.from_numpy(np.ascontiguousarray(rows)).as_in_context(self._ctx)

    def _padded(self, rows, valid):
        """Rows of valid tokens, (M, K), in their places: (N, T, K)."""
        padded = np.zeros((*valid.shape, rows.shape[1]), 'float32')
        padded[valid] = rows
        return self._array(padded)


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
        batches, read = itertools.tee(batches)
        arrays = (
            [
                nd.array(array, dtype='float32', ctx=devices[0])
                for array in (*pad_batch(features, 0), *_pad_positions(positions))
            ]
            for features in read
        )
        run = self if pooling is None else functools.partial(self._pool, pooling)
        for features, outputs in zip(batches, run_batches(run, arrays, devices)):
            lengths = [feature.valid_length for feature in features]
            others = {} if positions is None else {'masked_lm': [len(row) for row in positions]}
            if pooling is not None and outputs.ndim == 3:
                none = np.zeros(0, 'int32')
                packed = Packed(none, none, np.array(lengths, 'int32'))
                yield pool_rows(pooling, packed, np.concatenate(_without_padding(outputs, lengths)))
            elif isinstance(outputs, nd.NDArray):
                yield _without_padding(outputs, lengths)
            else:
                yield type(outputs)(
                    *(
                        _without_padding(part, others.get(name, lengths))
                        for name, part in zip(outputs._fields, outputs)
                    )
                )

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
