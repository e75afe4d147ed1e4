"""Run a command in several processes that train together, on this machine or on several.

COMMAND is gluon-bert train, pretrain or distill, or a script that takes --comm_backend. Each
process writes to a file of its own in --log_dir; the output of rank 0 is shown as well. When a
process fails, all end, and a line tells which one, why, and where its log is. The variables of
torchrun are set, so that its programs run, too; with gloo torchrun can start these commands in its
turn.

On several machines run the same on each, with the same --hosts; or say as for torchrun which of how
many machines it is.

examples:
  gluon-bert launch -n 2 gluon-bert train MRPC --data_dir glue_data/MRPC --epochs 3
  gluon-bert launch -n 4 --comm_backend dist_sync gluon-bert pretrain --data a.npz
  gluon-bert launch --hosts node1,node2 -n 2 gluon-bert pretrain --data a.npz
  gluon-bert launch -n 2 --max_restarts 3 gluon-bert pretrain --data a.npz --resume
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import socket
import sys
from dataclasses import fields
from pathlib import Path

from .._internal.cpu import physical_cores
from .._internal.errors import ArgumentError
from ..training.distributed.job import LAUNCHERS, LOOPBACK, MASTER_PORT, LaunchJob
from ..training.distributed.launch import LaunchOptions, launch
from .output import note

_FLAG = '--comm_backend'
_OWN = ('train', 'pretrain', 'distill')  # commands that take the flag and --resume
_SPELLED = {'processes': 'n', 'nodes': 'nnodes', 'servers': 'num_servers'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    defaults = LaunchOptions()
    parser.add_argument(
        'words', nargs=argparse.REMAINDER, metavar='COMMAND', help='what each process runs'
    )
    parser.add_argument(
        '-n', '--nproc_per_node', type=int, default=1, metavar='N', help='processes on each machine'
    )
    parser.add_argument(_FLAG, help=f'{", ".join(LAUNCHERS)} (default: that of COMMAND, else gloo)')
    group = parser.add_argument_group('several machines')
    group.add_argument('--hosts', metavar='HOST,...', help='all machines, the same list on each')
    group.add_argument('--nnodes', type=int, metavar='N', help='number of machines')
    group.add_argument('--node_rank', type=int, metavar='N', help='number of this machine, from 0')
    group.add_argument('--master_addr', metavar='HOST', help='machine 0')
    group.add_argument(
        '--master_port',
        type=int,
        metavar='PORT',
        help=f'port of machine 0 (default: {MASTER_PORT}; on one machine a free one)',
    )
    group.add_argument(
        '--timeout',
        type=float,
        default=defaults.timeout,
        metavar='SECONDS',
        help=f'time that the machines have to come together (default: {defaults.timeout:g})',
    )
    group.add_argument(
        '--num_servers',
        type=int,
        default=1,
        metavar='N',
        help='servers of dist_sync on each machine (default: 1)',
    )
    group = parser.add_argument_group('run')
    group.add_argument(
        '--log_dir', type=Path, default=defaults.log_dir, metavar='FOLDER', help='default: logs'
    )
    group.add_argument(
        '--max_restarts',
        type=int,
        default=0,
        metavar='N',
        help='start again that often after a failure; COMMAND must go on from its checkpoint '
        '(default: 0)',
    )
    group.add_argument(
        '--stop_seconds',
        type=float,
        default=defaults.stop_seconds,
        metavar='SECONDS',
        help='time that processes have to save their state after SIGINT or SIGTERM (default: '
        f'{defaults.stop_seconds:g})',
    )


def run(args: argparse.Namespace) -> int:
    """Run the subcommand; give the status of the process that failed first."""
    try:
        options = LaunchOptions(
            **{row.name: getattr(args, row.name) for row in fields(LaunchOptions)}
        )
        job = _make_job(args)
    except ArgumentError as error:
        raise ValueError(error.message_with(_spell)) from None
    if 'OMP_NUM_THREADS' not in os.environ:
        # Each process would take all cores, which makes all of them many times slower.
        os.environ['OMP_NUM_THREADS'] = str(max(1, physical_cores() // job.processes))
    note(f'{_describe(job)}: {shlex.join(job.command)}')
    return launch(job, options, lambda line: note(f'gluon-bert launch: error: {line}'))


def _spell(name):
    name = _SPELLED.get(name, name)
    return f'-{name}' if len(name) == 1 else f'--{name}'


def _describe(job):
    first, last = job.ranks()[0], job.ranks()[-1]
    ranks = f'rank {first}' if first == last else f'ranks {first} to {last}'
    threads = os.environ['OMP_NUM_THREADS']
    return f'{ranks} of {job.size}, {job.comm_backend}, OMP_NUM_THREADS={threads}'


def _make_job(args):
    words = args.words[1:] if args.words[:1] == ['--'] else list(args.words)
    if not words:
        raise ValueError('give the command to run, such as gluon-bert train')
    backend = _choose_backend(args.comm_backend, words)
    nodes, node_rank, master = _find_place(args)
    job = LaunchJob(
        _find_program(words), backend, args.nproc_per_node, nodes, node_rank, master,
        args.num_servers,
    )  # fmt: skip
    if _is_own(words) and args.max_restarts and '--resume' not in words:
        raise ArgumentError('max_restarts', 'COMMAND needs --resume, or each start begins anew')
    return job


def _is_own(words):
    """True for a command of this package that trains; another one would be run twice."""
    if Path(words[0]).name != 'gluon-bert':
        return False
    name = words[1] if len(words) > 1 else ''
    if name not in _OWN:
        expected = ', '.join(_OWN)
        raise ValueError(f'gluon-bert {name}: is not for several processes, as are {expected}')
    return True


def _choose_backend(backend, words):
    """Choose the backend by this command's flag and that of COMMAND, to which it may be added."""
    names = [word.partition('=')[0].replace('-', '_') for word in words]
    places = [n for n, name in enumerate(names) if name == '__comm_backend']
    if not places:
        backend = backend or 'gloo'
        if _is_own(words):
            words += [_FLAG, backend]
        return backend
    _, equals, value = words[places[-1]].partition('=')
    if not equals:
        value = words[places[-1] + 1] if places[-1] + 1 < len(words) else ''
    if backend not in (None, value):
        reason = f'COMMAND has {_FLAG} {value}; give it once'
        raise ArgumentError('comm_backend', reason, backend)
    return value


def _find_place(args):
    """Find how many machines there are, which one this is, and the address of the first."""
    given = {name: getattr(args, name) for name in ('nnodes', 'node_rank', 'master_addr')}
    if args.hosts is None:
        nodes, node_rank = args.nnodes or 1 if args.nnodes != 0 else 0, args.node_rank
        if nodes > 1 and (node_rank is None or args.master_addr is None):
            raise ArgumentError('nnodes', 'needs {node_rank} and {master_addr}, or {hosts}', nodes)
        return nodes, node_rank or 0, args.master_addr or LOOPBACK
    double = [name for name, value in given.items() if value is not None]
    if double:
        raise ArgumentError('hosts', f'says the same as {{{double[0]}}}; give one of them')
    hosts = [host.strip() for host in args.hosts.split(',')]
    if '' in hosts or len(set(hosts)) < len(hosts):
        raise ArgumentError('hosts', 'expected different names or addresses', args.hosts)
    return len(hosts), _find_self(hosts), hosts[0]


def _find_self(hosts):
    """Find the host that is this machine, by its addresses."""
    for number, host in enumerate(hosts):
        try:
            address = socket.gethostbyname(host)
        except OSError as error:
            raise ArgumentError('hosts', f'{host}: {error.strerror}') from None
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((address, 0))
            except OSError:
                continue
            return number
    raise ArgumentError('hosts', 'none is this machine; give {node_rank}', ','.join(hosts))


def _find_program(words):
    """Find the program of a command; gluon-bert and scripts run in this Python."""
    name = words[0]
    if Path(name).name == 'gluon-bert':
        return [sys.executable, '-m', 'gluon_bert', *words[1:]]
    if name.endswith('.py'):
        if not Path(name).is_file():
            raise ValueError(f'{name}: no such script')
        return [sys.executable, *words]
    program = shutil.which(name)
    if program is None:
        raise ValueError(f'{name}: command not found')
    return [program, *words[1:]]
