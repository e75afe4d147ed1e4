"""Optional native kernels: faster forms of operators that training spends its time in.

``python -m gluon_bert.kernels`` builds them where there is a C++ compiler. Without them, and where
the environment variable GLUON_BERT_KERNELS is 0, MXNet's own operators do the same. They are for
float32 on the CPU, and are used while :func:`gluon_bert.training.fit` runs: a saved or exported
network never depends on them.
"""
from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import mxnet as mx
import numpy as np
from mxnet.base import _LIB, check_call

from .._files import atomic_path

SOURCE = Path(__file__).with_name('kernels.cc')
COMPILERS = ('c++', 'g++', 'clang++')
OPTIONS = ('-std=c++17', '-O3', '-ffast-math', '-fPIC', '-shared', '-fopenmp')


@functools.cache
def library():
    """The path of the built library; its name tells the source it was built from."""
    text = SOURCE.read_bytes() + mx.__version__.encode()
    return SOURCE.with_name(f'kernels-{hashlib.sha256(text).hexdigest()[:12]}.so')


def build():
    """Compile the kernels, unless it has been done.

    Returns
    -------
    Path

    Raises
    ------
    FileNotFoundError
        If there is no C++ compiler; the variable CXX can name one.
    RuntimeError
        If it fails; with its messages.
    """
    target = library()
    if target.is_file():
        return target
    names = [os.environ['CXX']] if os.environ.get('CXX') else COMPILERS
    compilers = [path for path in map(shutil.which, names) if path]
    if not compilers:
        raise FileNotFoundError(f'no C++ compiler found, looked for {", ".join(names)}')
    engine = Path(mx.__file__).parent
    with atomic_path(target) as temporary:
        result = subprocess.run(
            [compilers[0], *OPTIONS, f'-I{engine / "include"}', str(SOURCE),
             str(engine / 'src' / 'lib_api.cc'), '-o', str(temporary)],
            capture_output=True, text=True)
        if result.returncode:
            raise RuntimeError(f'{compilers[0]} failed:\n{result.stderr[-2000:]}')
    for old in target.parent.glob('kernels-*.so'):
        if old != target:
            old.unlink()
    return target


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


def adam(weight, grad, mean, variance, rate, beta1, beta2, epsilon, shrink, decay, rescale):
    """One step of Adam, in place, in one pass over memory; see ``kernels.cc`` for the formula.

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
    functions.gluon_bert_sum_of_squares.restype = ctypes.c_double
    return functions


def _pointer(array):
    pointer = ctypes.c_void_p()
    check_call(_LIB.MXNDArrayGetData(array.handle, ctypes.byref(pointer)))
    return pointer


@contextlib.contextmanager
def used_in(block):
    """Let a network run on the kernels, as far as they are there and fit it.

    Parameters
    ----------
    block : mxnet.gluon.HybridBlock
        With its parameters, on one device.
    """
    parameters = block.collect_params().values()
    fits = all(np.dtype(parameter.dtype) == np.float32
               and parameter.list_ctx()[0].device_type == 'cpu' for parameter in parameters)
    if not fits or not load():
        yield
        return
    _set(block, True)
    try:
        yield
    finally:
        _set(block, False)


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
