"""The package imports cleanly, and brings MXNet to work on current NumPy."""

import subprocess
import sys

import numpy as np
import pytest


def run(code, *options):
    return subprocess.run([sys.executable, *options, '-c', code], capture_output=True, text=True)


def test_import_and_first_use_give_no_warning():
    result = run('import gluon_bert; gluon_bert.BertModel; gluon_bert.get_model', '-W', 'error')
    assert (result.returncode, result.stderr) == (0, '')


def test_import_does_not_load_mxnet():
    result = run('import sys, gluon_bert, gluon_bert.zoo; print("mxnet" in sys.modules)')
    assert result.stdout == 'False\n'


def test_mxnet_works_after_the_package_is_imported():
    result = run('import gluon_bert, mxnet as mx; print(mx.nd.ones((2,)).asnumpy().sum())')
    assert result.stdout == '2.0\n', result.stderr


def test_scikit_learn_and_statistics_are_imported_when_they_are_asked_for_and_not_by_mxnet():
    code = (
        'import importlib.util, sys, gluon_bert\n'
        'importlib.util.find_spec("mxnet")\n'  # as who asks whether it is installed
        'import mxnet\n'
        'print("sklearn" in sys.modules, "scipy.stats._stats_py" in sys.modules)\n'
        'import scipy.stats, sklearn.metrics\n'
        'print(sklearn.metrics.f1_score([1, 0], [1, 0]),\n'
        '      scipy.stats.spearmanr([1, 2, 3], [1, 2, 3]).statistic,\n'
        '      mxnet.contrib.quantization.stats.entropy([1.0]))'
    )
    result = run(code)
    assert result.stdout == 'False False\n1.0 1.0 0.0\n', result.stderr


@pytest.mark.parametrize('first', ['sklearn', 'scipy.stats', 'mxnet'])
def test_what_was_imported_before_the_package_is_left_alone(first):
    code = (
        'import numpy as np\n'
        'np.bool = bool\n'
        f'import {first} as before\n'
        'import gluon_bert, sys, mxnet, sklearn\n'
        f'print(sys.modules["{first}"] is before, sklearn.__version__ != "")'
    )
    result = run(code, '-W', 'ignore')
    assert result.stdout == 'True True\n', result.stderr


@pytest.mark.skipif(
    not (1, 24) <= tuple(map(int, np.__version__.split('.')[:2])) < (2, 0),
    reason='only NumPy 1.24 to 1.26 are without the name and can do without it',
)
def test_a_failed_early_import_of_mxnet_is_mended():
    code = (
        'import numpy as np\n'
        'np.__dict__.pop("bool", None)\n'  # as in NumPy 1.24 to 1.26
        'try:\n'
        '    import mxnet\n'
        'except AttributeError:\n'
        '    failed = True\n'
        'import gluon_bert\n'
        'gluon_bert.BertModel\n'
        'import mxnet as mx\n'
        'print(failed, mx.nd.ones((2,)).asnumpy().sum())'
    )
    result = run(code, '-W', 'ignore')
    assert result.stdout == 'True 2.0\n', result.stderr


def test_unknown_attribute_is_an_attribute_error():
    result = run('import gluon_bert; print(hasattr(gluon_bert, "get_modle"))')
    assert result.stdout == 'False\n'
