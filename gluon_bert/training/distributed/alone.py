"""One process, whatever its devices: the default."""

from __future__ import annotations

import os

from ..reduction import DeviceReduction


class OneProcess(DeviceReduction):
    """One process; refused where a launcher has started several, which would not know each other.

    Parameters
    ----------
    timeout : float
        Not needed: there is nobody to wait for.

    Raises
    ------
    ValueError
        If WORLD_SIZE says that there are several processes.
    """

    def __init__(self, timeout: float = 0.0) -> None:
        size = os.environ.get('WORLD_SIZE', '1')
        if size not in ('', '1'):
            raise ValueError(
                f'WORLD_SIZE={size} in the environment, but --comm_backend device trains in one '
                f'process: give another, such as gloo, or unset WORLD_SIZE'
            )
        super().__init__()
