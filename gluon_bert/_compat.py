"""Let MXNet 1.9.1 be imported on current NumPy, and in less time.

Imported by the package before anything imports MXNet. It registers a finder, and nothing else
happens until MXNet is imported: then NumPy gets back the names that newer releases removed. They
stay, because MXNet reads them again at run time.
"""

import contextlib
import functools
import importlib
import importlib.util
import sys
import types
import warnings

from ._platform import INSTALL_MXNET, describe_new_python


def _removed(name):
    def unavailable(*args, **kwargs):
        raise AttributeError(f'numpy.{name} was removed from NumPy; use numpy-financial')

    return unavailable


def _removed_names(np):
    """Map the names of NumPy that MXNet reads, and that a release removed, to their values."""
    return {
        # NumPy 1.24
        'int': int,
        # 2.0: MXNet lists them at import, nothing of BERT calls the functions.
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
        'compat': types.SimpleNamespace(basestring=str),
        **{name: _removed(name) for name in ('mirr', 'npv', 'pmt', 'ppmt', 'pv', 'rate')},
        # 2.4
        'in1d': lambda ar1, ar2, *args, **kwargs: np.isin(np.ravel(ar1), ar2, *args, **kwargs),
        'trapz': getattr(np, 'trapezoid', None),
    }


def restore_numpy_names():
    """Set the missing names on the numpy module; present ones are left alone."""
    np = importlib.import_module('numpy')
    # Removed in 1.24; before, looking it up gave a warning.
    np.__dict__.setdefault('bool', bool)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        for name, value in _removed_names(np).items():
            if not hasattr(np, name):
                setattr(np, name, value)


def forget_failed_import():
    """Let MXNet be imported again after an import that came too early and failed.

    Such an import leaves submodules behind but not ``mxnet`` itself.
    """
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
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target) if finder is not self else None
            if spec is not None:
                spec.loader.exec_module = functools.partial(_load, spec.loader.exec_module)
                return spec
        if name == 'mxnet' and not _is_only_asked_for():
            raise ModuleNotFoundError(f"No module named 'mxnet': {INSTALL_MXNET}", name='mxnet')
        return None


def _is_only_asked_for():
    """Tell ``importlib.util.find_spec``, which answers None, from an import."""
    frame = sys._getframe(1)
    machinery = (__name__, 'gluon_bert._import_hook', 'importlib._bootstrap')
    while frame.f_back and frame.f_globals.get('__name__') in machinery:
        frame = frame.f_back
    return frame.f_globals.get('__name__') in ('importlib.util', 'pkgutil')


def _load(load, module):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        if module.__name__ != 'mxnet':
            load(module)
            return
        restore_numpy_names()
        _provide_distutils()
        with _hidden('sklearn'), _hidden('scipy.stats'):
            load(module)
    for part in ('ndarray', 'symbol'):
        importlib.import_module(f'mxnet._ctypes.{part}').str = _write_argument
    module.contrib.quantization.stats = module.test_utils.ss = _Later('scipy.stats')


def _write_argument(value):
    """Write an operator's argument for MXNet's library, which reads no ``[np.float64(1.0)]``.

    NumPy 2 writes its numbers so where they are in a list or a tuple.
    """
    return str(_with_plain_numbers(value))


def _with_plain_numbers(value):
    if isinstance(value, (list, tuple)):
        items = map(_with_plain_numbers, value)
        return list(items) if isinstance(value, list) else tuple(items)
    return value.item() if isinstance(value, importlib.import_module('numpy').generic) else value


def _provide_distutils():
    """Import setuptools where nothing else brings the module that Python 3.12 removed."""
    if importlib.util.find_spec('distutils') is None:
        try:
            importlib.import_module('setuptools')
        except ModuleNotFoundError:
            message = "No module named 'distutils', which MXNet imports: pip install setuptools"
            raise ModuleNotFoundError(message, name='distutils') from None


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


def say_what_is_missing():
    """Warn of a Python that is too new, and of MXNet not being installed."""
    if describe_new_python():
        warnings.warn(describe_new_python(), stacklevel=3)
    if 'mxnet' not in sys.modules and importlib.util.find_spec('mxnet') is None:
        warnings.warn(f'MXNet is not installed: {INSTALL_MXNET}', stacklevel=3)


FINDER = _EngineFinder()
# In the place of the hook that may have led here.
_others = [item for item in sys.meta_path if getattr(item, '__name__', '') != 'MXNetImportHook']
sys.meta_path[:] = [FINDER, *_others]
if 'mxnet' in sys.modules:
    restore_numpy_names()
else:
    forget_failed_import()
