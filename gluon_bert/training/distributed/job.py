"""Describe a job of several processes, and what each of them finds in its environment."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..._internal.errors import ArgumentError
from ..._internal.suggestions import did_you_mean
from .rendezvous import address_towards
from .supervisor import ProcessSpec

MASTER_PORT = 29500  # torchrun's
LOOPBACK = '127.0.0.1'
# Helpers are ended by the supervisor once the workers are done; a signal to all is not for them.
_IGNORE = 'import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); ' + (
    'signal.signal(signal.SIGTERM, signal.SIG_IGN); '
)
_SERVE_MXNET = f'{_IGNORE}import gluon_bert, mxnet'  # it serves while it is imported
_SERVE_HOROVOD = f'{_IGNORE}from gluon_bert.training.distributed import horovod_server; ' + (
    'horovod_server.serve()'
)


@dataclass(frozen=True)
class LaunchJob:
    """A command that several processes run, on one machine or several.

    Parameters
    ----------
    command : sequence of str
    comm_backend : str
        Of ``LAUNCHERS``.
    processes : int
        On each machine.
    nodes, node_rank : int
        Number of machines, and of this one.
    master_addr : str
        Host of node 0, by which the others reach it.
    servers : int
        Of dist_sync, on each machine.
    """

    command: Sequence[str]
    comm_backend: str = 'gloo'
    processes: int = 1
    nodes: int = 1
    node_rank: int = 0
    master_addr: str = LOOPBACK
    servers: int = 1

    def __post_init__(self) -> None:
        if self.comm_backend not in LAUNCHERS:
            hint = did_you_mean(self.comm_backend, LAUNCHERS)
            reason = f'expected one of {", ".join(LAUNCHERS)}{hint}'
            raise ArgumentError('comm_backend', reason, self.comm_backend)
        for name in ('processes', 'nodes', 'servers'):
            if getattr(self, name) < 1:
                raise ArgumentError(name, 'expected 1 or more', getattr(self, name))
        if not 0 <= self.node_rank < self.nodes:
            reason = f'expected 0 to {self.nodes - 1}, of {self.nodes} machines'
            raise ArgumentError('node_rank', reason, self.node_rank)

    @property
    def size(self) -> int:
        """Number of processes on all machines."""
        return self.processes * self.nodes

    def ranks(self) -> range:
        """Ranks of the processes of this machine."""
        first = self.node_rank * self.processes
        return range(first, first + self.processes)

    def specs(self, port: int) -> list[ProcessSpec]:
        """List the processes of this machine, helpers first.

        Parameters
        ----------
        port : int
            At which the processes meet at ``master_addr``.

        Returns
        -------
        list of ProcessSpec
        """
        launcher = LAUNCHERS[self.comm_backend]
        specs = [
            ProcessSpec(name, [sys.executable, '-W', 'ignore', '-c', code], variables, False)
            for name, code, variables in launcher.helpers(self, port)
        ]
        for local_rank, rank in enumerate(self.ranks()):
            variables = {
                'RANK': str(rank),
                'LOCAL_RANK': str(local_rank),
                'GROUP_RANK': str(self.node_rank),
                'WORLD_SIZE': str(self.size),
                'LOCAL_WORLD_SIZE': str(self.processes),
                'MASTER_ADDR': self.master_addr,
                'MASTER_PORT': str(port),
                **launcher.variables(self, port, local_rank),
            }
            specs.append(ProcessSpec(f'rank {rank}', self.command, variables, is_shown=rank == 0))
        return specs


class Launcher(NamedTuple):
    """A row of ``LAUNCHERS``: what a backend needs.

    ``variables`` are those of a worker, by job, port and local rank. ``helpers`` are those of a
    machine, each as name, Python code and variables.
    """

    variables: Callable[[LaunchJob, int, int], Mapping[str, str]]
    helpers: Callable[[LaunchJob, int], Sequence[tuple[str, str, Mapping[str, str]]]]


def _nothing(*arguments):
    return {}


def _mxnet_variables(job, port, local_rank=0):
    return {
        'DMLC_ROLE': 'worker',
        'DMLC_PS_ROOT_URI': socket.gethostbyname(job.master_addr),  # it reads no names
        'DMLC_PS_ROOT_PORT': str(port),
        'DMLC_NUM_WORKER': str(job.size),
        'DMLC_NUM_SERVER': str(job.servers * job.nodes),
        'DMLC_NODE_HOST': _address(job),
    }


def _address(job):
    return address_towards(job.master_addr, MASTER_PORT, socket.AF_INET)


def _mxnet_helpers(job, port):
    variables = {**_mxnet_variables(job, port), 'OMP_NUM_THREADS': '1'}
    if job.node_rank == 0:
        yield 'scheduler', _SERVE_MXNET, {**variables, 'DMLC_ROLE': 'scheduler'}
    for number in range(job.servers):
        name = f'server {job.node_rank * job.servers + number}'
        yield name, _SERVE_MXNET, {**variables, 'DMLC_ROLE': 'server'}


def _horovod_variables(job, port, local_rank):
    return {
        'HOROVOD_RANK': str(job.ranks()[local_rank]),
        'HOROVOD_SIZE': str(job.size),
        'HOROVOD_LOCAL_RANK': str(local_rank),
        'HOROVOD_LOCAL_SIZE': str(job.processes),
        'HOROVOD_CROSS_RANK': str(job.node_rank),
        'HOROVOD_CROSS_SIZE': str(job.nodes),
        'HOROVOD_HOSTNAME': f'node{job.node_rank}',
        'HOROVOD_CONTROLLER': 'gloo',
        'HOROVOD_CPU_OPERATIONS': 'gloo',
        'HOROVOD_GLOO_RENDEZVOUS_ADDR': socket.gethostbyname(job.master_addr),
        'HOROVOD_GLOO_RENDEZVOUS_PORT': str(port),
        'HOROVOD_GLOO_IFACE': interface_of(_address(job)),
    }


def _horovod_helpers(job, port):
    if job.node_rank == 0:
        variables = {
            'HOROVOD_SIZE': str(job.size),
            'HOROVOD_LOCAL_SIZE': str(job.processes),
            'HOROVOD_GLOO_RENDEZVOUS_PORT': str(port),
        }
        yield 'rendezvous', _SERVE_HOROVOD, variables


# The value of --comm_backend -> what its processes need.
LAUNCHERS = {
    'gloo': Launcher(_nothing, _nothing),
    'dist_sync': Launcher(_mxnet_variables, _mxnet_helpers),
    'horovod': Launcher(_horovod_variables, _horovod_helpers),
}


def interface_of(address: str) -> str:
    """Find the network interface that has an IPv4 address, such as 'eth0'; Linux only.

    Parameters
    ----------
    address : str

    Returns
    -------
    str

    Raises
    ------
    OSError
        If none has it.
    """
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = name.encode().ljust(40, b'\0')
            try:
                answer = fcntl.ioctl(probe.fileno(), 0x8915, request)  # SIOCGIFADDR
            except OSError:  # it has no address
                continue
            if socket.inet_ntoa(answer[20:24]) == address:
                return name
    raise OSError(f'no network interface has the address {address}')


def free_port(address: str = '') -> int:
    """Choose a port that nobody listens at now.

    Parameters
    ----------
    address : str
        Of this machine.

    Returns
    -------
    int
    """
    with socket.socket() as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]
