"""Fine-tune a BERT from data files to a folder that gluon-bert predict uses.

TASK is text-classification, text-regression, multi-label-classification, multiple-choice,
question-answering, token-classification, text-ranking or sentence-similarity; or a task of GLUE
such as MRPC, read from --data_dir or $GLUE_DIR.
gluon-bert train TASK --help lists the flags of a task.

examples:
  gluon-bert train text-classification --train_file train.csv --dev_file dev.csv
  gluon-bert train MRPC --data_dir glue_data/MRPC --epochs 3 --learning_rate 2e-5
  gluon-bert train question-answering --train_file train.json --dev_file dev.json --version_2
  gluon-bert train token-classification --train_file train.conll --dev_file dev.conll --crf
  gluon-bert train multiple-choice --train_file train.csv --dev_file val.csv
  gluon-bert train text-ranking --train_file train.jsonl --dev_file dev.jsonl --loss lambdarank
  gluon-bert train sentence-similarity --train_file pairs.csv --dev_file scored.csv
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from .._internal.arguments import Parser
from .._internal.engine import prepare_engine
from .training_flags import (
    HEAD,
    MODEL_HELP,
    OPTIONS,
    add_data_flags,
    add_fields,
    add_run_flags,
    add_start_flags,
    carry_out,
    pop_devices,
    pop_reduction,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments; those of a task are read by its own parser."""
    parser.add_argument('task', metavar='TASK', help='what to train for')
    parser.add_argument(
        'rest', nargs=argparse.REMAINDER, metavar='...', help='flags: gluon-bert train TASK --help'
    )


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    prepare_engine(args.rest)
    from ..tasks import finetune

    spec, preset = finetune.find_spec(args.task, {})
    parser = make_parser(spec, preset)
    given = parser.parse_args(args.rest)
    command = ['gluon-bert', 'train', args.task, *args.rest]
    return carry_out(lambda: _finetune(finetune, args.task, given, command), command)


def make_parser(
    spec: Any, preset: dict[str, Any], command: str = 'train', without: Sequence[str] = ()
) -> argparse.ArgumentParser:
    """Make the parser of a task's flags, from the fields of its data options.

    Parameters
    ----------
    spec : TaskSpec
    preset : dict of str to object
        Fields that are not asked for.
    command : str
        Whose parser it is.
    without : sequence of str
        Further fields that are not asked for.

    Returns
    -------
    argparse.ArgumentParser
    """
    from ..tasks.frozen import HeadOptions
    from ..training import TrainingOptions

    parser = Parser(
        prog=f'gluon-bert {command} {spec.name}',
        usage='%(prog)s [FLAGS]',
        description=f'{spec.title}.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    group = parser.add_argument_group('data')
    add_data_flags(group, spec.load('job').Data, (*preset, *without), spec.takes)
    group = parser.add_argument_group('model')
    group.add_argument('--model', metavar='MODEL', help=MODEL_HELP)
    add_start_flags(group)
    options = {name: row for name, row in OPTIONS.items() if name not in without}
    add_fields(parser.add_argument_group('training'), TrainingOptions, options)
    if spec.linear_head:
        add_fields(parser.add_argument_group('linear head'), HeadOptions, HEAD)
    group = parser.add_argument_group('run')
    add_run_flags(group)
    if spec.linear_head:
        group.add_argument(
            '--folds',
            type=int,
            metavar='N',
            help='cross-validation: train on all of this number of folds of the training file but '
            'one, and evaluate on that, for each of them',
        )
    group.add_argument('--traceback', action='store_true', help='show where an error came from')
    return parser


def _finetune(finetune, task, given, command):
    options = vars(given)
    options.pop('traceback', None)
    model, folder = options.pop('model', None), options.pop('output_dir')
    arguments = {'task': task, 'model': model, 'output_dir': folder, **options}
    for name in ('gpu', 'cpu_workers'):
        arguments.pop(name, None)
    options.update(ctx=pop_devices(options), command=command, arguments=arguments)
    folds = options.pop('folds', None)
    with pop_reduction(options) as options['reduction']:
        if folds is None:
            return f'{finetune.run_job(finetune.make_run(task, model, folder, options)).folder}\n'
        from ..tasks.cross_validation import cross_validate

        done = cross_validate(task, model, output_dir=folder, folds=folds, **options)
        return f'{done.folder}\n{done.describe()}'
