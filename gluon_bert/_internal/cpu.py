"""Processor cores and threads."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

SPIN_COUNT = '3000'  # of OpenMP's waiting threads


def physical_cores() -> int:
    """Count the cores this process may use, hyper-threads once."""
    if not hasattr(os, 'sched_getaffinity'):
        return os.cpu_count() or 1
    cores = set()
    for number in os.sched_getaffinity(0):
        siblings = Path(f'/sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list')
        try:
            cores.add(siblings.read_text())
        except OSError:
            cores.add(str(number))
    return len(cores)


def default_threads() -> int:
    """Return the number of threads: OMP_NUM_THREADS, else the cores that the process may use."""
    given = os.environ.get('OMP_NUM_THREADS', '')
    return int(given) if given.isdecimal() and int(given) else physical_cores()


@contextlib.contextmanager
def short_spinning() -> Iterator[None]:
    """Let the OpenMP that is loaded meanwhile spin for a short time only, unless the user chose.

    Threads that spin long while they wait are many times slower where another process runs. OpenMP
    reads the environment variable when it is loaded.
    """
    chosen = {'OMP_WAIT_POLICY', 'GOMP_SPINCOUNT'} & {*os.environ}
    if not chosen:
        os.environ['GOMP_SPINCOUNT'] = SPIN_COUNT
    try:
        yield
    finally:
        if not chosen:
            del os.environ['GOMP_SPINCOUNT']
