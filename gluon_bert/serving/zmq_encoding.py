"""Requests of bert-as-service to answers: vectors slice by slice, in the queue of the server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import numpy as np

from .errors import ClientGone, ServiceError
from .logs import log_event
from .models import EMBEDDING, PoolRun, ServedModel
from .operations import sentence_batch
from .service import Service, ServiceCall
from .zmq_clients import Subscriptions
from .zmq_messages import SHOW, ZmqRequest, configuration, object_answer, read_texts, vectors_answer

_SLICE = 32  # texts of a request that are in the queue
_PAUSE = 0.02  # seconds


class _Call(NamedTuple):
    """A request on its way; ``left`` is done when its client has left."""

    service: Service
    id: str
    model: ServedModel
    left: asyncio.Future

    def make(self) -> ServiceCall:
        """Make the call of some of its texts."""
        return ServiceCall(self.service, self.id, lambda: asyncio.shield(self.left), self.model)

    def check(self) -> None:
        """Raise ClientGone if the client has left."""
        if self.left.done():
            raise ClientGone


class ZmqEncoder:
    """Computer of answers with the first model that gives vectors.

    Parameters
    ----------
    service : Service
    subscriptions : Subscriptions
    shows_tokens : bool
        Send the tokens of the texts with the vectors.

    Raises
    ------
    ValueError
        If no model gives vectors.
    """

    def __init__(self, service: Service, subscriptions: Subscriptions, shows_tokens: bool) -> None:
        self._service, self._subscriptions = service, subscriptions
        self._shows_tokens = shows_tokens
        self._model()

    async def answer(self, request: ZmqRequest) -> list[bytes]:
        """Compute the answer of a request.

        Raises
        ------
        ServiceError
            If it is refused, or the computation failed.
        ClientGone
            If its client left.
        """
        if request.content in SHOW:
            about = configuration(request, self._model(), self._shows_tokens)
            return object_answer(request, about)
        work, model = self._service.work, self._model()
        items = await work(len(request.content) // 16, read_texts, request.content)
        batcher, most = self._service.batcher, self._service.limits.max_client_batch_size
        room = max(batcher.max_batch_tokens, batcher.max_queue_tokens)
        step = max(1, min(_SLICE, most, room // model.max_length))
        rows, tokens, cut = [], [], 0
        left = asyncio.ensure_future(self._subscriptions.until_gone(request.client))
        call = _Call(self._service, request.id.decode(), model, left)
        try:
            for start in range(0, len(items), step):
                done = await self._encode(call, items[start : start + step])
                rows.append(done[0])
                tokens += done[1]
                cut += done[2]
        finally:
            left.cancel()
        log_event('zmq request', model=model.name, texts=len(items), truncated=cut)
        shown = tokens if self._shows_tokens else None
        return await work(len(rows) * 1000, vectors_answer, request, np.concatenate(rows), shown)

    async def _encode(self, call: _Call, items: list) -> tuple:
        """Compute the vectors of some of a request's texts, when there is room in the queue."""
        encoder, tokenizer = call.model.encoder, call.model.tokenizer
        if isinstance(items[0], list):
            items = [tokenizer.vocabulary[words] for words in items]
        batch = await _patiently(call, lambda: sentence_batch(call.make(), items, truncate=True))

        async def compute() -> list:
            await self._wait_for_room(call, batch.features)
            return await call.make().compute(PoolRun(encoder, batch.pooling), batch.features)

        outputs = await _patiently(call, compute)
        words = []
        if self._shows_tokens:
            words = [tokenizer.convert_ids_to_tokens(row.inputs) for row in batch.features]
        return encoder.steps.vectors(batch, np.stack(outputs)), words, batch.num_cut

    async def _wait_for_room(self, call: _Call, features: list) -> None:
        """Wait; half of the queue is left to others, who are refused where there is no room."""
        batcher = self._service.batcher
        cost = sum(feature.valid_length for feature in features)
        while batcher.size and batcher.tokens + cost > batcher.max_queue_tokens / 2:
            await asyncio.sleep(_PAUSE)
            call.check()
        call.check()

    def _model(self) -> ServedModel:
        """The first model that gives vectors."""
        for model in self._service.models:
            if model.task == EMBEDDING:
                return model
        raise ValueError('--zmq_port: none of the models gives sentence vectors')


async def _patiently(call: _Call, ask: Callable[[], Awaitable]) -> Any:
    """Ask again where there is no room, until there is some or the client has left."""
    while True:
        try:
            return await ask()
        except ServiceError as error:
            if error.status != 429:
                raise
        await asyncio.sleep(_PAUSE)
        call.check()
