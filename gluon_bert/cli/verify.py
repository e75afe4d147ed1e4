"""Verify a file against its row in the zoo, or two checkpoints against each other.

With one model, checks that its digest is that of the published file, that it has the arrays of its
row in the right shapes, and that the numbers are finite. The row is found by the name or the digest
of the file unless given.

With two models of any formats, shows the largest differences of their outputs on random texts and
of their arrays. If the orders of their vocabularies differ, ids are mapped so that they mean the
same tokens. The exit status is 1 if an output differs by more than the tolerance.

examples:
  gluon-bert verify NAME DATASET
  gluon-bert verify model.params --row NAME/DATASET
  gluon-bert verify folder model.params --tolerance 1e-4
"""

from __future__ import annotations

import argparse
from argparse import ArgumentParser, Namespace

from .models import add_config_arguments, read_models


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        'models', nargs='+', metavar='MODEL', help='one or two, see gluon-bert --help'
    )
    parser.add_argument('--root', help='folder of the cache (default: $MXNET_HOME/models)')
    add_config_arguments(parser)
    one = parser.add_argument_group('with one model')
    one.add_argument('--row', metavar='NAME/DATASET', help='the row to verify a file against')
    two = parser.add_argument_group('with two models')
    two.add_argument(
        '--batches',
        type=_positive,
        default=4,
        metavar='N',
        help='batches of random texts (default: 4)',
    )
    two.add_argument(
        '--tolerance',
        type=_tolerance,
        default=1e-5,
        metavar='X',
        help='allowed difference of an output (default: 1e-5)',
    )
    two.add_argument('--seed', type=int, default=0, help='seed of the random texts (default: 0)')


def run(args: Namespace) -> int:
    """Run the subcommand."""
    models = read_models(args.models)
    if len(models) == 1:
        from .verify_row import verify_row

        return verify_row(models[0], args)
    if len(models) > 2 or args.row:
        raise ValueError(f'got {len(models)} models: expected one, or two without --row')
    from .verify_pair import verify_pair

    return verify_pair(models, args)


def _positive(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r}: expected a whole number from 1')
    return int(text)


def _tolerance(text):
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value < float('inf'):
        raise argparse.ArgumentTypeError(f'{text!r}: expected a number such as 1e-5')
    return value
