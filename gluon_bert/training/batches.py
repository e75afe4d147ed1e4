"""Batches of training data, from an iterator whose state is saved with the run."""

from __future__ import annotations

import hashlib
import math
from typing import Any, Dict, Iterable, Iterator, NamedTuple, Optional, Protocol, Sequence, Tuple

import mxnet as mx
import numpy as np

from .objectives import as_tuple
from .options import TrainingOptions


class Batch(NamedTuple):
    """A batch on one device: ``inputs`` of the network and ``labels``, tuples of NDArrays."""

    inputs: Tuple[mx.nd.NDArray, ...]
    labels: Tuple[mx.nd.NDArray, ...]


class BatchIterator(Protocol):
    """Source of the batches that :func:`.fit` reads.

    ``data.batches(rank, size)`` makes one for each of ``size`` processes, which share the batches
    of the data among them without overlap.
    """

    epoch: int
    """Passes over the data completed, from 0."""

    num_batches: Optional[int]
    """Batches in one pass, of all processes together; None if unknown."""

    def __iter__(self) -> Iterator[Tuple[Any, Any]]:
        """Read the rest of the current pass, pairs of inputs and labels.

        Each is a tuple of NDArrays, whose first axis is that of the sequences; labels may be one
        NDArray. When there are no more, ``epoch`` goes up by one.
        """

    def state_dict(self) -> Dict[str, Any]:
        """Describe the position after the batch that was read last, as a JSON object.

        It is the same in all processes, if all have read the same number of batches.
        """

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        """Go to a position that :meth:`state_dict` described."""


class IndexedBatches:
    """Batches of data that can be read in any order.

    Process ``rank`` of ``size`` reads batches ``rank``, ``rank + size``, ... of each epoch.

    Parameters
    ----------
    data : SequenceData
        Or anything with ``training_batches(epoch)`` and ``load(batch)`` like it; its length and
        ``fingerprint()``, if it has them, are compared when a run is resumed.
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
        self._position = 0  # batches of the epoch that all processes have read

    def __iter__(self) -> Iterator[Tuple[Any, Any]]:
        """Read the rest of the current epoch."""
        batches = self._data.training_batches(self.epoch)
        while self._position + self._rank < len(batches):
            batch = batches[self._position + self._rank]
            self._position += self._size
            yield self._data.load(batch)
        self.epoch, self._position = self.epoch + 1, 0

    def replay(self, count: int) -> Iterator[Batch]:
        """Read the first ``count`` batches of this process in the first epoch once more."""
        batches = self._data.training_batches(0)[self._rank :: self._size][:count]
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


def read_batches(iterator: Iterable[Tuple[Any, Any]]) -> Iterator[Batch]:
    """Read pairs of inputs and labels, such as a :class:`BatchIterator`, as :class:`Batch` rows."""
    for inputs, labels in iterator:
        yield Batch(tuple(inputs), as_tuple(labels))


def count_steps(
    num_batches: Optional[int], options: TrainingOptions, num_processes: int = 1
) -> Tuple[Optional[int], int]:
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
    steps_per_epoch = math.ceil(num_batches / (options.accumulate * num_processes))
    return steps_per_epoch, options.training_steps or options.epochs * steps_per_epoch
