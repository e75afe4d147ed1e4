"""What pip and dev.py install, and what they say where nothing can be installed."""

import importlib.metadata
import re
import runpy
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import setuptools

from gluon_bert import _platform

ROOT = Path(__file__).resolve().parents[1]
HOOK = 'gluon_bert_import_hook.pth'


def pretend(monkeypatch, python=(3, 11), system='Linux', machine='x86_64', glibc=True, bits=64):
    """Let the module see another machine."""
    names = {'CS_GNU_LIBC_VERSION': 2} if glibc else {}
    monkeypatch.setattr(
        _platform, 'os', SimpleNamespace(confstr_names=names, confstr=lambda _: 'glibc 2.36')
    )
    version = (*python, 1, 'final', 0)
    monkeypatch.setattr(
        _platform, 'sys', SimpleNamespace(version_info=version, maxsize=2 ** (bits - 1) - 1)
    )
    monkeypatch.setattr(
        _platform, 'platform', SimpleNamespace(system=lambda: system, machine=lambda: machine)
    )


@pytest.mark.parametrize(
    'machine',
    [
        {'python': (3, 9)},
        {'python': (3, 13)},
        {'python': (3, 14)},
        {'machine': 'aarch64'},
        {'system': 'Darwin', 'glibc': False},
    ],
)
def test_machines_with_a_wheel_have_no_obstacle(monkeypatch, machine):
    pretend(monkeypatch, **machine)
    assert _platform.describe_obstacle() is None


@pytest.mark.parametrize(
    'machine, words',
    [
        ({'python': (3, 8)}, ['Python 3.8 is too old', '3.9 to 3.13']),
        ({'python': (3, 6)}, ['Python 3.6 is too old']),
        ({'glibc': False}, ['Linux x86_64 without glibc', 'docker run']),
        ({'machine': 'ppc64le'}, ['Linux ppc64le', 'docker run']),
        ({'bits': 32}, ['Linux x86_64 (32 bits)', 'docker run']),
        ({'system': 'Darwin', 'machine': 'arm64', 'glibc': False}, ['Darwin arm64:', '--platform']),
        ({'system': 'Windows', 'machine': 'AMD64', 'glibc': False}, ['Windows AMD64:', 'docker']),
    ],
)
def test_machines_without_a_wheel_are_told_the_cure_in_a_line(monkeypatch, machine, words):
    pretend(monkeypatch, **machine)
    message = _platform.describe_obstacle()
    assert '\n' not in message
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize('python, warns', [((3, 9), False), ((3, 13), False), ((3, 14), True)])
def test_a_newer_python_is_warned_of(monkeypatch, python, warns):
    pretend(monkeypatch, python=python)
    message = _platform.describe_new_python()
    assert (message is not None) == warns
    assert not warns or '3.9 to 3.13; on Python 3.14 it may fail' in message


def test_dev_py_ends_before_it_makes_anything(monkeypatch, tmp_path):
    script = runpy.run_path(str(ROOT / 'dev.py'))
    monkeypatch.setitem(script['PLATFORM'], 'describe_obstacle', lambda: 'no wheel: take another')
    with pytest.raises(SystemExit, match='no wheel: take another'):
        script['main'](['setup', '--venv', str(tmp_path / 'venv')])
    assert not (tmp_path / 'venv').exists()


def test_dev_py_misses_the_compiler_at_once(monkeypatch, tmp_path):
    script = runpy.run_path(str(ROOT / 'dev.py'))
    monkeypatch.setenv('CC', 'no-such-compiler -O2')
    with pytest.raises(SystemExit, match=r'^no no-such-compiler, .* apt-get install gcc g\+\+'):
        script['main'](['setup', '--venv', str(tmp_path / 'venv')])
    assert not (tmp_path / 'venv').exists()


def requirements():
    """The requirements of setup.py: names and the rest of the lines."""
    code = (
        'import setuptools, runpy\n'
        'setuptools.setup = lambda **keywords: print(*keywords["install_requires"], sep="\\n")\n'
        'runpy.run_path("setup.py")'
    )
    output = subprocess.check_output([sys.executable, '-c', code], cwd=ROOT, text=True)
    return [re.fullmatch(r'([\w-]+)(.*)', line).groups() for line in output.splitlines()]


def test_what_mxnet_requires_is_required_by_the_package():
    wanted = {re.match(r'[\w-]+', line)[0] for line in importlib.metadata.requires('mxnet')}
    assert wanted == {'numpy', 'requests', 'graphviz'}
    everywhere = {name for name, rest in requirements() if ';' not in rest}
    assert wanted <= everywhere


def test_mxnet_is_required_where_its_metadata_allow_the_numpy_of_that_python():
    lines = dict.fromkeys(requirements())
    assert ('mxnet', '==1.9.1; python_version < "3.13"') in lines
    assert ('numpy', '>=2.1; python_version >= "3.13"') in lines


def test_readme_and_manual_name_the_command_that_installs_mxnet():
    for name in ('README.rst', 'docs/install.rst'):
        text = ' '.join((ROOT / name).read_text().split())
        assert _platform.INSTALL_MXNET in text, name


@pytest.mark.skipif(
    tuple(map(int, setuptools.__version__.split('.')[:2])) < (70, 1),
    reason='setuptools builds wheels by itself since 70.1',
)
@pytest.mark.parametrize('kind', ['wheel', 'editable'])
def test_a_built_package_has_the_hook_beside_it(tmp_path, monkeypatch, kind):
    project = tmp_path / 'project'
    shutil.copytree(
        ROOT / 'gluon_bert',
        project / 'gluon_bert',
        ignore=shutil.ignore_patterns('*.so', '__pycache__'),
    )
    for name in ('setup.py', 'pyproject.toml', 'README.rst', 'LICENSE'):
        shutil.copy(ROOT / name, project)
    monkeypatch.setenv('CXX', 'no-such-compiler')  # without the kernels, which take long
    code = f'import setuptools.build_meta as b; print(b.build_{kind}("out"))'
    (project / 'out').mkdir()
    result = subprocess.run(
        [sys.executable, '-c', code], cwd=project, capture_output=True, text=True, check=True
    )
    with zipfile.ZipFile(project / 'out' / result.stdout.split()[-1]) as wheel:
        text = wheel.read(HOOK).decode()
        (record,) = [name for name in wheel.namelist() if name.endswith('/RECORD')]
        assert HOOK in wheel.read(record).decode()
        if kind == 'wheel':
            page = (ROOT / 'gluon_bert' / 'serving' / 'page').iterdir()
            assert {f'gluon_bert/serving/page/{file.name}' for file in page} <= {*wheel.namelist()}
    assert text.count('\n') == 1
    assert text.startswith('import sys; exec(')
