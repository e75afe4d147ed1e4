"""Download one file over HTTP: stream, resume, retry, and check before renaming."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Optional
from urllib.parse import urljoin, urlsplit

from ..._internal.files import write_text
from .errors import (
    FULL,
    TRY_AGAIN,
    SourceError,
    disk_full,
    explain_disk_full,
    pause,
    retry_after,
    short_reason,
    timeouts,
)
from .printable import scrubbed_logs, shown, url_key

ATTEMPTS = 4
MAX_SIZE = 8 << 30  # bytes, for a file of unknown size
CHUNK = 1 << 16

_log = logging.getLogger(__name__)


class _Again(Exception):
    """A failure worth another attempt, after ``after`` seconds if given."""

    def __init__(self, reason, after=None):
        super().__init__(reason)
        self.after = after


def download(
    url: str,
    target: Path,
    size: Optional[int] = None,
    check: Optional[Callable[[Path], object]] = None,
    progress: bool = True,
) -> Path:
    """Download ``url`` to ``target``, which appears only once complete and checked.

    Until then the data is in ``<target>.part``, where a later call resumes the download.

    Parameters
    ----------
    url : str
        http or https.
    target : Path
        In a folder that exists.
    size : int, optional
        Bytes it must have; without it, at most ``MAX_SIZE``.
    check : callable, optional
        Called with the path of the complete file before it is renamed; a ValueError rejects the
        file, and it is downloaded once more.
    progress : bool
        Draw a bar if standard error is a terminal.

    Returns
    -------
    Path
        ``target``.

    Raises
    ------
    SourceError
        If the file is not available there, or is not the one expected.
    OSError
        If the disk is full; the message names the folder, the bytes needed and those free.
    """
    part = target.with_name(target.name + '.part')
    for is_last in (False, True):
        _transfer(url, part, size, progress)
        try:
            if check is not None:
                check(part)
            break
        except ValueError as error:
            _remove(part)
            if is_last:
                raise SourceError(str(error)) from None
            _log.warning('%s: %s; downloading it once more', shown(url), error)
    os.replace(part, target)
    _remove(part)
    return target


def _transfer(url, part, size, progress):
    """Complete ``part``, in several attempts if need be."""
    timeouts()  # checked here: below, a ValueError is of an address
    with _session() as session, scrubbed_logs():
        for attempt in range(ATTEMPTS):
            failure = _try(session, url, part, size, progress)
            if failure is None:
                return
            if isinstance(failure, SourceError):
                raise failure
            if attempt + 1 < ATTEMPTS:
                pause(url, failure, attempt, failure.after)
    raise SourceError(f'{failure} ({ATTEMPTS} attempts)')


def _try(session, url, part, size, progress):
    """Make one attempt; return its failure, without the client's own, which holds the URL."""
    from requests import exceptions

    try:
        _stream(session, url, part, size, progress)
    except (exceptions.SSLError, exceptions.ProxyError) as error:
        return SourceError(short_reason(error))
    except (
        exceptions.ConnectionError,
        exceptions.Timeout,
        exceptions.ChunkedEncodingError,
    ) as error:
        return _Again(short_reason(error))
    except exceptions.RequestException as error:
        return SourceError(short_reason(error))
    except (_Again, SourceError) as error:
        return error.with_traceback(None)
    except ValueError:  # of urllib.parse, with the URL
        return SourceError('its address, or one it redirects to, cannot be read')
    return None


def _session():
    import requests

    class Session(requests.Session):
        def get_redirect_target(self, resp):
            target = super().get_redirect_target(resp)
            if (
                target
                and resp.url.startswith('https:')
                and urlsplit(urljoin(resp.url, target)).scheme != 'https'
            ):
                raise SourceError(f'redirected from https to {shown(urljoin(resp.url, target))}')
            return target

    session = Session()
    session.max_redirects = 10
    return session


def _stream(session, url, part, size, progress):
    """Send one request and append the missing bytes to ``part``, or start over."""
    from tqdm import tqdm

    state = _read_state(part, url)
    have = part.stat().st_size if state else 0
    if state and have == state['total']:
        return
    # An encoded body would differ in length and digest.
    headers = {'Accept-Encoding': 'identity'}
    if have:
        headers.update({'Range': f'bytes={have}-', 'If-Range': state['validator']})
    with session.get(url, headers=headers, stream=True, timeout=timeouts()) as response:
        have = _begin(response, part, have)
        total = _total(response, have)
        _check_total(total, size, part)
        if total is not None and total - have > shutil.disk_usage(part.parent).free:
            _remove(part)
            raise disk_full(part.parent, total - have)
        bar = tqdm(
            total=total,
            initial=have,
            desc=part.name[: -len('.part')],
            unit='B',
            unit_scale=True,
            disable=None if progress else True,
        )
        with bar, _removed_when_full(part, total), open(part, 'ab' if have else 'wb') as file:
            _write_state(part, url, response, total)
            # If it raised at an early end, urllib3 would drop the bytes before it.
            response.raw.enforce_content_length = False
            for chunk in response.iter_content(CHUNK):
                have += len(chunk)
                if have > (size or MAX_SIZE):
                    _check_total(have, size, part)
                file.write(chunk)
                bar.update(len(chunk))
    if total is not None and have != total:
        raise _Again(f'interrupted after {have} of {total} bytes')
    _check_total(have, size, part)


def _begin(response, part, have):
    """Return the position at which the response body starts."""
    status = response.status_code
    if status in TRY_AGAIN:
        raise _Again(f'HTTP {status}', retry_after(response))
    if response.headers.get('Content-Encoding', 'identity') != 'identity':
        raise SourceError(f'sent with Content-Encoding {response.headers["Content-Encoding"]}')
    if status == 200:
        return 0
    if have and status in (206, 416):
        match = re.fullmatch(r'bytes (\d{1,18})-\d+/.*', response.headers.get('Content-Range', ''))
        if status == 206 and match and int(match.group(1)) == have:
            return have
        _remove(part)
        raise _Again(f'HTTP {status}, not from byte {have} on', after=0)
    raise SourceError(f'HTTP {status}', absent=status in (403, 404, 410))


def _total(response, have):
    length = response.headers.get('Content-Length', '')
    return have + int(length) if re.fullmatch(r'\d{1,18}', length) else None


def _check_total(total, size, part):
    if total is None or (total == size if size else total <= MAX_SIZE):
        return
    _remove(part)
    raise SourceError(
        f'it has {total} bytes, the published file {size}'
        if size
        else f'it has more than {MAX_SIZE} bytes'
    )


@contextlib.contextmanager
def _removed_when_full(part, total):
    try:
        with explain_disk_full(part.parent, total):
            yield
    except OSError as error:
        if error.errno in FULL:
            _remove(part)
        raise


def _state_path(part):
    return part.with_name(part.name + '.json')


def _read_state(part, url):
    """Read the state of a partial download; None if it cannot be resumed."""
    try:
        with open(_state_path(part), encoding='utf-8') as file:
            state = json.loads(file.read(1 << 16))
        if 'url' in state:  # of an earlier version, with what is secret in it
            state['key'] = url_key(state['url'])
            _state_path(part).unlink()
        if state['key'] == url_key(url) and state['validator'] and part.is_file():
            return {'validator': str(state['validator']), 'total': state['total']}
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return None


def forget_old_states(folder: Path) -> None:
    """Remove the states that earlier versions left in a folder: they hold whole URLs."""
    for path in folder.glob('*.part.json'):
        with contextlib.suppress(OSError):
            if b'"url"' in path.read_bytes()[: 1 << 16]:
                path.unlink()


def _write_state(part, url, response, total):
    tag = response.headers.get('ETag', '')
    # A weak tag does not guarantee equal bytes.
    validator = response.headers.get('Last-Modified') if tag[:2] in ('', 'W/') else tag
    state = {'key': url_key(url), 'validator': validator, 'total': total}
    write_text(_state_path(part), json.dumps(state))


def _remove(part):
    for path in (part, _state_path(part)):
        Path(path).unlink(missing_ok=True)
