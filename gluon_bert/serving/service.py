"""The server without its routes: models, queue, counts, and the way of a request through them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Optional

from .batcher import Batcher
from .errors import ClientGone, failed, overloaded, too_large
from .limits import ServerLimits
from .logs import log_event, log_failure
from .metrics import Metrics
from .models import Models, ServedModel, open_model

_LARGE = 4000  # characters or tokens from which work is done in a thread
_LAST_BATCH = 1.0  # seconds
_PATIENCE = 1.0  # seconds in which a body comes where others wait
_PUBLISHED = 0.5  # seconds
MAX_UNSENT = 256 << 20  # bytes of answers that clients have not taken
_MAX_CHARACTERS = 8 << 20  # that wait for a thread to make tokens of them


class Service:
    """The parts that all requests of a process share.

    Parameters
    ----------
    models : Models
    limits : ServerLimits
    metrics : Metrics, optional
        Where several processes serve, those of all.
    """

    def __init__(
        self, models: Models, limits: ServerLimits, metrics: Optional[Metrics] = None
    ) -> None:
        self.models, self.limits = models, limits
        self.metrics = Metrics() if metrics is None else metrics
        self.is_ready = True
        self.in_flight = 0
        self.receiving: dict[Callable[[], None], float] = {}
        """What ends each request whose body has not come yet, and when it began; oldest first."""
        self.characters = 0
        """Characters of texts that wait to become tokens."""
        self.unsent = 0
        """Bytes of large answers that clients have not taken."""
        # Half of the time to stop is left for what is computed already, and for the answers.
        self.batcher = Batcher(
            limits.max_batch_tokens,
            limits.max_queue_tokens,
            self.metrics,
            limits.stop_seconds / 2,
            min(model.tokens_per_second for model in models),
        )
        self._pool = ThreadPoolExecutor(2, 'gluon-bert-texts')
        self._reload: Optional[asyncio.Lock] = None
        self.metrics.watch('te_queue_size', 'Sequences that wait', lambda: self.batcher.size)
        self.metrics.watch('te_queue_tokens', 'Tokens that wait', lambda: self.batcher.tokens)
        self.metrics.watch('te_requests_in_flight', 'Open requests', lambda: self.in_flight)

    @property
    def is_healthy(self) -> bool:
        """True while requests are taken, and the thread that computes them lives."""
        return self.is_ready and self.batcher.is_alive

    async def work(self, size: int, function: Callable, *arguments: Any) -> Any:
        """Call a function, in a thread where the size of its work says so."""
        if size < _LARGE:
            return function(*arguments)
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)

    def make_room(self) -> bool:
        """Tell if there is room for a request; one whose body does not come gives way."""
        if self.unsent > MAX_UNSENT:
            return False
        if self.in_flight < self.limits.max_concurrent_requests:
            return True
        end = next(iter(self.receiving), None)
        if end is None or time.monotonic() - self.receiving[end] < _PATIENCE:
            return False
        del self.receiving[end]
        end()
        return True

    @contextlib.contextmanager
    def reserve(self, size: int) -> Iterator[None]:
        """Count an answer as unsent while it is computed; refuse it where too much is."""
        if self.unsent and self.unsent + size > MAX_UNSENT:
            raise overloaded()
        self.unsent += size
        try:
            yield
        finally:
            self.unsent -= size

    async def reload(self) -> None:
        """Open all models anew; one that fails goes on as it is, and the log says why."""
        self._reload = self._reload or asyncio.Lock()  # made where its loop runs
        async with self._reload:
            loop = asyncio.get_running_loop()
            for model in self.models:
                try:
                    self.models.replace(
                        await loop.run_in_executor(self._pool, open_model, model.source)
                    )
                except (OSError, ValueError) as error:
                    log_event('reload failed', 40, model=model.name, reason=str(error))
                except Exception as error:
                    log_failure('reload failed', error, model=model.name)
                else:
                    log_event('reloaded', model=model.name)

    async def publish(self) -> None:
        """Show other processes what the numbers are, from time to time, without an end."""
        while True:
            self.metrics.publish()
            await asyncio.sleep(_PUBLISHED)

    def close(self) -> None:
        """End the threads."""
        self.batcher.close(timeout=_LAST_BATCH)  # nobody waits for it any more
        self._pool.shutdown(wait=False)


@dataclass
class ServiceCall:
    """One request on its way.

    Parameters
    ----------
    service : Service
    id : str
    gone : callable
        Returns when the client closes the connection.
    model : ServedModel
    body : dict
        Its checked fields.
    """

    service: Service
    id: str
    gone: Callable[[], Awaitable[None]]
    model: ServedModel
    body: dict[str, Any] = field(default_factory=dict)
    tokens: int = 0
    num_cut: int = 0

    @property
    def items_name(self) -> str:
        """The field that holds the texts, for errors."""
        names = ('input', 'texts', 'documents')
        return next((name for name in names if name in self.body), 'inputs')

    async def read_texts(self, size: int, function: Callable, *arguments: Any) -> Any:
        """Call a function that makes tokens of texts.

        Parameters
        ----------
        size : int
            Characters of the texts.
        function : callable
        *arguments

        Returns
        -------
        object
            What the function returns.

        Raises
        ------
        ServiceError
            If too many characters wait before these.
        ClientGone
            If the client left.
        """
        service, begun = self.service, time.monotonic()
        if service.characters and service.characters + size > _MAX_CHARACTERS:
            raise overloaded()
        service.characters += size
        try:
            if size < _LARGE:
                return function(*arguments)
            return await self._unless_gone(service.work(size, function, *arguments))
        finally:
            service.characters -= size
            service.metrics.tokenization.add(time.monotonic() - begun)

    async def _unless_gone(self, outcome: Awaitable) -> Any:
        """Wait for an outcome; ClientGone, and it is dropped, if the client leaves before."""
        future, gone = asyncio.ensure_future(outcome), asyncio.ensure_future(self.gone())
        gone.add_done_callback(lambda _: future.cancel())
        try:
            return await future
        except asyncio.CancelledError:
            if gone.done():
                raise ClientGone from None
            raise
        finally:
            gone.cancel()
            future.cancel()

    async def compute(self, run: Any, features: list, positions: Optional[Sequence] = None) -> list:
        """Compute sequences in batches with those of other requests.

        Parameters
        ----------
        run : BatchRun
        features : list of Features
        positions : sequence, optional

        Returns
        -------
        list
            The output of each sequence.

        Raises
        ------
        ServiceError
            If there is no room in the queue.
        ClientGone
            If the client left; what was not computed is dropped.
        """
        metrics, batcher = self.service.metrics, self.service.batcher
        self.tokens += sum(feature.valid_length for feature in features)
        limit = max(batcher.max_batch_tokens, batcher.max_queue_tokens)
        if self.tokens > limit:
            raise too_large(f'{self.tokens} tokens in one request, at most {limit} are allowed')
        for feature in features:
            metrics.input_length.add(feature.valid_length)
        job = batcher.submit(run, features, positions)
        try:
            outputs = await self._unless_gone(asyncio.wrap_future(job.future))
        except (ClientGone, asyncio.CancelledError):
            raise
        except Exception as error:
            log_failure('inference failed', error, id=self.id, model=self.model.name)
            raise failed() from None
        now = time.monotonic()
        metrics.queue.add((job.started or now) - job.arrived)
        metrics.inference.add(now - (job.started or now))
        return outputs
