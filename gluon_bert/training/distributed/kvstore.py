"""Sums over processes by MXNet's key-value store dist_sync: servers that add up what is pushed.

``gluon-bert launch`` starts the servers and a scheduler. MXNet's store waits for ever for a process
that is gone, hence the time limit here; and it makes a store of one process of any name that it
does not know, hence no name is given but its own.
"""

from __future__ import annotations

import ctypes
import os
from collections import Counter
from typing import Dict, List, Optional, Set, Tuple

import mxnet as mx
import numpy as np
from mxnet import nd
from mxnet.base import _LIB, check_call

from ..._internal.errors import ArgumentError
from ..reduction import ProcessReduction
from .deadline import Deadline
from .rendezvous import read_place

_VARIABLES = (
    *('DMLC_ROLE', 'DMLC_PS_ROOT_URI', 'DMLC_PS_ROOT_PORT'),
    *('DMLC_NUM_WORKER', 'DMLC_NUM_SERVER'),
)
_LONGEST_WAIT = 6 * 3600.0  # seconds: others wait while process 0 evaluates
_PADDED = 65536
_FIRST_CHECK = 1_000_000  # key


class KVStoreReduction(ProcessReduction):
    """Processes started by ``gluon-bert launch --comm_backend dist_sync``.

    The servers only add up; the optimizer runs in each process. They add up in float32, to which
    float64 is converted without loss by way of its bytes: meant for a few numbers.

    Parameters
    ----------
    timeout : float
        Seconds to wait for the other processes at the start.

    Raises
    ------
    ValueError
        If the launcher's variables are missing.
    """

    def __init__(self, timeout: float = 120.0) -> None:
        missing = [name for name in _VARIABLES if not os.environ.get(name)]
        if missing:
            raise ArgumentError(
                'comm_backend',
                f'{", ".join(missing)} not set; start the processes with gluon-bert launch '
                f'--comm_backend dist_sync',
                'dist_sync',
            )
        place = read_place('dist_sync')
        super().__init__(place.rank, place.size)
        # All processes make the same keys in the same order.
        self._keys: Dict[Tuple[int, int], int] = {}
        self._checks: Set[int] = set()
        self._calls = 0
        with Deadline(
            timeout, f'rank {place.rank}: after {timeout:g} s the other processes are not there'
        ):
            self._processes = mx.kv.create('dist_sync')
            check_call(_LIB.MXKVStoreSetBarrierBeforeExit(self._processes.handle, ctypes.c_int(0)))
            if self._processes.num_workers != place.size:
                raise ValueError(
                    f'DMLC_NUM_WORKER={self._processes.num_workers}, but '
                    f'WORLD_SIZE={place.size}: they must be equal'
                )
            self._processes._barrier()

    def sum_over_processes(self, arrays: List[mx.nd.NDArray]) -> None:
        """Replace each array by its sum over the processes, in place."""
        self._check_types(arrays)
        self._exchange([array for array in arrays if array.dtype == np.float32])
        for array in arrays:
            if array.dtype == np.float64:
                array[:] = self._gather(array).sum(0)

    def copy_to_processes(self, arrays: List[mx.nd.NDArray]) -> None:
        """Replace each array by that of process 0, in place."""
        self._check_types(arrays)
        if self.rank:
            for array in arrays:
                array[:] = 0
        self._exchange([array for array in arrays if array.dtype == np.float32])
        for array in arrays:
            if array.dtype == np.float64:
                array[:] = self._gather(array)[0]

    def close(self, error: Optional[BaseException] = None) -> None:
        """Wait until all have come this far, unless there was an error."""
        if error is None:
            with self._deadline():
                self._processes._barrier()

    def _check_types(self, arrays):
        for array in arrays:
            if array.dtype not in (np.float32, np.float64):
                raise TypeError(f'{np.dtype(array.dtype)}: expected float32 or float64')

    def _exchange(self, arrays: List[nd.NDArray]) -> None:
        """Push and pull float32 arrays; what is pulled is the sum of what all pushed."""
        numbers: Counter = Counter()
        padded = []
        with self._deadline():
            for order, array in enumerate(arrays):
                flat = array.reshape((-1,))
                size, buffer = _buffer_size(flat.size), flat
                if size > flat.size:
                    buffer = nd.zeros((size,), array.context)
                    buffer[: flat.size] = flat
                    padded.append((flat, buffer))
                key = self._key(size, numbers[size])
                numbers[size] += 1
                self._processes.push(key, buffer, priority=-order)
                self._processes.pull(key, out=buffer, priority=-order)
            for flat, buffer in padded:
                flat[:] = buffer[: flat.size]
            for array in arrays:
                array.wait_to_read()
            self._check_servers()

    def _check_servers(self) -> None:
        """See that each server still adds up: MXNet takes old numbers for those of a dead one."""
        self._calls = self._calls % 1000 + 1
        for number in range(int(os.environ['DMLC_NUM_SERVER'])):
            key = _FIRST_CHECK + number  # MXNet deals keys out to the servers in turn
            if key not in self._checks:
                self._checks.add(key)
                self._processes.init(key, nd.zeros((1,)))
            value = nd.full((1,), self._calls)
            self._processes.push(key, value)
            self._processes.pull(key, out=value)
            if value.asscalar() != self._calls * self.size:
                raise ConnectionError(f'rank {self.rank}: a server of dist_sync is gone')

    def _key(self, size: int, number: int) -> int:
        """Find the key of the n-th array of a size, or agree on a new one with all processes."""
        if (size, number) not in self._keys:
            self._keys[size, number] = len(self._keys)
            self._processes.init(self._keys[size, number], nd.zeros((size,)))
        return self._keys[size, number]

    def _gather(self, array: nd.NDArray) -> np.ndarray:
        """Collect the float64 arrays of all processes, by rank.

        Each sends its bytes, two as a number, in a row where the others send 0.
        """
        words = array.asnumpy().reshape(-1).view(np.uint16)
        table = nd.zeros((self.size, words.size))
        table[self.rank] = words.astype(np.float32)
        self._exchange([table])
        rows = table.asnumpy().astype(np.uint16).view(np.float64)
        return rows.reshape((self.size, *array.shape))

    def _deadline(self):
        return Deadline(
            _LONGEST_WAIT, f'rank {self.rank}: no answer from the other processes for '
            f'{_LONGEST_WAIT / 3600:g} h'
        )  # fmt: skip


def _buffer_size(size: int) -> int:
    """Pad small arrays, so that those of many sizes, such as messages, share few keys."""
    return 1 << max(6, (size - 1).bit_length()) if size < _PADDED else size
