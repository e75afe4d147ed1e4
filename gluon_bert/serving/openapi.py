"""The OpenAPI description of the routes, written from their rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from .. import __version__
from .fields import schema_of
from .models import EMBEDDING
from .protocols.base import Endpoint

_REFUSALS = {
    '401': 'no right key',
    '404': 'no such model',
    '413': 'too large',
    '422': 'wrong content, or a text that is too long',
    '424': 'the model cannot answer',
    '429': 'overloaded',
}


def describe(endpoints: Sequence[Endpoint], has_keys: bool = False) -> dict[str, Any]:
    """Describe endpoints as OpenAPI 3.1 does.

    Parameters
    ----------
    endpoints : sequence of Endpoint
    has_keys : bool
        Whether a key is asked for.

    Returns
    -------
    dict
        For JSON.
    """
    paths: dict[str, Any] = {}
    for row in endpoints:
        operation = _operation(row)
        if has_keys and not row.is_open:
            operation['security'] = [{'key': []}]
        paths.setdefault(row.path, {})[row.method.lower()] = operation
    schemes = {'key': {'type': 'http', 'scheme': 'bearer'}}
    return {
        'openapi': '3.1.0',
        'info': {'title': 'gluon_bert', 'version': __version__},
        'paths': paths,
        **({'components': {'securitySchemes': schemes}} if has_keys else {}),
    }


def _operation(row):
    content: dict[str, Any] = {'200': {'description': 'OK', 'content': {row.media_type: {}}}}
    refusals = _REFUSALS if row.method == 'POST' else {'401': _REFUSALS['401']}
    for status, about in {} if row.is_open else refusals.items():
        code = str(row.protocol.statuses.get(status, status))
        schema = {'application/json': {'schema': dict(row.protocol.error_schema)}}
        content[code] = {'description': about, 'content': schema}
    if row.is_open:
        content['503'] = {'description': 'not ready'}
    operation: dict[str, Any] = {
        'summary': row.about,
        'tags': [row.protocol.title],
        'operationId': row.method.lower() + re.sub(r'[{}]', '', row.path).replace('/', '_'),
        'responses': content,
    }
    if '{name}' in row.path:
        operation['parameters'] = [
            {'name': 'name', 'in': 'path', 'required': True, 'schema': {'type': 'string'}}
        ]
    fields = row.fields if row.fields_of is None else row.fields_of(EMBEDDING)
    if fields is not None:
        schema = schema_of(fields)
        if row.fields_of is not None:  # other tasks have other fields
            schema = {'type': 'object', 'required': ['inputs'], 'properties': {'inputs': {}}}
        body = {'schema': schema, **({'example': row.example} if row.example else {})}
        operation['requestBody'] = {'required': True, 'content': {'application/json': body}}
    return operation
