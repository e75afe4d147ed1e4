"""Count processor cores."""

from __future__ import annotations

import os
from pathlib import Path


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
