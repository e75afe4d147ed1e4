"""Connections of clients: those that stall are closed, and so many may be open."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Collection
from typing import Any, NamedTuple

from .logs import log_event

_PAUSE = 0.5  # seconds between two looks at the connections
_UNREAD = 30.0  # seconds in which a client takes something of its answer
_MOST_FILES = 1 << 16
_OTHER_FILES = 256  # for models, the log, other sockets


class _State(NamedTuple):
    """What a connection waits for; the time begins anew when it changes."""

    cycle: Any  # of the last request
    unsent: int  # bytes
    kind: str
    since: float

    def is_as(self, other: _State) -> bool:
        return self.cycle is other.cycle and self[1:3] == other[1:3]


class Connections:
    """Watch of the connections that uvicorn holds.

    uvicorn itself waits for ever for the head of a first request, for a body that nobody reads, and
    for a client that takes its answer.

    Parameters
    ----------
    protocols : collection
        uvicorn's protocols of the connections that are open.
    head_seconds : float
        In which a request's head has to come, from the connection or the last answer on.
    most : int
        Connections; those that have waited longest for a request give way to more.
    unread_seconds : float
        In which a client has to take something of its answer.
    """

    def __init__(
        self,
        protocols: Collection[Any],
        head_seconds: float,
        most: int,
        unread_seconds: float = _UNREAD,
    ) -> None:
        self._protocols, self._most = protocols, most
        self._seconds = {'late': head_seconds, 'unread': unread_seconds}
        self._states: dict[Any, _State] = {}

    async def watch(self) -> None:
        """Look at the connections from time to time, without an end."""
        while True:
            await asyncio.sleep(_PAUSE)
            self.look(time.monotonic())

    def look(self, now: float) -> None:
        """Close the connections that have stalled for too long, or are too many."""
        states = {}
        for protocol in list(self._protocols):
            state, before = _state(protocol, now), self._states.get(protocol)
            states[protocol] = before if before and state.is_as(before) else state
        self._states = states
        ends = {
            protocol: row.kind
            for protocol, row in states.items()
            if now - row.since > self._seconds.get(row.kind, float('inf'))
        }
        waiting = [key for key in states if states[key].kind == 'late' and key not in ends]
        waiting.sort(key=lambda protocol: states[protocol].since)
        excess = max(0, len(states) - len(ends) - self._most)
        ends |= dict.fromkeys(waiting[:excess], 'too many')
        for protocol in ends:
            protocol.transport.abort()
        if ends:
            kinds = list(ends.values())
            counts = {kind: kinds.count(kind) for kind in sorted(set(kinds))}
            log_event('connections closed', 30, reasons=counts)


def _state(protocol, now):
    cycle, unsent = protocol.cycle, protocol.transport.get_write_buffer_size()
    is_open = cycle is not None and not cycle.response_complete
    kind = 'unread' if unsent else 'computed' if is_open else 'late'
    return _State(cycle, unsent, kind, now)


def most_connections() -> int:
    """Raise this process's limit of open files as far as it may; return what is for clients."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    files = _MOST_FILES if soft == resource.RLIM_INFINITY else min(soft, _MOST_FILES)
    return max(files // 2, files - _OTHER_FILES)
