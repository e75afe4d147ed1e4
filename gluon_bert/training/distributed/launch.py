"""Start a job's processes, watch them, end them together, and start them anew after a failure."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from ..._internal.errors import ArgumentError
from ..._internal.signals import stop_signals
from .job import LOOPBACK, MASTER_PORT, LaunchJob, free_port
from .nodes import Nodes
from .supervisor import POLL_SECONDS, Failure, Supervisor

_INTERRUPTED = 130
_STOPPED = Failure(_INTERRUPTED, 'stopped by a signal', False)


@dataclass(frozen=True)
class LaunchOptions:
    """Options of a launch.

    Parameters
    ----------
    log_dir : Path
    master_port : int, optional
        By default torchrun's, on several machines, else a free one.
    max_restarts : int
        Starts after a failure.
    timeout : float
        Seconds to wait for other machines.
    stop_seconds : float
        Seconds that workers have to end after a signal.
    """

    log_dir: Path = Path('logs')
    master_port: Optional[int] = None
    max_restarts: int = 0
    timeout: float = 60.0
    stop_seconds: float = 30.0

    def __post_init__(self) -> None:
        if self.master_port is not None and not 1 <= self.master_port <= 65535:
            raise ArgumentError('master_port', 'expected 1 to 65535', self.master_port)
        if self.max_restarts < 0:
            raise ArgumentError('max_restarts', 'expected 0 or more', self.max_restarts)
        for name in ('timeout', 'stop_seconds'):
            if not 0 < getattr(self, name) < float('inf'):
                raise ArgumentError(name, 'expected a positive number', getattr(self, name))


def launch(job: LaunchJob, options: LaunchOptions, report: Callable[[str], None]) -> int:
    """Run a job to its end.

    Parameters
    ----------
    job : LaunchJob
    options : LaunchOptions
    report : callable
        Gets a line about each failure.

    Returns
    -------
    int
        The exit status: 0, that of the process that failed first, 128 and the number of the signal
        that killed it, or 130 if this process was stopped.

    Raises
    ------
    ConnectionError, TimeoutError
        If machines do not come together, or the port is in use.
    OSError
        If a process cannot be started.
    """
    agreed = {
        'comm_backend': job.comm_backend,
        'nproc_per_node': job.processes,
        'nnodes': job.nodes,
        'num_servers': job.servers,
        'max_restarts': options.max_restarts,
    }
    with (
        stop_signals() as stop,
        Nodes(job, options.master_port or MASTER_PORT, agreed, options.timeout) as nodes,
    ):
        for attempt in range(options.max_restarts + 1):
            failure = _run(job, options, nodes, stop)
            if failure is None:
                return 0
            is_last = attempt == options.max_restarts or not failure.may_restart
            more = '' if is_last else f'; restart {attempt + 1} of {options.max_restarts}'
            report(f'{failure.reason}{more}')
            if is_last:
                return failure.status
    raise AssertionError


def _run(job, options, nodes, stop):
    """Run the processes of this machine once; give the failure that ended the job."""
    port = nodes.begin(_choose_port(job, options.master_port))
    with Supervisor(job.specs(port), options.log_dir) as supervisor:
        failure = _watch(supervisor, nodes, stop)
        if failure is not None:
            seconds = {'seconds': options.stop_seconds} if failure.status == _INTERRUPTED else {}
            supervisor.stop(nodes.poll, **seconds)
        return failure


def _watch(supervisor: Supervisor, nodes: Nodes, stop: threading.Event) -> Optional[Failure]:
    while True:
        failure = supervisor.poll()
        if failure is not None or stop.is_set():
            return nodes.tell_failure(failure or _STOPPED)
        failure = nodes.poll()
        if supervisor.is_done:
            nodes.tell_done()
        if nodes.are_done:
            return None
        if failure is not None:
            return failure
        time.sleep(POLL_SECONDS)


def _choose_port(job, master_port):
    """Choose the port at which the processes meet; on several machines another one is asked for."""
    if job.node_rank or job.nodes > 1 or master_port is None:
        return free_port(LOOPBACK if job.nodes == 1 else '')
    import socket

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((job.master_addr, master_port))
        except OSError as error:
            raise ConnectionError(f'--master_port {master_port}: {error.strerror}') from None
    return master_port
