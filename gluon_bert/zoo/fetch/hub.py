"""Fetch files of the Hugging Face hub with its client, into the client's cache."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import Optional

from ..._internal.types import PathLike
from ...checkpoint.huggingface.sentence_files import (
    MODULES_FILE,
    SETTINGS_FILE,
    TRANSFORMER_FILES,
    read_modules,
)
from ...checkpoint.huggingface.sentence_modules import MODULES_WITH_ARRAYS
from ..schema import HubFile
from .errors import (
    FULL,
    TRY_AGAIN,
    SourceError,
    explain_disk_full,
    pause,
    retry_after,
    short_reason,
    timeouts,
)
from .local_files import mismatch, shard_names
from .printable import scrubbed_logs, shown

# In order of preference.
_WEIGHTS = (
    'model.safetensors',
    'model.safetensors.index.json',
    'pytorch_model.bin',
    'pytorch_model.bin.index.json',
)
_TOKENIZER_FILES = (
    'vocab.txt',
    'tokenizer_config.json',
    'special_tokens_map.json',
    'tokenizer.json',
    'vocab.json',
    'merges.txt',
    'tokenizer.model',
    'spiece.model',
)
_SENTENCE_FILES = (SETTINGS_FILE, *TRANSFORMER_FILES[:1])
_SCHEME = 'hf://'
_COMMIT = re.compile(r'[0-9a-f]{40}')
_SHA256 = re.compile(r'[0-9a-f]{64}')


def is_hub_url(source: PathLike) -> bool:
    """Tell whether a source names a repository of the hub, ``hf://owner/name``."""
    return str(source).startswith(_SCHEME)


def parse_hub_url(url: PathLike) -> tuple[str, str]:
    """Split ``hf://owner/name[@revision]``.

    Returns
    -------
    (str, str)
        The repository and the revision, by default 'main'.

    Examples
    --------
    >>> parse_hub_url('hf://google-bert/bert-base-uncased@v1')
    ('google-bert/bert-base-uncased', 'v1')
    """
    repository, _, revision = str(url)[len(_SCHEME) :].partition('@')
    return repository, revision or 'main'


def offline() -> bool:
    """Tell if HF_HUB_OFFLINE (or TRANSFORMERS_OFFLINE) forbids network access."""
    text = os.environ.get('HF_HUB_OFFLINE') or os.environ.get('TRANSFORMERS_OFFLINE') or ''
    return text.upper() in ('1', 'ON', 'YES', 'TRUE')


def endpoint() -> str:
    """Return the hub's URL without a trailing '/'."""
    return (os.environ.get('HF_ENDPOINT') or 'https://huggingface.co').rstrip('/')


def fetch_from_hub(
    file: HubFile, sha256: Optional[str] = None, progress: bool = True, reach: bool = True
) -> Path:
    """Fetch a file of the hub into the cache of the hub's client.

    Parameters
    ----------
    file : HubFile
    sha256 : str, optional
        If known; otherwise the digest that the hub states is checked, if it states one.
    progress : bool
    reach : bool
        Allow network access.

    Returns
    -------
    Path

    Raises
    ------
    SourceError
        If there is no such file, the user has no access to it, the hub cannot be reached, or the
        file is not the published one.
    OSError
        If the disk is full.
    """
    import huggingface_hub as client

    cached = client.try_to_load_from_cache(file.repository, file.path, revision=file.revision)
    reach = reach and not offline()
    pinned = _COMMIT.fullmatch(file.revision)
    if cached and not isinstance(cached, str) and (pinned or not reach):
        raise SourceError('the repository has no such file', absent=True)
    cached = Path(cached) if isinstance(cached, str) else None
    in_cache = sha256 or (_name_in_cache(cached) if cached else None)
    if cached and (sha256 or pinned) and _problem(cached, in_cache, file.size) is None:
        return cached
    if not reach:
        if cached is None:
            why = 'offline (HF_HUB_OFFLINE)' if offline() else 'the hub cannot be reached'
            raise SourceError(f"{why}, and not in the cache of the hub's client")
        return _checked(cached, in_cache, file.size)
    try:
        named, size = _metadata(client, file)
    except SourceError:
        if cached is None:
            raise
        return _checked(cached, in_cache, file.size)
    if named and sha256 and named != sha256:
        raise SourceError(f'the file there now has sha256 {named}, the published file has {sha256}')
    if size and file.size and size != file.size:
        raise SourceError(f'the file there now has {size} bytes, the published file {file.size}')
    return _download(client, file, sha256 or named, file.size or size, progress)


def fetch_folder(repository: str, revision: str = 'main', progress: bool = True) -> Path:
    """Fetch a checkpoint of the hub as a folder in the cache of the hub's client.

    Parameters
    ----------
    repository : str
    revision : str
        Branch, tag or commit.
    progress : bool

    Returns
    -------
    Path
        With config.json, the tokenizer's files, and the weights in one format.

    Raises
    ------
    FileNotFoundError
        If the repository has no checkpoint, or cannot be reached.
    """

    def get(path, revision):
        # If the hub is unreachable, skip further requests.
        reach = all(error.absent for error in failures.values())
        try:
            return fetch_from_hub(
                HubFile(repository, path, revision=revision), None, progress, reach
            )
        except SourceError as error:
            failures[path] = error
            return None

    failures: dict[str, SourceError] = {}
    config = get('config.json', revision)
    if config is not None:
        commit = config.parent.name  # so that all files come from one commit
        for path in _TOKENIZER_FILES:
            get(path, commit)
        if get(MODULES_FILE, commit) is not None:
            _fetch_modules(config.parent, lambda path: get(path, commit))
        for path in _WEIGHTS:
            weights = get(path, commit)
            if weights is not None and all(
                get(name, commit)
                for name in (shard_names(weights) if path.endswith('.json') else ())
            ):
                return config.parent
    reasons = [
        f'{path}: {error}'
        for path, error in failures.items()
        if path not in (*_TOKENIZER_FILES, MODULES_FILE)
    ]
    raise FileNotFoundError(
        '\n  - '.join(
            [
                f'{shown(endpoint())}/{repository}, revision {revision}: no checkpoint could be '
                'fetched',
                *reasons,
            ]
        )
    )


def _fetch_modules(folder, get):
    """Fetch the files of the modules of a sentence model."""
    for path in _SENTENCE_FILES:
        get(path)
    for entry in read_modules(folder)[1:]:
        if get(f'{entry.path}/config.json') is not None and entry.kind in MODULES_WITH_ARRAYS:
            get(f'{entry.path}/model.safetensors') or get(f'{entry.path}/pytorch_model.bin')


def _metadata(client, file):
    """Ask the hub for the size of a file and, if it states one, the SHA-256."""
    url = client.hf_hub_url(file.repository, file.path, revision=file.revision, endpoint=endpoint())
    for last in (False, True):
        try:
            with scrubbed_logs():
                metadata = client.get_hf_file_metadata(url, timeout=timeouts()[0])
            break
        except Exception as error:  # another source may still work
            reason, status = _reason(error), _status(error)
            after = retry_after(error.response) if status in TRY_AGAIN else None
        # Not within the handler: the client's error holds the URL.
        if last or status not in TRY_AGAIN:
            raise SourceError(reason, absent=status == 404)
        pause(url, reason, 0, after)
    named = metadata.etag if _SHA256.fullmatch(metadata.etag or '') else None
    return named, metadata.size


def _download(client, file, sha256, size, progress):
    from huggingface_hub import constants

    problem = None
    for again in (False, True):
        try:
            with (
                _bars(progress),
                scrubbed_logs(),
                explain_disk_full(Path(constants.HF_HUB_CACHE), size),
            ):
                path = client.hf_hub_download(
                    file.repository,
                    file.path,
                    revision=file.revision,
                    endpoint=endpoint(),
                    force_download=again,
                )
        except Exception as error:
            if isinstance(error, OSError) and error.errno in FULL:
                raise
            reason = _reason(error)
        else:
            reason = None
        if reason is not None:
            raise SourceError(reason)
        problem = _problem(Path(path), sha256, size)
        if problem is None:
            return Path(path)
    raise SourceError(problem)


@contextlib.contextmanager
def _bars(progress):
    """Show the client's progress bars unless they are switched off."""
    from huggingface_hub import constants, utils

    silence = not (
        progress
        or utils.are_progress_bars_disabled()
        or constants.HF_HUB_DISABLE_PROGRESS_BARS is not None
    )
    if silence:
        utils.disable_progress_bars()
    try:
        yield
    finally:
        if silence:
            utils.enable_progress_bars()


def _checked(path, sha256, size):
    problem = _problem(path, sha256, size)
    if problem:
        raise SourceError(f"in the cache of the hub's client: {problem}")
    return path


def _problem(path, sha256, size):
    actual = path.stat().st_size
    if size and actual != size:
        return f'it has {actual} bytes, the published file {size}'
    return mismatch(path, [('sha256', sha256)] if sha256 else [])


def _name_in_cache(path):
    """Read the SHA-256 by which the client names a large file in its cache."""
    name = Path(os.readlink(path)).name if path.is_symlink() else ''
    return name if _SHA256.fullmatch(name) else None


def _status(error):
    return getattr(getattr(error, 'response', None), 'status_code', None)


def _reason(error):
    name, status = type(error).__name__, _status(error)
    if name == 'GatedRepoError':
        return 'gated: ask for access on its page and set HF_TOKEN'
    if status == 401:
        return 'HTTP 401, no such repository or a private one (HF_TOKEN)'
    if status:
        return f'HTTP {status}'
    if 'Timeout' in name:
        return f'no answer within {timeouts()[0]:g} s'
    return short_reason(error)
