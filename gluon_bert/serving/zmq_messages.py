"""The messages of bert-as-service: requests from their parts, answers to parts.

A request has four parts, ``client, content, id, number of texts``; the last is not read. An answer
has the client's id first, to which the client has subscribed, and the request's id last.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

import numpy as np

from .. import __version__
from .._internal.json import parse_json
from .errors import ServiceError, invalid, too_large
from .models import ServedModel

_VERSION = '1.10.0'  # of the client and server whose protocol this is
SHOW = (b'SHOW_CONFIG', b'SHOW_STATUS')
MAX_BYTES = 16 << 20  # of a part of a message
_MAX_TEXTS = 20_000
_MAX_VALUES = 500_000
_PAIR = ' ||| '


class ZmqRequest(NamedTuple):
    """A request: who asks, what, and by which number it is answered."""

    client: bytes
    content: bytes
    id: bytes


def read_parts(parts: Sequence[bytes]) -> ZmqRequest:
    """Read the parts of a message; ValueError if it is none of this protocol."""
    if len(parts) != 4:
        raise ValueError('not of four parts')
    client, content, number, _ = parts
    if not 0 < len(client) < 256:
        raise ValueError('the id of the client has not 1 to 255 bytes')
    if not (number.isdigit() and len(number) < 20):
        raise ValueError('the id of the request is no whole number')
    return ZmqRequest(client, content, number)


def read_texts(content: bytes) -> list:
    """Read the texts of a request: str, a pair of str, or a list of the tokens of each.

    Raises
    ------
    ServiceError
        If it is not a list of one or more texts, or of lists of tokens.
    """
    try:
        items = parse_json(content, _MAX_VALUES)
    except ValueError as error:
        raise invalid(f'texts: {error}') from None
    if not isinstance(items, list) or not items:
        raise invalid('texts: expected a list of one text or more')
    if len(items) > _MAX_TEXTS:
        raise too_large(f'{len(items)} texts in one request; at most {_MAX_TEXTS} are allowed')
    kind = list if isinstance(items[0], list) else str
    for number, item in enumerate(items):
        words = item if kind is list and isinstance(item, list) else [item]
        if type(item) is not kind or not all(isinstance(word, str) for word in words):
            raise invalid(f'texts[{number}]: expected all to be strings or all lists of tokens')
    if kind is str:
        return [_with_pair(text) for text in items]
    return items


def _with_pair(text):
    first, mark, second = text.rpartition(_PAIR)
    return (first, second) if mark else text


def vectors_answer(
    request: ZmqRequest, vectors: np.ndarray, tokens: Optional[list] = None
) -> list[bytes]:
    """Write the answer with vectors, and the tokens of each text if they are asked for."""
    about: dict[str, Any] = {'dtype': str(vectors.dtype), 'shape': vectors.shape}
    if tokens is not None:
        about['tokens'] = tokens
    content = np.ascontiguousarray(vectors).tobytes()
    return [request.client, _json(about), content, request.id]


def configuration(request: ZmqRequest, model: ServedModel, shows_tokens: bool) -> dict[str, Any]:
    """Describe the server by the names that clients of bert-as-service read."""
    return {
        'client': request.client.decode('latin-1'),
        'server_version': _VERSION,
        'server': f'gluon_bert {__version__}',
        'model': model.name,
        'max_seq_len': model.max_length,
        'show_tokens_to_client': shows_tokens,
        'num_process': 1,
    }


def object_answer(request: ZmqRequest, value: dict) -> list[bytes]:
    """Write the answer of a request for the configuration or the state."""
    return [request.client, _json(value), request.id]


def error_answer(request: ZmqRequest, error: ServiceError) -> list[bytes]:
    """Write the answer of a request that is refused.

    The protocol has no errors. The published client makes an array of the type that is named here,
    and so raises a TypeError with the message in it, where it would wait for ever.
    """
    if request.content in SHOW:
        return object_answer(request, {'error': error.message})
    # A comma would make it a list of types, and the error another one.
    dtype = f'error: {error.message}'.replace(',', ';')
    about = {'dtype': dtype, 'shape': [0], 'error': error.message}
    return [request.client, _json(about), b'', request.id]


def _json(value):
    return json.dumps(value).encode()
