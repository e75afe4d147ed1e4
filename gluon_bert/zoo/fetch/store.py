"""Find a row's files on disk, or fetch them from the first source that has them."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Optional, Union

from ..._internal.json import read_object
from ..._internal.types import PathLike
from ..schema import GluonFile, InstalledFile, VocabularyRow
from .cache import CacheEntry, install, locked, staging_dir
from .local_files import (
    RECORD,
    LocalFiles,
    digests,
    files_of,
    find_files,
    find_verified,
    id_order,
    in_gluon_cache,
    installed_path,
    is_as_installed,
    kind_of,
    mismatch,
    recorded_digest,
)

if TYPE_CHECKING:
    from ..schema import Weights


__all__ = [
    'LocalFiles',
    'cached',
    'clear',
    'default_root',
    'fetch_vocabulary',
    'fetch_weights',
    'find_file',
]

_log = logging.getLogger(__name__)


def default_root() -> Path:
    """Return ``$MXNET_HOME/models``, by default ``~/.mxnet/models``."""
    home = os.environ.get('MXNET_HOME')
    return (Path(home).expanduser() if home else Path.home() / '.mxnet') / 'models'


def fetch_weights(
    name: str,
    dataset_name: str,
    row: Weights,
    root: Optional[PathLike] = None,
    progress: bool = True,
    convert: Optional[Callable[[LocalFiles, Path], None]] = None,
) -> LocalFiles:
    """Find or fetch the trained parameters of a row.

    Searched in ``<root>/<name>_<dataset_name>/``, then in ``root`` under GluonNLP's name, then
    in the row's sources.

    Parameters
    ----------
    name, dataset_name : str
    row : Weights
    root : str or Path, optional
        By default ``$MXNET_HOME/models``.
    progress : bool
        Draw bars if standard error is a terminal.
    convert : callable, optional
        ``convert(files, folder)`` writes fetched files that are not in their final form as
        ``model.safetensors`` into an empty folder. Without it files are installed unchanged.

    Returns
    -------
    LocalFiles

    Raises
    ------
    FileNotFoundError
        If no source has it; the message gives the reasons and the alternatives.
    ValueError
        If a file in the local folder is damaged.
    OSError
        If the disk is full or the folder cannot be written.
    """
    return _get(_entry(name, dataset_name, row, root), progress, convert)


def fetch_vocabulary(
    dataset_name: str,
    row: VocabularyRow,
    root: Optional[PathLike] = None,
    progress: bool = True,
    convert: Optional[Callable[[LocalFiles, Path], None]] = None,
) -> LocalFiles:
    """Find or fetch the vocabulary of a row.

    Searched in ``<root>/<dataset_name>/``, then in ``root`` under GluonNLP's name, then in the
    folder of a model of this data set, then in the row's sources. Otherwise like
    :func:`fetch_weights`.
    """
    return _get(_entry(None, dataset_name, row, root), progress, convert)


def find_file(row: Union[VocabularyRow, Weights], folder: Path) -> Path:
    """Find a row's file in ``folder`` or in an installed package, without fetching.

    Parameters
    ----------
    row : VocabularyRow or Weights
    folder : Path

    Returns
    -------
    Path

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`fetch_weights`.
    """
    entry = CacheEntry(Path(folder).parent, Path(folder).name, row)
    tried: list[str] = []
    files = _at_hand(entry, tried)
    if files is None:
        raise FileNotFoundError(_advice(entry, tried))
    return files.paths[0]


def cached(
    name: Optional[str],
    dataset_name: str,
    row: Union[VocabularyRow, Weights],
    root: Optional[PathLike] = None,
) -> list[Path]:
    """List the files of a row in ``root``, partial downloads included.

    Parameters
    ----------
    name : str or None
        The architecture; None for a vocabulary.
    dataset_name : str
    row : VocabularyRow or Weights
    root : str or Path, optional

    Returns
    -------
    list of Path
    """
    entry = _entry(name, dataset_name, row, root)
    paths = [
        path
        for folder in (entry.folder, entry.downloads)
        if folder.is_dir()
        for path in sorted(folder.rglob('*'))
        if path.is_file()
    ]
    return paths + [path for files in _gluon_files(entry) for path, _ in files]


def clear(
    name: Optional[str],
    dataset_name: str,
    row: Union[VocabularyRow, Weights],
    root: Optional[PathLike] = None,
) -> list[Path]:
    """Remove the fetched files and partial downloads of a row; the user's own files stay.

    Parameters
    ----------
    name, dataset_name, row, root
        As for :func:`cached`.

    Returns
    -------
    list of Path
        The files removed.
    """
    import shutil

    entry = _entry(name, dataset_name, row, root)
    before = cached(name, dataset_name, row, root)
    if not before:
        return []
    with locked(entry):
        shutil.rmtree(entry.downloads, ignore_errors=True)
        record = entry.folder / RECORD
        if record.is_file():
            sums = read_object(record).get('sha256')
            for file in [*(sums if isinstance(sums, dict) else ()), RECORD]:
                if Path(file).name == file:
                    (entry.folder / file).unlink(missing_ok=True)
            if not any(entry.folder.iterdir()):
                entry.folder.rmdir()
    return [path for path in before if not path.exists()]


def _entry(name, dataset_name, row, root):
    key = dataset_name if name is None else f'{name}_{dataset_name}'
    return CacheEntry(Path(root or default_root()).expanduser(), key, row)


def _get(entry, progress, convert):
    files = _at_hand(entry, [])
    if files is not None:
        return files
    with locked(entry):
        tried = []
        files = _at_hand(entry, tried)  # another process may have fetched it
        for problem in tried:
            _log.warning('%s', problem)
        if files is None:
            files = _from_remote(entry, progress, convert, tried)
    if files is None:
        raise FileNotFoundError(_advice(entry, tried))
    return files


def _at_hand(entry, tried):
    """Find a row's verified files on disk; files that fail are noted in ``tried``."""
    installed = find_verified(entry.folder, entry.row)
    if installed is not None:
        return installed
    for files in [*_gluon_files(entry), *_installed_files(entry), *_beside_weights(entry)]:
        if _good(files, tried):
            paths = tuple(path for path, _ in files)
            kind = kind_of(paths)
            return LocalFiles(paths, kind, id_order(kind, entry.row), str(paths[0]))
    return None


def _gluon_files(entry):
    """List GluonNLP's files of a row in root, as lists of (path, digests)."""
    sources = [files_of(source) for source in entry.row.sources]
    groups = [files for files in sources if all(isinstance(file, GluonFile) for file in files)]
    if isinstance(entry.row, VocabularyRow) and entry.row.kind != 'byte_pair':
        suffix = '.spiece' if entry.row.kind == 'sentencepiece' else '.vocab'
        groups += [(GluonFile(entry.key, sha1, suffix),) for sha1 in entry.row.gluonnlp_sha1s]
    located = [
        [(in_gluon_cache(file, entry.root), [('sha1', file.sha1)]) for file in files]
        for files in groups
    ]
    return [files for files in located if all(path for path, _ in files)]


def _installed_files(entry):
    sources = [files_of(source) for source in entry.row.sources]
    located = [
        [(installed_path(file), file) for file in files]
        for files in sources
        if all(isinstance(file, InstalledFile) for file in files)
    ]
    return [
        [
            (path, [] if is_as_installed(path, file) else [('sha256', file.sha256)])
            for path, file in files
        ]
        for files in located
        if all(path and path.is_file() for path, _ in files)
    ]


def _beside_weights(entry):
    """List vocabularies in the model folders of their data set, as Hugging Face keeps them."""
    if not isinstance(entry.row, VocabularyRow) or not entry.root.is_dir():
        return []
    name = re.compile(r'[a-z]+_\d+_\d+_\d+_' + re.escape(entry.key))
    folders = sorted(path for path in entry.root.iterdir() if name.fullmatch(path.name))
    return [
        [(path, digests(entry.row, path.name) or recorded_digest(path)) for path in paths]
        for paths, _ in filter(None, (find_files(folder, entry.row) for folder in folders))
    ]


def _good(files, tried):
    problems = [
        f'{path}: {problem}'
        for path, problem in ((path, mismatch(path, known)) for path, known in files)
        if problem
    ]
    tried.extend(problems)
    return not problems


def _from_remote(entry, progress, convert, tried):
    from .errors import SourceError
    from .sources import FetchContext, fetch, remote, url_of

    for files in remote(entry.row):
        try:
            with staging_dir(entry) as temporary:
                raw = temporary / 'raw'
                raw.mkdir()
                fetched = fetch(files, FetchContext(entry.row, entry.downloads, raw, progress))
                return install(entry, fetched, convert, temporary)
        except (SourceError, ValueError) as error:
            tried.append(f'{", ".join(url_of(file) for file in files)}: {error}')
    return None


def _advice(entry, tried):
    from .sources import describe_source

    sources = [files_of(source) for source in entry.row.sources]
    absent = [
        files[0].distribution
        for files in sources
        if isinstance(files[0], InstalledFile) and installed_path(files[0]) is None
    ]
    return '\n  - '.join(
        [
            f'{entry.key} was not found. Tried:',
            f'{entry.folder}: no files',
            *(f'the distribution {name}: not installed' for name in absent),
            *tried,
        ]
    ) + '\n  - '.join(
        [
            f'\nAny of these will do; put the files, unpacked, into {entry.folder}:',
            *(describe_source(files, entry.row) for files in sources),
        ]
    )
