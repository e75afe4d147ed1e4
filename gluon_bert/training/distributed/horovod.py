"""Sums over processes by Horovod, for GluonNLP's flag ``--comm_backend horovod``.

``gluon-bert launch`` starts the processes and Horovod's rendezvous; horovodrun and mpirun do, too.
"""

from __future__ import annotations

from typing import Any, List, Optional

import mxnet as mx
from mxnet import nd

from ..reduction import ProcessReduction
from .deadline import Deadline


class HorovodReduction(ProcessReduction):
    """Processes of Horovod.

    Parameters
    ----------
    timeout : float
        Seconds to wait for the other processes at the start.

    Raises
    ------
    ValueError
        If Horovod is not installed.
    """

    def __init__(self, timeout: float = 120.0) -> None:
        self._horovod = _import_horovod()
        with Deadline(timeout, 'the other processes of Horovod are not there'):
            self._horovod.init()
        super().__init__(self._horovod.rank(), self._horovod.size())

    def sum_over_processes(self, arrays: List[mx.nd.NDArray]) -> None:
        """Replace each array by its sum over the processes, in place."""
        for number, array in enumerate(arrays):
            name = self._name('sum', number, array)
            self._horovod.allreduce_(array, name=name, priority=-number, op=self._horovod.Sum)
        for array in arrays:
            array.wait_to_read()

    def copy_to_processes(self, arrays: List[mx.nd.NDArray]) -> None:
        """Replace each array by that of process 0, in place."""
        for number, array in enumerate(arrays):
            name = self._name('copy', number, array)
            self._horovod.broadcast_(array, 0, name=name, priority=-number)
        for array in arrays:
            array.wait_to_read()

    def close(self, error: Optional[BaseException] = None) -> None:
        """Leave the others; if there was an error, theirs is that a process is gone."""
        if error is None:
            self.sum_over_processes([nd.zeros((1,))])  # nobody leaves before the last message

    def _name(self, kind: str, number: int, array: Any) -> str:
        # The same name with another shape would be refused.
        return f'{kind}.{number}.{"x".join(map(str, array.shape))}'


def _import_horovod() -> Any:
    try:
        import horovod.mxnet
    except ImportError as error:
        raise ValueError(
            f'--comm_backend horovod needs Horovod, built with HOROVOD_WITH_MXNET=1: {error}'
        ) from None
    return horovod.mxnet
