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
from .metrics import Metrics
from .metrics_values import REGION_BYTES, reset_gauges
from .server import Settings, run_worker

_PAUSE = 0.2  # seconds between two looks at the processes
_YOUNG = 5.0  # seconds; a process that fails sooner was never ready
_GRACE = 5.0  # seconds beyond the time to stop
_CALM = 1.0  # seconds before a process is replaced that lived shortly
_INTERRUPTED = 130
# How processes end that are stopped before they are ready.
_STOPPED = -signal.SIGTERM, -signal.SIGINT, _INTERRUPTED


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
        size = settings.workers
        self._regions = [self._context.RawArray('B', REGION_BYTES) for _ in range(size)]
        self._processes: dict[int, tuple[Any, float]] = {}
        self._is_stopping = False

    def run(self) -> int:
        """Start the processes, replace those that die, and wait for the end."""
        for ending in (signal.SIGINT, signal.SIGTERM):
            signal.signal(ending, self._stop)
        signal.signal(signal.SIGHUP, lambda *_: self._send(signal.SIGHUP))
        for number in range(self._settings.workers):
            self._start(number)
        while not self._is_stopping:
            time.sleep(_PAUSE)
            for number, (process, begun) in list(self._processes.items()):
                if process.is_alive() or self._is_stopping:
                    continue
                is_young = time.monotonic() - begun < _YOUNG
                if is_young and process.exitcode > 0:
                    log_event('worker failed to start', 40, status=process.exitcode)
                    self._stop(signal.SIGTERM, None)
                    self._join()
                    return 1
                log_event('worker died', 40, process=process.pid, status=process.exitcode)
                reset_gauges(self._regions[number])
                if is_young:
                    time.sleep(_CALM)
                self._start(number)
        return self._join()

    def _start(self, number: int) -> None:
        """Start a process; it goes on with the counts of the one in whose place it is."""
        arguments = self._settings, self._listener, self._regions, number
        process: Any = self._context.Process(target=_work, args=arguments)
        # A reload would end a process that is not ready; it inherits that it waits.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        process.start()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self._processes[number] = process, time.monotonic()
        if self._is_stopping:  # the signal was sent to the others alone
            os.kill(process.pid, signal.SIGTERM)

    def _send(self, number):
        for process, _ in list(self._processes.values()):
            if process.is_alive():
                os.kill(process.pid, number)

    def _stop(self, number, frame):
        self._is_stopping = True
        self._send(number)

    def _join(self):
        end = time.monotonic() + self._settings.limits.stop_seconds + _GRACE
        for process, _ in self._processes.values():
            process.join(max(0.1, end - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()
        ends = (0, *_STOPPED)
        return int(any(process.exitcode not in ends for process, _ in self._processes.values()))


def _work(settings, listener, regions, number):
    """Serve in this process; the log says in a line why it cannot."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        status = run_worker(settings, listener, Metrics(regions, number))
    except (OSError, ValueError, ModuleNotFoundError) as error:
        start_log()
        log_event('cannot start', 40, reason=str(error))
        status = 2
    except KeyboardInterrupt:
        status = _INTERRUPTED
    raise SystemExit(status)


def _end_with_parent():
    """Stop when the process that watches this one is gone."""
    parent: Any = multiprocessing.parent_process()
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
