"""Meet the other processes of a run: who is there, and what one that fails leaves to say."""

from __future__ import annotations

import os
import socket
import time
from datetime import timedelta
from typing import Any, List, NamedTuple, Optional

from ..._internal.errors import ArgumentError

_POLL = 0.05  # seconds
_GRACE = 5.0  # seconds that the process with the store waits for others to read the reason


class Place(NamedTuple):
    """The place of this process: its rank among ``size``, and where rank 0 is met."""

    rank: int
    size: int
    host: str
    port: int

    @property
    def address(self) -> str:
        """Host and port."""
        return f'{self.host}:{self.port}'


def read_place(comm_backend: str) -> Place:
    """Read the variables that torchrun and ``gluon-bert launch`` set.

    Parameters
    ----------
    comm_backend : str
        For the messages.

    Raises
    ------
    ValueError
        If one is missing or wrong.
    """
    names = ('RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT')
    missing = [name for name in names if not os.environ.get(name)]
    if missing:
        raise ArgumentError(
            'comm_backend',
            f'{" and ".join(missing)} not set; start the processes with gluon-bert launch or '
            f'torchrun',
            comm_backend,
        )
    rank, size = _number('RANK', 0), _number('WORLD_SIZE', 1)
    if rank >= size:
        raise ValueError(f'RANK={rank}: expected 0 to {size - 1}, as WORLD_SIZE is {size}')
    return Place(rank, size, os.environ['MASTER_ADDR'], _number('MASTER_PORT', 1, 65535))


def address_towards(host: str, port: int, family: int = 0) -> str:
    """Find the address of this machine from which packets to a host leave.

    Parameters
    ----------
    host : str
        Name or address.
    port : int
    family : int
        ``socket.AF_INET`` for an IPv4 address; 0 for any.
    """
    family, kind, _, _, address = socket.getaddrinfo(host, port, family, socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind) as probe:
        probe.connect(address)  # sends nothing
        return probe.getsockname()[0]


def _number(name, least, most=None):
    text = os.environ[name]
    value = int(text) if text.isdecimal() else -1
    if value < least or (most is not None and value > most):
        wanted = f'{least} or more' if most is None else f'{least} to {most}'
        raise ValueError(f'{name}={text!r}: expected a number, {wanted}')
    return value


class Rendezvous:
    """The store in which processes leave word; rank 0 keeps it, or torchrun's agent.

    Parameters
    ----------
    place : Place
    timeout : float
        Seconds to wait for the others.

    Raises
    ------
    TimeoutError
        If processes are missing; the message has their ranks.
    ConnectionError
        If the port is in use, or the host cannot be reached.
    """

    def __init__(self, place: Place, timeout: float) -> None:
        self.place, self._timeout = place, timeout
        self.store = self._open()
        self._wait_for_all()

    def _open(self) -> Any:
        from torch.distributed import DistError, PrefixStore, TCPStore

        place = self.place
        by_agent = os.environ.get('TORCHELASTIC_USE_AGENT_STORE') == 'True'
        keeps_store = place.rank == 0 and not by_agent
        if not keeps_store:
            self._wait_for_address()
        try:
            store = TCPStore(
                place.host,
                place.port,
                is_master=keeps_store,
                timeout=timedelta(seconds=self._timeout),
                wait_for_workers=False,
            )
        except (DistError, RuntimeError, ValueError) as error:
            raise ConnectionError(self._refusal(error)) from None
        attempt = os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')
        return PrefixStore(f'gluon_bert/{attempt}', store)

    def _refusal(self, error):
        place, text = self.place, str(error)
        if 'EADDRINUSE' in text:
            return f'rank 0: port {place.port} (MASTER_PORT) is in use; choose another'
        if place.rank == 0:
            return f'rank 0: cannot listen at {place.address}: {text.splitlines()[0]}'
        return f'rank {place.rank}: what answers at {place.address} is not rank 0 of this run'

    def _wait_for_address(self):
        """Wait until somebody listens where rank 0 is to be."""
        place, began = self.place, time.monotonic()
        while True:
            left = self._timeout - (time.monotonic() - began)
            try:
                socket.create_connection((place.host, place.port), max(left, _POLL)).close()
                return
            except OSError as error:
                if left <= 0:
                    raise ConnectionError(
                        f'rank {place.rank}: rank 0 could not be reached at {place.address} '
                        f'(MASTER_ADDR, MASTER_PORT) within {self._timeout:g} s '
                        f'({error.strerror or error})'
                    ) from None
            time.sleep(_POLL)

    def _wait_for_all(self):
        place, began = self.place, time.monotonic()
        self.store.set(f'here/{place.rank}', str(os.getpid()))
        missing = list(range(place.size))
        while missing:
            missing = [rank for rank in missing if not self.store.check([f'here/{rank}'])]
            if missing and time.monotonic() - began > self._timeout:
                raise TimeoutError(self._missing(missing))
            time.sleep(_POLL if missing else 0)

    def _missing(self, ranks: List[int]) -> str:
        names = ', '.join(map(str, ranks[:20])) + (', ...' if len(ranks) > 20 else '')
        return (
            f'rank {self.place.rank}: after {self._timeout:g} s rank {names} of '
            f'{self.place.size} is missing at {self.place.address}'
        )

    def publish(self, reason: str) -> None:
        """Tell the others why this process ends, unless another one ended first."""
        try:
            self.store.compare_set('error', '', f'rank {self.place.rank}: {reason}')
        except RuntimeError:  # the process that kept the store is gone
            return

    def read_error(self, patience: float = 1.0) -> Optional[str]:
        """Read the reason why a process ended; None if it left none."""
        began = time.monotonic()
        try:
            while not self.store.check(['error']):
                if time.monotonic() - began > patience:
                    return None
                time.sleep(_POLL)
            return self.store.get('error').decode()
        except RuntimeError:
            return None

    def leave(self) -> None:
        """Say that this process has read what it needs; rank 0, with the store, waits for all."""
        place, began = self.place, time.monotonic()
        try:
            self.store.set(f'left/{place.rank}', '1')
            others = [f'left/{rank}' for rank in range(1, place.size)]
            while place.rank == 0 and not all(self.store.check([key]) for key in others):
                if time.monotonic() - began > _GRACE:
                    return
                time.sleep(_POLL)
        except RuntimeError:
            return
