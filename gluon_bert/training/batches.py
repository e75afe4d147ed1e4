"""Batches of training data, from an iterator whose state is saved with the run."""

from __future__ import annotations

import hashlib
import math
from typing import Any, Dict, Iterable, Iterator, NamedTuple, Optional, Protocol, Sequence, Tuple

import mxnet as mx
import numpy as np

from ..data.shares import rows_of
from .objectives import as_tuple
from .options import TrainingOptions


class Batch(NamedTuple):
    """A batch on one device: ``inputs`` of the network and ``labels``, tuples of NDArrays."""

    inputs: Tuple[mx.nd.NDArray, ...]
    labels: Tuple[mx.nd.NDArray, ...]


class BatchIterator(Protocol):
    """Source of the batches that :func:`.fit` reads.

    ``data.batches(rank, size)`` makes one for each of ``size`` processes, which share each batch
    among them without overlap.
    """

    epoch: int
    """Passes over the data completed, from 0."""

    num_batches: Optional[int]
    """Batches in one pass; None if unknown."""

    def __iter__(self) -> Iterator[Optional[Tuple[Any, Any]]]:
        """Read the rest of the current pass, this process's share of each batch.

        It is a pair of inputs and labels, each a tuple of NDArrays, whose first axis is that of the
        sequences; labels may be one NDArray. It is None where a batch has no sequence for this
        process. When there are no more, ``epoch`` goes up by one.
        """

    def state_dict(self) -> Dict[str, Any]:
        """Describe the position after the batch that was read last, as a JSON object.

        It is the same in all processes, if all have read the same number of batches, and does not
        depend on how many processes there are.
        """

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        """Go to a position that :meth:`state_dict` described."""


class IndexedBatches:
    """Batches of data that can be read in any order.

    They are whole; :meth:`split` takes the share of process ``rank`` of ``size``.

    Parameters
    ----------
    data : SequenceData
        Or anything with ``training_batches(epoch)`` and ``load(batch)`` like it; its length and
        ``fingerprint()``, if it has them, are compared when a run is resumed. Where sequences
        belong together it has ``share(batch, rank, size)``, which gives the arrays of a process's
        share of a batch, or None; else the rows are divided.
    rank, size : int

    Raises
    ------
    ValueError
        If there are no batches.
    """

    def __init__(self, data: Any, rank: int = 0, size: int = 1) -> None:
        batches = data.training_batches(0)
        if not len(batches):
            raise ValueError('the training data have no batch')
        self.num_batches: Optional[int] = len(batches)
        self.largest_batch = max(map(len, batches))
        self.order = digest_of_order(batches)
        self.epoch = 0
        self._data, self._rank, self._size = data, rank, size
        self._position = 0  # batches of the epoch that were read

    def __iter__(self) -> Iterator[Tuple[Any, Any]]:
        """Read the rest of the current epoch."""
        batches = self._data.training_batches(self.epoch)
        while self._position < len(batches):
            self._position += 1
            yield self._data.load(batches[self._position - 1])
        self.epoch, self._position = self.epoch + 1, 0

    def split(self, batch: Batch) -> Optional[Batch]:
        """Take this process's share of a batch, padded as the batch is; None if it has none."""
        if self._size == 1:
            return batch
        if hasattr(self._data, 'share'):
            share = self._data.share(batch, self._rank, self._size)
            return None if share is None else Batch(*share)
        rows = rows_of(self._rank, self._size, len(batch.inputs[0]))
        if rows.start == rows.stop:
            return None
        return Batch(*(tuple(array[rows] for array in arrays) for arrays in batch))

    def replay(self, count: int) -> Iterator[Batch]:
        """Read the first ``count`` batches of the first epoch once more."""
        batches = self._data.training_batches(0)[:count]
        return (
            Batch(tuple(inputs), as_tuple(labels))
            for inputs, labels in map(self._data.load, batches)
        )

    def state_dict(self) -> Dict[str, Any]:
        """Describe the position, by epoch and batches of it."""
        return {'epoch': self.epoch, 'position': self._position}

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        """Go to a position that :meth:`state_dict` described."""
        self.epoch, self._position = state['epoch'], state['position']


def digest_of_order(batches: Sequence[Sequence[int]]) -> str:
    """Compute a digest of which sequences are in which batch."""
    digest = hashlib.sha256()
    for batch in batches:
        digest.update(repr(np.asarray(batch).tolist()).encode())
    return digest.hexdigest()[:32]


def open_batches(data: Any, rank: int = 0, size: int = 1) -> BatchIterator:
    """Make the iterator of a data set: its own, or :class:`IndexedBatches`."""
    if hasattr(data, 'batches'):
        return data.batches(rank, size)
    return IndexedBatches(data, rank, size)


def read_batches(iterator: Iterable[Optional[Tuple[Any, Any]]]) -> Iterator[Optional[Batch]]:
    """Read pairs of inputs and labels, such as a :class:`BatchIterator`, as :class:`Batch` rows."""
    for pair in iterator:
        yield None if pair is None else Batch(tuple(pair[0]), as_tuple(pair[1]))


def count_steps(num_batches: Optional[int], options: TrainingOptions) -> Tuple[Optional[int], int]:
    """Count the steps of an epoch, None if unknown, and of a run.

    Raises
    ------
    ValueError
        If neither the number of batches nor that of steps is known.
    """
    if num_batches is None:
        if options.training_steps is None:
            raise ValueError(
                'training_steps is needed: the number of batches in the data is not known'
            )
        return None, options.training_steps
    steps_per_epoch = math.ceil(num_batches / (options.accumulate))
    return steps_per_epoch, options.training_steps or options.epochs * steps_per_epoch
