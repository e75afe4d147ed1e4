"""bert-as-service's protocol over the models and the queue of the server.

pyzmq is imported when the sockets are opened: without it, all else of this room can be read.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

from .errors import ClientGone, ServiceError, internal, not_ready
from .limits import ZmqSettings
from .logs import log_event, log_failure
from .service import Service
from .zmq_clients import Outgoing, Subscriptions
from .zmq_encoding import ZmqEncoder
from .zmq_messages import MAX_BYTES, ZmqRequest, error_answer, read_parts

NEEDED = "the server's ZMQ ports need pyzmq: pip install 'gluon_bert[zmq]'"
_LATE = 10.0  # seconds in which a client may subscribe after it has asked
_SLOW = 30.0  # seconds in which a client takes what was sent before
_PAUSE = 0.02  # seconds
_MAX_REQUESTS = 128  # that are accepted at a time
_MAX_REQUEST_BYTES = 4 * MAX_BYTES  # of them
_MAX_SUBSCRIPTION = 1024  # bytes
_QUEUED = 1  # messages of a client that wait in the socket
_QUIET = 10.0  # seconds in which the same is not logged again


class ZmqFront:
    """The sockets of bert-as-service's protocol and the requests that came through them.

    Parameters
    ----------
    settings : ZmqSettings

    Raises
    ------
    ModuleNotFoundError, OSError
        If pyzmq is not installed, or a port is taken.
    """

    def __init__(self, settings: ZmqSettings) -> None:
        try:
            import zmq
            import zmq.asyncio
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(NEEDED) from error
        self.settings, self._zmq = settings, zmq
        self.subscriptions, self._outgoing = Subscriptions(), Outgoing()
        self._service: Any = None
        self._encoder: Any = None
        self._loops: list[asyncio.Task] = []
        self._tasks: dict[asyncio.Task, ZmqRequest] = {}
        self._late: dict[asyncio.Task, None] = {}
        self._logged: dict[str, float] = {}
        self._context = zmq.asyncio.Context()
        self._in = self._context.socket(zmq.PULL)
        self._out = self._context.socket(zmq.XPUB)
        try:
            self._set_up()
        except BaseException:
            self.close()
            raise

    def _set_up(self):
        zmq = self._zmq
        for sock in (self._in, self._out):
            sock.setsockopt(zmq.TCP_KEEPALIVE, 1)
            sock.setsockopt(zmq.TCP_KEEPALIVE_IDLE, 60)
            sock.setsockopt(zmq.IPV6, int(':' in self.settings.host))
            sock.setsockopt(zmq.LINGER, 0)
        self._in.setsockopt(zmq.RCVHWM, _QUEUED)
        self._in.setsockopt(zmq.MAXMSGSIZE, MAX_BYTES)
        self._out.setsockopt(zmq.MAXMSGSIZE, _MAX_SUBSCRIPTION)
        # Answers are counted here: the socket would drop those beyond its bound and not tell.
        self._out.setsockopt(zmq.SNDHWM, 0)
        self._out.setsockopt(zmq.XPUB_MANUAL, 1)
        self.port = self._bind(self._in, 'zmq_port', self.settings.port)
        self.port_out = self._bind(self._out, 'zmq_port_out', self.settings.port_out)

    def _bind(self, sock, name, port):
        host = self.settings.host
        shown = f'[{host}]' if ':' in host else host
        try:
            sock.bind(f'tcp://{shown}:{port or "*"}')
        except self._zmq.ZMQError as error:
            reason = self._zmq.strerror(error.errno)
            raise OSError(f'--zmq_host {host} --{name} {port}: {reason}') from None
        return int(sock.getsockopt(self._zmq.LAST_ENDPOINT).rstrip(b'\0').rpartition(b':')[2])

    def serve(self, service: Service) -> None:
        """Take the models and the queue of a server; ValueError if no model gives vectors."""
        self._service = service
        self._encoder = ZmqEncoder(service, self.subscriptions, self.settings.show_tokens)

    def start(self) -> None:
        """Begin to answer, in the loop that runs."""
        self._loops = [
            asyncio.ensure_future(self._read_subscriptions()),
            asyncio.ensure_future(self._read_requests()),
        ]
        for task in self._loops:
            task.add_done_callback(_log_end)
        log_event('zmq ready', host=self.settings.host, port=self.port, port_out=self.port_out)

    async def stop(self, seconds: float) -> None:
        """Accept no more, answer what was accepted, with an error what cannot be computed."""
        end = time.monotonic() + 0.9 * seconds
        await _ended(self._loops[1:])
        with contextlib.suppress(self._zmq.Again, ValueError):
            while True:
                parts = await self._in.recv_multipart(self._zmq.NOBLOCK)
                self._turn_away(read_parts(parts))
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=0.8 * seconds)
        for request in self._tasks.values():
            self._turn_away(request)
        await _ended([*self._tasks, *self._loops])
        self._in.close()
        self._out.close(linger=round(1000 * max(0.1, end - time.monotonic())))
        await asyncio.get_running_loop().run_in_executor(None, self._context.term)

    def _turn_away(self, request: ZmqRequest) -> None:
        self._note('the server stopped')
        if request.client in self.subscriptions:
            self._out.send_multipart(error_answer(request, not_ready()))

    def close(self) -> None:
        """Close the sockets at once."""
        self._context.destroy(linger=0)

    async def _read_subscriptions(self) -> None:
        while True:
            message = await self._out.recv()
            wanted = self.subscriptions.take(message)
            if wanted is not None:  # it counts for the client whose message was read last
                option = self._zmq.SUBSCRIBE if wanted else self._zmq.UNSUBSCRIBE
                self._out.setsockopt(option, message[1:])
            await asyncio.sleep(0)

    async def _read_requests(self) -> None:
        while True:
            parts = await self._in.recv_multipart()
            try:
                request = read_parts(parts)
            except ValueError as error:
                self._note(str(error))
                await asyncio.sleep(0)  # else messages that are there keep all others waiting
                continue
            try:
                await self._make_room(len(request.content))
            except asyncio.CancelledError:
                self._turn_away(request)
                raise
            self._accept(request)
            await asyncio.sleep(0)

    async def _make_room(self, size: int) -> None:
        """Wait until a request may be accepted; those whose client does not listen give way."""
        while self._tasks and (
            len(self._tasks) >= _MAX_REQUESTS
            or sum(len(row.content) for row in self._tasks.values()) + size > _MAX_REQUEST_BYTES
        ):
            oldest = next(iter(self._late), None)
            if oldest is None:
                await asyncio.wait(set(self._tasks), return_when=asyncio.FIRST_COMPLETED)
            else:
                self._note('its client did not subscribe')
                await _ended([oldest])

    def _accept(self, request: ZmqRequest) -> None:
        task = asyncio.ensure_future(self._answer(request))
        self._tasks[task] = request
        self._late[task] = None
        self._service.in_flight += 1

        def forget(task: asyncio.Task) -> None:
            self._tasks.pop(task, None)
            self._late.pop(task, None)
            self._service.in_flight -= 1

        task.add_done_callback(forget)
        task.add_done_callback(_log_end)

    async def _answer(self, request: ZmqRequest) -> None:
        begun, metrics = time.monotonic(), self._service.metrics
        task: Any = asyncio.current_task()
        metrics.requests.add(label='zmq')
        if not await self.subscriptions.until(request.client, True, _LATE):
            self._note('its client did not subscribe')
            return
        self._late.pop(task, None)
        try:
            answer = await self._encoder.answer(request)
        except ClientGone:
            metrics.disconnected.add()
            return
        except ServiceError as error:
            self._note(error.kind, status=error.status)
            answer = error_answer(request, error)
        except Exception as error:
            log_failure('internal error', error, route='zmq')
            answer = error_answer(request, internal())
        else:
            metrics.success.add(label='zmq')
        await self._send(request.client, answer)
        metrics.duration.add(time.monotonic() - begun)

    async def _send(self, client: bytes, answer: list[bytes]) -> None:
        size, end = sum(map(len, answer)), time.monotonic() + _SLOW
        while not self._outgoing.has_room(client, size):
            if time.monotonic() > end or client not in self.subscriptions:
                self._note('its client does not read')
                return
            await asyncio.sleep(_PAUSE)
        # Parts leave in order: when the last one is freed, the others are.
        last = self._zmq.Frame(answer[-1], track=True, copy=False, copy_threshold=0)
        self._outgoing.add(client, size, last.tracker)
        await self._out.send_multipart([*answer[:-1], last], copy=False)

    def _note(self, reason: str, **fields: Any) -> None:
        """Count a request without the answer that it asked for, and log the first of its kind."""
        self._service.metrics.failure.add(label='zmq')
        now = time.monotonic()
        if now - self._logged.get(reason, -_QUIET) >= _QUIET:
            self._logged[reason] = now
            log_event('zmq refused', 30, reason=reason, **fields)


async def _ended(tasks):
    """Cancel tasks and wait for their ends."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _log_end(task):
    """Log the error that ended a task."""
    if not task.cancelled() and task.exception() is not None:
        log_failure('internal error', task.exception(), route='zmq')
