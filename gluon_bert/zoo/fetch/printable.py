"""Write URLs and other programs' messages without what is secret in them.

User names, passwords and signatures appear in requests alone: not in files, messages or the log.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
from collections.abc import Iterator
from urllib.parse import unquote

_URL = re.compile(r'([A-Za-z][A-Za-z0-9+.-]*:)?//[^\s\'"<>]*')
_QUERY = re.compile(r'[?#][^\s\'"<>()]+')  # of a path alone, such as 'GET /file?token=...'
_SETTINGS = ('HF_ENDPOINT', 'MXNET_GLUON_REPO', 'HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY')
_TOKENS = ('HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN', 'HUGGINGFACE_HUB_TOKEN')
_CLIENTS = ('huggingface_hub', 'urllib3', 'requests', 'httpx', 'httpcore', 'filelock')


def shown(url: str) -> str:
    """Remove user, password, query and fragment from a URL; a path stays as it is.

    Examples
    --------
    >>> shown('https://ada:secret@example.org/model.zip?X-Amz-Signature=1234#part')
    'https://example.org/model.zip'
    """
    scheme, mark, rest = str(url).partition('//')
    if not mark or (scheme and not scheme.endswith(':')):
        return str(url)
    rest = re.split(r'[?#]', rest, maxsplit=1)[0]
    host, slash, path = rest.partition('/')
    if '@' in path and '@' not in host and not host.rpartition(':')[2].isdigit() and ':' in host:
        host, slash, path = rest.rpartition('@')[2].partition('/')  # a '/' in the password
    return f'{scheme}//{host.rpartition("@")[2]}{slash}{path}'


def scrub(text: str) -> str:
    """Remove the secrets of a text: of the URLs in it, and those of the environment."""
    for secret in _secrets():
        text = text.replace(secret, '***')
    text = _URL.sub(lambda match: shown(match[0]), text)
    return _QUERY.sub('', text)


def url_key(url: str) -> str:
    """Compute what stands for a URL in a file: 64 hexadecimal digits."""
    return hashlib.sha256(url.encode()).hexdigest()


@contextlib.contextmanager
def scrubbed_logs() -> Iterator[None]:
    """Scrub what the clients log while the block runs."""
    loggers = [
        logging.getLogger(name)
        for name in [*_CLIENTS, *logging.root.manager.loggerDict]
        if name.startswith(_CLIENTS)  # some name their version, too
    ]
    for logger in loggers:
        logger.addFilter(_scrub_record)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(_scrub_record)


def _scrub_record(record):
    message = scrub(record.getMessage())
    record.__dict__.update(msg=message, args=None, exc_info=None, exc_text=None)
    return True


def _secrets():
    """The secrets of the environment, the longest first, as they stand and decoded."""
    found = {os.environ.get(name) or '' for name in _TOKENS}
    for name in _SETTINGS:
        for url in (os.environ.get(name) or '', os.environ.get(name.lower()) or ''):
            user = url.partition('//')[2].rpartition('@')[0]
            found |= {user, *user.split(':', 1)[1:]}
    found |= {unquote(secret) for secret in found}
    return sorted((secret for secret in found if len(secret) > 3), key=len, reverse=True)
