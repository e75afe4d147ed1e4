"""Arguments of the processes and machines that share out a command's work."""

from __future__ import annotations

import argparse
from typing import Any, Optional

from .._internal.workers import ENGINES, Workers


def add_worker_arguments(parser: Any, default: Optional[int] = 1, limit: str = '') -> None:
    """Declare the arguments that say which workers there are.

    Parameters
    ----------
    parser : argparse.ArgumentParser or a group of its arguments
    default : int, optional
        Workers; None if no argument means that the work is not cut into shards.
    limit : str
        Is added to the help of --num_workers.
    """
    parser.add_argument(
        '--num_workers',
        type=int,
        default=default,
        metavar='N',
        help=f'processes{limit} (default: 1)',
    )
    parser.add_argument(
        '--engine',
        choices=tuple(ENGINES),
        help='of the workers: processes of this machine (local, the default), or actors of Ray '
        '(ray), on $RAY_ADDRESS, on the cluster that runs here, or else on this machine',
    )
    parser.add_argument(
        '--num_cpus',
        type=int,
        metavar='N',
        help='threads of a worker (default: the cores, shared out; 1 with --engine ray)',
    )


def workers_of(args: argparse.Namespace) -> Workers:
    """Collect the arguments as :class:`.Workers`."""
    num_workers = 1 if args.num_workers is None else args.num_workers
    return Workers(num_workers, args.engine or 'local', args.num_cpus)
