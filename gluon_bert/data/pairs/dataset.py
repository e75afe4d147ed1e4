"""Serve groups of texts as batches of sequences, for losses of their vectors."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

from ..._internal.types import Context, Integers
from ..dataset import SequenceData, digest_of
from ..features import Features
from ..shares import Arrays, rows_of, take_rows

_PATIENCE = 16  # examples put off for a batch, at most, in batches


class GroupData:
    """Sequences in groups, such as pairs: an anchor, its positive, and its negatives.

    Parameters
    ----------
    features : list of Features
        Of the texts, each once.
    groups : numpy.ndarray of int, shape (examples, columns)
        Which sequences an example has.
    scores : sequence of float, optional
        Of the examples.
    pad_id : int
        Id of the padding token.
    batch_size : int
        Examples in a batch.
    seed : int
        Seed of the order of training batches.
    distinct : bool
        No batch has a text twice, as the texts of the other examples are negatives; examples are
        put off for that.
    repeats : int
        How often each sequence stands in a batch: 2 for SimCSE.
    least : int
        Examples that a batch must have; a smaller one, at the end, is left out.
    round_to, ctx
        As for :class:`.SequenceData`.
    """

    def __init__(
        self,
        features: list[Features],
        groups: np.ndarray,
        scores: Optional[Sequence[float]],
        pad_id: int,
        batch_size: int,
        seed: int = 0,
        *,
        distinct: bool = False,
        repeats: int = 1,
        least: int = 1,
        round_to: Optional[int] = None,
        ctx: Optional[Context] = None,
    ) -> None:
        self._sequences = SequenceData(
            features, None, pad_id, batch_size, seed, round_to=round_to, ctx=ctx
        )
        self._groups = groups
        self.labels = None if scores is None else np.asarray(scores, 'float32')
        """The scores in the order of the examples, or None."""
        self._batch_size, self._seed = batch_size, seed
        self._distinct, self._repeats, self._least = distinct, repeats, least
        self._ctx = ctx[0] if isinstance(ctx, (list, tuple)) else ctx

    def __len__(self) -> int:
        return len(self._groups)

    @property
    def batch_size(self) -> int:
        """Number of examples in a batch."""
        return self._batch_size

    def fingerprint(self) -> dict[str, Any]:
        """Describe what the training batches depend on, contents by digests, as a JSON object.

        A resumed training run compares it.
        """
        return {
            **self._sequences.fingerprint(),
            'labels': None if self.labels is None else digest_of(self.labels),
            'groups': digest_of(self._groups),
            'distinct': self._distinct,
            'repeats': self._repeats,
            'least': self._least,
        }

    def training_batches(self, epoch: int) -> list[np.ndarray]:
        """Shuffle the examples, by seed and epoch, into batches: list of index arrays."""
        order = np.random.RandomState((self._seed, epoch)).permutation(len(self._groups))
        size = self._batch_size
        if self._distinct:
            batches = distinct_batches(self._groups, order, size)
        else:
            batches = [order[begin : begin + size] for begin in range(0, len(order), size)]
        return [batch for batch in batches if len(batch) >= self._least]

    def load(self, indices: Sequence[int]) -> tuple[tuple, Any]:
        """Load one batch.

        Parameters
        ----------
        indices : array of int
            As :meth:`training_batches` returns them.

        Returns
        -------
        inputs : tuple of NDArray
            As :meth:`.SequenceData.load` gives them: the anchors, then the second texts, and so on.
        scores : NDArray, shape (N,), or None
        """
        sequences: Any = np.tile(self._groups[indices].T.ravel(), self._repeats)
        inputs, _ = self._sequences.load(sequences)
        if self.labels is None:
            return inputs, None
        from mxnet import nd

        return inputs, nd.array(self.labels[indices], dtype='float32', ctx=self._ctx)

    def share(self, batch: Sequence[Arrays], rank: int, size: int) -> Optional[tuple]:
        """Take the whole examples of one of several processes.

        Parameters
        ----------
        batch : (tuple of NDArray, tuple of NDArray)
            Inputs and labels.
        rank, size : int
            Number of the process, and of all.

        Returns
        -------
        tuple or None
            Inputs and labels, as in ``batch``; None if no example is left for it.
        """
        inputs, labels = batch
        columns = self._groups.shape[1] * self._repeats
        count = len(inputs[0]) // columns
        rows = np.arange(count)[rows_of(rank, size, count)]
        if not len(rows):
            return None
        sequences = (rows + count * np.arange(columns)[:, None]).ravel()
        return take_rows(inputs, sequences), take_rows(labels, rows)


def distinct_batches(groups: np.ndarray, order: Integers, size: int) -> list[np.ndarray]:
    """Cut examples into batches in which no text occurs twice.

    Parameters
    ----------
    groups : numpy.ndarray of int, shape (examples, columns)
        Numbers of their texts.
    order : sequence of int
        Of the examples. One whose texts are in the batch already waits for the next.
    size : int
        Examples in a batch; fewer where the examples left have the same texts.

    Returns
    -------
    list of numpy.ndarray

    Examples
    --------
    >>> groups = np.array([[0, 1], [0, 2], [3, 4]])
    >>> [batch.tolist() for batch in distinct_batches(groups, [0, 1, 2], 2)]
    [[0, 2], [1]]
    """
    waiting, batches = deque(order), []
    while waiting:
        batch: list[int] = []
        used: set[int] = set()
        postponed: list[int] = []
        while waiting and len(batch) < size and len(postponed) < _PATIENCE * size:
            number = waiting.popleft()
            texts = set(groups[number].tolist())
            if used & texts:
                postponed.append(number)
            else:
                used |= texts
                batch.append(number)
        waiting.extendleft(reversed(postponed))
        batches.append(np.array(batch))
    return batches
