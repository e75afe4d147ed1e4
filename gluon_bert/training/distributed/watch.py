"""Notice the failure of another process, whatever this one is at."""

from __future__ import annotations

import ctypes
import threading

from .rendezvous import Rendezvous

_SECONDS = 1.0  # between looks
_GRACE = 3.0  # seconds in which a sum that waits for the process fails by itself


class Watcher(threading.Thread):
    """Raises ConnectionError in the thread that made it, once another process has left a reason.

    A sum over processes fails by itself then. This is for a process that is evaluating, say, and
    would not notice for hours.

    Parameters
    ----------
    rendezvous : Rendezvous
    """

    def __init__(self, rendezvous: Rendezvous) -> None:
        super().__init__(name='watcher', daemon=True)
        self._rendezvous, self._watched = rendezvous, threading.get_ident()
        self._is_closed = threading.Event()

    def run(self) -> None:
        """Look for a reason until closed."""
        reason = None
        while reason is None:
            if self._is_closed.wait(_SECONDS):
                return
            reason = self._rendezvous.read_error(0.0)
        if not self._is_closed.wait(_GRACE):
            _raise_in(self._watched, f'rank {self._rendezvous.place.rank} ends: {reason}')

    def close(self) -> None:
        """Stop: this process ends by itself."""
        self._is_closed.set()


def _raise_in(thread: int, text: str) -> None:
    """Raise ConnectionError in a thread, once it runs Python code."""
    # CPython makes the exception of the class alone, so that the class has the message.
    kind = type('ProcessFailed', (ConnectionError,), {'__str__': lambda self: text})
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(kind))
