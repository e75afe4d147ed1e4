"""HTTP/1.1 on a connection: uvicorn's protocol, with a bound for what it keeps of a request."""

from __future__ import annotations

from typing import Any

MAX_HEAD = 1 << 16  # bytes, as of h11


def http_protocol() -> Any:
    """Choose uvicorn's protocol.

    Returns
    -------
    type or str
        That of httptools, which reads a request in a third of the time, with a bound for its head
        and for the lines around its body; without httptools 'h11', which has such a bound.
    """
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    except ModuleNotFoundError:
        return 'h11'

    class BoundedProtocol(HttpToolsProtocol):
        """uvicorn's protocol, which refuses a head that does not end, and drops trailers."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.pending = 0  # bytes since the head began or ended, or a part of the body came
            self.is_head = False

        def data_received(self, data: bytes) -> None:
            self.pending += len(data)
            super().data_received(data)
            if self.pending > MAX_HEAD and not self.transport.is_closing():
                self.send_400_response('The head of the request is too large.')

        def on_message_begin(self) -> None:
            self.pending, self.is_head = 0, True
            super().on_message_begin()

        def on_header(self, name: bytes, value: bytes) -> None:
            if self.is_head:
                super().on_header(name, value)

        def on_headers_complete(self) -> None:
            self.pending, self.is_head = 0, False
            super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            self.pending = 0
            super().on_body(body)

    return BoundedProtocol
