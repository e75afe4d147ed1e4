"""Get a row's files: at hand, or from the first source that gives them; each checked."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import re
import shutil
from pathlib import Path

from ..._internal.json import read_object
from ..schema import GluonFile, InstalledFile, Vocabulary
from .cache import Place, locked, settle, workshop
from .errors import SourceError
from .local_files import (
    RECORD,
    Found,
    digests,
    files_of,
    in_gluon_cache,
    kind_of,
    local,
    look,
    mismatch,
    recorded_digest,
    swapped_of,
)
from .sources import Bench, address, fetch, offer, remote

__all__ = [
    'Found',
    'cached',
    'clear',
    'default_root',
    'fetch_vocabulary',
    'fetch_weights',
    'find_file',
]

_log = logging.getLogger(__name__)


def default_root():
    """``$MXNET_HOME/models``, by default ``~/.mxnet/models``."""
    home = os.environ.get('MXNET_HOME')
    return (Path(home).expanduser() if home else Path.home() / '.mxnet') / 'models'


def fetch_weights(name, dataset_name, row, root=None, progress=True, convert=None):
    """The trained parameters of a row.

    Looked for in ``<root>/<name>_<dataset_name>/``, then in ``root`` under GluonNLP's name, then
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
        ``convert(found, folder)`` writes what is fetched in another form than the final one as
        ``model.safetensors`` into an empty folder. Without it files stay as they come.

    Returns
    -------
    Found

    Raises
    ------
    FileNotFoundError
        If no source gives it; the message has the reasons and what else may be done.
    ValueError
        If a file in the local folder is damaged.
    OSError
        If the disk is full or the folder cannot be written.
    """
    return _get(_place(name, dataset_name, row, root), progress, convert)


def fetch_vocabulary(dataset_name, row, root=None, progress=True, convert=None):
    """The vocabulary of a row.

    Looked for in ``<root>/<dataset_name>/``, then in ``root`` under GluonNLP's name, then beside
    the parameters of a model of this data set, then in the row's sources. Else as
    :func:`fetch_weights`.
    """
    return _get(_place(None, dataset_name, row, root), progress, convert)


def find_file(row, folder):
    """The path of a row's file at hand: in ``folder``, or installed. Nothing is fetched.

    Parameters
    ----------
    row : Vocabulary or Weights
    folder : Path

    Returns
    -------
    Path

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`fetch_weights`.
    """
    place = Place(Path(folder).parent, Path(folder).name, row)
    tried = []
    found = _at_hand(place, tried)
    if found is None:
        raise FileNotFoundError(_advice(place, tried))
    return found.paths[0]


def cached(name, dataset_name, row, root=None):
    """The files of a row that lie in ``root``, those of a broken download too.

    Parameters
    ----------
    name : str or None
        The architecture; None for a vocabulary.
    dataset_name : str
    row : Vocabulary or Weights
    root : str or Path, optional

    Returns
    -------
    list of Path
    """
    place = _place(name, dataset_name, row, root)
    paths = [
        path
        for folder in (place.folder, place.downloads)
        if folder.is_dir()
        for path in sorted(folder.rglob('*'))
        if path.is_file()
    ]
    return paths + [path for files in _gluon_files(place) for path, _ in files]


def clear(name, dataset_name, row, root=None):
    """Remove what was fetched of a row, and what was begun; the user's own files stay.

    Parameters
    ----------
    name, dataset_name, row, root
        As for :func:`cached`.

    Returns
    -------
    list of Path
        The files removed.
    """
    place = _place(name, dataset_name, row, root)
    before = cached(name, dataset_name, row, root)
    if not before:
        return []
    with locked(place):
        shutil.rmtree(place.downloads, ignore_errors=True)
        record = place.folder / RECORD
        if record.is_file():
            sums = read_object(record).get('sha256')
            for file in [*(sums if isinstance(sums, dict) else ()), RECORD]:
                if Path(file).name == file:
                    (place.folder / file).unlink(missing_ok=True)
            if not any(place.folder.iterdir()):
                place.folder.rmdir()
    return [path for path in before if not path.exists()]


def _place(name, dataset_name, row, root):
    key = dataset_name if name is None else f'{name}_{dataset_name}'
    return Place(Path(root or default_root()).expanduser(), key, row)


def _get(place, progress, convert):
    found = _at_hand(place, [])
    if found is not None:
        return found
    with locked(place):
        tried = []
        found = _at_hand(place, tried)  # another process may have fetched it
        for problem in tried:
            _log.warning('%s', problem)
        if found is None:
            found = _from_remote(place, progress, convert, tried)
    if found is None:
        raise FileNotFoundError(_advice(place, tried))
    return found


def _at_hand(place, tried):
    """What needs no fetching; what is there and cannot be used is noted in ``tried``."""
    found = local(place.folder, place.row)
    if found is not None:
        return found
    for files in [*_gluon_files(place), *_installed_files(place), *_beside_weights(place)]:
        if _good(files, tried):
            paths = tuple(path for path, _ in files)
            kind = kind_of(paths)
            return Found(paths, kind, swapped_of(kind, place.row), str(paths[0]))
    return None


def _gluon_files(place):
    """GluonNLP's files of a row in root, as lists of (path, digests)."""
    sources = [files_of(source) for source in place.row.sources]
    groups = [files for files in sources if all(isinstance(file, GluonFile) for file in files)]
    if isinstance(place.row, Vocabulary) and place.row.kind != 'byte_pair':
        suffix = '.spiece' if place.row.kind == 'sentencepiece' else '.vocab'
        groups += [(GluonFile(place.key, sha1, suffix),) for sha1 in place.row.gluonnlp_sha1s]
    found = [
        [(in_gluon_cache(file, place.root), [('sha1', file.sha1)]) for file in files]
        for files in groups
    ]
    return [files for files in found if all(path for path, _ in files)]


def _installed_files(place):
    sources = [files_of(source) for source in place.row.sources]
    found = [
        [(_installed(file), [('sha256', file.sha256)]) for file in files]
        for files in sources
        if all(isinstance(file, InstalledFile) for file in files)
    ]
    return [files for files in found if all(path and path.is_file() for path, _ in files)]


def _installed(file):
    try:
        distribution = importlib.metadata.distribution(file.distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
    return Path(str(distribution.locate_file(file.path)))


def _beside_weights(place):
    """A vocabulary in the folder of a model of its data set, as Hugging Face keeps it."""
    if not isinstance(place.row, Vocabulary) or not place.root.is_dir():
        return []
    name = re.compile(r'[a-z]+_\d+_\d+_\d+_' + re.escape(place.key))
    folders = sorted(path for path in place.root.iterdir() if name.fullmatch(path.name))
    return [
        [(path, digests(place.row, path.name) or recorded_digest(path)) for path in paths]
        for paths, _ in filter(None, (look(folder, place.row) for folder in folders))
    ]


def _good(files, tried):
    problems = [
        f'{path}: {problem}'
        for path, problem in ((path, mismatch(path, known)) for path, known in files)
        if problem
    ]
    tried.extend(problems)
    return not problems


def _from_remote(place, progress, convert, tried):
    for files in remote(place.row):
        try:
            with workshop(place) as temporary:
                raw = temporary / 'raw'
                raw.mkdir()
                found = fetch(files, Bench(place.row, place.downloads, raw, progress))
                return settle(place, found, convert, temporary)
        except (SourceError, ValueError) as error:
            tried.append(f'{", ".join(address(file) for file in files)}: {error}')
    return None


def _advice(place, tried):
    sources = [files_of(source) for source in place.row.sources]
    absent = [
        files[0].distribution
        for files in sources
        if isinstance(files[0], InstalledFile) and _installed(files[0]) is None
    ]
    return '\n  - '.join(
        [
            f'{place.key} is not at hand. Tried:',
            f'{place.folder}: nothing there',
            *(f'the distribution {name}: not installed' for name in absent),
            *tried,
        ]
    ) + '\n  - '.join(
        [
            f'\nAny of these will do; files go, unpacked, into {place.folder}:',
            *(offer(files, place.row) for files in sources),
        ]
    )
