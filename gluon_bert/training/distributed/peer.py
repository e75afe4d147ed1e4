"""Exchange messages with another launcher."""

from __future__ import annotations

import contextlib
import json
import socket
from typing import Any

from .supervisor import POLL_SECONDS

_LONGEST_LINE = 65536
_ALIVE_SECONDS, _SILENT_SECONDS = 1.0, 7.0


class Peer:
    """A connection to another launcher.

    It counts turns instead of seconds, so that a machine that was stopped does not take the others
    for dead.
    """

    def __init__(self, connection: socket.socket, name: str) -> None:
        self.connection, self.name = connection, name
        connection.setblocking(False)
        self._buffer, self._silent, self._unsent = b'', 0, 0
        self.is_lost = False

    def send(self, **message: Any) -> None:
        """Send a message."""
        self._unsent = 0
        with contextlib.suppress(OSError):  # noticed on receiving
            self.connection.setblocking(True)
            self.connection.settimeout(_SILENT_SECONDS)
            self.connection.sendall(json.dumps(message).encode() + b'\n')
        self.connection.setblocking(False)

    def receive(self) -> list[dict[str, Any]]:
        """Receive what has come since the last turn, and say that this side lives.

        Raises
        ------
        ConnectionError
            If the other launcher is gone, silent or no launcher.
        """
        raw = b''
        try:
            while more := self.connection.recv(_LONGEST_LINE):
                raw += more
            self.is_lost = True
        except BlockingIOError:
            pass
        except OSError:
            self.is_lost = True
        self._silent = 0 if raw else self._silent + 1
        self._unsent += 1
        if self._unsent * POLL_SECONDS >= _ALIVE_SECONDS:
            self.send(alive=True)
        *lines, self._buffer = (self._buffer + raw).split(b'\n')
        if not lines and self.is_lost:
            raise ConnectionError(f'the connection to {self.name} is lost')
        if self._silent * POLL_SECONDS > _SILENT_SECONDS:
            raise ConnectionError(f'{self.name} has not answered for {_SILENT_SECONDS:g} s')
        if len(self._buffer) > _LONGEST_LINE:
            raise ConnectionError(f'{self.name} sends what no launcher does')
        return [self._parse(line) for line in lines]

    def _parse(self, line):
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            raise ConnectionError(f'{self.name} sends what no launcher does')
        return message

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()
