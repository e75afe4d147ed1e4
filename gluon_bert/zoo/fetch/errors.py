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
from urllib.parse import urlsplit

CONNECT_TIMEOUT = 10  # seconds
READ_TIMEOUT = 30  # seconds without a byte
BACK_OFF = 0.5  # seconds before the second attempt, doubled for each further one
MAX_RETRY_AFTER = 30  # seconds
TRY_AGAIN = (408, 429, 500, 502, 503, 504)  # of HTTP's answers
FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)

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


def shown(url: str) -> str:
    """Remove passwords and signatures from a URL, for messages."""
    parts = urlsplit(url)
    if parts.scheme not in ('http', 'https'):
        return url
    return parts._replace(netloc=parts.netloc.rpartition('@')[2], query='', fragment='').geturl()


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
    return match.group() if match else f'{type(error).__name__}: {text[:150]}'


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
