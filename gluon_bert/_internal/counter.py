"""A total that several threads add to."""

from __future__ import annotations

import threading

from .locks import hold_at_fork

_LOCK = threading.Lock()  # one for all, as a fork waits for it
hold_at_fork(_LOCK)


class Counter:
    """A total that several threads add to; copies and pickles go on from its value.

    Parameters
    ----------
    value : int
    """

    def __init__(self, value: int = 0) -> None:
        self._value = value

    @property
    def value(self) -> int:
        """The total so far."""
        return self._value

    def add(self, count: int) -> None:
        """Add to the total."""
        with _LOCK:
            self._value += count

    def __reduce__(self):
        return type(self), (self._value,)
