"""A total that several threads add to."""

from __future__ import annotations

import threading


class Counter:
    """A total that several threads add to; copies and pickles go on from its value.

    Parameters
    ----------
    value : int
    """

    def __init__(self, value: int = 0) -> None:
        self._value = value
        self._lock = threading.Lock()

    @property
    def value(self) -> int:
        """The total so far."""
        return self._value

    def add(self, count: int) -> None:
        """Add to the total."""
        with self._lock:
            self._value += count

    def __reduce__(self):
        return type(self), (self._value,)
