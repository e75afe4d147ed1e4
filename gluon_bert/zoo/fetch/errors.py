"""Download errors, retries and timeouts."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

from .printable import scrub, shown

CONNECT_TIMEOUT = 10  # seconds
READ_TIMEOUT = 30  # seconds without a byte
BACK_OFF = 0.5  # seconds before the second attempt, doubled for each further one
MAX_RETRY_AFTER = 30  # seconds
TRY_AGAIN = (408, 429, 500, 502, 503, 504)  # of HTTP's answers
FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
_WITH_URLS = ('requests', 'urllib3', 'httpx', 'httpcore')
_KNOWN = re.compile(
    r'certificate verify failed(: [\w ,-]+)?|Exceeded \d+ redirects|Tunnel connection failed: \d+|'
    r'No connection adapters|Connection aborted|Remote end closed connection without response|'
    r'hostname mismatch|wrong version number|IncompleteRead|Name or service not known|'
    r'Temporary failure in name resolution|Failed to parse'
)

_log = logging.getLogger(__name__)
_sleep = time.sleep


class SourceError(Exception):
    """A source does not provide its file; the message gives the reason.

    Parameters
    ----------
    reason : str
    absent : bool
        The source answers but has no such file.
    """

    def __init__(self, reason: str, absent: bool = False) -> None:
        super().__init__(reason)
        self.absent = absent


def timeouts() -> tuple[float, float]:
    """Read the timeouts for connecting and for data; GLUON_BERT_TIMEOUT sets both.

    Returns
    -------
    (float, float)
    """
    text = os.environ.get('GLUON_BERT_TIMEOUT')
    if not text:
        return CONNECT_TIMEOUT, READ_TIMEOUT
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds < float('inf'):
        raise ValueError(f'GLUON_BERT_TIMEOUT={text!r}: expected seconds, a number above 0')
    return min(seconds, CONNECT_TIMEOUT), seconds


def pause(url: str, failure: object, attempt: int, after: Optional[float] = None) -> None:
    """Wait before the next attempt: as long as the server asks, else longer each time."""
    seconds = BACK_OFF * 2**attempt if after is None else after
    _log.info('%s: %s; again in %s s', shown(url), failure, seconds)
    _sleep(seconds)


def retry_after(response: Any) -> Optional[float]:
    """Read the seconds that a server asks to wait, bounded; None if it asks for none."""
    from urllib3.exceptions import InvalidHeader
    from urllib3.util import Retry

    try:
        seconds = Retry().get_retry_after(response)
    except (InvalidHeader, ValueError, OverflowError):
        return None
    return None if seconds is None else min(seconds, MAX_RETRY_AFTER)


def short_reason(error: BaseException) -> str:
    """Summarise the client's nested messages in one short line."""
    text = str(error)
    connect, read = timeouts()
    if 'connect timeout' in text:
        return f'no connection within {connect:g} s'
    if 'timed out' in text:
        return f'no data for {read:g} s'
    match = re.search(r'(\d+) more expected', text)
    if match:
        return f'interrupted, {match.group(1)} bytes are missing'
    match = re.search(r'\[Errno -?\d+\] [^\'")]+', text)
    if match:
        return match.group()
    name = type(error).__name__
    if type(error).__module__.partition('.')[0] not in _WITH_URLS:
        return f'{name}: {scrub(text)[:150]}'
    # Their texts hold addresses, whole or in parts: only what is known to hold none is repeated.
    match = _KNOWN.search(text)
    return f'{name}: {match.group()}' if match else name


@contextlib.contextmanager
def explain_disk_full(folder: Path, needed: Optional[int] = None) -> Iterator[None]:
    """Turn a full disk, quota or file-size limit into an OSError that gives the sizes."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise disk_full(folder, needed, error.errno) from None


def disk_full(folder: Path, needed: Optional[int], number: int = errno.ENOSPC) -> OSError:
    """Make the error for a full disk, with the bytes needed and free."""
    while not folder.exists():
        folder = folder.parent
    wanted = f'{needed} bytes are needed' if needed else 'more space is needed'
    return OSError(
        number,
        f'{os.strerror(number)}: {wanted}, {shutil.disk_usage(folder).free} bytes are free',
        str(folder),
    )
