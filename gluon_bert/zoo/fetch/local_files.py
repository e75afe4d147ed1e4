"""Find and verify a row's files on disk."""

from __future__ import annotations

import base64
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Optional, Tuple, Union

from ..._internal.files import digests_of
from ..._internal.json import read_object
from ..schema import GluonFile, HubFile, InstalledFile, VocabularyRow

if TYPE_CHECKING:
    from ..schema import File, Source, Weights


RECORD = 'source.json'
_SHA256 = re.compile('[0-9a-f]{64}')
_KINDS = {
    '.safetensors': 'safetensors',
    '.bin': 'torch',
    '.params': 'params',
    '.onnx': 'onnx',
    '.vocab': 'vocab_json',
    '.spiece': 'spiece',
    '.model': 'spiece',
    '.txt': 'vocab_txt',
    '.json': 'vocab_json',
}


@dataclass(frozen=True)
class LocalFiles:
    """Verified files of a row.

    Parameters
    ----------
    paths : tuple of Path
        One file; the index of a sharded file and its shards; the folder of a TensorFlow
        checkpoint; vocab.json and merges.txt; GluonNLP's vocabulary and ranks of byte pairs.
    kind : str
        'safetensors', 'torch', 'params' (GluonNLP's), 'onnx' or 'tensorflow'; 'vocab_txt',
        'vocab_json' (GluonNLP's), 'spiece' or 'byte_pair'.
    swapped : bool, optional
        True if ids are in the order of GluonNLP's converter of 2018; None if the file itself
        or the data set's row states the order.
    source : str
        The origin of the files.
    """

    paths: Tuple[Path, ...]
    kind: str
    swapped: Optional[bool]
    source: str


Found = LocalFiles  # its name in 0.1


def files_of(source: Source) -> tuple[File, ...]:
    """Return the files of one source as a tuple."""
    return source if isinstance(source, tuple) else (source,)


def gluon_name(file: GluonFile, suffix: Optional[str] = None) -> str:
    """Return the name of a GluonFile in a cache or store."""
    return f'{file.stem}-{file.sha1[:8]}{suffix or file.suffix}'


def in_gluon_cache(file: GluonFile, folder: Path) -> Optional[Path]:
    """Find a GluonFile in one of GluonNLP's folders, under any of its names; None if absent.

    The file is not verified.
    """
    exact = folder / gluon_name(file)
    paths = sorted(folder.glob(f'*-{file.sha1[:8]}{file.suffix}'))
    return exact if exact in paths else next(iter(paths), None)


def installed_path(file: InstalledFile) -> Optional[Path]:
    """Locate an InstalledFile; None if its distribution is not installed.

    The file itself may be missing.
    """
    for folder in sys.path:
        if os.path.isfile(os.path.join(folder, file.path)):
            return Path(folder, file.path)
    import importlib.metadata  # takes 10 ms

    try:
        distribution = importlib.metadata.distribution(file.distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
    return Path(str(distribution.locate_file(file.path)))


def is_as_installed(path: Path, file: InstalledFile) -> bool:
    """Tell if an InstalledFile is unchanged since pip verified it, without reading it.

    That is so if the list of installed files beside it states the row's digest and the file's size,
    and the file is not newer than the list.
    """
    site = path.parents[len(Path(file.path).parts) - 1]
    digest = base64.urlsafe_b64encode(bytes.fromhex(file.sha256)).decode().rstrip('=')
    status = path.stat()
    line = f'{file.path},sha256={digest},{status.st_size}'
    name = file.distribution.replace('-', '_')
    return any(
        status.st_mtime <= record.stat().st_mtime
        and line in record.read_text('utf-8', 'replace').splitlines()
        for record in site.glob(f'{name}-*.dist-info/RECORD')
    )


def find_files(
    folder: Path, row: Union[VocabularyRow, Weights]
) -> Optional[tuple[tuple[Path, ...], str]]:
    """Find the files of a row in a folder without verifying them.

    Returns
    -------
    tuple of Path, str
        The files and their kind; None if there are none.

    Raises
    ------
    ValueError
        If several files match, or a shard is missing.
    """
    if not folder.is_dir():
        return None
    return (
        _vocabulary_in(folder, row.kind) if isinstance(row, VocabularyRow) else _weights_in(folder)
    )


def find_verified(folder: Path, row: Union[VocabularyRow, Weights]) -> Optional[LocalFiles]:
    """Find the files of a row in a folder and verify them.

    Their digests are compared with ``source.json``, which accompanies fetched files, else with
    the row's digest for the file name; a file without a known digest is accepted. A fetched file
    is not read again as long as its size and modification time are unchanged.

    Returns
    -------
    LocalFiles or None

    Raises
    ------
    ValueError
        If a file is truncated or altered.
    """
    located = find_files(folder, row)
    if located is None:
        return None
    record = _read_record(folder)
    recorded = record['sha256']
    if not all((folder / name).is_file() for name in recorded):
        return None  # a process was killed while it installed them
    paths, kind = located
    for path in plain_files(paths):
        if path.name in recorded and record['stamps'].get(path.name) == stamp_of(path):
            continue
        problem = mismatch(path, recorded_digest(path) or digests(row, path.name))
        if problem:
            raise ValueError(
                f'{path}: truncated or altered; {problem}. Remove it and fetch it again'
            )
    return LocalFiles(paths, kind, id_order(kind), record['source'] or str(folder))


def recorded_digest(path: Path) -> list[tuple[str, str]]:
    """Read the digest recorded for a fetched file; empty if there is none."""
    recorded = _read_record(path.parent)['sha256']
    return [('sha256', recorded[path.name])] if path.name in recorded else []


def kind_of(paths: Sequence[Path]) -> str:
    """Tell the kind of files from their names."""
    if paths[0].is_dir():
        return 'tensorflow'
    suffixes = {path.suffix for path in paths}
    if suffixes == {'.json', '.txt'}:
        return 'byte_pair'
    for suffix, kind in _KINDS.items():
        if suffix in suffixes:
            return kind
    raise ValueError(f'{", ".join(path.name for path in paths)}: unknown kind of file')


def id_order(kind: str, row: Union[VocabularyRow, Weights, None] = None) -> Optional[bool]:
    """Tell the order of ids in files of a kind; ``row`` is given for the row's own files."""
    if kind == 'vocab_json':
        return getattr(row, 'swapped', None)
    return None if kind == 'params' else False


def digests(row: Union[VocabularyRow, Weights], name: str) -> list[tuple[str, str]]:
    """List the published digests of a file, as (algorithm, digits); empty if one is unknown."""
    if isinstance(row, VocabularyRow) and name == 'vocab.txt' and row.sha256:
        return [('sha256', row.sha256)]
    known: list[tuple[str, Optional[str]]] = []
    for file in (file for source in row.sources for file in files_of(source)):
        if isinstance(file, GluonFile) and gluon_name(file) == name:
            known.append(('sha1', file.sha1))
        elif isinstance(file, (HubFile, InstalledFile)) and file.path.split('/')[-1] == name:
            known.append(('sha256', file.sha256))
    digested = [(algorithm, digest) for algorithm, digest in known if digest]
    return digested if len(digested) == len(known) else []


def mismatch(path: Path, known: Sequence[tuple[str, str]]) -> Optional[str]:
    """Describe how a file differs from all of its known digests; None if one matches."""
    actual = digests_of(path, {algorithm for algorithm, _ in known})
    if not known or any(actual[algorithm] == digest for algorithm, digest in known):
        return None
    return '; '.join(
        f'its {algorithm} is {actual[algorithm]}, the published file has {digest}'
        for algorithm, digest in known
    )


def _weights_in(folder):
    for name, kind in (
        ('model.safetensors', 'safetensors'),
        ('model.safetensors.index.json', 'safetensors'),
        ('pytorch_model.bin', 'torch'),
    ):
        path = folder / name
        if path.is_file():
            return (path, *(_shards(path) if path.suffix == '.json' else ())), kind
    for candidate in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())):
        if list(candidate.glob('*.index')) and list(candidate.glob('*.data-*')):
            return (candidate,), 'tensorflow'
    for pattern, kind in (('*.params', 'params'), ('*.onnx', 'onnx')):
        path = _only(folder, pattern)
        if path:
            return (path,), kind
    return None


def _vocabulary_in(folder, kind):
    if kind == 'byte_pair':
        pair = folder / 'vocab.json', folder / 'merges.txt'
        return (pair, 'byte_pair') if all(path.is_file() for path in pair) else None
    patterns = (
        (('tokenizer.model', 'spiece'), ('*.spiece', 'spiece'), ('*.model', 'spiece'))
        if kind == 'sentencepiece'
        else (('vocab.txt', 'vocab_txt'), ('*.vocab', 'vocab_json'), ('vocab.json', 'vocab_json'))
    )
    for pattern, file_kind in patterns:
        path = _only(folder, pattern)
        if path:
            return (path,), file_kind
    return None


def _only(folder, pattern):
    paths = sorted(path for path in folder.glob(pattern) if path.is_file())
    if len(paths) > 1:
        raise ValueError(
            f'{folder}: ambiguous files {", ".join(path.name for path in paths)}; keep only one'
        )
    return paths[0] if paths else None


def shard_names(index: Path) -> list[str]:
    """Read the file names in the index of a sharded checkpoint; ValueError if it has none."""
    names = read_object(index).get('weight_map')
    names = list(names.values()) if isinstance(names, dict) else []
    if not names or not all(map(_is_name, names)):
        raise ValueError(f'{index}: names no shards, or shards in other folders')
    return sorted(set(names))


def _shards(index):
    paths = [index.parent / name for name in shard_names(index)]
    for path in paths:
        if not path.is_file():
            raise ValueError(f'{index}: names {path.name}, which is missing')
    return paths


def plain_files(paths: Iterable[Path]) -> Iterator[Path]:
    """List the paths, each folder replaced by its files without the record."""
    for path in paths:
        yield from (
            sorted(item for item in path.iterdir() if item.is_file() and item.name != RECORD)
            if path.is_dir()
            else (path,)
        )


def _read_record(folder):
    path = folder / RECORD
    if not path.is_file():
        return {'source': '', 'sha256': {}, 'stamps': {}}
    record = read_object(path)
    sums = record.get('sha256')
    if not isinstance(sums, dict) or not all(
        _is_name(name) and isinstance(digest, str) and _SHA256.fullmatch(digest)
        for name, digest in sums.items()
    ):
        raise ValueError(f'{path}: expected the sha256 of files in its folder')
    stamps, source = record.get('stamps'), record.get('source')
    return {
        'source': source if isinstance(source, str) else '',
        'sha256': sums,
        'stamps': stamps if isinstance(stamps, dict) else {},
    }


def _is_name(name):
    """Tell if a name read from a file is safe as a file name in the same folder."""
    return (
        isinstance(name, str)
        and name.isprintable()
        and Path(name).name == name
        and 0 < len(name.encode()) <= 255
    )


def stamp_of(path: Path) -> list[int]:
    """Return the size and modification time of a file."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]
