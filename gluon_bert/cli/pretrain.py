"""Pre-train a BERT on records or texts, from random parameters or from a trained model.

The output folder gets the model in model/, which every command takes, the log and the metrics.
Records are what gluon-bert pretraining-data makes, or the scripts of Google and GluonNLP. Of texts
records are made first, in the output folder, and masked anew in each epoch.

examples:
  gluon-bert pretrain --model NAME/DATASET --texts my.txt --objective masked_words --epochs 3
  gluon-bert pretrain --from_scratch --model bert_4_256_4 --vocab_file vocab.txt --data a.npz
  gluon-bert pretrain --data a.npz --phase training_steps=900 --phase training_steps=99,data=b.npz
"""

from __future__ import annotations

import argparse
import sys

from .._internal.engine import prepare_engine
from ..tasks.pretraining.options import LEARNING_RATE, PretrainingData, PretrainingPlan
from ..training.options import TrainingOptions
from .training_flags import (
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

_WITHOUT = ('early_stop',)  # the last parameters are taken
_NO_OPTIONS = ('command', 'run', 'traceback')
_HELP = {
    'seed': (int, 'seed of random parameters, the order of records, masks and dropout'),
    'evaluate_every': (int, 'steps between evaluations; by default at the end of each epoch'),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments; those that are not given are left to the library."""
    parser.argument_default = argparse.SUPPRESS
    add_data_flags(parser.add_argument_group('data'), PretrainingData)
    group = parser.add_argument_group('model')
    group.add_argument('--model', metavar='MODEL', help=MODEL_HELP)
    add_start_flags(group, ('model_parameters', 'reinit_layers'))
    group = parser.add_argument_group('training')
    flags = {name: row for name, row in {**OPTIONS, **_HELP}.items() if name not in _WITHOUT}
    add_fields(group, TrainingOptions, flags, learning_rate=LEARNING_RATE)
    group.add_argument(
        '--phase',
        action='append',
        metavar='NAME=VALUE,...',
        help='a phase with its own values of these flags; several follow each other in one run',
    )
    add_run_flags(parser.add_argument_group('run'))
    parser.argument_default = None


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    prepare_engine(_words(args))
    from ..tasks.pretrain import make_job, run_pretraining

    options = {name: value for name, value in vars(args).items() if name not in _NO_OPTIONS}

    def train() -> str:
        with pop_reduction(options) as options['reduction']:
            done = run_pretraining(_make_job(make_job, options))
        return f'{done.zoo_rows}{done.model}\n'

    return carry_out(train, sys.argv)


def _words(args):
    workers = getattr(args, 'cpu_workers', None)
    return [] if workers is None else ['--cpu_workers', str(workers)]


def _make_job(make_job, options):
    arguments = {name: value for name, value in options.items() if name != 'reduction'}
    model, folder = options.pop('model', None), options.pop('output_dir')
    plan = PretrainingPlan.parse(options.pop('phase', ()))
    options.update(ctx=pop_devices(options), arguments=arguments)
    return make_job(model, folder, plan, options)
