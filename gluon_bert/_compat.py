"""NumPy names that MXNet 1.9.1 needs and newer NumPy releases removed.

Imported by the package before anything imports MXNet. MXNet reads some of the names again at run
time, so they stay set. Python 3.12 also needs setuptools installed, for ``distutils``.
"""
import sys

import numpy as np


def _removed(name):
    def unavailable(*args, **kwargs):
        raise AttributeError(f'numpy.{name} was removed from NumPy; use numpy-financial')
    return unavailable


# Gone since NumPy 1.24.
_ALIASES = {'bool': bool}

# Gone since NumPy 2.0: MXNet lists them at import, nothing of BERT calls the functions.
_NUMPY_2 = {
    'PZERO': 0.0, 'NZERO': -0.0, 'NINF': -np.inf, 'PINF': np.inf,
    'NAN': np.nan, 'NaN': np.nan, 'Inf': np.inf,
    'alltrue': np.all, 'sometrue': np.any, 'round_': np.round, 'product': np.prod,
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


restore_numpy_names()
forget_failed_import()
