"""Gradients of a big batch whose examples depend on each other, in the memory of a small one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import mxnet as mx
from mxnet import autograd, nd

from .terms import Objective


@dataclass(frozen=True)
class CachedObjective(Objective):
    """An objective with gradient caching (Gao et al., 2021, section 3.2).

    The vectors of a batch are computed some sequences at a time, without what a backward pass
    needs; then the gradient of the loss by each vector; then each part is computed once more, with
    the same draws of dropout, and its gradient is carried on into the network. The sum is the
    gradient of the batch; memory does not grow with its size, but by the vectors themselves.

    Parameters
    ----------
    cache_size : int
        Sequences computed at once.
    """

    cache_size: int = 32

    adds_gradients: ClassVar[bool] = True

    def gradients(
        self,
        network: Any,
        inputs: Sequence[mx.nd.NDArray],
        labels: Sequence[mx.nd.NDArray],
        totals: Mapping[str, float],
        encoder: Any = None,
        counts: bool = True,
    ) -> dict[str, mx.nd.NDArray]:
        seed = int(nd.random.randint(0, 2**30, shape=(1,), dtype='int32').asscalar())
        parts = [
            _Part(seed + number, part, encoder)
            for number, part in enumerate(_split(inputs, self.cache_size))
        ]
        with autograd.train_mode():  # dropout is drawn as in training, but nothing is recorded
            vectors = nd.concat(*(part.forward(network) for part in parts), dim=0)
        vectors.attach_grad()
        terms = super().gradients(lambda *_: vectors, inputs, labels, totals, counts=counts)
        begin = 0
        for part in parts:
            with autograd.record():
                outputs = part.forward(network)
            outputs.backward(vectors.grad[begin : begin + len(outputs)])
            begin += len(outputs)
            nd.waitall()  # the memory of this part is free before the next takes its own
        return terms


@dataclass
class _Part:
    """Some sequences of a batch, and the seed of their dropout."""

    seed: int
    inputs: tuple
    encoder: Any

    def forward(self, network):
        mx.random.seed(self.seed, self.inputs[0].context)
        more = {} if self.encoder is None else {'encoder': self.encoder}
        outputs = network(*self.inputs, **more)
        outputs.wait_to_read()
        return outputs


def _split(inputs, size):
    """Parts of a batch, each padded to its own longest sequence."""
    ids, types, lengths = inputs
    for begin in range(0, len(ids), size):
        part = lengths[begin : begin + size]
        longest = int(part.max().asscalar())
        yield tuple(array[begin : begin + size, :longest] for array in (ids, types)) + (part,)
