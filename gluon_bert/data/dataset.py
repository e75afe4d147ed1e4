"""Serve a data set in memory as padded batches."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from .._internal.types import Context
from .features import bucketed_batches, pad_batch

if TYPE_CHECKING:
    from .classification.rows import Example
    from .features import Features


class SequenceData:
    """Features of a data set with their labels.

    Parameters
    ----------
    features : list of Features
    labels : numpy.ndarray, list of arrays, or None
        A label for each sequence, shape (sequences, ...); or for each sequence a list of labels of
        its tokens; None without labels, as in a test set.
    pad_id : int
        Id of the padding token.
    batch_size : int
        Sequences in a batch.
    seed : int
        Seed of the order of training batches.
    round_to : int, optional
        Pad lengths to a multiple of this.
    fixed_length : int, optional
        Pad all batches to this length.
    ctx : mxnet.Context or list of them, optional
        Device of the batches, the first of several; by default the current context.
    """

    def __init__(
        self,
        features: list[Features],
        labels: Any,
        pad_id: int,
        batch_size: int,
        seed: int = 0,
        round_to: Optional[int] = None,
        fixed_length: Optional[int] = None,
        ctx: Optional[Context] = None,
    ) -> None:
        if not features:
            raise ValueError('features: a data set needs at least one sequence')
        if labels is not None and len(labels) != len(features):
            raise ValueError(f'labels has {len(labels)} entries for {len(features)} sequences')
        if isinstance(labels, np.ndarray):
            _check_labels(labels)
        if batch_size < 1:
            raise ValueError(f'batch_size={batch_size}: expected 1 or more')
        self._features, self._labels = features, labels
        self._pad_id, self._batch_size, self._seed = pad_id, batch_size, seed
        self._round_to, self._fixed_length = round_to, fixed_length
        self._ctx = ctx[0] if isinstance(ctx, (list, tuple)) else ctx
        self._lengths = np.array([feature.valid_length for feature in features])

    def __len__(self) -> int:
        return len(self._features)

    @property
    def features(self) -> list[Features]:
        """The sequences in the order of the data set."""
        return self._features

    @property
    def batch_size(self) -> int:
        """Number of sequences in a batch."""
        return self._batch_size

    @property
    def labels(self) -> Any:
        """The labels in the order of the data set, or None."""
        return self._labels

    def fingerprint(self) -> dict[str, Any]:
        """Describe what the training batches depend on, contents by digests, as a JSON object.

        A resumed training run compares it.
        """
        return {
            'tokens': digest_of([feature.inputs for feature in self._features]),
            'token_types': digest_of([feature.token_types for feature in self._features]),
            'labels': None if self._labels is None else digest_of(self._labels),
            'batch_size': self._batch_size,
            'seed': self._seed,
            'pad_id': self._pad_id,
            'round_to': self._round_to,
            'fixed_length': self._fixed_length,
        }

    def training_batches(self, epoch: int) -> list[np.ndarray]:
        """Shuffle batches of similar length, by seed and epoch: list of index arrays."""
        return bucketed_batches(self._lengths, self._batch_size, self._seed, epoch)

    def load(self, indices: Sequence[int]) -> tuple[tuple, Any]:
        """Load one batch.

        Parameters
        ----------
        indices : array of int
            As returned by the two methods above.

        Returns
        -------
        inputs : tuple of NDArray
            inputs (N, T), token_types (N, T), valid_length (N,): float32, as MXNet's layers read.
        labels : NDArray, or None
            Shape (N, ...); or (N, T) with a label for each token, -1 in the padding.
        """
        arrays = pad_batch(
            [self._features[i] for i in indices],
            self._pad_id,
            round_to=self._fixed_length or self._round_to,
            max_length=self._fixed_length,
        )
        from mxnet import nd

        inputs = tuple(nd.array(array, dtype='float32', ctx=self._ctx) for array in arrays)
        if self._labels is None:
            return inputs, None
        labels = (
            self._labels[indices]
            if isinstance(self._labels, np.ndarray)
            else _pad_labels([self._labels[i] for i in indices], arrays[0].shape[1])
        )
        return inputs, nd.array(labels, dtype='float32', ctx=self._ctx)


def digest_of(rows: Any) -> str:
    """Compute a digest of an array, or of arrays or lists of several lengths, as numbers."""
    shape: tuple
    if isinstance(rows, np.ndarray):
        shape, values = rows.shape, rows
    else:
        shape = tuple(np.shape(row) for row in rows)
        values = np.concatenate([np.ravel(row) for row in rows])
    values = np.ascontiguousarray(values, 'float64')
    return hashlib.sha256(repr(shape).encode() + values.tobytes()).hexdigest()[:32]


def _check_labels(labels):
    """Refuse scores that are not finite, and negative numbers of classes, by their row."""
    if labels.dtype.kind == 'f':
        bad, allowed = ~np.isfinite(labels), 'a finite number'
    elif labels.dtype.kind == 'i' and labels.ndim == 1:
        bad, allowed = labels < 0, 'the number of a class, from 0'
    else:
        return
    if bad.any():
        place = tuple(int(axis[0]) for axis in np.nonzero(bad))
        raise ValueError(f'labels: row {place[0]} has {labels[place]}: expected {allowed}')


def _pad_labels(labels, length):
    padded = np.full((len(labels), length), -1)
    for row, values in zip(padded, labels):
        row[: len(values)] = values
    return padded


def label_array(examples: list[Example]) -> Optional[np.ndarray]:
    """Return the labels of examples as an array; None if any has no label.

    Parameters
    ----------
    examples : list of Example

    Returns
    -------
    numpy.ndarray or None, shape (examples,)
    """
    if any(example.label is None for example in examples):
        return None
    return np.array([example.label for example in examples])
