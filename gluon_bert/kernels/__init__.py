"""Optional native kernels: faster forms of what a BERT spends its time in, on the CPU in float32.

They are built at installation where there is a C++ compiler, or by ``python -m
gluon_bert.kernels``. Without them, and where the environment variable GLUON_BERT_KERNELS is 0,
MXNet's own operators do the same. They are used while :func:`gluon_bert.training.fit` runs, and by
:class:`gluon_bert.inference.Predictor`: a saved or exported network never depends on them.
"""
from __future__ import annotations

import contextlib
import ctypes
import functools
import os

import mxnet as mx
import numpy as np
from mxnet.base import _LIB, check_call

from .compiling import build, library

__all__ = ['accept', 'adam', 'are_used_in', 'build', 'library', 'load', 'processor',
           'state', 'sum_of_squares', 'unused_in', 'used_in']


def load():
    """Make the kernels known to MXNet.

    Returns
    -------
    bool
        Whether they are there: built, and not switched off by GLUON_BERT_KERNELS=0.
    """
    if os.environ.get('GLUON_BERT_KERNELS') == '0':
        return False
    if hasattr(mx.nd, 'gluon_bert_add_norm'):
        return True
    if not library().is_file():
        return False
    mx.library.load(str(library()), False)
    return hasattr(mx.nd, 'gluon_bert_add_norm')


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
    """One step of Adam, in place, in one pass over memory; see ``operators.cc`` for the formula.

    Parameters
    ----------
    weight, grad, mean, variance : NDArray
        Of one shape, as :func:`accept` accepts them.
    rate, beta1, beta2, epsilon, shrink, decay, rescale : float
    """
    for array in (weight, grad, mean, variance):
        array.wait_to_read()
    floats = map(ctypes.c_float, (rate, beta1, beta2, epsilon, shrink, decay, rescale))
    _functions().gluon_bert_adam(*map(_pointer, (weight, grad, mean, variance)),
                                 ctypes.c_int64(weight.size), *floats)


def sum_of_squares(array):
    """The sum of the squares of an NDArray that :func:`accept` accepts, as a float."""
    array.wait_to_read()
    return _functions().gluon_bert_sum_of_squares(_pointer(array), ctypes.c_int64(array.size))


def accept(arrays):
    """Whether the kernels are there and take these arrays: dense, float32, on the CPU."""
    return all(array.stype == 'default' and array.dtype == np.float32
               and array.context.device_type == 'cpu' for array in arrays) and load()


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


@contextlib.contextmanager
def used_in(block):
    """Let a network run on the kernels, as far as they are there and fit it.

    One on several devices stays on MXNet's operators: to operators from outside MXNet gives one
    random generator for all CPUs, for which the devices would wait in turn.

    Parameters
    ----------
    block : mxnet.gluon.HybridBlock
        With its parameters.
    """
    parameters = block.collect_params().values()
    fits = all(np.dtype(parameter.dtype) == np.float32
               and [device.device_type for device in parameter.list_ctx()] == ['cpu']
               for parameter in parameters)
    if not fits or not load():
        yield
        return
    _set(block, True)
    try:
        yield
    finally:
        _set(block, False)


@contextlib.contextmanager
def unused_in(block):
    """Let a network run on MXNet's own operators meanwhile, as it does once it is saved."""
    if not are_used_in(block):
        yield
        return
    _set(block, False)
    try:
        yield
    finally:
        _set(block, True)


def are_used_in(block):
    """Whether a network runs on the kernels."""
    found = []
    block.apply(lambda child: found.append(getattr(child, 'native', False)))
    return any(found)


def _set(block, native):
    def switch(child):
        if hasattr(child, 'native'):
            child.native = native
        if isinstance(child, mx.gluon.HybridBlock):
            child._clear_cached_op()      # traced anew with the other operators
    block.apply(switch)
