"""Answers as bytes: JSON of arrays without holding up other threads for long."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

try:
    import orjson
except ModuleNotFoundError:  # the answers are the same, vectors take ten times as long to write
    orjson: Any = None  # type: ignore[no-redef]

_ROWS = 64  # of an array that are written at once
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(',', ':'), allow_nan=False)


@dataclass
class Reply:
    """An answer of the server.

    Parameters
    ----------
    content : bytes
    status : int
    media_type : str
    headers : dict of str to str
    """

    content: bytes = b''
    status: int = 200
    media_type: str = 'application/json'
    headers: dict[str, str] = field(default_factory=dict)


def json_reply(value: Any, status: int = 200) -> Reply:
    """Make the answer of a value; arrays within lists and objects are written as lists."""
    return Reply(b''.join(_pieces(value)), status)


def text_reply(text: str, status: int = 200, media_type: str = 'text/plain') -> Reply:
    """Make the answer of a text."""
    return Reply(text.encode(), status, media_type)


def base64_text(array: np.ndarray) -> str:
    """Write an array as the base64 of its numbers as 32-bit floats, little end first."""
    return base64.b64encode(np.ascontiguousarray(array, '<f4').tobytes()).decode()


def _pieces(value):
    """JSON in pieces: the encoder holds Python's lock for as long as it writes one."""
    if isinstance(value, np.ndarray) and value.ndim > 2:
        value = list(value)
    if isinstance(value, np.ndarray):
        if value.ndim < 2 or not len(value):
            yield _numbers(value)
            return
        for start in range(0, len(value), _ROWS):
            rows = _numbers(value[start : start + _ROWS])
            yield (b',' if start else b'[') + rows[1:-1]
        yield b']'
    elif isinstance(value, list) and any(isinstance(item, (np.ndarray, dict)) for item in value):
        for number, item in enumerate(value):
            yield b',' if number else b'['
            yield from _pieces(item)
        yield b']'
    elif isinstance(value, dict):
        for number, (key, item) in enumerate(value.items()):
            yield (b',' if number else b'{') + _encoded(key) + b':'
            yield from _pieces(item)
        yield b'}' if value else b'{}'
    else:
        yield _encoded(value)


def _numbers(array):
    """JSON of an array; float32 as the shortest decimals that round to it, where orjson writes."""
    if orjson is None or array.dtype not in ('float32', 'float64'):
        return _encoded(array.tolist())
    if not np.isfinite(array).all():  # orjson would write null
        raise ValueError('an answer has numbers that are not finite')
    return orjson.dumps(np.ascontiguousarray(array), option=orjson.OPT_SERIALIZE_NUMPY)


def _encoded(value):
    return _ENCODER.encode(value).encode()
