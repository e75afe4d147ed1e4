"""Compare two checkpoints array by array."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import numpy as np

from ..checkpoint.arrays import Arrays, shape_of

if TYPE_CHECKING:
    from ..checkpoint.schema import Checkpoint


BY_TOKEN = ('word_embed.0.weight', 'decoder.3.bias')  # arrays with a row for each token
_ROWS = 4096  # compared at a time


class Difference(NamedTuple):
    """Difference of two arrays with one name.

    Parameters
    ----------
    name : str
    equal : bool
        True if equal bit by bit.
    largest : float
        The largest absolute difference of two values; infinite if the arrays cannot be compared.
    reason : str
        Why they cannot be compared, or a further remark.
    """

    name: str
    equal: bool
    largest: float
    reason: str = ''


class TokenMap(NamedTuple):
    """Ids of the same tokens in two vocabularies; None to compare all ids as they are."""

    first: Optional[np.ndarray]
    second: Optional[np.ndarray]


AS_IT_IS = TokenMap(None, None)


def same_bits(first: np.ndarray, second: np.ndarray) -> bool:
    """Tell if two arrays are identical, type, shape and NaNs included."""
    return (
        first.dtype == second.dtype
        and first.shape == second.shape
        and all(np.array_equal(_bytes(a), _bytes(b)) for a, b in _chunks(first, second))
    )


def compare_array(
    name: str,
    first: Mapping[str, np.ndarray],
    second: Mapping[str, np.ndarray],
    tokens: TokenMap = AS_IT_IS,
) -> Difference:
    """Compare the arrays of one name.

    Parameters
    ----------
    name : str
    first, second : mapping of str to numpy.ndarray
    tokens : TokenMap
        In arrays with a row for each token, compare only these rows.

    Returns
    -------
    Difference
    """
    a, b, reason = first[name], second[name], ''
    if name in BY_TOKEN and tokens.first is not None:
        if a.shape == b.shape and same_bits(a, b):
            reason = 'the same by id, not by token'
        a, b = a[tokens.first], b[tokens.second]
    if a.shape != b.shape:
        return Difference(name, False, float('inf'), f'shape {a.shape} and {b.shape}')
    equal, largest = same_bits(a, b), largest_difference(a, b)
    if a.dtype != b.dtype:
        reason = f'{a.dtype} and {b.dtype}'
    return Difference(name, equal, largest, '' if equal else reason)


def largest_difference(first: np.ndarray, second: np.ndarray) -> float:
    """Compute the largest absolute difference of two arrays of one shape; NaN is infinite."""
    largest = 0.0
    for a, b in _chunks(first, second):
        if a.size:
            with np.errstate(invalid='ignore'):  # of two infinities
                difference = float(np.abs(a.astype('float64') - b.astype('float64')).max())
            largest = max(largest, difference if difference == difference else float('inf'))
    return largest


def names_of_both(
    first: Mapping[str, Any], second: Mapping[str, Any]
) -> tuple[list[str], list[str], list[str]]:
    """List the names in both mappings, only in the first, and only in the second."""
    return (
        [name for name in first if name in second],
        [name for name in first if name not in second],
        [name for name in second if name not in first],
    )


def with_dtype(checkpoint: Checkpoint, dtype: str) -> Checkpoint:
    """Convert a checkpoint's numbers to another type, each array when it is read.

    Reading an array raises ValueError if the type cannot hold its values.
    """
    arrays = checkpoint.arrays

    def read(name):
        array = arrays[name]
        with np.errstate(over='ignore'):
            result = array.astype(dtype)
        if not np.isfinite(result).all() and np.isfinite(array).all():
            raise ValueError(
                f'{name}: has values that {dtype} cannot hold, up to {np.abs(array).max():.3g}'
            )
        return result

    return replace(
        checkpoint,
        arrays=Arrays(
            {name: (shape_of(arrays, name), lambda name=name: read(name)) for name in arrays}
        ),
    )


def _bytes(array):
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def _chunks(first, second):
    """Pair parts of both arrays, so that no copy of a whole array is made."""
    if not first.ndim:
        return [(first.reshape(1), second.reshape(1))]
    return ((first[i : i + _ROWS], second[i : i + _ROWS]) for i in range(0, len(first), _ROWS))
