"""Commands over files: in shards, in several processes or on several machines."""

from __future__ import annotations

import argparse
import os
from typing import Any, Optional

from .._internal.checks import check_positive_number
from .._internal.errors import ArgumentError
from .output import note
from .workers import add_worker_arguments, workers_of

_MIB = 1 << 20


def add_batch_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of a command that cuts files into shards."""
    group = parser.add_argument_group(
        'many files, many machines',
        'With one of these, or several files, the input is cut into shards.\nThe results are those '
        'of one process. The same command resumes\none that was interrupted.',
    )
    add_worker_arguments(group, default=None)
    group.add_argument(
        '--shard_mb', type=float, metavar='N', help='MiB of input in a shard (default: 1)'
    )
    group.add_argument(
        '--overwrite', action='store_true', help='replace results; drop shards of another command'
    )


def is_batch(args: argparse.Namespace) -> bool:
    """Tell if the work is to be cut into shards."""
    given = (args.num_workers, args.engine, args.num_cpus, args.shard_mb, args.overwrite or None)
    if any(value is not None for value in given):
        return True
    several = args.input and not os.path.exists(args.input)
    return bool(several) and any(mark in args.input for mark in ',*?[')


def check_files(args: argparse.Namespace) -> None:
    """Refuse a command over files that names none."""
    if args.texts:
        raise ValueError('shards are made of files: give --input, not texts')
    for name in ('input', 'output'):
        if not getattr(args, name):
            raise ValueError(f'shards are made of files: give --{name}, too')


def run_files(args: argparse.Namespace, stage: Any, form: Optional[str] = None) -> int:
    """Run a stage over the files of the arguments."""
    from ..batch import run_batch

    try:
        if args.shard_mb is not None:
            check_positive_number(shard_mb=args.shard_mb)
        summary = run_batch(
            stage,
            args.input,
            os.path.expanduser(args.output),
            shard_size=None if args.shard_mb is None else max(1, int(args.shard_mb * _MIB)),
            num_workers=workers_of(args),
            overwrite=args.overwrite,
            form=form,
        )
    except ArgumentError as error:
        raise ValueError(error.message_with(lambda name: f'--{name}')) from None
    except ImportError as error:
        raise ValueError(str(error)) from None
    if summary.num_kept:
        note(f'{summary.num_kept} of {summary.num_shards} shards were complete before')
    if summary.num_cut:
        note(f'{summary.num_cut} inputs were longer than the model reads and were cut')
    note(f'{summary.num_results} results: {args.output}')
    return 0
