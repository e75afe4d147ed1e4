"""Which gradients a backward pass has finished, told while it goes on."""

from __future__ import annotations

import threading
from typing import Iterable, Optional


class GradientProgress:
    """Tells other threads of the gradients of a network's layers that are final.

    MXNet shows the gradients that the kernels write only when all of them are there. A gradient is
    known by the address of its memory. Only a step with a single pass is told of: where there are
    several, each holds but a part of the sum.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._ready: set[int] = set()
        self._open: set[PassProgress] = set()
        self._is_told = False

    def begin(self) -> PassProgress:
        """Begin a pass that records its gradients, and forget earlier ones."""
        with self._changed:
            self._ready.clear()
            self._is_told = not self._open
            started = PassProgress(self)
            self._open.add(started)
            return started

    def forget(self) -> None:
        """Forget what is finished, as the gradients were used."""
        with self._changed:
            self._ready.clear()

    def stop(self) -> None:
        """End all passes: no more is told of them, and none is waited for."""
        with self._changed:
            self._open.clear()
            self._changed.notify_all()

    def wait(self, address: int) -> bool:
        """Wait until a gradient is final, or until the pass has ended.

        Parameters
        ----------
        address : int
            Of its memory.

        Returns
        -------
        bool
            False if nothing was told of it: MXNet knows when it is there.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: address in self._ready or not (self._is_told and self._open)
            )
            return address in self._ready

    def _add(self, started: PassProgress, addresses: Iterable[Optional[int]]) -> None:
        with self._changed:
            if self._is_told and started in self._open:
                self._ready.update(address for address in addresses if address)
                self._changed.notify_all()

    def _end(self, started: PassProgress) -> None:
        with self._changed:
            self._open.discard(started)
            self._changed.notify_all()


class PassProgress:
    """One pass; made by :meth:`GradientProgress.begin`."""

    def __init__(self, progress: GradientProgress) -> None:
        self._progress = progress

    def add(self, addresses: Iterable[Optional[int]]) -> None:
        """Tell that the gradients at these addresses are final; 0 or None stands for none."""
        self._progress._add(self, addresses)

    def end(self) -> None:
        """Tell that the pass has ended, or will not be run."""
        self._progress._end(self)
