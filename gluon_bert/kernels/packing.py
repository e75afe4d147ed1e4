"""Sequences packed without padding, and vectors of them.

M tokens of N sequences in all, C units.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence

import numpy as np


class Packed(NamedTuple):
    """Token ids and token types, (M,), and how many each sequence has, (N,); all int32."""

    inputs: np.ndarray
    token_types: np.ndarray
    lengths: np.ndarray

    @property
    def starts(self) -> np.ndarray:
        """The first row of each sequence, (N,)."""
        return np.cumsum(self.lengths) - self.lengths

    def split(self, rows: np.ndarray) -> list[np.ndarray]:
        """Split rows by sequence: (M, K) -> list of (T, K), which share memory."""
        starts = self.starts.tolist()
        return [rows[start:end] for start, end in zip(starts, [*starts[1:], len(rows)])]

    def mean(self, rows: np.ndarray) -> np.ndarray:
        """Average over the tokens of each sequence: (M, C) -> (N, C)."""
        return self._reduced(np.add, rows) / self.lengths[:, None].astype(rows.dtype)

    def max(self, rows: np.ndarray) -> np.ndarray:
        """Take the maximum of each unit over the tokens of each sequence: (M, C) -> (N, C)."""
        return self._reduced(np.maximum, rows)

    def _reduced(self, function, rows):
        vectors = np.empty((len(self.lengths), rows.shape[1]), rows.dtype)
        # Many times faster here than NumPy's reduceat.
        for part, vector in zip(self.split(rows), vectors):
            function.reduce(part, axis=0, out=vector)
        return vectors

    def first(self, rows: np.ndarray) -> np.ndarray:
        """Take the row of each sequence's first token: (M, C) -> (N, C)."""
        return rows[self.starts]


class Unpadded(NamedTuple):
    """Valid tokens of padded arrays, and their mask: (N, T) of bool."""

    packed: Packed
    valid: np.ndarray


def unpad(inputs: Any, token_types: Any, valid_length: Any) -> Unpadded:
    """Pack the valid tokens of padded arrays.

    Parameters
    ----------
    inputs : NDArray or numpy.ndarray, shape (N, T)
    token_types : NDArray or numpy.ndarray, shape (N, T), or None
    valid_length : NDArray or numpy.ndarray, shape (N,), or None
        Without it all tokens are valid.

    Returns
    -------
    Unpadded

    Raises
    ------
    ValueError
        If a length is below 1, or above that of the arrays.
    """
    ids = _whole_numbers(inputs)
    size, longest = ids.shape
    lengths = (
        np.full(size, longest, 'int32') if valid_length is None else _whole_numbers(valid_length)
    )
    if len(lengths) != size or not ((lengths >= 1) & (lengths <= longest)).all():
        raise ValueError(
            f'valid_length {lengths.tolist()} does not fit inputs of shape '
            f'{ids.shape}: expected {size} lengths from 1 to {longest}'
        )
    valid = np.arange(longest) < lengths[:, None]
    types = (
        np.zeros(lengths.sum(), 'int32')
        if token_types is None
        else _whole_numbers(token_types)[valid]
    )
    return Unpadded(Packed(ids[valid], types, lengths), valid)


def pack(features: Sequence[Any]) -> Packed:
    """Put features one after the other.

    Parameters
    ----------
    features : sequence of Features
        One or more.

    Returns
    -------
    Packed

    Raises
    ------
    ValueError
        If there are no features, or one has no tokens, or its ids, token types and length differ.
    """
    if not len(features):
        raise ValueError('features must hold one sequence or more, got none')
    lengths = np.array([feature.valid_length for feature in features], 'int32')
    for feature in features:
        if not len(feature.inputs) == len(feature.token_types) == feature.valid_length > 0:
            raise ValueError(
                f'features hold {len(feature.inputs)} ids and '
                f'{len(feature.token_types)} token types for a sequence of '
                f'{feature.valid_length} tokens'
            )
    inputs, types = (
        np.concatenate(parts, dtype='int32', casting='unsafe')
        for parts in (
            [feature.inputs for feature in features],
            [feature.token_types for feature in features],
        )
    )
    return Packed(inputs, types, lengths)


def _whole_numbers(array):
    array = array if isinstance(array, np.ndarray) else array.asnumpy()
    return array.astype('int32')
