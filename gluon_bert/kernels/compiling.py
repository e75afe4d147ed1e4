"""Compile the kernels. setup.py runs this too."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Union

FOLDER = Path(__file__).parent
MACHINE = platform.machine()
SOURCE = FOLDER / 'src'
_STAGING = 'building-'
COMPILERS = ('c++', 'g++', 'clang++')
OPTIONS = ('-std=c++17', '-O3', '-fPIC', '-fopenmp', '-fno-math-errno')
# Written after the library's own bytes, which do not mind, and followed by their digest.
_SEAL = b'gluon_bert kernels, sha256 '
# Source file -> further options. Code compiled for some processors runs on those alone.
_EVERYWHERE: dict[str, tuple[str, ...]] = {
    'parallel.cc': (),
    'optimizer.cc': (),
    'encoder.cc': (),
    'training_encoder.cc': (),
    'training_backward.cc': (),
    'masked_words.cc': (),
    'masked_words_backward.cc': (),
    'top_words.cc': (),
    'vector_search.cc': (),
    'backend.cc': (),
    'backend_generic.cc': (),
}
_AVX512 = ('-mavx512f', '-mavx512bw', '-mavx512vl', '-mavx512dq', '-mfma')
# What platform.machine() says -> the files for its processors.
_BY_MACHINE: dict[str, dict[str, tuple[str, ...]]] = {
    'x86_64': {
        'backend_avx2.cc': ('-mavx2', '-mfma'),
        'backend_avx512.cc': _AVX512,
        'backend_avx512_bf16.cc': (*_AVX512, '-mavx512vnni', '-mavx512bf16'),
    },
    'aarch64': {
        'backend_neon.cc': (),
        'backend_neon_dotprod.cc': ('-march=armv8.2-a+dotprod',),
        'backend_neon_bf16.cc': ('-march=armv8.2-a+dotprod+i8mm+bf16',),
    },
}


def sources(machine: str) -> dict[str, tuple[str, ...]]:
    """Map the source files that a machine needs to their further options."""
    return {**_EVERYWHERE, **_BY_MACHINE.get(machine, {})}


SOURCES = sources(MACHINE)


@functools.cache
def library(folder: Union[str, Path] = FOLDER, machine: str = MACHINE) -> Path:
    """Name the built library in a folder, by a digest of the source it is built from."""
    digest = hashlib.sha256(f'{OPTIONS} {sources(machine)}'.encode())
    for path in sorted([*SOURCE.glob('*.cc'), *SOURCE.glob('*.h')]):
        digest.update(path.read_bytes())
    return Path(folder) / f'kernels-{digest.hexdigest()[:12]}.so'


def check_intact(path: Path) -> None:
    """Raise OSError if a built library is damaged: to load such a file can end the process."""
    import struct

    data = path.read_bytes()
    body, seal, digest = data.rpartition(_SEAL)
    if seal:
        if hashlib.sha256(body).digest() != digest:
            raise OSError(f'{path} is damaged: its bytes do not have the digest at its end')
    elif data[:6] == b'\x7fELF\x02\x01' and len(data) >= 64:  # a tool took the digest away
        table, size, count = (
            *struct.unpack_from('<Q', data, 40),
            *struct.unpack_from('<2H', data, 58),
        )
        if table + size * count > len(data):
            raise OSError(f'{path} is damaged: {len(data)} bytes are not all of it')
    elif not data:
        raise OSError(f'{path} is empty')


def build(folder: Union[str, Path] = FOLDER, rebuild: bool = False, machine: str = MACHINE) -> Path:
    """Compile the kernels, unless they are compiled already.

    Several processes may do so at once: one compiles, the others wait for it.

    Parameters
    ----------
    folder : str or Path
        Gets the library; by default the package's, from where it is loaded.
    rebuild : bool
        Compile them even if they are compiled already.
    machine : str
        For which they are compiled, as :func:`platform.machine` names it: 'x86_64', 'aarch64'. For
        another than this one, CXX has to name its compiler.

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
    import shutil  # this module is imported by all who run a network

    target = library(folder, machine)
    before = _stamp(target)
    if before and not rebuild:
        return target
    names = [os.environ['CXX']] if os.environ.get('CXX') else COMPILERS
    compilers = [path for path in map(shutil.which, names) if path]
    if not compilers:
        raise FileNotFoundError(f'no C++ compiler found, looked for {", ".join(names)}')
    with _locked(target.parent):
        if _stamp(target) == before:  # else another process has built it meanwhile
            for abandoned in target.parent.glob(f'{_STAGING}*'):
                shutil.rmtree(abandoned, ignore_errors=True)
            _compile_into(target, compilers[0], sources(machine))
        for old in target.parent.glob('kernels-*.so'):
            if old != target:
                old.unlink()
    return target


def _stamp(path):
    """What changes when a file is replaced; None if there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


@contextlib.contextmanager
def _locked(folder) -> Iterator[None]:
    """Hold the folder's lock, where its file system has locks. It ends with the process."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _compile_into(target, compiler, files):
    import tempfile

    # In the target's folder, so that it is moved into place whole.
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=_STAGING) as folder:
        common = [compiler, *OPTIONS]
        objects = [str(Path(folder) / f'{name}.o') for name in files]
        for (name, options), result in zip(files.items(), objects):
            _run(*common, *options, '-c', str(SOURCE / name), '-o', result)
        whole = Path(folder) / target.name
        _run(*common, '-shared', *objects, '-o', str(whole))
        with whole.open('rb+') as file:
            digest = hashlib.sha256(file.read()).digest()
            file.write(_SEAL + digest)
            file.flush()
            os.fsync(file.fileno())
        os.replace(whole, target)


def _run(*command):
    import subprocess

    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f'{command[0]} failed:\n{result.stderr[-2000:]}')
