"""Run tasks in the actors of Ray Data. Ray is imported when they are run."""

from __future__ import annotations

import collections
import contextlib
import logging
import pickle
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .processes import Report, attempt

NEEDED = "engine='ray' needs Ray Data: pip install 'gluon_bert[ray]'"
_MAX_TRIES = 11  # of a task whose actors end; Ray itself would try for ever

logger = logging.getLogger(__name__)


class _Worker:
    """An actor: what it works with is made once.

    Parameters
    ----------
    held : ray.ObjectRef
        Of (work, tasks).
    tries : ray.actor.ActorHandle
        Of a ``_Tries``.
    """

    def __init__(self, held: Any, tries: Any) -> None:
        import ray

        self._work, self._tasks = ray.get(held)
        self._count = lambda number: ray.get(tries.count.remote(number))

    def __call__(self, batch: Any) -> dict[str, list]:
        outcomes = []
        for number in batch['number']:
            counts: list[int] = []
            outcome: tuple[str, Any]
            if self._count(int(number)) > _MAX_TRIES:
                reason = f'{_MAX_TRIES} workers ended at one task; is there enough memory?'
                outcome = 'error', ChildProcessError(reason)
            else:
                outcome = attempt(self._work, self._tasks[number], counts.append)
            outcomes.append(pickle.dumps((sum(counts), *outcome)))
        return {'outcome': outcomes}


class _Tries:
    """An actor that counts how often each task was begun."""

    def __init__(self) -> None:
        self._counts: collections.Counter = collections.Counter()

    def count(self, number: int) -> int:
        self._counts[number] += 1
        return self._counts[number]


def run_on_ray(
    work: Callable[[Any, Report], Any],
    tasks: Sequence[Any],
    num_workers: int,
    report: Report,
    num_cpus: int,
) -> Iterator[Any]:
    """Run ``work(task, report)`` for each task in actors, and yield results as they are ready.

    A task whose actor ends, with its machine or alone, is given to another one. Parameters and
    errors are those of :func:`.run_tasks`; ``num_cpus`` are the cores of an actor.

    Raises
    ------
    ModuleNotFoundError
        If Ray Data is not installed.
    ChildProcessError
        If each actor that was given a task ended.
    """
    try:
        import ray
        import ray.data
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f'{NEEDED} ({error})') from error
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False)
    cores = ray.cluster_resources().get('CPU', 0)
    if cores < num_workers * num_cpus:
        logger.warning(
            '%d workers with %d cores each: Ray has %d cores, and makes as many workers as fit',
            *(num_workers, num_cpus, cores),
        )
    with _quiet(ray.data):
        held = ray.put((work, list(tasks)))
        tries = (
            ray.remote(_Tries).options(num_cpus=0, max_restarts=-1, max_task_retries=-1).remote()
        )
        numbers = ray.data.from_items(
            [{'number': number} for number in range(len(tasks))], override_num_blocks=len(tasks)
        )
        results = numbers.map_batches(
            _Worker,
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=num_workers),
            num_cpus=num_cpus,
            fn_constructor_args=(held, tries),
        )
        try:
            for row in results.iter_rows():
                count, kind, content = pickle.loads(row['outcome'])
                report(count)
                if kind == 'error':
                    raise content
                yield content
        except ray.exceptions.RayError as error:
            raise ChildProcessError(f'Ray: {str(error).splitlines()[0]}') from error


@contextlib.contextmanager
def _quiet(data: Any) -> Iterator[None]:
    """Leave progress to the caller; Ray Data's own log is at its warnings meanwhile."""
    context, log = data.DataContext.get_current(), logging.getLogger('ray.data')
    shown, level = context.enable_progress_bars, log.level
    context.enable_progress_bars = False
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        context.enable_progress_bars = shown
        log.setLevel(level)
