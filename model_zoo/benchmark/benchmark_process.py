"""Processes of systems for benchmark.py, of which one runs at a time."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from benchmark_isa import variables

WORKER = Path(__file__).with_name('benchmark_worker.py')
TIMEOUT = 1800  # seconds, for one answer
# Each library's own variable.
THREAD_VARIABLES = (
    'OMP_NUM_THREADS',
    'MKL_NUM_THREADS',
    'OPENBLAS_NUM_THREADS',
    'RAYON_NUM_THREADS',
)


class Failed(Exception):
    """An error of a system, or the end of its process."""


class Process:
    """A system in a separate process, which is stopped between requests.

    Parameters
    ----------
    name : str
        Of ``SYSTEMS`` or ``CEILINGS``.
    folder : Path
        Of the network.
    mode : str
    threads : int
        It gets this number of processors, so that no helper thread runs on another one.
    log : Path
        Gets its output.
    isa : str
        Instruction set to hold it to, or ''.

    Raises
    ------
    Failed
        If it cannot be loaded.
    """

    def __init__(self, name, folder, mode, threads, log, isa=''):
        given = {'system': name, 'folder': str(folder), 'mode': mode, 'threads': threads}
        processors = processors_for(threads)
        self.name, self._log, start = name, log, time.perf_counter()
        with open(log, 'w', encoding='utf-8') as file:
            self._process = subprocess.Popen(
                [sys.executable, str(WORKER), json.dumps(given)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                env=environment(threads, isa),
                text=True,
            )
        os.sched_setaffinity(self._process.pid, processors)
        try:
            self.loading = self._answer()
        except Failed:
            self.close()
            raise
        self.start_seconds = time.perf_counter() - start
        self._process.send_signal(signal.SIGSTOP)

    def ask(self, do, **arguments):
        """Send a request; return the answer, a dict."""
        # Waiting threads may spin, which must not disturb other processes.
        self._process.send_signal(signal.SIGCONT)
        try:
            self._process.stdin.write(json.dumps({'do': do, **arguments}) + '\n')
            self._process.stdin.flush()
        except OSError:
            raise Failed(self._ending()) from None
        answer = self._answer()
        self._process.send_signal(signal.SIGSTOP)
        return answer

    def close(self):
        """End the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            stream.close()

    def _answer(self):
        if not select.select([self._process.stdout], [], [], TIMEOUT)[0]:
            raise Failed(f'no answer within {TIMEOUT} s')
        line = self._process.stdout.readline()
        if not line:
            raise Failed(self._ending())
        answer = json.loads(line)
        if 'error' in answer:
            raise Failed(answer['error'])
        return answer

    def _ending(self):
        lines = self._log.read_text(encoding='utf-8', errors='replace').strip().splitlines()
        return (
            f'its process ended with {self._process.wait()}: '
            f'{lines[-1][:300] if lines else "no message"}'
        )


def environment(threads, isa=''):
    """Make the environment of a system's process."""
    # Every system may keep its compiled bytecode.
    kept = {name: value for name, value in os.environ.items() if name != 'PYTHONDONTWRITEBYTECODE'}
    return {
        **kept,
        **variables(isa),
        **dict.fromkeys(THREAD_VARIABLES, str(threads)),
        'HF_HUB_OFFLINE': '1',
        'TOKENIZERS_PARALLELISM': 'true',
        'PYTHONPATH': os.pathsep.join([str(WORKER.parents[2]), os.environ.get('PYTHONPATH', '')]),
    }


def processors_for(threads):
    """Choose this number of processors, on different cores if possible."""
    allowed, cores, others = sorted(os.sched_getaffinity(0)), {}, []
    for number in allowed:
        path = Path(f'/sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list')
        core = path.read_text(encoding='ascii') if path.is_file() else number
        if core in cores:
            others.append(number)
        else:
            cores[core] = number
    return set([*cores.values(), *others][:threads])


def order(systems, number):
    """Make the order of a round: over the rounds, positions and neighbours are balanced."""
    shift = number % len(systems) if systems else 0
    turned = [*systems[shift:], *systems[:shift]]
    return turned[::-1] if number % 2 else turned
