"""Sums over processes by gloo, the engine of PyTorch for processors.

Its tensors share the memory of MXNet's arrays: nothing is copied.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any, List, Optional

import mxnet as mx

from ..reduction import ProcessReduction
from .rendezvous import Rendezvous, address_towards, read_place
from .watch import Watcher

# Others wait while process 0 evaluates; one that is gone is noticed at once.
_COLLECTIVE_TIMEOUT = timedelta(days=7)


class GlooReduction(ProcessReduction):
    """Processes started by torchrun, or anything that sets its variables.

    RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT say which process this is and where rank 0 is.

    Parameters
    ----------
    timeout : float
        Seconds to wait for the other processes at the start.

    Raises
    ------
    ValueError
        If PyTorch is missing, or a variable is missing or wrong.
    TimeoutError, ConnectionError
        As :class:`.Rendezvous`.
    """

    bucket_dtypes = ('float32', 'bfloat16')

    def __init__(self, timeout: float = 120.0) -> None:
        place = read_place('gloo')
        super().__init__(place.rank, place.size)
        self._torch = _import_torch()
        self._rendezvous = Rendezvous(place, timeout)
        self._group = self._make_group(place)
        self._watcher = Watcher(self._rendezvous)
        self._watcher.start()

    def _make_group(self, place) -> Any:
        distributed = self._torch.distributed
        options = distributed.ProcessGroupGloo._Options()
        options._timeout = _COLLECTIVE_TIMEOUT
        # By itself gloo may listen at an address that other hosts cannot reach.
        address = address_towards(place.host, place.port)
        options._devices = [distributed.ProcessGroupGloo.create_device(hostname=address)]
        store = distributed.PrefixStore('gloo', self._rendezvous.store)
        try:
            return distributed.ProcessGroupGloo(store, place.rank, place.size, options)
        except RuntimeError as error:
            raise self._lost(error) from None

    def sum_over_processes(self, arrays: List[mx.nd.NDArray]) -> None:
        """Replace each array by its sum over the processes, in place."""
        for tensor in self._tensors(arrays):
            self._wait(lambda tensor=tensor: self._group.allreduce(tensor))

    def sum_as_bfloat16(self, array: mx.nd.NDArray) -> None:
        """Replace an array by its sum over the processes, sent in bfloat16 and added in float32."""
        torch, (tensor,) = self._torch, self._tensors([array])
        sent = tensor.to(torch.bfloat16)
        parts = torch.empty_like(sent)
        # Each process adds up its own part, then all get all parts.
        self._wait(lambda: self._group.alltoall_base(parts, sent, [], []))
        total = parts.view(self.size, -1).float().sum(0).to(torch.bfloat16)
        self._wait(lambda: self._group._allgather_base(sent, total))
        tensor.copy_(sent)

    def copy_to_processes(self, arrays: List[mx.nd.NDArray]) -> None:
        """Replace each array by that of process 0, in place."""
        for tensor in self._tensors(arrays):
            self._wait(lambda tensor=tensor: self._group.broadcast(tensor, 0))

    def close(self, error: Optional[BaseException] = None) -> None:
        """Leave the others; an error is told to them first."""
        if self._group is None:
            return
        self._watcher.close()
        if error is not None:
            self._rendezvous.publish(f'{type(error).__name__}: {error}')
        else:
            self.sum_over_processes([mx.nd.zeros((1,))])  # nobody leaves before the last message
        group, self._group = self._group, None
        if error is not None and hasattr(group, 'abort'):
            group.abort()  # closes the connections, which wakes those that wait
        del group
        self._rendezvous.leave()

    def _tensors(self, arrays):
        tensors = []
        for array in arrays:
            array.wait_to_read()
            tensors.append(self._torch.utils.dlpack.from_dlpack(array.to_dlpack_for_write()))
        return tensors

    def _wait(self, begin):
        try:
            begin().wait()
        except RuntimeError as error:
            raise self._lost(error) from None

    def _lost(self, error):
        reason = self._rendezvous.read_error()
        if reason is None:
            text = str(error).partition('. This is typically')[0].rpartition('] ')[2]
            reason = f'a process ended without a reason, see its log ({text})'
        return ConnectionError(f'rank {self.rank} ends: {reason}')


def _import_torch():
    # Its own lines about sockets, with call stacks; the errors here say the same in one line.
    os.environ.setdefault('TORCH_CPP_LOG_LEVEL', 'FATAL')
    try:
        import torch
        import torch.distributed
        import torch.utils.dlpack
    except ImportError as error:
        raise ValueError(
            f"--comm_backend gloo needs PyTorch: pip install 'gluon_bert[distributed]' ({error})"
        ) from None
    torch.set_num_threads(1)  # it only adds up; the threads are MXNet's
    return torch
