"""Endpoints as rows: a path, the fields of a body, and the function that answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from ..errors import ServiceError
from ..fields import Field
from ..replies import Reply, json_reply
from ..service import ServiceCall


@dataclass(frozen=True)
class Protocol:
    """A family of routes with one form of errors.

    Parameters
    ----------
    name : str
    title : str
        In the OpenAPI description.
    error : callable
        ServiceError -> the body of its answer.
    error_schema : mapping
        JSON schema of that body.
    statuses : mapping of str to int
        Kind of error -> its status here, where it is another one.
    """

    name: str
    title: str
    error: Callable[[ServiceError], Any]
    error_schema: Mapping[str, Any]
    statuses: Mapping[str, int] = field(default_factory=dict)

    def answer_error(self, error: ServiceError) -> Reply:
        """Write an error in this family's form."""
        answer = json_reply(self.error(error), self.statuses.get(error.kind, error.status))
        answer.headers.update(error.headers)
        return answer


@dataclass(frozen=True)
class Endpoint:
    """A route.

    Parameters
    ----------
    path : str
        As Starlette writes it, such as '/v2/models/{name}'.
    run : callable
        Answers a :class:`.ServiceCall`.
    protocol : Protocol
    about : str
        One line for people.
    fields : mapping of str to Field, optional
        Of the body; None for a route without one, which is asked with GET.
    example : mapping, optional
        A body.
    tasks : tuple of str
        Of the models that can answer; empty for all.
    is_open : bool
        Answered without a key, and while the server is not ready.
    media_type : str
        Of the answer.
    fields_of : callable, optional
        Task of the model -> fields, where these depend on it.
    """

    path: str
    run: Callable[[ServiceCall], Awaitable[Reply]]
    protocol: Protocol
    about: str
    fields: Optional[Mapping[str, Field]] = None
    example: Optional[Mapping[str, Any]] = None
    tasks: tuple[str, ...] = ()
    is_open: bool = False
    media_type: str = 'application/json'
    fields_of: Optional[Callable[[str], Mapping[str, Field]]] = None

    @property
    def method(self) -> str:
        """The method of HTTP."""
        return 'GET' if self.fields is None and self.fields_of is None else 'POST'


def plain_error(error: ServiceError) -> dict[str, str]:
    """Write an error as text-embeddings-inference does."""
    return {'error': error.message, 'error_type': error.kind}


PLAIN_SCHEMA = {
    'type': 'object',
    'properties': {'error': {'type': 'string'}, 'error_type': {'type': 'string'}},
}


TEI = Protocol('tei', 'text-embeddings-inference', plain_error, PLAIN_SCHEMA)
