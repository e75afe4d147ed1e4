"""Sums over devices and processes, behind one small interface."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import Any, List, Optional, Protocol, Sequence, Tuple

import mxnet as mx
import numpy as np
from mxnet import nd


class Reduction(Protocol):
    """Sums over the devices and processes of a training run.

    An array is given as the list of its copies, one on each device of this process. All processes
    call the same methods in the same order, with arrays of the same shapes.
    """

    rank: int
    """Number of this process, from 0; process 0 evaluates and writes files."""

    size: int
    """Number of processes."""

    def sum_in_place(self, arrays: Sequence[Sequence[mx.nd.NDArray]]) -> None:
        """Replace each copy of each array by the sum over all devices and processes."""

    def broadcast(self, arrays: Sequence[Sequence[mx.nd.NDArray]]) -> None:
        """Replace each copy of each array by the first one of process 0."""


class DeviceReduction:
    """One process with one device, where there is nothing to do, or several.

    MXNet's key-value store adds up over the devices.
    """

    rank, size = 0, 1
    bucket_dtypes: Tuple[str, ...] = ('float32',)
    """In what gradients can be sent."""

    def __init__(self) -> None:
        self._store: Any = None

    def __enter__(self) -> DeviceReduction:
        return self

    def __exit__(self, kind: Any, error: Optional[BaseException], traceback: Any) -> None:
        self.close(error)

    def close(self, error: Optional[BaseException] = None) -> None:
        """End the run of this process; with an error, tell the other processes of it first."""

    def sum_in_place(self, arrays: Sequence[Sequence[mx.nd.NDArray]]) -> None:
        """Sum over the devices. Each call with copies has the same number of arrays and shapes."""
        if all(len(copies) == 1 for copies in arrays):
            return
        if self._store is None:
            self._store = mx.kv.create('device')
            for key, copies in enumerate(arrays):
                self._store.init(key, copies[0])
        for key, copies in enumerate(arrays):
            self._store.pushpull(key, list(copies), priority=-key)

    def broadcast(self, arrays: Sequence[Sequence[mx.nd.NDArray]]) -> None:
        """Do nothing: the devices of one process have the same parameters from the start."""


class ProcessReduction(DeviceReduction, ABC):
    """Several processes, each with one device or several.

    A subclass adds up and copies over the processes.

    Parameters
    ----------
    rank, size : int
        Number of this process, and of all.

    Attributes
    ----------
    bucket_mb : float
        Size of the messages that gradients are gathered in, in MiB.
    bucket_dtype : str
        Of ``bucket_dtypes``: in what they are sent. They are added up in float32.
    uses_thread : bool
        Whether a thread adds them up while the backward pass goes on.
    """

    bucket_mb, bucket_dtype, uses_thread = 25.0, 'float32', True

    def __init__(self, rank: int, size: int) -> None:
        super().__init__()
        if not 0 <= rank < size:
            raise ValueError(f'rank={rank}: expected 0 to {size - 1}, of {size} processes')
        self.rank, self.size = rank, size

    def sum_in_place(self, arrays: Sequence[Sequence[mx.nd.NDArray]]) -> None:
        """Sum over the devices of each process, then over the processes."""
        self.sum_over_devices(arrays)
        self.sum_over_processes([copies[0] for copies in arrays])
        copy_to_others(arrays)

    def sum_over_devices(self, arrays: Sequence[Sequence[mx.nd.NDArray]]) -> None:
        """Sum over the devices of this process alone."""
        several = [copies for copies in arrays if len(copies) > 1]
        if several:
            super().sum_in_place(several)

    def broadcast(self, arrays: Sequence[Sequence[mx.nd.NDArray]]) -> None:
        """Copy from process 0, then to all devices."""
        self.copy_to_processes([copies[0] for copies in arrays])
        copy_to_others(arrays)

    def sum_as_bfloat16(self, array: mx.nd.NDArray) -> None:
        """Replace an array by its sum over the processes, sent in bfloat16 and added in float32.

        Its shape is (length,), a multiple of the number of processes. An engine that can has
        'bfloat16' in its ``bucket_dtypes``.
        """
        raise NotImplementedError

    @abstractmethod
    def sum_over_processes(self, arrays: List[mx.nd.NDArray]) -> None:
        """Replace each array by its sum over the processes; float32 or float64, in place."""

    @abstractmethod
    def copy_to_processes(self, arrays: List[mx.nd.NDArray]) -> None:
        """Replace each array by that of process 0, in place."""


def copy_to_others(arrays: Sequence[Sequence[mx.nd.NDArray]]) -> None:
    """Copy the first of the copies of each array to the others."""
    for first, *others in arrays:
        for other in others:
            first.copyto(other)


def sum_numbers(reduction: Reduction, numbers: Sequence[float]) -> List[float]:
    """Add up some numbers over the processes."""
    if reduction.size == 1:
        return list(numbers)
    array = nd.array(numbers, dtype='float64')
    reduction.sum_in_place([[array]])
    return array.asnumpy().tolist()


def share(reduction: Reduction, value: Any) -> Any:
    """Give every process the JSON value of process 0."""
    if reduction.size == 1:
        return value
    raw = np.frombuffer(json.dumps(value).encode(), 'uint8')
    length = nd.array([len(raw)], dtype='float64')
    reduction.broadcast([[length]])
    text = nd.zeros((int(length.asscalar()),), dtype='float32')
    if reduction.rank == 0:
        text[:] = nd.array(raw, dtype='float32')
    reduction.broadcast([[text]])
    return json.loads(text.asnumpy().astype('uint8').tobytes())
