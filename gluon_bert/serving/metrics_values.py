"""The numbers under the metrics, in memory that several processes may share."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

_MAX_VALUES = 4096  # of a process
_ROW = np.dtype([('key', 'S120'), ('value', 'f8')])
_GAUGE = b'gauge '

REGION_BYTES = _MAX_VALUES * _ROW.itemsize


class Values:
    """Numbers of a process by name and label, summed with those of the others when they are read.

    Each process writes to a region of its own, which outlives it: the process in its place goes on
    with the counts. Gauges are put back to 0.

    Parameters
    ----------
    regions : sequence, optional
        Buffers of ``REGION_BYTES`` zeros, one for each process; by default there is one process.
    own : int
        The number of this process's region.
    """

    def __init__(self, regions: Optional[Sequence[Any]] = None, own: int = 0) -> None:
        given = [bytearray(REGION_BYTES)] if regions is None else regions
        self._regions = [np.frombuffer(region, _ROW) for region in given]
        self._keys, self._numbers = (self._regions[own][name] for name in ('key', 'value'))
        self._places = {bytes(key): place for place, key in enumerate(self._keys) if key}
        self._lock = threading.Lock()
        reset_gauges(given[own])

    def place(self, name: str, label: str = '', is_gauge: bool = False) -> int:
        """Find the place of a number, or make it."""
        key = ((_GAUGE if is_gauge else b'') + f'{name} {label}'.encode())[: _ROW['key'].itemsize]
        place = self._places.get(key)
        if place is not None:
            return place
        with self._lock:
            place = self._places.setdefault(key, len(self._places))
            if place >= _MAX_VALUES:
                raise RuntimeError(f'there are more than {_MAX_VALUES} metrics')
            self._keys[place] = key
            return place

    def add(self, value: float, place: int) -> None:
        """Add to the number at a place."""
        with self._lock:
            self._numbers[place] += value

    def set(self, value: float, place: int) -> None:
        """Set the number at a place."""
        self._numbers[place] = value

    def totals(self) -> dict[str, dict[str, float]]:
        """Sum the numbers of all processes: name -> label -> number."""
        sums: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        for region in self._regions:
            for key, value in region[: np.count_nonzero(region['key'])].tolist():
                name, _, label = key.removeprefix(_GAUGE).decode('utf-8', 'replace').partition(' ')
                sums[name][label] += value
        return sums


def reset_gauges(region: Any) -> None:
    """Set the gauges of a process that is not there to 0."""
    rows = np.frombuffer(region, _ROW)
    rows['value'][np.char.startswith(rows['key'], _GAUGE)] = 0
