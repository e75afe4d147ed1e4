"""Optional native kernels: faster forms of what a BERT spends its time in, on the CPU in float32.

They are built at installation where there is a C++ compiler, or by ``python -m
gluon_bert.kernels``. Without them, and where the environment variable GLUON_BERT_KERNELS is 0,
MXNet's own operators do the same. ``fit`` passes a
:class:`~gluon_bert.kernels.training.NativeTrainer` to each call of a network, the ``Predictor`` has
an encoder of its own: nothing native is stored on a network, saved in it or exported with it.
"""

from __future__ import annotations

import ctypes
import functools
import os

import numpy as np
from mxnet.base import _LIB, check_call

from .compiling import build, library

__all__ = ['accept', 'adam', 'build', 'library', 'load', 'processor', 'state', 'sum_of_squares']


def load():
    """Whether the kernels are there: built, and not switched off by GLUON_BERT_KERNELS=0."""
    return (
        os.environ.get('GLUON_BERT_KERNELS') != '0' and library().is_file() and bool(_functions())
    )


def processor():
    """For which kind of processor the kernels run: 'generic', 'avx2', 'avx512', 'avx512_bf16'.

    They are built for all of them, and the best is chosen when they are loaded; the environment
    variable GLUON_BERT_KERNELS can name a lesser one.
    """
    return _functions().gluon_bert_processor().decode()


def state():
    """Which kernels are used here, in words."""
    if os.environ.get('GLUON_BERT_KERNELS') == '0':
        return "MXNet's own operators (native kernels switched off by GLUON_BERT_KERNELS=0)"
    if not load():
        return "MXNet's own operators (native kernels not built: python -m gluon_bert.kernels)"
    return f'native, for {processor()}'


def adam(weight, grad, mean, variance, rate, beta1, beta2, epsilon, shrink, decay, rescale):
    """One step of Adam, in place, in one pass over memory; see ``adam.h`` for the formula.

    Parameters
    ----------
    weight, grad, mean, variance : NDArray
        Of one shape, as :func:`accept` accepts them.
    rate, beta1, beta2, epsilon, shrink, decay, rescale : float
    """
    for array in (weight, grad, mean, variance):
        array.wait_to_read()
    floats = map(ctypes.c_float, (rate, beta1, beta2, epsilon, shrink, decay, rescale))
    _functions().gluon_bert_adam(
        *map(_pointer, (weight, grad, mean, variance)), ctypes.c_int64(weight.size), *floats
    )


def sum_of_squares(array):
    """The sum of the squares of an NDArray that :func:`accept` accepts, as a float."""
    array.wait_to_read()
    return _functions().gluon_bert_sum_of_squares(_pointer(array), ctypes.c_int64(array.size))


def accept(arrays):
    """Whether the kernels are there and take these arrays: dense, float32, on the CPU."""
    return (
        all(
            array.stype == 'default'
            and array.dtype == np.float32
            and array.context.device_type == 'cpu'
            for array in arrays
        )
        and load()
    )


@functools.cache
def _functions():
    functions = ctypes.CDLL(str(library()))
    functions.gluon_bert_adam.restype = None
    functions.gluon_bert_processor.restype = ctypes.c_char_p
    functions.gluon_bert_sum_of_squares.restype = ctypes.c_double
    return functions


def _pointer(array):
    pointer = ctypes.c_void_p()
    check_call(_LIB.MXNDArrayGetData(array.handle, ctypes.byref(pointer)))
    return pointer
