"""The gate of all requests: id, key, bound of open requests, log, counts."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import re
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

from .errors import ServiceError, overloaded, unauthorized
from .logs import log_event
from .protocols.base import TEI, Endpoint, Protocol
from .replies import Reply
from .service import Service

_LINGER = 2.0  # seconds
_PIECE = 1 << 16  # bytes of an answer that are passed on at once
_ID = re.compile(r'[A-Za-z0-9._-]{1,64}')


@dataclass
class RequestLog:
    """The fields of a request in the log."""

    id: str
    route: str = ''
    status: int = 0
    model: str = ''
    tokens: int = 0
    num_cut: int = 0
    error: str = ''


class Gate:
    """The ASGI application around the routes.

    Parameters
    ----------
    app : callable
        An ASGI application.
    service : Service
    endpoints : sequence of Endpoint
    """

    def __init__(self, app: Any, service: Service, endpoints: Sequence[Endpoint]) -> None:
        self._app, self._service, self._endpoints = app, service, endpoints
        self._open = {(row.method, row.path) for row in endpoints if row.is_open}
        self._keys = [key.encode() for key in service.limits.api_keys]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on, or refuse it."""
        if scope['type'] != 'http':
            await self._app(scope, receive, send)
            return
        begun, headers = time.monotonic(), dict(scope['headers'])
        given = headers.get(b'x-request-id', b'').decode('latin-1')
        row = RequestLog(given if _ID.fullmatch(given) else uuid.uuid4().hex)
        scope['gluon_bert.log'] = row

        async def send_with_id(message: Any) -> None:
            if message['type'] == 'http.response.start':
                row.status = message['status']
                message['headers'] = [
                    *message.get('headers', ()),
                    (b'x-request-id', row.id.encode()),
                    *([] if self._service.is_ready else [(b'connection', b'close')]),
                ]
            await self._send(message, send)

        error = self._refusal(scope, headers)
        self._service.in_flight += error is None
        try:
            if error is None:
                await self._app(scope, receive, send_with_id)
            else:
                row.error = error.kind
                protocol = protocol_of(route_path(scope), self._endpoints)
                await send_reply(protocol.answer_error(error), receive, send_with_id)
        finally:
            self._service.in_flight -= error is None
            self._note(scope, row, time.monotonic() - begun)

    async def _send(self, message: Any, send: Any) -> None:
        """Pass a message on in pieces, each when the client has taken most of those before."""
        body, more = message.get('body', b''), message.get('more_body', False)
        if len(body) <= _PIECE:
            await send(message)
            return
        service, end = self._service, len(body)
        service.unsent += end
        try:
            for start in range(0, end, _PIECE):
                piece = body[start : start + _PIECE]
                is_last = start + _PIECE >= end
                await send({**message, 'body': piece, 'more_body': more or not is_last})
        finally:
            service.unsent -= end

    def _is_open(self, scope: Any) -> bool:
        """True if a route is answered without a key."""
        method = 'GET' if scope['method'] == 'HEAD' else scope['method']
        return (method, route_path(scope)) in self._open

    def _refusal(self, scope: Any, headers: dict) -> Optional[ServiceError]:
        """The error of a request without a key, or of one too many."""
        if self._is_open(scope):
            return None
        if self._keys:
            scheme, _, key = headers.get(b'authorization', b'').partition(b' ')
            # All keys are compared, so that the time does not tell which was near.
            is_right = [hmac.compare_digest(key.strip(), right) for right in self._keys]
            if scheme.lower() != b'bearer' or not any(is_right):
                return unauthorized()
        return None if self._service.make_room() else overloaded()

    def _note(self, scope, row, seconds):
        metrics, route = self._service.metrics, row.route or 'none'
        metrics.requests.add(label=route)
        metrics.duration.add(seconds)
        if 200 <= row.status < 300:
            metrics.success.add(label=route)
        else:
            metrics.failure.add(label=row.error or str(row.status or 'none'))
        if self._is_open(scope) and row.status == 200:
            return  # probes would fill the log
        fields = {'model': row.model, 'tokens': row.tokens, 'truncated': row.num_cut}
        fields |= {'error': row.error}
        log_event(
            'request',
            id=row.id,
            method=scope['method'][:16],
            route=route,
            status=row.status,
            ms=round(1000 * seconds, 2),
            **{key: value for key, value in fields.items() if value},
        )


def route_path(scope: Any) -> str:
    """Get the path of a request without that under which the application is mounted."""
    path, root = scope['path'], scope.get('root_path', '').rstrip('/')
    return path[len(root) :] if root and path.startswith(f'{root}/') else path


def protocol_of(path: str, endpoints: Sequence[Endpoint]) -> Protocol:
    """Guess the protocol of a path that is refused before it is routed, or that is not there."""
    path = re.sub(r'^/models/[^/]+(?=/)', '', path)
    for row in endpoints:
        if row.path == path:
            return row.protocol
    start = '/'.join(path.split('/')[:2])
    same = (row.protocol for row in endpoints if row.path.startswith(f'{start}/'))
    return next(same, TEI)


async def send_reply(answer: Reply, receive: Any, send: Any) -> None:
    """Send an answer as an ASGI application does.

    Before a connection is closed, what its client still sends is read and dropped for a while:
    else the client might not read the answer.
    """
    headers = {
        'content-type': answer.media_type,
        'content-length': str(len(answer.content)),
        **answer.headers,
    }
    pairs = [(key.encode('latin-1'), value.encode('latin-1')) for key, value in headers.items()]
    await send({'type': 'http.response.start', 'status': answer.status, 'headers': pairs})
    closes = answer.headers.get('connection') == 'close'
    await send({'type': 'http.response.body', 'body': answer.content, 'more_body': closes})
    if closes:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(_drain(receive), _LINGER)
        await send({'type': 'http.response.body', 'body': b''})


async def _drain(receive) -> None:
    more = True
    while more:
        more = (await receive()).get('more_body', False)
