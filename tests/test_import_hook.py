"""MXNet can be imported before the package, in an environment where the package is installed."""

import runpy
import sys
import sysconfig

import numpy as np
import pytest
from hooked_environment import ROOT, run

HOOK = ROOT / 'gluon_bert' / '_import_hook.py'
# Without the hook, MXNet 1.9.1 cannot be imported with this NumPy.
NEEDS_HOOK = tuple(map(int, np.__version__.split('.')[:2])) >= (1, 24)

USE = 'print(float(mx.nd.ones((2,)).asnumpy().sum()))\n'
ORDERS = {
    'mxnet': 'import mxnet as mx\n',
    'mxnet, gluon_bert': 'import mxnet as mx, gluon_bert as nlp; nlp.BertModel\n',
    'gluon_bert, mxnet': 'import gluon_bert as nlp, mxnet as mx; nlp.BertModel\n',
    'gluonnlp, mxnet': 'import gluonnlp, mxnet as mx, gluon_bert\n',
    'mxnet, gluonnlp': 'from mxnet import gluon; import gluonnlp, mxnet as mx\n',
    'submodule': 'from mxnet.gluon import nn; import mxnet as mx\n',
    'numpy': 'import numpy as np; import mxnet as mx; import gluon_bert\n',
    'scikit-learn': 'import sklearn.metrics, scipy.stats, mxnet as mx\n',
    'import_module': 'import importlib; mx = importlib.import_module("mxnet")\n',
}


@pytest.mark.parametrize('order', ORDERS)
def test_every_order_of_imports_works_with_warnings_as_errors(hooked_python, order):
    options = () if 'scikit-learn' in order else ('-W', 'error')  # it warns by itself
    result = run(hooked_python, ORDERS[order] + USE, *options)
    assert (result.stdout, result.stderr) == ('2.0\n', ''), result.stderr


@pytest.mark.parametrize('options', [('-I',), ('-E', '-s'), ('-O',), ('-X', 'utf8')])
def test_the_hook_works_with_options_of_python(hooked_python, options):
    result = run(hooked_python, 'import mxnet as mx\n' + USE, *options)
    assert result.stdout == '2.0\n', result.stderr


@pytest.mark.skipif(not NEEDS_HOOK, reason='MXNet needs no hook with this NumPy')
@pytest.mark.parametrize('order, works', [('mxnet', False), ('gluon_bert, mxnet', True)])
def test_a_variable_switches_the_hook_off(hooked_python, order, works):
    result = run(hooked_python, ORDERS[order] + USE, GLUON_BERT_IMPORT_HOOK='0')
    assert (result.returncode == 0) == works
    assert works or 'AttributeError' in result.stderr


def test_without_site_the_package_goes_first(hooked_python):
    paths = [str(ROOT), sysconfig.get_paths()['purelib']]
    result = run(
        hooked_python,
        f'import sys; sys.path += {paths}; import gluon_bert, mxnet as mx\n{USE}',
        '-S',
    )
    assert result.stdout == '2.0\n', result.stderr


@pytest.mark.parametrize('method', ['spawn', 'forkserver', 'fork'])
def test_worker_processes_import_mxnet_first(hooked_python, tmp_path, method):
    script = tmp_path / 'script.py'
    script.write_text(
        'import multiprocessing\n'
        'def work(size):\n'
        '    import mxnet as mx\n'
        '    return float(mx.nd.ones((size,)).asnumpy().sum())\n'
        'if __name__ == "__main__":\n'
        f'    with multiprocessing.get_context("{method}").Pool(1) as pool:\n'
        '        print(pool.map(work, [2, 3]))\n'
    )
    result = run(hooked_python, str(script))
    assert result.stdout == '[2.0, 3.0]\n', result.stderr


def test_two_threads_import_both_at_once(hooked_python):
    code = (
        'import importlib, threading\n'
        'names = ["mxnet", "gluonnlp", "mxnet", "gluon_bert"]\n'
        'threads = [threading.Thread(target=importlib.import_module, args=[n]) for n in names]\n'
        '[thread.start() for thread in threads]; [thread.join() for thread in threads]\n'
        'import mxnet as mx\n'
    )
    result = run(hooked_python, code + USE)
    assert (result.stdout, result.stderr) == ('2.0\n', '')


def test_nothing_is_imported_at_the_start_but_what_python_has(hooked_python):
    code = 'import sys; print(*[getattr(sys.meta_path[0], "__name__", 0), *sorted(sys.modules)])'
    name, *modules = run(hooked_python, code).stdout.split()
    _, *others = run(hooked_python, code, GLUON_BERT_IMPORT_HOOK='0').stdout.split()
    assert name == 'MXNetImportHook'
    assert modules == others


def test_asking_whether_mxnet_is_installed_imports_nothing(hooked_python):
    code = (
        'import importlib.util, sys\n'
        'print(importlib.util.find_spec("mxnet").name, {"mxnet", "numpy"} & {*sys.modules})'
    )
    assert run(hooked_python, code).stdout == 'mxnet set()\n'


def test_a_package_that_is_gone_leaves_other_imports_alone(tmp_path):
    code = (
        f'import runpy, sys; runpy.run_path({str(HOOK)!r})\n'
        'print(sys.meta_path[0].__name__)\n'
        'try:\n'
        '    import mxnet\n'
        'except ModuleNotFoundError as error:\n'
        '    print(error)\n'
    )
    # Isolated and without site-packages, so without gluon_bert and MXNet.
    result = run(sys.executable, code, '-I', '-S')
    assert result.stdout == "MXNetImportHook\nNo module named 'mxnet'\n", result.stderr


MISSING = (
    'import sys\n'
    'class Without:\n'
    '    find_spec = staticmethod(lambda name, *rest: None)\n'
    'import importlib.machinery\n'
    'find = importlib.machinery.PathFinder.find_spec\n'
    'importlib.machinery.PathFinder.find_spec = staticmethod(\n'
    '    lambda name, *rest: None if name == "mxnet" else find(name, *rest))\n'
    'sys.meta_path[:] = [item for item in sys.meta_path if "Editable" not in str(item)]\n'
)


def test_without_mxnet_the_command_that_installs_it_is_named(hooked_python):
    command = runpy.run_path(str(ROOT / 'gluon_bert' / '_platform.py'))['INSTALL_MXNET']
    assert command == 'pip install --no-deps mxnet==1.9.1'
    result = run(
        hooked_python, MISSING + 'import gluon_bert; print("goes on"); gluon_bert.BertModel'
    )
    assert result.stdout == 'goes on\n'
    assert f'UserWarning: MXNet is not installed: {command}' in result.stderr
    assert result.stderr.endswith(f"ModuleNotFoundError: No module named 'mxnet': {command}\n")


def test_without_mxnet_others_may_ask_for_it(hooked_python):
    code = (
        'import warnings; warnings.simplefilter("ignore")\n'
        'import gluon_bert, importlib.util\n'
        'print(importlib.util.find_spec("mxnet"))\n'
        'try:\n'
        '    import mxnet\n'
        'except ImportError as error:\n'
        '    print(error.name)'
    )
    result = run(hooked_python, MISSING + code)
    assert (result.stdout, result.stderr) == ('None\nmxnet\n', '')
