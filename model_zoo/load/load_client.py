"""A small HTTP client that loads a server: a closed loop, or an open one at a fixed rate.

It is lean, because it shares the processors with the server: a connection is an
``asyncio.Protocol`` that reads nothing of an answer but its status and its end.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import re
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Optional

MOST_CONNECTIONS = 1024  # of an open loop; twice the requests that our server takes by default
IDLE = 2.0  # seconds after which a connection is not used again: a server may have closed it
TIMEOUT = 120.0  # seconds to wait for the last answers
_TICK = 0.002  # seconds between two looks at what is due
_PAUSE = 0.02  # seconds between two looks for the end
OnAnswer = Optional[Callable[[int, bytes], None]]
_LENGTH = re.compile(rb'\r\ncontent-length: *(\d+)', re.IGNORECASE)


@dataclass
class Outcome:
    """What the requests of a loop came to.

    Parameters
    ----------
    seconds : float
        From the first request to the last answer.
    latencies : list of (int, float)
        The status of each answer, and seconds from when it was due to its last byte.
    statuses : Counter
        Number of answers by status.
    unanswered : int
        Requests whose connection ended, or that had no answer in time.
    not_offered : int
        Requests of an open loop that were due when no connection was free.
    """

    seconds: float = 0.0
    latencies: list = field(default_factory=list)
    statuses: Counter = field(default_factory=Counter)
    unanswered: int = 0
    not_offered: int = 0

    def times(self, status: int = 200) -> list[float]:
        """List the seconds of the answers with a status, in rising order."""
        return sorted(seconds for given, seconds in self.latencies if given == status)


def request_bytes(port: int, path: str, body: bytes) -> bytes:
    """Write a POST request."""
    return (
        f'POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n'
        f'content-length: {len(body)}\r\n\r\n'
    ).encode() + body


def percentile(times: list[float], share: float) -> float:
    """Look up a percentile of sorted times; nan without times."""
    return times[min(len(times) - 1, int(share * len(times)))] if times else float('nan')


class _Connection(asyncio.Protocol):
    """A connection with one request at a time; ``done`` gets (connection, status, body)."""

    def __init__(self, done: Callable) -> None:
        self._done, self._buffer, self._end, self._head = done, b'', 0, 0
        self.transport: Any = None
        self.is_busy, self.begun = False, 0.0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def send(self, request: bytes, begun: float) -> None:
        """Send a request; its time counts from ``begun``."""
        self.is_busy, self.begun = True, begun
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._end:
            self._head = self._buffer.find(b'\r\n\r\n') + 4
            if self._head < 4:
                return
            length = _LENGTH.search(self._buffer, 0, self._head)
            self._end = self._head + int(length[1] if length else 0)
        if len(self._buffer) >= self._end:
            status, body = int(self._buffer[9:12]), self._buffer[self._head : self._end]
            self._buffer, self._end, self.is_busy = b'', 0, False
            self._done(self, status, body)

    def connection_lost(self, error: Optional[Exception]) -> None:
        self._done(self, 0, b'')


class _Load:
    """The connections of a loop, and what came of its requests."""

    def __init__(self, port: int, requests: Iterator[bytes], on_answer: OnAnswer = None) -> None:
        self._port, self._requests, self._on_answer = port, requests, on_answer
        self.connections: set[_Connection] = set()
        self.outcome = Outcome()

    async def connect(self) -> _Connection:
        """Open a connection."""
        loop = asyncio.get_running_loop()
        made = await loop.create_connection(
            lambda: _Connection(self._done), '127.0.0.1', self._port
        )
        self.connections.add(made[1])
        return made[1]

    def _done(self, connection: _Connection, status: int, body: bytes) -> None:
        if not status:
            self.outcome.unanswered += connection.is_busy
            self.connections.discard(connection)
            self.lost(connection)
            return
        self.outcome.latencies.append((status, time.perf_counter() - connection.begun))
        self.outcome.statuses[status] += 1
        if self._on_answer is not None:
            self._on_answer(status, body)
        self.free(connection)

    def free(self, connection: _Connection) -> None:
        """Go on with a connection that was answered."""

    def lost(self, connection: _Connection) -> None:
        """Go on without a connection that ended."""

    async def finish(self, timeout: float) -> Outcome:
        """Wait for the last answers; requests without one by then count as unanswered."""
        end = time.perf_counter() + timeout
        while time.perf_counter() < end and any(one.is_busy for one in self.connections):
            await asyncio.sleep(0.01)
        for connection in self.connections:
            connection.transport.abort()
        await asyncio.sleep(0.01)
        return self.outcome


class _ClosedLoad(_Load):
    """Connections that each send the next request when the one before is answered."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.end = self.last = 0.0

    def free(self, connection: _Connection) -> None:
        self.last = time.perf_counter()
        request = next(self._requests, None) if self.last < self.end else None
        if request is not None:
            connection.send(request, self.last)


async def run_closed(
    port: int,
    requests: Iterator[bytes],
    concurrency: int,
    seconds: float = math.inf,
    count: Optional[int] = None,
    on_answer: OnAnswer = None,
) -> Outcome:
    """Keep so many requests open until time or requests are used up; wait for the last answers.

    Parameters
    ----------
    port : int
    requests : iterator of bytes
    concurrency : int
        Connections, each with one request at a time.
    seconds : float
        After which no more are sent.
    count : int, optional
        Requests at most.
    on_answer : callable, optional
        Gets status and body of each answer.

    Returns
    -------
    Outcome
    """
    load = _ClosedLoad(port, itertools.islice(requests, count), on_answer)
    connections = [await load.connect() for _ in range(concurrency)]
    begun = time.perf_counter()
    load.end = begun + seconds
    for connection in connections:
        load.free(connection)
    while any(one.is_busy for one in load.connections) and time.perf_counter() < load.end:
        await asyncio.sleep(_PAUSE)
    outcome = await load.finish(TIMEOUT)
    outcome.seconds = load.last - begun
    return outcome


class _OpenLoad(_Load):
    """Connections that are opened as requests are due."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._free: list[tuple[_Connection, float]] = []
        self._opening: set = set()
        self._most = min(MOST_CONNECTIONS, _raise_file_limit() - 100)

    def free(self, connection: _Connection) -> None:
        self._free.append((connection, time.perf_counter()))

    def lost(self, connection: _Connection) -> None:
        self._free = [row for row in self._free if row[0] is not connection]

    def send(self, due: float) -> None:
        """Send the next request, on a new connection where none is free."""
        if self._free and time.perf_counter() - self._free[-1][1] > IDLE:
            for connection, _ in self._free:
                connection.transport.abort()
            self._free = []
        if self._free:
            self._free.pop()[0].send(next(self._requests), due)
        elif len(self.connections) + len(self._opening) < self._most:
            task = asyncio.get_running_loop().create_task(self._open(due))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
        else:
            self.outcome.not_offered += 1

    async def _open(self, due: float) -> None:
        try:
            connection = await self.connect()
        except OSError:
            self.outcome.unanswered += 1
        else:
            connection.send(next(self._requests), due)

    async def finish(self, timeout: float) -> Outcome:
        """Wait for connections that are being opened, too."""
        await asyncio.gather(*self._opening)
        return await super().finish(timeout)


async def run_open(
    port: int,
    requests: Iterator[bytes],
    rate: float,
    seconds: float,
    on_tick: Callable[[float], None] = lambda now: None,
) -> Outcome:
    """Send requests at a fixed rate, however many are open; wait for the last answers.

    Parameters
    ----------
    port : int
    requests : iterator of bytes
    rate : float
        Requests a second.
    seconds : float
    on_tick : callable
        Gets the seconds since the start, now and then.

    Returns
    -------
    Outcome
        Latencies are from when a request was due.
    """
    load, sent, begun = _OpenLoad(port, requests), 0, time.perf_counter()
    count = round(rate * seconds)
    while sent < count:
        now = time.perf_counter() - begun
        while sent < min(count, now * rate):
            load.send(begun + sent / rate)
            sent += 1
        on_tick(now)
        await asyncio.sleep(_TICK)
    outcome = await load.finish(TIMEOUT)
    outcome.seconds = time.perf_counter() - begun
    return outcome


def _raise_file_limit() -> int:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
