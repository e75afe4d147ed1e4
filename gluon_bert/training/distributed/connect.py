"""Connect the processes of a training run, by the engine that a name stands for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Callable, Dict, NamedTuple

from ..._internal.checks import check_positive_number
from ..._internal.errors import ArgumentError
from ..._internal.suggestions import did_you_mean

if TYPE_CHECKING:
    from ..reduction import DeviceReduction

TIMEOUT = 120.0  # seconds


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
}


def connect(backend: str, timeout: float = TIMEOUT) -> DeviceReduction:
    """Connect this process to the others of the run.

    Parameters
    ----------
    backend : str
        Of ``BACKENDS``.
    timeout : float
        Seconds to wait for the others.

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
    check_positive_number(timeout=timeout)
    return BACKENDS[backend].load()(timeout)
