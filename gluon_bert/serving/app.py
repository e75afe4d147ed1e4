"""The application: the routes of all protocols on Starlette, behind the gate.

Starlette is imported when an application is made: without it, all else of this room can be read.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any, Optional

from .errors import ServiceError, not_found
from .gate import Gate, protocol_of, route_path, send_reply
from .limits import ServerLimits
from .metrics import Metrics
from .models import Models
from .openapi import describe
from .protocols import ENDPOINTS, page
from .protocols.base import TEI, Endpoint
from .replies import json_reply
from .requests import answer_request
from .service import Service, ServiceCall

NEEDED = "the server needs starlette and uvicorn: pip install 'gluon_bert[serve]'"


def make_app(
    models: Models,
    limits: Optional[ServerLimits] = None,
    routes: Sequence[Any] = (),
    metrics: Optional[Metrics] = None,
) -> Any:
    """Make the ASGI application of a server.

    Parameters
    ----------
    models : Models
    limits : ServerLimits, optional
    routes : sequence of starlette.routing.BaseRoute
        Further routes, which are tried first.
    metrics : Metrics, optional
        Where several processes serve, those of all.

    Returns
    -------
    starlette.applications.Starlette
        Its ``state.service`` is the :class:`.Service`.

    Raises
    ------
    ModuleNotFoundError
        If Starlette is not installed.

    Examples
    --------
    >>> from gluon_bert.serving.app import make_app
    >>> from gluon_bert.serving.models import Source, open_models
    >>> models = open_models([Source('minilm', 'bert_6_384_12/all_minilm_l6_v2')])
    >>> app = make_app(models)  # doctest: +SKIP
    """
    try:
        from starlette.applications import Starlette
        from starlette.exceptions import HTTPException
        from starlette.middleware import Middleware
        from starlette.middleware.cors import CORSMiddleware
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(NEEDED) from error
    limits = ServerLimits() if limits is None else limits
    service = Service(models, limits, metrics)
    rows = all_endpoints(bool(limits.api_keys))

    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        yield
        service.is_ready = False
        service.close()

    async def answer_unknown(request: Any, error: Any) -> Any:
        row = request.scope['gluon_bert.log']
        refusal = not_found(f'there is no {request.method} {request.url.path[:80]}')
        if error.status_code != 404:
            refusal = ServiceError(str(error.detail), error.status_code, 'Validation')
            refusal.headers.update(error.headers or {})
        row.error = refusal.kind
        protocol = protocol_of(route_path(request.scope), rows)
        return _response(protocol.answer_error(refusal))

    middleware = [Middleware(Gate, service=service, endpoints=rows)]
    if limits.cors_origins:
        middleware.insert(
            0,
            Middleware(
                CORSMiddleware,
                allow_origins=list(limits.cors_origins),
                allow_methods=['GET', 'POST'],
                allow_headers=['authorization', 'content-type', 'x-request-id'],
                expose_headers=['x-request-id', 'x-truncated', 'retry-after'],
            ),
        )
    app = Starlette(
        routes=[*routes, *(_route(service, row) for row in rows)],
        lifespan=lifespan,
        middleware=middleware,
        exception_handlers={HTTPException: answer_unknown},
    )
    app.router.redirect_slashes = False
    app.state.service = service
    return app


def all_endpoints(has_keys: bool) -> list[Endpoint]:
    """List the endpoints, each of one model also below ``/models/NAME``, and their description.

    The page is not described: it is for people.
    """

    async def answer_openapi(call: ServiceCall) -> Any:
        return json_reply(description)

    rows = list(ENDPOINTS)
    for row in ENDPOINTS:
        is_shared = row.method == 'GET' and row.path != '/info'
        if not is_shared and not row.path.startswith(('/v1', '/v2', '/invocations')):
            rows.append(replace(row, path='/models/{name}' + row.path.rstrip('/')))
    rows.append(Endpoint('/openapi.json', answer_openapi, TEI, 'This description'))
    description = describe(rows, has_keys)
    return [*rows, *page.ENDPOINTS]


def _route(service, row):
    from starlette.routing import Route

    async def answer(request: Any) -> Any:
        log = request.scope['gluon_bert.log']
        log.route = row.path
        return _response(await answer_request(service, row, request, log))

    return Route(row.path, answer, methods=[row.method])


def _response(answer):
    """An ASGI application that sends an answer."""

    async def respond(scope: Any, receive: Any, send: Any) -> None:
        await send_reply(answer, receive, send)

    return respond
