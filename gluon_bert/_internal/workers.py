"""Workers, in processes of this machine or on a cluster, that run tasks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from .checks import check_choice, check_positive
from .cpu import physical_cores
from .errors import ArgumentError
from .processes import Report, run_tasks

THREADS = ('OMP_NUM_THREADS', 'RAYON_NUM_THREADS')


def _run_on_ray(work, tasks, num_workers, report, num_cpus):
    from .ray_tasks import run_on_ray

    return run_on_ray(work, tasks, num_workers, report, num_cpus or 1)


def _run_here(work, tasks, num_workers, report, num_cpus):
    if num_workers == 1:
        yield from run_tasks(work, tasks, 1, report)
        return
    # Processes inherit the environment; more threads than cores are many times slower.
    threads = str(num_cpus or max(1, physical_cores() // num_workers))
    added = {name: threads for name in THREADS if num_cpus or name not in os.environ}
    before = {name: os.environ.get(name) for name in added}
    os.environ.update(added)
    try:
        yield from run_tasks(work, tasks, num_workers, report)
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


# Name -> function of (work, tasks, num_workers, report, num_cpus) that yields results.
ENGINES: dict[str, Callable[..., Iterator[Any]]] = {'local': _run_here, 'ray': _run_on_ray}


@dataclass(frozen=True)
class Workers:
    """Processes that share out work.

    Parameters
    ----------
    num_workers : int
        Processes; with one and the engine 'local' the work is done in this process.
    engine : str
        'local', this machine: a script needs ``if __name__ == '__main__'``. Or 'ray', the actors of
        Ray Data, on the cluster of $RAY_ADDRESS or the one that runs here, else on this machine:
        gluon_bert must be installed, and the files be at the same paths, on all machines.
    num_cpus : int, optional
        Threads of each worker, and the cores that Ray reserves for it. By default the cores of this
        machine are shared out ('local'), or 1 ('ray'). One local worker has OMP_NUM_THREADS.
    """

    num_workers: int = 1
    engine: str = 'local'
    num_cpus: Optional[int] = None

    def __post_init__(self) -> None:
        check_choice(tuple(ENGINES), engine=self.engine)
        check_positive(num_workers=self.num_workers, num_cpus=self.num_cpus)
        if self.num_cpus is not None and (self.engine, self.num_workers) == ('local', 1):
            reason = 'is for several {num_workers}, or another {engine}; set OMP_NUM_THREADS'
            raise ArgumentError('num_cpus', reason, self.num_cpus)

    def run(
        self, work: Callable[[Any, Report], Any], tasks: Sequence[Any], report: Report
    ) -> Iterator[Any]:
        """Run ``work(task, report)`` for each task, and yield results as they are ready.

        As ``run_tasks`` of ``_internal.processes``, on any engine.
        """
        if not tasks:
            return iter(())
        num_workers = min(self.num_workers, len(tasks))
        return ENGINES[self.engine](work, tasks, num_workers, report, self.num_cpus)


def as_workers(num_workers: Any) -> Workers:
    """Return workers, given them or their number on this machine."""
    return num_workers if isinstance(num_workers, Workers) else Workers(num_workers)
