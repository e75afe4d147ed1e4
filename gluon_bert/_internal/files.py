"""Write files atomically, and compute digests of files."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Optional

from .errors import named_errors
from .types import PathLike

try:
    import fcntl
except ImportError:  # Windows, where an open file cannot be removed anyway
    fcntl = None  # type: ignore[assignment]

_TEMPORARY = re.compile(r'\.(?P<name>.+)\.[a-z0-9_]{8}\.part', re.DOTALL)


@contextlib.contextmanager
def atomic_path(path: PathLike) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` unless the block fails.

    What a killed process left of an earlier attempt is removed. Errors are as in
    :func:`named_errors`.
    """
    path = Path(path)
    with named_errors(path), _locked_temporary(path, _make_file) as temporary:
        try:
            yield temporary
            with open(temporary, 'rb+') as file:
                os.fsync(file.fileno())
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def staging_folder(target: PathLike) -> Iterator[Path]:
    """Yield a temporary folder beside ``target``, to be filled and moved; remove what remains.

    What a killed process left of an earlier attempt is removed.
    """
    import shutil
    import tempfile

    with _locked_temporary(Path(target), tempfile.mkdtemp) as temporary:
        try:
            yield temporary
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def new_folder(path: PathLike) -> Iterator[Path]:
    """Yield an empty folder; it takes its place at ``path`` unless the block fails.

    Folders above it that were not there are made, and removed if the block fails.

    Raises
    ------
    FileExistsError
        If something is there already, an empty folder excepted.
    NotADirectoryError
        If a file is where there must be a folder.
    """
    path = Path(os.path.abspath(path))
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise FileExistsError(f'{path}: is there already; give another name or remove it')
    for place in path.parents:
        if place.exists() and not place.is_dir():
            raise NotADirectoryError(f'{path}: {place} is a file, there can be no folder in it')
    with made_folder(path.parent), staging_folder(path) as temporary:
        whole = temporary / 'folder'
        whole.mkdir()
        yield whole
        os.replace(whole, path)


@contextlib.contextmanager
def made_folder(path: PathLike) -> Iterator[None]:
    """Make a folder and those above it; if the block fails, remove those that are new and empty."""
    path = Path(os.path.abspath(path))
    made = [place for place in (path, *path.parents) if not place.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for place in made:
            with contextlib.suppress(OSError):
                place.rmdir()
        raise


def remove_leftovers(folder: PathLike, name: Optional[str] = None) -> None:
    """Remove the temporary files and folders in ``folder`` whose process was killed.

    Those of a living process are locked and stay.

    Parameters
    ----------
    folder : str or Path
    name : str, optional
        Only those that were to become this file or folder.
    """
    import shutil

    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            match = _TEMPORARY.fullmatch(entry.name)
            if match is None or name not in (None, match['name']) or entry.is_symlink():
                continue
            with contextlib.suppress(OSError), _opened(entry.path) as handle:
                if _lock(handle):
                    if entry.is_dir():
                        shutil.rmtree(entry.path)
                    else:
                        os.unlink(entry.path)


@contextlib.contextmanager
def _locked_temporary(target, make):
    """Make a temporary file or folder that no other process takes for a leftover."""
    remove_leftovers(target.parent, target.name)
    names = {'prefix': f'.{target.name}.', 'suffix': '.part', 'dir': target.parent}
    path, handle = make(**names), None
    while fcntl is not None and handle is None:
        with contextlib.suppress(FileNotFoundError):
            handle = os.open(path, os.O_RDONLY)
            _lock(handle)
        if not os.path.exists(path):  # removed by another process before it was locked
            if handle is not None:
                os.close(handle)
            path, handle = make(**names), None
    try:
        yield Path(path)
    finally:
        if handle is not None:
            os.close(handle)


def _make_file(**names):
    import tempfile

    handle, path = tempfile.mkstemp(**names)
    os.close(handle)
    return path


@contextlib.contextmanager
def _opened(path):
    handle = os.open(path, os.O_RDONLY)
    try:
        yield handle
    finally:
        os.close(handle)


def _lock(handle):
    """Lock an open file until it is closed or its process ends; False if that is not possible."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # another process has it, or the file system has no locks
        return False
    return True


def write_text(path: PathLike, text: str, errors: str = 'strict') -> None:
    """Write ``text`` to ``path`` as UTF-8, atomically; ``errors`` is as for :func:`open`."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding='utf-8', errors=errors)


def write_tensors(path: PathLike, tensors: Mapping[str, Any], metadata: Mapping[str, str]) -> None:
    """Write NumPy arrays as a safetensors file; it is complete or not there.

    Raises
    ------
    OSError
        If the disk is full; the message names the file.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    with atomic_path(path) as temporary:
        try:
            save_file(dict(tensors), temporary, metadata=dict(metadata))
        except SafetensorError as error:
            raise OSError(f'{path}: {error}') from None


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


def digest_of_rows(rows: Iterable[tuple]) -> str:
    """Compute a digest of tuples of text, numbers and the like, as 32 hexadecimal digits."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(repr(tuple(row)).encode())
    return digest.hexdigest()[:32]


def portable_path(path: PathLike) -> str:
    """Write a path without the folders of this machine.

    An absolute path becomes relative to the current folder if it is in there, else its name.
    """
    text = str(path)
    absolute = Path(os.path.expanduser(text))
    if not absolute.is_absolute() or not absolute.name:
        return text
    with contextlib.suppress(ValueError):
        return str(absolute.relative_to(Path.cwd()))
    return absolute.name


def expand_paths(paths: Any) -> list[PathLike]:
    """List the files of paths and patterns, those of a pattern in the order of their names.

    Parameters
    ----------
    paths : str, Path or sequence of them
        A str may hold several with commas between them, as Google's scripts take them.

    Raises
    ------
    FileNotFoundError
        If a file is missing, or a pattern fits none.
    """
    files: list[PathLike] = []
    for item in [paths] if isinstance(paths, (str, os.PathLike)) else paths:
        for pattern in item.split(',') if isinstance(item, str) else [item]:
            exists = os.path.exists(pattern)
            matches: list = [pattern] if exists else sorted(glob.glob(os.fspath(pattern)))
            if not matches:
                raise FileNotFoundError(f'{pattern}: no such file')
            files += matches
    if not files:
        raise FileNotFoundError('no files are given')
    return files
