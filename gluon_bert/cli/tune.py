"""Search for the learning rate, epochs and batch size of a fine-tuning, with Optuna.

All other flags are those of gluon-bert train. The output folder gets the study, which --resume goes
on with, the table and the picture of the trials, and the folder of the best one, best/.

examples:
  gluon-bert tune text-classification --train_file train.csv --dev_file dev.csv --trials 20
  gluon-bert tune MRPC --learning_rate 1e-5,1e-4 --epochs 2,3,4 --batch_size 16,32
  gluon-bert tune text-classification --train_file train.csv --folds 5 --trials 10
"""

from __future__ import annotations

import argparse
from typing import Any

from .._internal.engine import prepare_engine
from . import train
from .training_flags import carry_out, pop_devices, pop_reduction

SPACE = {'learning_rate': float, 'epochs': int, 'batch_size': int}
_WITHOUT = (*SPACE, 'training_steps', 'hours')
_HELP = {
    'learning_rate': 'lowest and highest peak learning rate',
    'epochs': 'numbers of epochs to choose from',
    'batch_size': 'sizes of a batch to choose from',
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments; those of a task are read by its own parser."""
    parser.add_argument('task', metavar='TASK', help='what to train for')
    parser.add_argument(
        'rest', nargs=argparse.REMAINDER, metavar='...', help='flags: gluon-bert tune TASK --help'
    )


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    prepare_engine(args.rest)
    from ..tasks import finetune

    spec, preset = finetune.find_spec(args.task, {})
    given = make_parser(spec, preset).parse_args(args.rest)
    command = ['gluon-bert', 'tune', args.task, *args.rest]
    return carry_out(lambda: _tune(args.task, given, command), command)


def make_parser(spec: Any, preset: dict[str, Any]) -> argparse.ArgumentParser:
    """Make the parser of a task's flags: those of train, with values to search.

    Parameters
    ----------
    spec : TaskSpec
    preset : dict of str to object
        Fields that are not asked for.

    Returns
    -------
    argparse.ArgumentParser
    """
    from ..tasks.tune import SearchSpace

    parser = train.make_parser(spec, preset, 'tune', _WITHOUT)
    group = parser.add_argument_group('search')
    space = SearchSpace()
    for name, kind in SPACE.items():
        default = ','.join(f'{value:g}' for value in getattr(space, name))
        group.add_argument(
            f'--{name}',
            type=_numbers(kind),
            metavar='A,B',
            help=f'{_HELP[name]}, separated by commas (default: {default})',
        )
    group.add_argument('--trials', type=int, metavar='N', help='trials in all (default: 20)')
    return parser


def _numbers(kind):
    def numbers(text):
        return [kind(part) for part in text.split(',')]

    numbers.__name__ = f'{kind.__name__}s separated by commas'
    return numbers


def _tune(task, given, command):
    from ..tasks.tune import SearchSpace, tune

    options = vars(given)
    options.pop('traceback', None)
    model, folder = options.pop('model', None), options.pop('output_dir')
    space = SearchSpace(**{name: options.pop(name) for name in SPACE if name in options})
    ctx = pop_devices(options)
    with pop_reduction(options) as reduction:
        if reduction.size > 1:
            raise ValueError(f'runs in one process, not in {reduction.size}')
    done = tune(task, model, output_dir=folder, space=space, ctx=ctx, command=command, **options)
    best = ' '.join(f'{name}={value:g}' for name, value in done.best.items())
    return f'{done.folder}\n{done.score:.4f} {best}\n'
