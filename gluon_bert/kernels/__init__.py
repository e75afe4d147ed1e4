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
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

import mxnet as mx
import numpy as np
from mxnet.base import _LIB, check_call

from .._files import atomic_path

FOLDER = Path(__file__).parent
COMPILERS = ('c++', 'g++', 'clang++')
OPTIONS = ('-std=c++17', '-O3', '-fPIC', '-fopenmp', '-fno-math-errno')
# Source file -> further options. What is compiled for some processors only runs on those.
SOURCES = {'operators.cc': ('-ffast-math',), 'attention.cc': (), 'encoder.cc': (),
           'backend_generic.cc': ()}
if platform.machine() == 'x86_64':
    SOURCES.update({
        'backend_avx2.cc': ('-mavx2', '-mfma'),
        'backend_avx512.cc': ('-mavx512f', '-mavx512bw', '-mavx512vl', '-mavx512dq', '-mfma')})


@functools.cache
def library():
    """The path of the built library; its name tells the source it was built from."""
    digest = hashlib.sha256(f'{mx.__version__} {OPTIONS} {SOURCES}'.encode())
    for path in sorted([*FOLDER.glob('*.cc'), *FOLDER.glob('*.h')]):
        digest.update(path.read_bytes())
    return FOLDER / f'kernels-{digest.hexdigest()[:12]}.so'


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
    with atomic_path(target) as temporary, tempfile.TemporaryDirectory() as folder:
        objects = [str(Path(folder) / f'{name}.o') for name in SOURCES]
        for (name, options), result in zip(SOURCES.items(), objects):
            _compile(compilers[0], *OPTIONS, *options, f'-I{engine / "include"}', '-c',
                     str(FOLDER / name), '-o', result)
        _compile(compilers[0], *OPTIONS, f'-I{engine / "include"}', '-shared', *objects,
                 str(engine / 'src' / 'lib_api.cc'), '-o', str(temporary))
    for old in target.parent.glob('kernels-*.so'):
        if old != target:
            old.unlink()
    return target


def _compile(*command):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f'{command[0]} failed:\n{result.stderr[-2000:]}')


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
    """For which kind of processor the kernels run: 'generic', 'avx2' or 'avx512'.

    They are built for all of them, and the best is chosen when they are loaded; the environment
    variable GLUON_BERT_KERNELS can name a lesser one.
    """
    return _functions().gluon_bert_processor().decode()


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
