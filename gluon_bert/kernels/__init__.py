"""Native CPU kernels for the encoder, the loss of masked words and the optimizer; optional.

They are built at installation where there is a C++ compiler, or by ``python -m
gluon_bert.kernels``. Without them, and where the environment variable GLUON_BERT_KERNELS is 0,
MXNet's own operators do the same. ``fit`` passes a
:class:`~gluon_bert.kernels.training.NativeTrainer` to each call of a network, the ``Predictor`` has
an encoder of its own: nothing native is stored on a network, saved in it or exported with it.
"""

from __future__ import annotations

import ctypes
import functools
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Optional, Sequence, Union

import numpy as np

from .._internal.cpu import short_spinning
from . import compiling
from .compiling import FOLDER, library

if TYPE_CHECKING:
    import mxnet as mx

__all__ = [
    'accept',
    'adam',
    'build',
    'describe',
    'is_available',
    'library',
    'load',
    'processor',
    'state',
    'sum_of_squares',
    'supports_arrays',
]

logger = logging.getLogger(__name__)

# What the library has to have, each with gluon_bert_ before it.
_NAMES = (
    'adam',
    'dense',
    'encode',
    'encoder',
    'free_dense',
    'free_encoder',
    'free_pass',
    'free_trainer',
    'hamming',
    'masked_words',
    'masked_words_backward',
    'processor',
    'run_dense',
    'sum_of_squares',
    'threads',
    'top_words',
    'train_backward',
    'train_forward',
    'trainer',
    'widen_half',
    'widen_int8',
)
_BUILD = 'python -m gluon_bert.kernels'


def is_available() -> bool:
    """Check that the kernels are built, load, and are not switched off by GLUON_BERT_KERNELS=0.

    If they are built and do not load, that is logged once.
    """
    if os.environ.get('GLUON_BERT_KERNELS') == '0' or not library().is_file():
        return False
    return _failure(library()) is None


def processor() -> str:
    """Name the kind of processor in use.

    On x86-64 'generic', 'avx2', 'avx512' or 'avx512_bf16', on aarch64 'generic', 'neon',
    'neon_dotprod' or 'neon_bf16'. The kernels are built for all of them, and the best is chosen
    when they are loaded; the environment variable GLUON_BERT_KERNELS can name a lesser one.
    """
    return _functions().gluon_bert_processor().decode()


def describe() -> str:
    """Describe in words which kernels are used here."""
    if os.environ.get('GLUON_BERT_KERNELS') == '0':
        return "MXNet's own operators (native kernels switched off by GLUON_BERT_KERNELS=0)"
    if is_available():
        return f'native, for {processor()}'
    if library().is_file():
        return (
            f"MXNet's own operators (native kernels do not load, {_failure(library())}; "
            f'build them again: {_BUILD})'
        )
    return f"MXNet's own operators (native kernels not built: {_BUILD})"


def build(folder: Union[str, Path] = FOLDER) -> Path:
    """Compile the kernels, unless they are compiled already and load.

    Parameters, results and errors are those of :func:`gluon_bert.kernels.compiling.build`.
    """
    is_broken = False
    if library(folder).is_file():
        try:
            _open(library(folder))
        except OSError:
            is_broken = True
    path = compiling.build(folder, rebuild=is_broken)
    if is_broken:
        _failure.cache_clear()
    return path


def adam(
    weight: mx.nd.NDArray,
    grad: mx.nd.NDArray,
    mean: mx.nd.NDArray,
    variance: mx.nd.NDArray,
    lr: float,
    beta1: float,
    beta2: float,
    epsilon: float,
    decay_factor: float,
    decay: float,
    rescale: float,
) -> None:
    """Update a weight by one step of Adam, in place, in one pass over memory.

    The formula is in ``adam.h``.

    Parameters
    ----------
    weight, grad, mean, variance : NDArray
        Of one shape, and such that :func:`supports_arrays` is true of them.
    lr : float
        Learning rate.
    beta1, beta2, epsilon : float
    decay_factor : float
        The weight is multiplied by it first: decoupled weight decay.
    decay : float
        Weight decay that is added to the gradient.
    rescale : float
        The gradient is multiplied by it first.
    """
    for array in (weight, grad, mean, variance):
        array.wait_to_read()
    floats = map(ctypes.c_float, (lr, beta1, beta2, epsilon, decay_factor, decay, rescale))
    _functions().gluon_bert_adam(
        *map(_pointer, (weight, grad, mean, variance)), ctypes.c_int64(weight.size), *floats
    )


def sum_of_squares(array: mx.nd.NDArray) -> float:
    """Add up the squares of an array of which :func:`supports_arrays` is true."""
    array.wait_to_read()
    return _functions().gluon_bert_sum_of_squares(_pointer(array), ctypes.c_int64(array.size))


def supports_arrays(arrays: Sequence[mx.nd.NDArray]) -> bool:
    """Check that the kernels are available and arrays dense, in float32 and on the CPU."""
    return (
        all(
            array.stype == 'default'
            and array.dtype == np.float32
            and array.context.device_type == 'cpu'
            for array in arrays
        )
        and is_available()
    )


# Names of 0.1.0.
load, state, accept = is_available, describe, supports_arrays


@functools.cache
def _failure(path) -> Optional[str]:
    """Say why a library that is there does not load, in the log too; None if it does."""
    try:
        _open(path)
    except OSError as error:
        logger.warning(
            "the native kernels do not load (%s): MXNet's own operators run, which are slower. "
            'Build them again: %s',
            error,
            _BUILD,
        )
        return str(error)
    return None


def _functions():
    return _open(library())


@functools.cache
def _open(path):
    compiling.check_intact(path)
    with short_spinning():
        functions = ctypes.CDLL(str(path))
    for name in _NAMES:
        if not hasattr(functions, f'gluon_bert_{name}'):
            raise OSError(f'{path} has no function gluon_bert_{name}')
    functions.gluon_bert_adam.restype = None
    functions.gluon_bert_processor.restype = ctypes.c_char_p
    functions.gluon_bert_sum_of_squares.restype = ctypes.c_double
    return functions


def _pointer(array):
    from mxnet.base import _LIB, check_call

    pointer = ctypes.c_void_p()
    check_call(_LIB.MXNDArrayGetData(array.handle, ctypes.byref(pointer)))
    return pointer
