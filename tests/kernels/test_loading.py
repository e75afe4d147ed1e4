"""Libraries of kernels that are there and do not load, and builds at the same time."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import gluon_bert
from gluon_bert import kernels
from gluon_bert.kernels import compiling

SEAL = compiling._SEAL
IS_ARM = platform.machine() == 'aarch64'
ANOTHER_MACHINE = b'\x3e' if IS_ARM else b'\xb7'  # x86-64, aarch64
OLD_GLIBC, NEW_GLIBC = (
    (b'GLIBC_2.17', b'GLIBC_9.99') if IS_ARM else (b'GLIBC_2.2.5', b'GLIBC_9.9.9')
)

DAMAGES = {
    'empty': lambda data: b'',
    'cut in half': lambda data: data[: len(data) // 2],
    'cut by one byte': lambda data: data[:-1],
    'zeros in the middle': lambda data: data[:9000] + bytes(90000) + data[99000:],
    'text': lambda data: b'a page of HTML',
    'cut, without a digest': lambda data: data.rpartition(SEAL)[0][:-5000],
    'another machine': lambda data: unsealed(data, (b'', b''), machine=ANOTHER_MACHINE),
    'a library missing': lambda data: unsealed(data, (b'libstdc++.so.6', b'libstdc-+.so.6')),
    'a newer C library': lambda data: unsealed(data, (OLD_GLIBC, NEW_GLIBC)),
    'a function missing': lambda data: unsealed(data, (b'gluon_bert_adam\0', b'gluon_bert_adan\0')),
}


def unsealed(data, replacement, machine=None):
    """The library changed as told, without its digest, so that the linker has to say no."""
    body = data.rpartition(SEAL)[0]
    if machine:
        return body[:18] + machine + body[19:]
    assert replacement[0] in body
    return body.replace(*replacement)


@pytest.fixture
def copied(tmp_path):
    """A copy of the package with its kernels: its folder and the library."""
    if not kernels.is_available() or sys.platform != 'linux':
        pytest.skip('native kernels are not built: python -m gluon_bert.kernels')
    if SEAL not in kernels.library().read_bytes():
        pytest.skip(
            'the library was built before libraries had a digest; remove it to build it again'
        )
    source = Path(gluon_bert.__file__).parent
    shutil.copytree(
        source, tmp_path / 'gluon_bert', ignore=shutil.ignore_patterns('__pycache__', 'building-*')
    )
    return tmp_path, tmp_path / 'gluon_bert' / 'kernels' / kernels.library().name


def run(folder, *arguments, **variables):
    return subprocess.run(
        [sys.executable, '-W', 'ignore', *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=300,
        env={**os.environ, 'PYTHONPATH': str(folder), **variables},
    )


USE = """
import gluon_bert as gb, mxnet as mx
from gluon_bert import kernels
config = gb.BertConfig(vocab_size=9, units=8, hidden_size=8, num_layers=1, num_heads=2,
                       max_length=8, num_token_types=2, dropout=0.1, layer_norm_eps=1e-12,
                       activation='gelu', pooler_activation='tanh')
model = gb.BertModel(config)
model.initialize()
predictors = [gb.Predictor(model) for _ in range(3)]
print([predictor(mx.nd.array([[1, 2]])).pooled.shape for predictor in predictors])
print(predictors[0].is_native, kernels.describe())
"""


@pytest.mark.parametrize('damage', DAMAGES)
def test_a_library_that_does_not_load_is_told_of_once(copied, damage):
    folder, library = copied
    library.write_bytes(DAMAGES[damage](library.read_bytes()))
    result = run(folder, '-c', USE)
    assert result.returncode == 0, result.stderr
    assert '[(1, 8), (1, 8), (1, 8)]' in result.stdout
    assert "False MXNet's own operators (native kernels do not load" in result.stdout
    assert result.stderr.count('do not load') == 1
    assert 'python -m gluon_bert.kernels' in result.stderr


def test_it_is_built_again(copied):
    folder, library = copied
    good = library.read_bytes()
    library.write_bytes(good[:-100])
    result = run(folder, '-m', 'gluon_bert.kernels')
    assert (result.returncode, result.stderr) == (0, '') and result.stdout.endswith('loads\n')
    assert library.read_bytes().rpartition(SEAL)[1] == SEAL
    assert [path.name for path in library.parent.glob('building-*')] == []
    assert 'True native' in run(folder, '-c', USE).stdout


COMPILER = """#!/bin/bash
echo compiled >> "$(dirname "$0")/calls"
while [ $# -gt 0 ]; do [ "$1" = -o ] && echo x > "$2"; shift; done
"""


def test_builds_at_once(tmp_path):
    compiler, folder = tmp_path / 'compiler', tmp_path / 'kernels'
    compiler.write_text(COMPILER)
    compiler.chmod(0o755)
    folder.mkdir()
    for number in range(300):
        (folder / f'kernels-old{number}.so').write_text('x')
    (folder / 'building-abandoned').mkdir()  # by a build that was killed
    code = f"""
import sys
sys.path.insert(0, {str(Path(compiling.__file__).parent)!r})
import compiling
sys.stdin.read(1)
print(compiling.build({str(folder)!r}))
"""
    processes = [
        subprocess.Popen(
            [sys.executable, '-c', code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, 'CXX': str(compiler)},
        )
        for _ in range(4)
    ]
    for process in processes:
        process.stdin.write('x')
        process.stdin.flush()
    results = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, results
    assert len({output for output, _ in results}) == 1
    assert [path.name for path in folder.iterdir()] == [kernels.library().name]
    calls = (tmp_path / 'calls').read_text().split()
    assert len(calls) == len(compiling.SOURCES) + 1  # one build: the others waited for it


def test_a_build_that_fails_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv('CXX', 'false')
    with pytest.raises(RuntimeError, match='false failed'):
        compiling.build(tmp_path)
    assert list(tmp_path.iterdir()) == []
