"""Errors of a request, with the status that each is answered with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional


class ServiceError(Exception):
    """A request that is not answered as asked.

    Parameters
    ----------
    message : str
        One line, for the client.
    status : int
        Of HTTP.
    kind : str
        As text-embeddings-inference names it.
    headers : mapping of str to str, optional
    """

    def __init__(
        self, message: str, status: int, kind: str, headers: Optional[Mapping[str, str]] = None
    ) -> None:
        super().__init__(message)
        self.message, self.status, self.kind = message, status, kind
        self.headers = dict(headers or {})


def invalid(message: str) -> ServiceError:
    """Make the error of a request whose content is wrong."""
    return ServiceError(message, 422, 'Validation')


def too_long(message: str) -> ServiceError:
    """Make the error of a text with more tokens than the model reads."""
    return ServiceError(message, 422, 'Tokenizer')


def too_large(message: str) -> ServiceError:
    """Make the error of a request that exceeds a bound of the server."""
    return ServiceError(message, 413, 'Validation')


def not_for_model(message: str) -> ServiceError:
    """Make the error of a route that the model cannot answer."""
    return ServiceError(message, 424, 'ModelType')


def failed() -> ServiceError:
    """Make the error of a computation that failed; the log says why."""
    return ServiceError('inference failed', 424, 'Backend')


def internal() -> ServiceError:
    """Make the error of a fault in the server; the log says which."""
    return ServiceError('internal error', 500, 'Backend')


def unauthorized() -> ServiceError:
    """Make the error of a request without a right key."""
    headers = {'www-authenticate': 'Bearer'}
    return ServiceError(
        'a right key is missing: Authorization: Bearer KEY', 401, 'Unauthorized', headers
    )


def unknown_coding(coding: str) -> ServiceError:
    """Make the error of a body that is compressed."""
    message = f'content-encoding: expected none or identity, got {coding[:40]!r}'
    return ServiceError(message, 415, 'Validation', {'accept-encoding': 'identity'})


def too_slow(seconds: float) -> ServiceError:
    """Make the error of a body that does not come."""
    return ServiceError(f'the body did not come within {seconds:.2g} s', 408, 'Validation')


def not_found(message: str) -> ServiceError:
    """Make the error of a path or a model that is not there."""
    return ServiceError(message, 404, 'NotFound')


def overloaded(retry_after: int = 1) -> ServiceError:
    """Make the error of a request for which there is no room now."""
    headers = {'retry-after': str(retry_after)}
    return ServiceError('the server is overloaded, try again later', 429, 'Overloaded', headers)


def not_ready() -> ServiceError:
    """Make the error of a server that starts or stops."""
    return ServiceError('the server is not ready', 503, 'Unhealthy', {'retry-after': '1'})


class ClientGone(Exception):
    """The client closed the connection; nobody reads an answer."""
