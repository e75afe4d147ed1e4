"""Compile the kernels. setup.py runs this too."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Union

FOLDER = Path(__file__).parent
SOURCE = FOLDER / 'src'
COMPILERS = ('c++', 'g++', 'clang++')
OPTIONS = ('-std=c++17', '-O3', '-fPIC', '-fopenmp', '-fno-math-errno')
# Source file -> further options. Code compiled for some processors runs on those alone.
SOURCES: dict[str, tuple[str, ...]] = {
    'parallel.cc': (),
    'optimizer.cc': (),
    'encoder.cc': (),
    'training_encoder.cc': (),
    'training_backward.cc': (),
    'backend.cc': (),
    'backend_generic.cc': (),
}
if platform.machine() == 'x86_64':
    _AVX512 = ('-mavx512f', '-mavx512bw', '-mavx512vl', '-mavx512dq', '-mfma')
    SOURCES.update(
        {
            'backend_avx2.cc': ('-mavx2', '-mfma'),
            'backend_avx512.cc': _AVX512,
            'backend_avx512_bf16.cc': (*_AVX512, '-mavx512vnni', '-mavx512bf16'),
        }
    )


@functools.cache
def library(folder: Union[str, Path] = FOLDER) -> Path:
    """Name the built library in a folder, by a digest of the source it is built from."""
    digest = hashlib.sha256(f'{OPTIONS} {SOURCES}'.encode())
    for path in sorted([*SOURCE.glob('*.cc'), *SOURCE.glob('*.h')]):
        digest.update(path.read_bytes())
    return Path(folder) / f'kernels-{digest.hexdigest()[:12]}.so'


def build(folder: Union[str, Path] = FOLDER) -> Path:
    """Compile the kernels, unless they are compiled already.

    Parameters
    ----------
    folder : str or Path
        Gets the library; by default the package's, from where it is loaded.

    Returns
    -------
    Path

    Raises
    ------
    FileNotFoundError
        If there is no C++ compiler. The environment variable CXX can name one.
    RuntimeError
        If the compiler fails; with its messages.
    """
    target = library(folder)
    if target.is_file():
        return target
    names = [os.environ['CXX']] if os.environ.get('CXX') else COMPILERS
    compilers = [path for path in map(shutil.which, names) if path]
    if not compilers:
        raise FileNotFoundError(f'no C++ compiler found, looked for {", ".join(names)}')
    _compile_into(target, compilers[0])
    for old in target.parent.glob('kernels-*.so'):
        if old != target:
            old.unlink()
    return target


def _compile_into(target, compiler):
    # In the target's folder, so that it is moved into place whole.
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        common = [compiler, *OPTIONS]
        objects = [str(Path(folder) / f'{name}.o') for name in SOURCES]
        for (name, options), result in zip(SOURCES.items(), objects):
            _run(*common, *options, '-c', str(SOURCE / name), '-o', result)
        whole = Path(folder) / target.name
        _run(*common, '-shared', *objects, '-o', str(whole))
        os.replace(whole, target)


def _run(*command):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f'{command[0]} failed:\n{result.stderr[-2000:]}')
