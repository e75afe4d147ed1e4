"""Connect the processes of a training run, by the engine that a name stands for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Callable, Dict, NamedTuple

from ..._internal.checks import check_positive_number
from ..._internal.errors import ArgumentError
from ..._internal.suggestions import did_you_mean

if TYPE_CHECKING:
    from ..reduction import DeviceReduction

TIMEOUT, BUCKET_MB = 120.0, 25.0  # seconds, MiB


class Backend(NamedTuple):
    """A row of ``BACKENDS``: a class that is imported when it is used, and what it is."""

    module: str
    name: str
    title: str

    def load(self) -> Callable[[float], DeviceReduction]:
        """Import the class; its call takes the seconds to wait for the other processes."""
        return getattr(importlib.import_module(self.module, __package__), self.name)


# The value of --comm_backend -> its engine.
BACKENDS: Dict[str, Backend] = {
    'device': Backend('.alone', 'OneProcess', 'one process drives all devices'),
    'gloo': Backend('.gloo', 'GlooReduction', "PyTorch's gloo, started by torchrun or launch"),
    'dist_sync': Backend('.kvstore', 'KVStoreReduction', "MXNet's key-value store"),
    'horovod': Backend('.horovod', 'HorovodReduction', "Horovod, GluonNLP's engine"),
}


def connect(
    backend: str,
    timeout: float = TIMEOUT,
    bucket_mb: float = BUCKET_MB,
    bucket_dtype: str = 'float32',
) -> DeviceReduction:
    """Connect this process to the others of the run.

    Parameters
    ----------
    backend : str
        Of ``BACKENDS``.
    timeout : float
        Seconds to wait for the others.
    bucket_mb : float
        Size of the messages that gradients are gathered in, in MiB.
    bucket_dtype : str
        'float32', or 'bfloat16' to send half as many bytes; sums are in float32.

    Returns
    -------
    DeviceReduction
        To be used as a context: an exception that leaves it is told to the other processes.

    Raises
    ------
    ValueError
        If the name is unknown, a package is missing, or the environment does not say which process
        this is.
    TimeoutError, ConnectionError
        If a process is missing, or a host or a port cannot be used.
    """
    if backend not in BACKENDS:
        reason = f'expected one of {", ".join(BACKENDS)}{did_you_mean(backend, BACKENDS)}'
        raise ArgumentError('comm_backend', reason, backend)
    check_positive_number(comm_timeout=timeout, bucket_mb=bucket_mb)
    engine: Any = BACKENDS[backend].load()
    if bucket_dtype not in engine.bucket_dtypes:
        names = ' or '.join(engine.bucket_dtypes)
        reason = f'{{comm_backend}} {backend} sends gradients in {names}'
        raise ArgumentError('bucket_dtype', reason, bucket_dtype)
    reduction = engine(timeout)
    reduction.bucket_mb, reduction.bucket_dtype = bucket_mb, bucket_dtype
    return reduction
