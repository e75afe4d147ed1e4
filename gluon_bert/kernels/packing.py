"""Sequences that follow each other without padding, and what is made of their encodings.

M tokens of N sequences in all, C units.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Packed(NamedTuple):
    """Token ids and token types, (M,), and how many each sequence has, (N,); all int32."""

    inputs: np.ndarray
    token_types: np.ndarray
    lengths: np.ndarray

    @property
    def starts(self):
        """Where each sequence begins, (N,)."""
        return np.cumsum(self.lengths) - self.lengths

    def split(self, rows):
        """The rows of each sequence: (M, K) -> list of (T, K), which share memory."""
        starts = self.starts.tolist()
        return [rows[start:end] for start, end in zip(starts, [*starts[1:], len(rows)])]

    def mean(self, rows):
        """The mean over the tokens of each sequence: (M, C) -> (N, C)."""
        return self._reduced(np.add, rows) / self.lengths[:, None].astype(rows.dtype)

    def max(self, rows):
        """The maximum of each unit over the tokens of each sequence: (M, C) -> (N, C)."""
        return self._reduced(np.maximum, rows)

    def _reduced(self, function, rows):
        found = np.empty((len(self.lengths), rows.shape[1]), rows.dtype)
        # Many times faster here than NumPy's reduceat.
        for part, row in zip(self.split(rows), found):
            function.reduce(part, axis=0, out=row)
        return found

    def first(self, rows):
        """The row of each sequence's first token: (M, C) -> (N, C)."""
        return rows[self.starts]


class Unpadded(NamedTuple):
    """What is no padding in padded arrays, and where it was: (N, T) of bool."""

    packed: Packed
    valid: np.ndarray


def unpad(inputs, token_types, valid_length):
    """The valid tokens of padded arrays.

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
        If a length is none, or longer than the sequences.
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


def pack(features):
    """Features one after the other.

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
        If there are none, or one has not as many ids or token types as it says, or no tokens.
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
