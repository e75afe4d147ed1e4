"""Locks of a process that is forked."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Optional


def hold_at_fork(lock: Any, prepare: Optional[Callable[[], Any]] = None) -> None:
    """Let no fork happen while another thread holds a lock.

    A process made by ``os.fork`` has the thread that called it alone: a lock that another thread
    held would stay locked there, and what it guards half changed.

    Parameters
    ----------
    lock : threading.Lock or threading.RLock
        Of a module, for it stays registered.
    prepare : callable, optional
        Called before each fork, with the lock held.
    """

    def before() -> None:
        lock.acquire()
        if prepare is not None:
            prepare()

    os.register_at_fork(before=before, after_in_parent=lock.release, after_in_child=lock.release)
