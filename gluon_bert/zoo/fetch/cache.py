"""Lock, fill and install the cache folder of one model or vocabulary."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Union

from ..._internal.files import sha256_of, write_text
from ..schema import VocabularyRow, Weights
from .local_files import RECORD, LocalFiles, find_files, id_order, plain_files, stamp_of

WAIT = 5  # seconds to wait for another process before logging it
# Kinds that are installed unchanged.
_FINAL_KINDS = ('safetensors', 'vocab_txt', 'spiece', 'byte_pair')
_FINAL_NAMES = {
    '.safetensors': 'model.safetensors',
    '.bin': 'pytorch_model.bin',
    '.spiece': 'tokenizer.model',
    '.model': 'tokenizer.model',
}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CacheEntry:
    """The folders of one row's files in the cache.

    Parameters
    ----------
    root : Path
    key : str
        Name of the folder: the data set's name, for parameters after the architecture's.
    row : VocabularyRow or Weights
    """

    root: Path
    key: str
    row: Union[VocabularyRow, Weights]

    @property
    def folder(self) -> Path:
        """Folder of the installed files."""
        return self.root / self.key

    @property
    def downloads(self) -> Path:
        """Folder of partial downloads."""
        return self.root / '.downloads' / self.key


@contextlib.contextmanager
def locked(entry: CacheEntry) -> Iterator[None]:
    """Hold the lock of an entry; the lock of a killed process is free."""
    from filelock import FileLock, Timeout

    path = entry.root / '.locks' / f'{entry.key}.lock'
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(str(path))
        try:
            lock.acquire(timeout=WAIT)
        except Timeout:
            _log.warning('%s is being fetched by another process: waiting for it', entry.key)
            lock.acquire()
    except OSError as error:
        raise OSError(
            error.errno,
            f'{os.strerror(error.errno or 0)}: nothing can be fetched into '
            'this folder; set root or MXNET_HOME',
            str(entry.root),
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def staging_dir(entry: CacheEntry) -> Iterator[Path]:
    """Make a temporary folder beside the partial downloads; the entry's lock is held."""
    import shutil
    import tempfile

    from .errors import explain_disk_full
    from .http import forget_old_states

    with explain_disk_full(entry.root):
        entry.downloads.mkdir(parents=True, exist_ok=True)
        forget_old_states(entry.downloads)
        for path in entry.downloads.iterdir():
            if path.is_dir():  # left by a killed process
                shutil.rmtree(path, ignore_errors=True)
        temporary = Path(tempfile.mkdtemp(dir=entry.downloads))
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        with contextlib.suppress(OSError):
            entry.downloads.rmdir()  # unless a partial download remains


def install(
    entry: CacheEntry,
    raw: LocalFiles,
    convert: Optional[Callable[[LocalFiles, Path], None]],
    temporary: Path,
) -> LocalFiles:
    """Convert fetched files to their final form and move them into place in one step.

    Parameters
    ----------
    entry : CacheEntry
    raw : LocalFiles
    convert : callable, optional
        ``convert(raw, folder)`` writes the final form of kinds that are not installed unchanged.
    temporary : Path
        On the same file system as the entry.

    Returns
    -------
    LocalFiles

    Raises
    ------
    ValueError
        If the files are not usable.
    """
    import shutil

    final = temporary / 'final'
    final.mkdir()
    sources = list(plain_files(raw.paths))
    from .errors import explain_disk_full

    with explain_disk_full(entry.root, sum(path.stat().st_size for path in sources)):
        if convert is None or raw.kind in _FINAL_KINDS:
            for path in sources:
                _link(path, final / _final_name(path, raw.kind, sources))
        else:
            convert(raw, final)
            for path in sources:  # so that it is not fetched again for the vocabulary
                if path.name == 'vocab.txt' and not (final / path.name).exists():
                    _link(path, final / path.name)
        if find_files(final, entry.row) is None:
            raise ValueError('it has no usable files')
        paths = sorted(final.iterdir())
        write_text(
            final / RECORD,
            json.dumps(
                {
                    'source': raw.source,
                    'sha256': {path.name: sha256_of(path) for path in paths},
                    'stamps': {path.name: stamp_of(path) for path in paths},
                },
                indent=1,
            ),
        )
    _move(final, entry.folder)
    shutil.rmtree(entry.downloads, ignore_errors=True)
    located = find_files(entry.folder, entry.row)
    if located is None:
        raise ValueError(f'{entry.folder}: its files were removed while they were installed')
    return LocalFiles(*located, id_order(located[1]), raw.source)


def _final_name(path, kind, paths):
    if kind == 'vocab_txt':
        return 'vocab.txt'
    alone = sum(other.suffix == path.suffix for other in paths) == 1
    return _FINAL_NAMES.get(path.suffix, path.name) if alone else path.name


def _link(source, target):
    """Link a file under another name, or copy it where the file systems differ."""
    import shutil

    try:
        os.link(os.path.realpath(source), target)
    except OSError:
        shutil.copyfile(source, target)


def _move(final, folder):
    try:
        os.rename(final, folder)
    except OSError:
        if not folder.is_dir():
            raise
        # The record first: a folder with the record alone counts as empty.
        for path in sorted(final.iterdir(), key=lambda path: path.name != RECORD):
            os.replace(path, folder / path.name)
