"""Bounds and options of a server."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Optional

from .._internal.checks import check_positive, check_positive_number

KEY_VARIABLE = 'GLUON_BERT_API_KEY'
MAX_MASKS = 64  # masked words in a request
MAX_NUMBERS = 1 << 22  # in an answer with a vector for each token, or with attention
MAX_TOKENS = 1 << 17  # in an answer with tokens
MAX_CHARACTERS = 1 << 22  # in an answer that repeats texts
_MAX_KEY_BYTES = 1 << 16
MAX_ATTENTION = 128  # tokens whose attention is computed


@dataclass(frozen=True)
class ServerLimits:
    """Bounds of requests, and how the server treats them.

    Parameters
    ----------
    max_batch_tokens : int
        Tokens that are computed at once.
    max_concurrent_requests : int
        Requests in flight; more are answered with 429.
    max_client_batch_size : int
        Texts in a request; more are answered with 413.
    payload_limit : int
        Bytes of a request's body; more are answered with 413.
    max_queue_tokens : int, optional
        Tokens that may wait; beyond them requests are answered with 429. By default what is
        computed in half of ``stop_seconds``, by the speed of the last batches.
    stop_seconds : float
        Time to answer what is in flight when the server stops, and to receive a body.
    auto_truncate : bool
        Cut longer texts where a request does not say ``truncate``.
    api_keys : tuple of str
        Any of these opens all routes; none means that no key is asked for.
    cors_origins : tuple of str
        Web pages of these origins may call; ``('*',)`` for all.
    """

    max_batch_tokens: int = 16384
    max_concurrent_requests: int = 512
    max_client_batch_size: int = 32
    payload_limit: int = 2_000_000
    max_queue_tokens: Optional[int] = None
    stop_seconds: float = 10.0
    auto_truncate: bool = False
    api_keys: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_positive(
            max_batch_tokens=self.max_batch_tokens,
            max_concurrent_requests=self.max_concurrent_requests,
            max_client_batch_size=self.max_client_batch_size,
            payload_limit=self.payload_limit,
            max_queue_tokens=self.max_queue_tokens,
        )
        check_positive_number(stop_seconds=self.stop_seconds)


@dataclass(frozen=True)
class ZmqSettings:
    """Ports of bert-as-service's protocol.

    Parameters
    ----------
    port : int
        For requests; 0 for a free one.
    port_out : int
        For answers.
    host : str
        A numeric address.
    show_tokens : bool
        Send the tokens of the texts with the vectors.
    """

    port: int = 5555
    port_out: int = 5556
    host: str = '127.0.0.1'
    show_tokens: bool = False


def read_api_keys(path: Optional[str]) -> tuple[str, ...]:
    """Read API keys from a file, a key a line, else from the environment.

    Parameters
    ----------
    path : str, optional
        By default the variable ``GLUON_BERT_API_KEY`` is read, if there is one.

    Returns
    -------
    tuple of str

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is missing or too large, has no key, or one that cannot stand in a header.
    """
    if path is None:
        name, text = KEY_VARIABLE, os.environ.get(KEY_VARIABLE)
        if text is None:
            return ()
    else:
        name = path
        with open(path, 'rb') as file:
            raw = file.read(_MAX_KEY_BYTES + 1)
        if len(raw) > _MAX_KEY_BYTES:  # the last key that is read would be a part of one
            raise ValueError(f'{path}: has more than {_MAX_KEY_BYTES} bytes')
        text = raw.decode('utf-8', 'replace')
    keys = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not keys:
        raise ValueError(f'{name}: has no key')
    for number, key in enumerate(keys, 1):
        if not (key.isascii() and key.isprintable() and ' ' not in key):
            raise ValueError(f'{name}: key {number} has characters other than visible ASCII')
    return keys
