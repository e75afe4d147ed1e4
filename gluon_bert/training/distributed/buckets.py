"""Gradients in flat buckets, added up over processes while the backward pass still goes on."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

import mxnet as mx
import numpy as np

from ...kernels.gluon import view_array
from ...kernels.progress import GradientProgress
from ..reduction import ProcessReduction


class Slot(NamedTuple):
    """The slot of a gradient: its number, and from where to where it is in the bucket."""

    number: int
    start: int
    stop: int


class Timing(NamedTuple):
    """Seconds of the last sum: in all, and after the backward pass, when nothing hid it."""

    seconds: float = 0.0
    exposed: float = 0.0


class GradientBuckets:
    """Adds up the gradients of one device, a message to a bucket.

    The last parameters come first, as their gradients are computed first. A gradient is copied into
    its bucket as soon as it is there; a thread adds up each bucket that is full, while the rest is
    computed.

    Parameters
    ----------
    reduction : ProcessReduction
        Its ``bucket_mb`` and ``bucket_dtype`` say how large buckets are, and in what they are sent.
    gradients : list of NDArray
        Of these shapes and types are those of each call.
    layers : sequence of int
        Numbers of the gradients that ``progress`` tells of. What is computed after them has buckets
        of its own.
    progress : GradientProgress, optional
        Of the kernels that train the network; else MXNet alone tells what is there.
    """

    def __init__(
        self,
        reduction: ProcessReduction,
        gradients: Sequence[mx.nd.NDArray],
        layers: Sequence[int] = (),
        progress: Optional[GradientProgress] = None,
    ) -> None:
        self._reduction = reduction
        self._layers, self._progress = frozenset(layers), progress
        self._slots = _fill(gradients, reduction.bucket_mb, self._layers)
        self._flats = [_make_flat(slots, gradients, reduction.size) for slots in self._slots]
        self._thread = ThreadPoolExecutor(1, 'reduction') if reduction.uses_thread else None
        self._seconds = 0.0
        self.timing = Timing()

    @property
    def num_bytes(self) -> int:
        """Bytes of a step's messages, as each process gives them to the sum."""
        is_low = self._reduction.bucket_dtype == 'bfloat16'
        return sum(
            flat.size * (2 if is_low and flat.dtype == np.float32 else flat.dtype().itemsize)
            for flat in self._flats
        )

    def sum_in_place(self, gradients: Sequence[mx.nd.NDArray]) -> None:
        """Replace each gradient by its sum over the processes."""
        buckets = list(zip(self._slots, self._flats))
        is_early = self._progress is not None and self._thread is not None
        if not is_early:
            for slots, flat in buckets:
                for number, start, stop in slots:
                    gradients[number].reshape((-1,)).copyto(flat[start:stop])
        self._seconds = 0.0
        if self._thread is not None:
            add = self._gather_and_sum if is_early else self._sum
            sums = [self._thread.submit(add, flat, slots, gradients) for slots, flat in buckets]
            self._wait_for_backward(gradients if is_early else self._flats)
        began = time.perf_counter()
        for index, (slots, flat) in enumerate(buckets):
            if self._thread is None:
                self._sum(flat)
            else:
                sums[index].result()
            for number, start, stop in slots:
                gradient = gradients[number]
                flat[start:stop].reshape(gradient.shape).copyto(gradient)
        if self._progress is not None:
            self._progress.forget()  # the next step may have no batch here, and so no pass
        self.timing = Timing(self._seconds, time.perf_counter() - began)

    def _wait_for_backward(self, arrays):
        try:
            for array in arrays:
                array.wait_to_read()
        finally:
            if self._progress is not None:
                self._progress.stop()  # it may have failed before the kernels ran

    def _gather_and_sum(self, flat, slots, gradients):
        """Fill a bucket, as soon as its gradients are there, past MXNet's engine."""
        target = view_array(flat)
        for number, start, stop in slots:
            source = view_array(gradients[number], waits=False)
            is_told = number in self._layers and self._progress.wait(source.ctypes.data)
            if not is_told:
                gradients[number].wait_to_read()
            target[start:stop] = source.reshape(-1)
        self._sum(flat)

    def _sum(self, flat: Any, *_: Any) -> None:
        flat.wait_to_read()  # until the gradients in it are computed
        began = time.perf_counter()
        if self._reduction.bucket_dtype == 'bfloat16' and flat.dtype == np.float32:
            self._reduction.sum_as_bfloat16(flat)
        else:
            self._reduction.sum_over_processes([flat])
        self._seconds += time.perf_counter() - began


def _fill(gradients, megabytes: float, layers) -> List[List[Slot]]:
    """Put the gradients into buckets, the last ones first; a bucket has one type."""
    buckets: List[Tuple[Any, List[Slot]]] = []
    for number in reversed(range(len(gradients))):
        gradient = gradients[number]
        kind, start = gradient.dtype, buckets[-1][1][-1].stop if buckets else 0
        limit = megabytes * 2**20 / gradient.dtype().itemsize
        is_later = number + 1 in layers and number not in layers
        if not buckets or buckets[-1][0] != kind or start + gradient.size > limit or is_later:
            buckets.append((kind, []))
            start = 0
        buckets[-1][1].append(Slot(number, start, start + gradient.size))
    return [slots for _, slots in buckets]


def _make_flat(slots, gradients, size):
    """An array for a bucket; its length is a multiple of the number of processes."""
    length = -(-slots[-1].stop // size) * size
    first = gradients[slots[0].number]
    return mx.nd.zeros((length,), ctx=first.context, dtype=first.dtype)
