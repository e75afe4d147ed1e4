"""Types in which vectors of a corpus are stored: float32, float16, int8 and binary.

N vectors of C units. A vector of int8 has a scale, the largest of its absolute values over 127. A
binary vector has a bit for each unit, 1 where it is positive; beside it are the int8 vectors, by
which the best ones are scored again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..kernels.vectors import widen_half, widen_int8

Parts = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class VectorType:
    """A type of stored vectors.

    Parameters
    ----------
    name : str
    parts : dict of str to (str, callable)
        Name of each array -> its NumPy type, and a function of C that gives the numbers in a row.
    encode : callable
        Vectors of float32, (N, C) -> the rows of each part.
    decode : callable
        ``(parts, threads)`` -> vectors of float32, (N, C).
    has_codes : bool
        Whether candidates are found by the part 'codes' and only these are decoded.
    """

    name: str
    parts: Mapping[str, tuple[str, Callable[[int], int]]]
    encode: Callable[[np.ndarray], dict[str, np.ndarray]]
    decode: Callable[[Parts, int], np.ndarray]
    has_codes: bool = False

    def row_bytes(self, units: int) -> int:
        """Return the bytes of a vector, of all its parts."""
        return sum(np.dtype(kind).itemsize * size(units) for kind, size in self.parts.values())


def sign_codes(vectors: np.ndarray) -> np.ndarray:
    """Make binary codes of vectors: (N, C) -> uint8, (N, B), B a multiple of 8."""
    bits = np.packbits(vectors > 0, axis=1)
    return np.pad(bits, ((0, 0), (0, -bits.shape[1] % 8)))


def _to_half(vectors):
    largest = np.finfo('float16').max
    if np.abs(vectors).max(initial=0) > largest:
        raise ValueError(f'a vector has a number above {largest}, the largest of float16')
    return {'vectors': vectors.astype('float16')}


def _to_int8(vectors):
    scales = np.abs(vectors).max(axis=1) / np.float32(127)
    rows = np.rint(vectors / np.maximum(scales, 1e-30)[:, None]).clip(-127, 127)
    return {'vectors': rows.astype('int8'), 'scales': scales[:, None]}


def _from_int8(parts, threads):
    return widen_int8(parts['vectors'], parts['scales'][:, 0], threads)


def _all(units):
    return units


_INT8_PARTS = {'vectors': ('int8', _all), 'scales': ('float32', lambda units: 1)}
VECTOR_TYPES: Mapping[str, VectorType] = {
    row.name: row
    for row in (
        VectorType(
            'float32',
            {'vectors': ('float32', _all)},
            lambda vectors: {'vectors': vectors},
            lambda parts, threads: parts['vectors'],
        ),
        VectorType(
            'float16',
            {'vectors': ('float16', _all)},
            _to_half,
            lambda parts, threads: widen_half(parts['vectors'], threads),
        ),
        VectorType('int8', _INT8_PARTS, _to_int8, _from_int8),
        VectorType(
            'binary',
            {'codes': ('uint8', lambda units: -(-units // 64) * 8), **_INT8_PARTS},
            lambda vectors: {'codes': sign_codes(vectors), **_to_int8(vectors)},
            _from_int8,
            has_codes=True,
        ),
    )
}
