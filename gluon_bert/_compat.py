"""Let MXNet 1.9.1 be imported on current NumPy, and in less time.

Imported by the package before anything imports MXNet. NumPy's names that newer releases removed
are read again at run time, so they stay set. Python 3.12 also needs setuptools installed, for
``distutils``.
"""

import contextlib
import functools
import importlib
import importlib.util
import sys
import warnings

import numpy as np


def _removed(name):
    def unavailable(*args, **kwargs):
        raise AttributeError(f'numpy.{name} was removed from NumPy; use numpy-financial')

    return unavailable


# Gone since NumPy 1.24.
_ALIASES = {'bool': bool}

# Gone since NumPy 2.0: MXNet lists them at import, nothing of BERT calls the functions.
_NUMPY_2 = {
    'PZERO': 0.0,
    'NZERO': -0.0,
    'NINF': -np.inf,
    'PINF': np.inf,
    'NAN': np.nan,
    'NaN': np.nan,
    'Inf': np.inf,
    'alltrue': np.all,
    'sometrue': np.any,
    'round_': np.round,
    'product': np.prod,
    'msort': lambda a: np.sort(a, axis=0),
    **{name: _removed(name) for name in ('mirr', 'npv', 'pmt', 'ppmt', 'pv', 'rate')},
}


def restore_numpy_names():
    """Set the missing names on the numpy module; present ones are left alone."""
    names = dict(_ALIASES)
    if int(np.__version__.split('.')[0]) >= 2:
        names.update(_NUMPY_2)
    for name, value in names.items():
        if name not in np.__dict__:
            setattr(np, name, value)


def forget_failed_import():
    """Let MXNet be imported again after an import that came too early and failed.

    Such an import leaves submodules behind but not ``mxnet`` itself.
    """
    if 'mxnet' not in sys.modules:
        for name in [name for name in sys.modules if name.startswith('mxnet.')]:
            del sys.modules[name]


class _EngineFinder:
    """Import MXNet and GluonNLP without their warnings, and MXNet without what slows it down.

    MXNet wants scikit-learn for nothing but a base of its deprecated ``FeedForward``, for which it
    has a substitute, and ``scipy.stats`` when a network is quantised by entropy and in its own
    tests. Importing either takes as long as MXNet itself. Both packages warn about names of NumPy
    that they look up at import; nobody who imports this package can mend that.
    """

    def find_spec(self, name, path=None, target=None):
        if name not in ('mxnet', 'gluonnlp'):
            return None
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            sys.meta_path.insert(0, self)
        if spec is not None:
            spec.loader.exec_module = functools.partial(_load, spec.loader.exec_module)
        return spec


def _load(load, module):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        if module.__name__ != 'mxnet':
            load(module)
            return
        with _hidden('sklearn'), _hidden('scipy.stats'):
            load(module)
    module.contrib.quantization.stats = module.test_utils.ss = _Later('scipy.stats')


@contextlib.contextmanager
def _hidden(name):
    before = sys.modules.get(name)
    sys.modules[name] = None  # an ImportError for who asks
    try:
        yield
    finally:
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before


class _Later:
    """A module that is imported when it is first made use of.

    importlib's own LazyLoader would import it at the next ``import`` of the same name.
    """

    def __init__(self, name):
        self._name = name

    def __getattr__(self, attribute):
        return getattr(importlib.import_module(self._name), attribute)


restore_numpy_names()
forget_failed_import()
sys.meta_path.insert(0, _EngineFinder())
