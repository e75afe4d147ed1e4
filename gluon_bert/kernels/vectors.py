"""Vectors in lower precision, for search: to float32, and distances of binary codes.

With the native code where there is one, else with NumPy; the results are the same. N vectors of C
units, Q queries.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from . import _functions, is_available
from .encoder import _address

_BITS = np.array([bin(number).count('1') for number in range(256)], 'uint8')


def widen_half(vectors: np.ndarray, num_threads: int = 1) -> np.ndarray:
    """Convert vectors from float16 to float32.

    Parameters
    ----------
    vectors : numpy.ndarray of float16
        Finite.
    num_threads : int

    Returns
    -------
    numpy.ndarray of float32
        Of the same shape.
    """
    if not is_available():
        return vectors.astype('float32')
    vectors = np.ascontiguousarray(vectors)
    result = np.empty(vectors.shape, 'float32')
    _native().gluon_bert_widen_half(
        _address(vectors), vectors.size, ctypes.c_int(num_threads), _address(result)
    )
    return result


def widen_int8(vectors: np.ndarray, scales: np.ndarray, num_threads: int = 1) -> np.ndarray:
    """Convert vectors from int8 to float32, each times its scale.

    Parameters
    ----------
    vectors : numpy.ndarray of int8, shape (N, C)
    scales : numpy.ndarray of float32, shape (N,)
    num_threads : int

    Returns
    -------
    numpy.ndarray of float32, shape (N, C)
    """
    if not is_available():
        return vectors.astype('float32') * scales[:, None]
    vectors, scales = np.ascontiguousarray(vectors), np.ascontiguousarray(scales, 'float32')
    result = np.empty(vectors.shape, 'float32')
    _native().gluon_bert_widen_int8(
        _address(vectors),
        _address(scales),
        *vectors.shape,
        ctypes.c_int(num_threads),
        _address(result),
    )
    return result


def hamming_distances(queries: np.ndarray, codes: np.ndarray, num_threads: int = 1) -> np.ndarray:
    """Count the bits in which binary codes differ.

    Parameters
    ----------
    queries : numpy.ndarray of uint8, shape (Q, B)
    codes : numpy.ndarray of uint8, shape (N, B)
        B is a multiple of 8.
    num_threads : int

    Returns
    -------
    numpy.ndarray of int32, shape (Q, N)
    """
    queries, codes = np.ascontiguousarray(queries), np.ascontiguousarray(codes)
    result = np.empty((len(queries), len(codes)), 'int32')
    if is_available():
        _native().gluon_bert_hamming(
            _address(queries),
            _address(codes),
            len(queries),
            len(codes),
            codes.shape[1] // 8,
            ctypes.c_int(num_threads),
            _address(result),
        )
        return result
    for query, row in zip(queries, result):
        row[:] = _BITS[codes ^ query].sum(axis=1, dtype='int32')
    return result


def _native() -> Any:
    functions = _functions()
    if functions.gluon_bert_hamming.argtypes is None:
        pointer, whole, threads = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
        functions.gluon_bert_widen_half.argtypes = [pointer, whole, threads, pointer]
        functions.gluon_bert_widen_int8.argtypes = [*[pointer] * 2, *[whole] * 2, threads, pointer]
        functions.gluon_bert_hamming.argtypes = [*[pointer] * 2, *[whole] * 3, threads, pointer]
        for name in ('widen_half', 'widen_int8', 'hamming'):
            getattr(functions, f'gluon_bert_{name}').restype = None
    return functions
