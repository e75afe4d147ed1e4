"""Run the processes of a job on this machine, and end them all when one of them fails."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Optional

from ..._internal import guardian

POLL_SECONDS = 0.1
_FAILED_GRACE = 3.0  # seconds that the others have to end after a failure
_LOG_TAIL, _LONGEST_REASON = 16384, 300
_ERROR = re.compile(r'^[\w.]*(Error|Exception)\b|\berror: ')


@dataclass(frozen=True)
class ProcessSpec:
    """A process to start.

    Parameters
    ----------
    name : str
        Such as 'rank 0', which messages and the log file have.
    command : sequence of str
    environment : mapping of str to str
        Added to that of this process.
    is_worker : bool
        The job is done when all workers have ended; a helper serves them and must outlive them.
    is_shown : bool
        Its output goes to that of this process, too.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    is_worker: bool = True
    is_shown: bool = False

    @property
    def log_name(self) -> str:
        """Name of the log file."""
        return self.name.replace(' ', '') + '.log'


class Failure(NamedTuple):
    """The end of a job: its exit ``status``, a line of ``reason``, and if it ``may_restart``."""

    status: int
    reason: str
    may_restart: bool = True


class _Process:
    """A started process and its log."""

    def __init__(self, spec: ProcessSpec, folder: Path, group: int) -> None:
        self.spec, self.path = spec, folder / spec.log_name
        self.log = self.path.open('ab')
        self.begin = self.log.tell()
        output: Any = subprocess.PIPE if spec.is_shown else self.log
        self.popen = _start_in_group(
            list(spec.command),
            group,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, 'PYTHONUNBUFFERED': '1', **spec.environment},
        )
        self.pipes = []
        if spec.is_shown:
            self.pipes = [(self.popen.stdout, sys.stdout), (self.popen.stderr, sys.stderr)]
            for pipe, _ in self.pipes:
                os.set_blocking(pipe.fileno(), False)

    def show(self) -> None:
        """Write new output to the log and to the streams of this process."""
        for pipe, stream in self.pipes:
            with contextlib.suppress(BlockingIOError):
                while raw := os.read(pipe.fileno(), 65536):
                    self.log.write(raw)
                    self.log.flush()
                    stream.write(raw.decode(errors='replace'))
            stream.flush()

    def failure(self) -> Failure:
        """Describe the end of the process."""
        status, name, log = self.popen.returncode, self.spec.name, f'; its log: {self.path}'
        if status < 0:
            reason = f'{name} was killed by {signal_name(-status)}{log}'
            return Failure(128 - status, reason)
        if not self.spec.is_worker and status == 0:
            return Failure(1, f'{name} ended before the workers{log}')
        last = self.last_error()
        reason = f'{name} ended with status {status}{": " if last else ""}{last}{log}'
        # Wrong input stays wrong, and who stopped it does not want it back.
        return Failure(status, reason, status not in (2, 130))

    def last_error(self) -> str:
        """Find the last line of this start's log that tells of an error, else the last line."""
        with self.path.open('rb') as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(self.begin, end - _LOG_TAIL))
            text = file.read().decode(errors='replace')
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        errors = [line for line in lines if _ERROR.search(line)]
        last = (errors or lines or [''])[-1]
        return last if len(last) <= _LONGEST_REASON else f'{last[:_LONGEST_REASON]}...'

    def close(self) -> None:
        """Close files."""
        self.log.close()
        for pipe, _ in self.pipes:
            pipe.close()


class Supervisor:
    """The processes of one job on this machine, as a context: none outlives it.

    They are in one process group, which a small process leads that ends them if this process is
    killed.

    Parameters
    ----------
    specs : sequence of ProcessSpec
    log_dir : Path
        Each process appends its output to a file of its own.

    Raises
    ------
    OSError
        If a process cannot be started or a log not be written.
    """

    def __init__(self, specs: Sequence[ProcessSpec], log_dir: Path) -> None:
        self.specs, self.log_dir = specs, log_dir
        self._processes: list[_Process] = []
        self._guardian: Any = None

    def __enter__(self) -> Supervisor:
        self.log_dir.mkdir(parents=True, exist_ok=True)
        self._guardian = subprocess.Popen(
            [sys.executable, '-I', '-S', guardian.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._guardian.stdout.readline()
        try:
            for spec in self.specs:
                self._processes.append(_Process(spec, self.log_dir, self._guardian.pid))
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._kill()

    def poll(self) -> Optional[Failure]:
        """Show new output, and look for a process that failed.

        Returns
        -------
        Failure or None
            Of several that of a process that was killed, else of the one that wrote last first.
        """
        # First the states: what is written before the end is then shown.
        states = [process.popen.poll() for process in self._processes]
        for process in self._processes:
            process.show()
        ended = [
            process
            for process, state in zip(self._processes, states)
            if state is not None and (state != 0 or not process.spec.is_worker)
        ]
        if not ended or self.is_done:
            return None
        first = min(
            ended, key=lambda row: (row.popen.returncode >= 0, os.stat(row.path).st_mtime_ns)
        )
        return first.failure()

    @property
    def is_done(self) -> bool:
        """True if all workers have ended with status 0."""
        return all(row.popen.returncode == 0 for row in self._processes if row.spec.is_worker)

    def stop(self, meanwhile: Callable[[], object], seconds: float = _FAILED_GRACE) -> None:
        """Ask the workers to end, and kill what is left after a time.

        Parameters
        ----------
        meanwhile : callable
            Called every ``POLL_SECONDS``.
        seconds : float
        """
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._guardian.pid, signal.SIGTERM)
        end = time.monotonic() + seconds
        while time.monotonic() < end and any(
            row.popen.poll() is None for row in self._processes if row.spec.is_worker
        ):
            for process in self._processes:
                process.show()
            meanwhile()
            time.sleep(POLL_SECONDS)
        self._kill()

    def _kill(self):
        """End the process group, with the children that processes left."""
        if self._guardian is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._guardian.pid, signal.SIGKILL)
        for process in self._processes:
            process.popen.wait()
            process.show()
            process.close()
        self._guardian.wait()
        self._guardian.stdin.close()
        self._guardian.stdout.close()
        self._guardian = None


def signal_name(number: int) -> str:
    """Name a signal: 'SIGKILL'."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f'signal {number}'


def _start_in_group(command, group, **options):
    if sys.version_info >= (3, 11):
        return subprocess.Popen(command, process_group=group, **options)
    return subprocess.Popen(command, preexec_fn=lambda: os.setpgid(0, group), **options)
