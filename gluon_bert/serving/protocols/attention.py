"""The route of attention, which the page asks."""

from __future__ import annotations

import functools
from typing import Any

from ..attention import attend
from ..fields import ENCODING_FORMAT, STRING, TRUNCATE, Field, kind
from ..replies import Reply, base64_text, json_reply
from ..service import ServiceCall
from .base import TEI, Endpoint


def _check_inputs(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise ValueError(f': expected a string or a list of two strings, got {kind(value)}')
    if len(value) != 2 or not all(isinstance(text, str) for text in value):
        raise ValueError(': expected a string or a list of two strings, got another list')
    return value


async def answer_attention(call: ServiceCall) -> Reply:
    """Answer with the tokens and the attention of all layers and heads."""
    inputs = call.body['inputs']
    texts = [inputs] if isinstance(inputs, str) else inputs
    is_packed = call.body['encoding_format'] == 'base64'
    write = functools.partial(_write, is_packed)
    return await attend(call, texts, write, call.body['truncate'])


def _write(is_packed, attention):
    probabilities = attention.probabilities
    return json_reply(
        {
            'tokens': attention.tokens,
            'num_first': attention.num_first,
            'shape': list(probabilities.shape),
            'attention': base64_text(probabilities) if is_packed else probabilities,
        }
    )


_PAIR = {'type': 'array', 'items': STRING, 'minItems': 2, 'maxItems': 2}
ENDPOINTS = (
    Endpoint(
        '/attention',
        answer_attention,
        TEI,
        'Attention of all layers and heads on a text or a pair of texts',
        {
            'inputs': Field(_check_inputs, {'oneOf': [STRING, _PAIR]}, 'a text, or two as a pair'),
            'truncate': TRUNCATE,
            'encoding_format': ENCODING_FORMAT,
        },
        {'inputs': 'A cat sleeps.'},
    ),
)
