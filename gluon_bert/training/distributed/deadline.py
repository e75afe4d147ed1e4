"""End a process that waits in vain for others."""

from __future__ import annotations

import os
import sys
import threading

LOST = 3  # exit status


class Deadline:
    """Ends the process if what is within takes too long: a call of MXNet cannot be interrupted.

    Parameters
    ----------
    seconds : float
    message : str
        Written to standard error.
    """

    def __init__(self, seconds: float, message: str) -> None:
        self._message = message
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *error: object) -> None:
        self._timer.cancel()

    def _end(self):
        sys.stderr.write(f'error: {self._message}\n')
        sys.stderr.flush()
        os._exit(LOST)
