"""A dense layer in native code."""

from __future__ import annotations

import ctypes
import weakref
from typing import Optional

import numpy as np

from . import _functions
from .encoder import ACTIVATIONS, PRECISIONS, _address


class NativeDense:
    """A dense layer: x W^T + b.

    Parameters
    ----------
    weight : numpy.ndarray of float32, shape (out, in)
    bias : numpy.ndarray of float32, shape (out,)
    precision : str
        As for :class:`NativeEncoder`.
    sizes : numpy.ndarray of float32, shape (in,), optional
        Of the inputs, as for :class:`NativeEncoder`.

    Raises
    ------
    MemoryError
    """

    def __init__(
        self,
        weight: np.ndarray,
        bias: np.ndarray,
        precision: str = 'float32',
        sizes: Optional[np.ndarray] = None,
    ) -> None:
        weight, bias = (np.ascontiguousarray(array, 'float32') for array in (weight, bias))
        functions = _functions()
        functions.gluon_bert_dense.restype = ctypes.c_void_p
        handle = functions.gluon_bert_dense(
            _address(weight),
            _address(bias),
            *map(ctypes.c_int64, (*weight.shape, PRECISIONS[precision])),
            None if sizes is None else _address(sizes),
        )
        if not handle:
            raise MemoryError('no memory for the weights of the native layer')
        self._shape, self._handle = weight.shape, ctypes.c_void_p(handle)
        weakref.finalize(self, functions.gluon_bert_free_dense, self._handle)

    def __call__(
        self, x: np.ndarray, num_threads: int = 1, activation: Optional[str] = None
    ) -> np.ndarray:
        """Compute the output: (rows, in) -> numpy.ndarray of float32, shape (rows, out)."""
        x = np.ascontiguousarray(x, 'float32')
        if x.ndim != 2 or x.shape[1] != self._shape[1]:
            raise ValueError(f'x has shape {x.shape}, expected (rows, {self._shape[1]})')
        y = np.empty((len(x), self._shape[0]), 'float32')
        if _functions().gluon_bert_run_dense(
            self._handle,
            _address(x),
            ctypes.c_int64(len(x)),
            ctypes.c_int(ACTIVATIONS[activation]),
            ctypes.c_int(num_threads),
            _address(y),
        ):
            raise MemoryError(f'no memory for {len(x)} rows')
        return y
