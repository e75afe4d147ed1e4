"""Serve sequences in lists as padded batches in which lists are whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

from ..dataset import SequenceData
from ..features import bucketed_batches
from ..shares import Arrays, rows_of, take_rows


class ListData(SequenceData):
    """Features of queries with documents, in lists that a batch does not divide.

    A batch has as many lists as fit ``batch_size`` if all were as long as the longest.

    Parameters
    ----------
    features : list of Features
    labels : numpy.ndarray, shape (sequences,)
        The relevance of each document.
    lists : numpy.ndarray of int, shape (sequences,)
        The number of the list that each sequence is of, from 0.
    *arguments, **options
        Further ones of :class:`.SequenceData`.

    Raises
    ------
    ValueError
        If a list is longer than a batch.
    """

    def __init__(
        self, features: list, labels: Any, lists: np.ndarray, *arguments: Any, **options: Any
    ) -> None:
        super().__init__(features, labels, *arguments, **options)
        self._lists = lists
        order = np.argsort(lists, kind='stable')
        self._members = np.split(order, np.flatnonzero(np.diff(lists[order])) + 1)
        longest = max(map(len, self._members))
        if longest > self.batch_size:
            raise ValueError(
                f'a query has {longest} documents, a batch holds {self.batch_size}: expected a '
                f'batch_size of {longest} or more'
            )
        self._lists_per_batch = self.batch_size // longest

    def fingerprint(self) -> dict[str, Any]:
        """Describe what the training batches depend on; the lists, too."""
        return {**super().fingerprint(), 'lists': self._lists.tolist()}

    def training_batches(self, epoch: int) -> list[np.ndarray]:
        """Shuffle batches of lists of similar length, by seed and epoch: list of index arrays."""
        lengths = [int(self._lengths[members].max()) for members in self._members]
        batches = bucketed_batches(lengths, self._lists_per_batch, self._seed, epoch)
        return [np.concatenate([self._members[i] for i in batch]) for batch in batches]

    def load(self, indices: Sequence[int]) -> tuple[tuple, Any]:
        """Load one batch, as :meth:`.SequenceData.load` does.

        Returns
        -------
        inputs : tuple of NDArray
        labels : tuple of NDArray
            The relevance of each sequence and, from 0, the number of its list in the batch, (N,).
        """
        inputs, labels = super().load(indices)
        _, numbers = np.unique(self._lists[indices], return_inverse=True)
        from mxnet import nd

        return inputs, (labels, nd.array(numbers, dtype='float32', ctx=self._ctx))

    def share(self, batch: Sequence[Arrays], rank: int, size: int) -> Optional[tuple]:
        """Take the whole lists of one of several processes, as :meth:`.GroupData.share` does."""
        inputs, labels = batch
        lists = labels[1].asnumpy()
        numbers = np.unique(lists)
        rows = np.flatnonzero(np.isin(lists, numbers[rows_of(rank, size, len(numbers))]))
        return (take_rows(inputs, rows), take_rows(labels, rows)) if len(rows) else None
