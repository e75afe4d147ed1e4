"""List what the cache has of each row, from names and sizes alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Tuple

from .._internal.json import read_object
from .._internal.types import PathLike
from ..zoo import VOCABULARIES, WEIGHTS
from ..zoo.fetch.cache import CacheEntry
from ..zoo.fetch.local_files import RECORD, files_of, find_files, installed_path
from ..zoo.fetch.store import cached, default_root
from ..zoo.schema import InstalledFile

LOCKS, DOWNLOADS = '.locks', '.downloads'


@dataclass(frozen=True)
class CachedRow:
    """The files of one row in the cache.

    Parameters
    ----------
    entry : CacheEntry
    name : str or None
        The architecture; None for a vocabulary.
    dataset_name : str
    files : tuple of (Path, str)
        With the state of each: 'complete', fetched; 'partial', of an interrupted download;
        'user', put there by the user or by GluonNLP.
    usable : bool
        True if the row can be loaded from them.
    installed : Path, optional
        The file in an installed distribution, which serves as well.
    """

    entry: CacheEntry
    name: Optional[str]
    dataset_name: str
    files: Tuple[Tuple[Path, str], ...]
    usable: bool
    installed: Optional[Path] = None

    @property
    def size(self) -> int:
        """Total bytes of the files."""
        return sum(path.stat().st_size for path, _ in self.files)

    @property
    def state(self) -> str:
        """The states of the files, as one text."""
        return ' and '.join(sorted({state for _, state in self.files}))


def cached_row(
    name: Optional[str], dataset_name: str, root: Optional[PathLike] = None
) -> CachedRow:
    """List what the cache has of a row.

    Parameters
    ----------
    name : str or None
        The architecture; None for a vocabulary.
    dataset_name : str
    root : str or Path, optional

    Returns
    -------
    CachedRow
    """
    row = VOCABULARIES[dataset_name] if name is None else WEIGHTS[name, dataset_name]
    key = dataset_name if name is None else f'{name}_{dataset_name}'
    entry = CacheEntry(root_folder(root), key, row)
    recorded = _recorded(entry)
    cut = any(not (entry.folder / file).is_file() for file in recorded)

    def state(path):
        if entry.downloads in path.parents:
            return 'partial'
        if path.parent == entry.folder and path.name in recorded:
            return 'partial' if cut else 'complete'
        return 'user'

    files = tuple((path, state(path)) for path in cached(name, dataset_name, row, root))
    in_root = any(path.parent == entry.root for path, _ in files)
    return CachedRow(
        entry, name, dataset_name, files, in_root or (not cut and _readable(entry)), _installed(row)
    )


def cache_contents(root: Optional[PathLike] = None) -> list[CachedRow]:
    """List the cache row by row; a file shared by several rows is listed with the first."""
    rows: list[CachedRow] = []
    seen: set[Path] = set()
    for name, dataset_name in [*WEIGHTS, *((None, dataset) for dataset in VOCABULARIES)]:
        cached = cached_row(name, dataset_name, root)
        files = tuple(file for file in cached.files if file[0] not in seen)
        seen.update(path for path, _ in files)
        if files:
            rows.append(CachedRow(cached.entry, name, dataset_name, files, cached.usable))
    return rows


def unknown_files(root: Optional[PathLike], known: Iterable[CachedRow]) -> dict[str, list[Path]]:
    """List the files of the folder that belong to no row, by top-level name.

    Parameters
    ----------
    root : str or Path
    known : iterable of CachedRow

    Returns
    -------
    dict of str to list of Path
    """
    root = root_folder(root)
    by_name: dict[str, list[Path]] = {}
    belonging = {path for cached in known for path, _ in cached.files}
    for path in sorted(root.rglob('*')) if root.is_dir() else ():
        top, *below = path.relative_to(root).parts
        if path.is_file() and path not in belonging and top != LOCKS:
            name = f'{top}/{below[0]}' if top == DOWNLOADS and below else top
            by_name.setdefault(name, []).append(path)
    return by_name


def root_folder(root: Optional[PathLike] = None) -> Path:
    """Return the folder of the cache."""
    return Path(root or default_root()).expanduser()


def _recorded(entry):
    record = entry.folder / RECORD
    if not record.is_file():
        return ()
    try:
        sums = read_object(record).get('sha256')
    except ValueError:
        sums = None
    return (
        RECORD,
        *(name for name in (sums if isinstance(sums, dict) else ()) if Path(name).name == name),
    )


def _readable(entry):
    try:
        return find_files(entry.folder, entry.row) is not None
    except ValueError:
        return False


def _installed(row):
    for file in (file for source in row.sources for file in files_of(source)):
        path = installed_path(file) if isinstance(file, InstalledFile) else None
        if path is not None and path.is_file():
            return path
    return None
