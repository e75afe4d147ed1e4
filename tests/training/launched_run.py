"""What launched processes run: BACKEND FOLDER [--steps N] [--resume] [--tasks NAME ...].

Used by the tests of gluon-bert launch. By default it trains on small tasks; with --steps 0 it adds
up for ever.
"""

import argparse
import json
import logging
import os
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / 'training'), str(TESTS / 'modeling')]

import conftest  # noqa: F401 (it imports the package before MXNet)
import mxnet as mx
import numpy as np

from gluon_bert.training.distributed.connect import connect
from gluon_bert.training.reduction import share, sum_numbers

OPTIONS = {'learning_rate': 1e-3, 'epsilon': 1e-3, 'log_interval': 1}
TASKS = ('classes', 'pretraining')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('backend')
    parser.add_argument('folder', type=Path)
    parser.add_argument('--steps', type=int, default=20)
    parser.add_argument('--interval', type=int, default=1000, help='steps between saved states')
    parser.add_argument('--resume', action='store_true')
    parser.add_argument('--tasks', nargs='+', default=TASKS)
    parser.add_argument('--timeout', type=float, default=60)
    args = parser.parse_args()
    with connect(args.backend, args.timeout) as reduction:
        check(reduction)
        while not args.steps:
            reduction.sum_over_processes([mx.nd.ones((1000,))])
        for task in args.tasks:
            train(task, args, reduction)


def check(reduction):
    """Exact sums, of numbers that float32 does not hold, and copies of rank 0."""
    rank, size = reduction.rank, reduction.size
    assert str(rank) == os.environ['RANK'] and str(size) == os.environ['WORLD_SIZE']
    assert sum_numbers(reduction, [1 / 3, 2**24 + 1, 1e300]) == [
        add([value] * size) for value in (1 / 3, 2**24 + 1, 1e300)
    ]
    assert share(reduction, {'rank': rank, 'text': 'x' * (100 * rank)}) == {'rank': 0, 'text': ''}
    shapes = [(2, 3), (2, 3), (300, 400), (1,)]
    arrays = [mx.nd.full(shape, rank + number) for number, shape in enumerate(shapes)]
    reduction.sum_over_processes(arrays)
    for number, array in enumerate(arrays):
        assert (array.asnumpy() == sum(range(size)) + size * number).all()
    arrays = [mx.nd.full((3,), rank + 0.1, dtype=dtype) for dtype in ('float32', 'float64')]
    reduction.copy_to_processes(arrays)
    for array in arrays:
        assert (array.asnumpy() == np.full(3, 0.1, array.dtype)).all()
    sys.stdout.write(f'rank {rank} adds up right\n')


def add(values):
    total = 0.0
    for value in values:
        total += value
    return total


def train(task, args, reduction):
    import process_run

    logging.basicConfig(level=logging.INFO)
    folder = args.folder / task
    options = {**OPTIONS, 'training_steps': args.steps, 'checkpoint_interval': args.interval}
    network, result = process_run.train(
        folder / 'out', task, options, reduction=reduction, resume=args.resume
    )
    arrays = network._collect_params_with_prefix()
    np.savez(
        folder / f'rank{reduction.rank}.npz',
        **{name: array.data().asnumpy() for name, array in arrays.items()},
    )
    sys.stdout.write(json.dumps({'task': task, 'steps': result.steps}) + '\n')


if __name__ == '__main__':
    main()
