"""Several processes that serve at one address, watched by one that replaces those that die."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import threading
import time
from typing import Any

from .logs import log_event, start_log
from .server import Settings, run_worker

_PAUSE = 0.2  # seconds between two looks at the processes
_YOUNG = 5.0  # seconds; a process that fails sooner was never ready
_GRACE = 5.0  # seconds beyond the time to stop


def run_workers(settings: Settings, listener: socket.socket) -> int:
    """Serve in processes of their own until a signal ends them.

    Parameters
    ----------
    settings : Settings
    listener : socket.socket

    Returns
    -------
    int
        The exit status: 1 if the processes failed to start.
    """
    start_log()
    return _Workers(settings, listener).run()


class _Workers:
    """The processes and the signals that are passed on to them."""

    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        self._settings, self._listener = settings, listener
        self._context = multiprocessing.get_context('spawn')
        self._processes: list[tuple[Any, float]] = []
        self._is_stopping = False

    def run(self) -> int:
        """Start the processes, replace those that die, and wait for the end."""
        for ending in (signal.SIGINT, signal.SIGTERM):
            signal.signal(ending, self._stop)
        signal.signal(signal.SIGHUP, lambda *_: self._send(signal.SIGHUP))
        self._processes = [self._start() for _ in range(self._settings.workers)]
        while not self._is_stopping:
            time.sleep(_PAUSE)
            for number, (process, begun) in enumerate(self._processes):
                if process.is_alive() or self._is_stopping:
                    continue
                if time.monotonic() - begun < _YOUNG and process.exitcode not in (-9, -11):
                    log_event('worker failed to start', 40, status=process.exitcode)
                    self._stop(signal.SIGTERM, None)
                    self._join()
                    return 1
                log_event('worker died', 40, process=process.pid, status=process.exitcode)
                self._processes[number] = self._start()
        return self._join()

    def _start(self):
        process = self._context.Process(target=_work, args=(self._settings, self._listener))
        process.start()
        return process, time.monotonic()

    def _send(self, number):
        for process, _ in self._processes:
            if process.is_alive():
                os.kill(process.pid, number)

    def _stop(self, number, frame):
        self._is_stopping = True
        self._send(number)

    def _join(self):
        end = time.monotonic() + self._settings.limits.stop_seconds + _GRACE
        for process, _ in self._processes:
            process.join(max(0.1, end - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()
        return int(any(process.exitcode for process, _ in self._processes))


def _work(settings, listener):
    """Serve in this process; the log says in a line why it cannot."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        status = run_worker(settings, listener)
    except (OSError, ValueError, ModuleNotFoundError) as error:
        start_log()
        log_event('cannot start', 40, reason=str(error))
        status = 2
    except KeyboardInterrupt:
        status = 130
    raise SystemExit(status)


def _end_with_parent():
    """Stop when the process that watches this one is gone."""
    parent: Any = multiprocessing.parent_process()
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
