"""Sequences of many requests to batches: one thread computes what arrived meanwhile."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple, Optional, Protocol

from ..data.features import Features
from ..data.streams import heap_trimmer
from .errors import not_ready, overloaded

_BATCH_SECONDS = 0.5
_LEAST_TOKENS = 4096  # of the budget of a batch, where max_batch_tokens allows them
_DECAY = 0.95  # of what earlier batches count in the speed
_MASK_TOKENS = 64  # a masked word's scores of all words are as much memory as so many tokens


class BatchRun(Hashable, Protocol):
    """A network to run on sequences; those of equal runs are computed together.

    One that is slower than its network on the kernels has a ``weight``: a token counts as so many.
    """

    def __call__(self, features: list[Features], positions: Optional[list]) -> Sequence[Any]:
        """Compute the output of each sequence."""


class Observer(Protocol):
    """Listener to batches, for metrics."""

    def batch(self, sequences: int, tokens: int, seconds: float) -> None:
        """Take note of a computed batch."""


class BatchJob:
    """The sequences of one request.

    Parameters
    ----------
    run : BatchRun
    features : list of Features
    positions : list, optional
        As for :meth:`.Predictor.batch`.
    """

    def __init__(
        self, run: BatchRun, features: list[Features], positions: Optional[Sequence]
    ) -> None:
        self.run, self.features, self.positions = run, features, positions
        self.outputs: list = [None] * len(features)
        self.missing = len(features)
        self.future: Future = Future()
        """Has the outputs in the order of the sequences; cancel it when the client left."""
        self.arrived = time.monotonic()
        self.started: Optional[float] = None
        masks = [len(places) for places in positions] if positions else itertools.repeat(0)
        weight = getattr(run, 'weight', 1)
        self.costs = [
            weight * (feature.valid_length + _MASK_TOKENS * count)
            for feature, count in zip(features, masks)
        ]


class _Entry(NamedTuple):
    order: int
    job: BatchJob
    number: int

    @property
    def cost(self):
        return self.job.costs[self.number]


class Batcher:
    """A queue of sequences and the thread that computes them.

    When the thread is free it takes what waits, first come first served, up to a budget of tokens;
    there is no timer, and no padding to save. Sequences of clients that left are dropped.

    Parameters
    ----------
    max_batch_tokens : int
        Of a batch, which is also kept to what takes about half a second; a longer sequence is
        computed alone.
    max_queue_tokens : int, optional
        That may wait and be computed; more are refused, but where nothing waits. By default as
        many as are computed in ``queue_seconds``, by the speed of the last batches.
    observer : Observer, optional
    queue_seconds : float
    tokens_per_second : float
        The speed until batches are measured.
    """

    def __init__(
        self,
        max_batch_tokens: int = 16384,
        max_queue_tokens: Optional[int] = None,
        observer: Optional[Observer] = None,
        queue_seconds: float = 5.0,
        tokens_per_second: float = 10_000.0,
    ) -> None:
        self.max_batch_tokens, self._max_queue_tokens = max_batch_tokens, max_queue_tokens
        self._observer, self._queue_seconds = observer, queue_seconds
        self._recent = tokens_per_second, 1.0  # tokens and the seconds that they took
        self._queues: dict[BatchRun, deque[_Entry]] = {}
        self._order = itertools.count()
        self._size = self._tokens = self._running = 0
        self._changed = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name='gluon-bert-compute', daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """True while the thread computes what is queued."""
        return self._thread.is_alive()

    @property
    def size(self) -> int:
        """The number of sequences that wait."""
        return self._size

    @property
    def tokens(self) -> int:
        """The number of tokens that wait."""
        return self._tokens

    @property
    def tokens_per_second(self) -> float:
        """The speed of the last batches."""
        tokens, seconds = self._recent
        return tokens / seconds

    @property
    def max_queue_tokens(self) -> int:
        """The number of tokens that may wait."""
        if self._max_queue_tokens is not None:
            return self._max_queue_tokens
        return max(1, int(self._queue_seconds * self.tokens_per_second))

    def check_room(self, cost: int = 1) -> None:
        """Raise ServiceError if there is no room for so many tokens, or the queue is closed."""
        if self._is_closed:
            raise not_ready()
        ahead = self._tokens + self._running
        if self._size and ahead + cost > self.max_queue_tokens:
            raise overloaded(math.ceil(ahead / self.tokens_per_second / 2))

    def submit(
        self, run: BatchRun, features: list[Features], positions: Optional[Sequence] = None
    ) -> BatchJob:
        """Queue the sequences of a request.

        Parameters
        ----------
        run : BatchRun
        features : list of Features
        positions : list, optional
            Where words are masked in each.

        Returns
        -------
        BatchJob

        Raises
        ------
        ServiceError
            If there is no room in the queue, or it is closed.
        """
        job = BatchJob(run, features, positions)
        if not features:
            job.future.set_result([])
            return job
        cost = sum(job.costs)
        with self._changed:
            self.check_room(cost)
            queue = self._queues.setdefault(run, deque())
            queue.extend(_Entry(next(self._order), job, i) for i in range(len(features)))
            self._size += len(features)
            self._tokens += cost
            self._changed.notify()
        return job

    def close(self, timeout: Optional[float] = None) -> None:
        """Compute what waits, refuse the rest, and end the thread."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join(timeout)

    def _work(self):
        trim = heap_trimmer()
        while True:
            entries = self._take()
            if entries is None:
                return
            if entries:
                self._compute(entries)
                self._running = 0
                entries = None  # outputs and inputs are freed before the thread waits
                trim()

    def _take(self) -> Optional[list[_Entry]]:
        """The next batch, of one run; None when there is no more to come."""
        with self._changed:
            while not self._size:
                if self._is_closed:
                    return None
                self._changed.wait()
            run = min(self._queues, key=lambda run: self._queues[run][0].order)
            queue, tokens, budget = self._queues[run], 0, self._budget()
            batch: list[_Entry] = []
            while queue and (not batch or tokens + queue[0].cost <= budget):
                entry = queue.popleft()
                self._size -= 1
                self._tokens -= entry.cost
                if not entry.job.future.done():
                    batch.append(entry)
                    tokens += entry.cost
            if not queue:
                del self._queues[run]
            self._running = tokens
            return batch

    def _budget(self):
        """The tokens of the next batch: more than keeps all threads busy would only add delay."""
        most = int(_BATCH_SECONDS * self.tokens_per_second)
        return min(self.max_batch_tokens, max(_LEAST_TOKENS, most))

    def _measure(self, entries, seconds):
        tokens, past = self._recent
        cost = sum(entry.cost for entry in entries)
        self._recent = _DECAY * tokens + cost, _DECAY * past + max(seconds, 1e-6)
        if self._observer is not None:
            count = sum(entry.job.features[entry.number].valid_length for entry in entries)
            self._observer.batch(len(entries), count, seconds)

    def _compute(self, entries):
        started = time.monotonic()
        for entry in entries:
            entry.job.started = entry.job.started or started
        try:
            outputs = _run(entries)
        except Exception as error:
            jobs = list(dict.fromkeys(entry.job for entry in entries))
            if len(jobs) > 1:  # one request does not fail the others
                for job in jobs:
                    self._compute([entry for entry in entries if entry.job is job])
            else:
                _finish(jobs[0].future.set_exception, jobs[0], error)
            return
        self._measure(entries, time.monotonic() - started)
        for entry, output in zip(entries, outputs):
            job = entry.job
            job.outputs[entry.number] = output
            job.missing -= 1
            if not job.missing:
                _finish(job.future.set_result, job, job.outputs)


def _run(entries):
    job = entries[0].job
    features = [entry.job.features[entry.number] for entry in entries]
    positions = None
    if job.positions is not None:
        positions = [entry.job.positions[entry.number] for entry in entries]
    return job.run(features, positions)


def _finish(set_outcome: Callable, job: BatchJob, outcome: Any) -> None:
    """Set the outcome of a job, unless its client left or it failed before."""
    if not job.future.done() and job.future.set_running_or_notify_cancel():
        set_outcome(outcome)
