"""Run tasks in several processes."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import wait
from typing import Any

Report = Callable[[int], None]


def run_tasks(
    work: Callable[[Any, Report], Any], tasks: Iterable[Any], num_workers: int, report: Report
) -> Iterator[Any]:
    """Run ``work(task, report)`` for each task, and yield results as they are ready.

    With one worker that is done in this process. Others are started anew (spawned), so that the
    script that calls this needs its ``if __name__ == '__main__'``; they end with this process,
    however it ends.

    Parameters
    ----------
    work : callable
        Can be pickled. ``report(n)`` tells of progress.
    tasks : iterable
    num_workers : int
    report : callable
        Gets what the workers report.

    Yields
    ------
    object
        Results, in no certain order.

    Raises
    ------
    ValueError, OSError
        If a task raised it.
    ChildProcessError
        If a process ended at once, such as for lack of memory.
    RuntimeError
        If a task raised something else.
    """
    tasks = iter(tasks)
    if num_workers == 1:
        for task in tasks:
            yield work(task, report)
        return
    context = multiprocessing.get_context('spawn')
    workers = {}
    try:
        for _, task in zip(range(num_workers), tasks):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(work, theirs), daemon=True)
            process.start()
            theirs.close()
            ours.send(task)
            workers[ours] = process
        while workers:
            for connection in wait([*workers]):
                yield from _receive(connection, workers, tasks, report)
    finally:
        for connection, process in workers.items():
            process.kill()
            process.join()
            connection.close()


def _receive(connection, workers, tasks, report):
    """Take a message; after a result, give the worker the next task."""
    try:
        kind, content = connection.recv()
    except EOFError:
        process = workers[connection]
        process.join()
        raise ChildProcessError(
            f'a worker process ended with status {process.exitcode}; is there enough memory?'
        ) from None
    if kind == 'report':
        report(content)
    elif kind == 'error':
        raise content
    else:
        yield content
        for task in tasks:
            connection.send(task)
            return
        connection.send(None)
        workers.pop(connection).join()
        connection.close()


def attempt(work: Callable[[Any, Report], Any], task: Any, report: Report) -> tuple[str, Any]:
    """Do a task: ('result', what it returns) or ('error', what is raised where it was given)."""
    try:
        return 'result', work(task, report)
    except OSError as error:
        return 'error', OSError(error.errno, error.strerror, error.filename)
    except ValueError as error:
        return 'error', ValueError(str(error))
    except Exception as error:
        return 'error', RuntimeError(f'{type(error).__name__}: {error}')


def _serve(work, connection):
    """Do tasks until there are none."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(EOFError, ConnectionError):  # the parent has ended
        while (task := connection.recv()) is not None:
            connection.send(attempt(work, task, lambda count: connection.send(('report', count))))


def _end_with_parent():
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
