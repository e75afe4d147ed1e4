"""From the bytes of a request to a call of its endpoint, and from errors to answers."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from .._internal.json import parse_json
from .errors import (
    ClientGone,
    ServiceError,
    internal,
    invalid,
    not_for_model,
    not_found,
    too_large,
    too_slow,
    unknown_coding,
)
from .fields import read_fields
from .logs import log_failure
from .models import ServedModel
from .protocols.base import Endpoint
from .replies import Reply
from .service import Service, ServiceCall

_MAX_VALUES = 200_000  # of a body


async def answer_request(service: Service, endpoint: Endpoint, request: Any, row: Any) -> Reply:
    """Answer a request of an endpoint; errors are answered in the form of its protocol.

    Parameters
    ----------
    service : Service
    endpoint : Endpoint
    request : starlette.requests.Request
    row : RequestLog
        Gets what is known of the request.

    Returns
    -------
    Reply
    """
    call = None
    try:
        raw = b'' if endpoint.method == 'GET' else await _read_body(service, request)
        call = await _make_call(service, endpoint, request, row.id, raw)
        answer = await endpoint.run(call)
        if call.num_cut:
            answer.headers['x-truncated'] = str(call.num_cut)
    except ServiceError as error:
        row.error = error.kind
        answer = endpoint.protocol.answer_error(error)
    except ClientGone:
        row.error = 'ClientGone'
        service.metrics.disconnected.add()
        answer = Reply(status=499)
    except Exception as error:
        row.error = type(error).__name__
        log_failure('internal error', error, id=row.id, route=endpoint.path)
        answer = endpoint.protocol.answer_error(internal())
    if call is not None:
        row.model, row.tokens, row.num_cut = call.model.name, call.tokens, call.num_cut
    return answer


async def _make_call(service, endpoint, request, id, raw) -> ServiceCall:
    body: Any = {}
    if endpoint.method == 'POST':
        try:
            body = await service.work(len(raw) // 16, parse_json, raw, _MAX_VALUES)
        except ValueError as error:
            raise invalid(f'body: {error}') from None
    model = _find_model(service, endpoint, request.path_params.get('name'), body)
    fields = endpoint.fields
    if endpoint.fields_of is not None:
        fields = endpoint.fields_of(model.task)
    values = {} if fields is None else read_fields(body, fields)
    return ServiceCall(service, id, lambda: _wait_until_gone(request.receive), model, values)


def _find_model(service, endpoint, name, body) -> ServedModel:
    """The model that a path or a body names, else the first that answers on the route."""
    models = service.models
    given = body.get('model') if isinstance(body, dict) else None
    if name is None and isinstance(given, str) and 'model' in (endpoint.fields or ()):
        name = given
    if name is not None:
        try:
            return models[name]
        except ValueError as error:
            raise not_found(str(error)) from None
    able = [model for model in models if not endpoint.tasks or model.task in endpoint.tasks]
    if not able:
        tasks = ', '.join(f'{model.name} ({model.task})' for model in models)
        raise not_for_model(
            f'{endpoint.path} needs a model for {" or ".join(endpoint.tasks)}; served are {tasks}'
        )
    return able[0]


async def _wait_until_gone(receive) -> None:
    while (await receive())['type'] != 'http.disconnect':
        pass


async def _read_body(service, request) -> bytes:
    limit, seconds = service.limits.payload_limit, service.limits.stop_seconds
    coding = request.headers.get('content-encoding', 'identity')
    if coding.lower() != 'identity':
        raise _closing(unknown_coding(coding))
    declared = request.headers.get('content-length', '0')
    is_large = declared.isdecimal() and int(declared) > limit
    if not is_large:
        raw = await _within(service, seconds, _read(request.receive, limit))
        if raw is not None:
            return raw
    raise _closing(too_large(f'the body has more than the {limit} bytes that are allowed'))


def _closing(error):
    """An error after which the connection is closed, as its body is not read."""
    error.headers['connection'] = 'close'
    return error


async def _within(service, seconds, reading):
    """Wait for a body as ``asyncio.wait_for`` does, without a task of its own."""
    task: Any = asyncio.current_task()
    begun, ended = time.monotonic(), 0.0

    def end() -> None:
        nonlocal ended
        ended = time.monotonic()
        task.cancel()

    timer = asyncio.get_running_loop().call_later(seconds, end)
    service.receiving[end] = begun
    try:
        return await reading
    except asyncio.CancelledError:
        if ended:
            raise _closing(too_slow(ended - begun)) from None
        raise
    finally:
        timer.cancel()
        service.receiving.pop(end, None)


async def _read(receive, limit):
    """A body; None if it has more bytes than allowed."""
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message['type'] == 'http.disconnect':
            raise ClientGone
        parts.append(message.get('body', b''))
        size += len(parts[-1])
        if size > limit:
            return None
        more = message.get('more_body', False)
    return b''.join(parts)
