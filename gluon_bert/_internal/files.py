"""Write files atomically, and compute digests of files."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from .types import PathLike


@contextlib.contextmanager
def atomic_path(path: PathLike) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` unless the block fails."""
    path = Path(path)
    handle, name = tempfile.mkstemp(prefix=f'.{path.name}.', suffix='.part', dir=path.parent)
    os.close(handle)
    try:
        yield Path(name)
        with open(name, 'rb+') as file:
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


def write_text(path: PathLike, text: str) -> None:
    """Write ``text`` to ``path`` as UTF-8, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding='utf-8')


def sha256_of(path: PathLike) -> str:
    """Compute the SHA-256 of a file, as 64 hexadecimal digits."""
    return digests_of(path, ['sha256'])['sha256']


def digests_of(path: PathLike, algorithms: Iterable[str], chunk: int = 1 << 20) -> dict[str, str]:
    """Compute digests of a file by the names of their algorithms, in one pass, as hexadecimal."""
    made = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
    with open(path, 'rb') as file:
        for block in iter(lambda: file.read(chunk), b'') if made else ():
            for digest in made.values():
                digest.update(block)
    return {name: digest.hexdigest() for name, digest in made.items()}


def is_running(process: int) -> bool:
    """Tell if another process of this machine with a number is running."""
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
