"""Fine-tune a BERT from data files to a folder that gluon-bert predict uses.

TASK is text-classification, text-regression, multi-label-classification, question-answering or
token-classification; or a task of GLUE such as MRPC, read from --data_dir or $GLUE_DIR.
gluon-bert train TASK --help lists the flags of a task.

examples:
  gluon-bert train text-classification --train_file train.csv --dev_file dev.csv
  gluon-bert train MRPC --data_dir glue_data/MRPC --epochs 3 --learning_rate 2e-5
  gluon-bert train question-answering --train_file train.json --dev_file dev.json --version_2
  gluon-bert train token-classification --train_file train.conll --dev_file dev.conll --crf
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import shlex
import sys
from pathlib import Path
from typing import Any

from .._internal.arguments import Parser
from .._internal.engine import devices, gpu_indices, prepare_engine
from .._internal.errors import ArgumentError
from .output import note

# Field of TrainingOptions -> (type, help); a flag without a type takes no value.
_OPTIONS = {
    'epochs': (int, 'passes over the data'),
    'training_steps': (int, 'stop after this number of steps instead'),
    'hours': (float, 'stop after this time instead; the learning rate follows it'),
    'evaluate_every': (int, 'steps between evaluations; by default at the end of each epoch'),
    'accumulate': (int, 'batches whose gradients make one step'),
    'accumulate_from': (int, 'batches of the first step; they grow to --accumulate'),
    'ramp_ratio': (float, 'fraction of the run in which they grow'),
    'optimizer': (str, 'bertadam, adam, adamw or lamb'),
    'learning_rate': (float, 'peak learning rate'),
    'epsilon': (float, 'epsilon of the optimizer'),
    'weight_decay': (float, 'weight decay (default: 0.01, for adam 0)'),
    'schedule': (str, 'of the learning rate: linear, constant, cosine or polynomial'),
    'warmup_ratio': (float, 'fraction of the steps used for warm-up'),
    'max_grad_norm': (float, 'clip gradients to this norm'),
    'early_stop': (int, 'stop after this many evaluations without a better score'),
    'seed': (int, 'seed of the head, the order of batches and dropout'),
    'log_interval': (int, 'steps between lines of the log'),
    'checkpoint_interval': (int, 'steps between saved states'),
    'dtype': (str, 'precision of the dense layers: float32 or bfloat16'),
    'recompute': (None, 'recompute activations: less memory, more time'),
}
_START = {
    'bert_dataset': (str, 'data set of the zoo model, if --model is only a name'),
    'root': (str, 'folder of local weights (default: $MXNET_HOME/models)'),
    'model_parameters': (Path, 'start from this .params file of the whole fine-tuned network'),
    'from_scratch': (None, 'start from random parameters'),
    'vocab_file': (Path, 'vocabulary for --from_scratch, or of a TensorFlow checkpoint'),
    'bert_config_file': (Path, 'configuration of a TensorFlow checkpoint (default: beside it)'),
}
# Fields whose flag has another name.
_FLAGS = {'pretrained_bert_parameters': 'model'}
_SHORT = {'learning_rate': ('lr',), 'weight_decay': ('wd',)}


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
    from ..training import Interrupted

    spec, preset = finetune.find_spec(args.task, {})
    parser = make_parser(spec, preset)
    given = parser.parse_args(args.rest)
    logging.basicConfig(
        level=logging.INFO, format='%(asctime)s %(message)s', datefmt='%H:%M:%S', force=True
    )
    command = ['gluon-bert', 'train', args.task, *args.rest]
    try:
        done = _finetune(finetune, args.task, given, command)
    except ArgumentError as error:
        raise ValueError(error.message_with(lambda name: f'--{_FLAGS.get(name, name)}')) from None
    except FloatingPointError as error:
        raise ValueError(str(error)) from None
    except Interrupted as error:
        again = [item for item in command if item not in ('--resume', '--overwrite')]
        note(f'{error}; everything is saved. Go on with:\n  {shlex.join([*again, "--resume"])}')
        return 130
    sys.stdout.write(f'{done.folder}\n')
    return 0


def make_parser(spec: Any, preset: dict[str, Any]) -> argparse.ArgumentParser:
    """Make the parser of a task's flags, from the fields of its data options.

    Parameters
    ----------
    spec : TaskSpec
    preset : dict of str to object
        Fields that are not asked for.

    Returns
    -------
    argparse.ArgumentParser
    """
    from ..tasks.start import Start
    from ..training import TrainingOptions

    parser = Parser(
        prog=f'gluon-bert train {spec.name}',
        usage='%(prog)s [FLAGS]',
        description=f'{spec.title}.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    group = parser.add_argument_group('data')
    for row in dataclasses.fields(spec.load('job').Data):
        if row.name not in preset:
            names = (row.name, *row.metadata.get('names', ()))
            _add_flag(group, names, row.metadata['type'], row.metadata['help'], row.default)
    group = parser.add_argument_group('model')
    group.add_argument(
        '--model',
        metavar='MODEL',
        help='what to start from: NAME/DATASET or NAME of the zoo, a fine-tuned folder, a '
        "checkpoint's path, hf://owner/name; by default GluonNLP's where it can be fetched, else "
        'the one that needs no download',
    )
    _add_fields(group, Start, _START)
    _add_fields(parser.add_argument_group('training'), TrainingOptions, _OPTIONS)
    _add_run_flags(parser.add_argument_group('run'))
    return parser


def _add_fields(group, kind, flags):
    defaults = {row.name: row.default for row in dataclasses.fields(kind)}
    for name, (type, help) in flags.items():
        _add_flag(group, (name, *_SHORT.get(name, ())), type, help, defaults[name])


def _add_run_flags(group):
    group.add_argument(
        '--output_dir',
        type=Path,
        default=Path('output_dir'),
        metavar='FOLDER',
        help='output folder',
    )
    _add_flag(
        group, ('resume',), None, 'resume the run in the output folder, or give its result', False
    )
    _add_flag(group, ('overwrite',), None, 'replace the run in the output folder', False)
    place = group.add_mutually_exclusive_group()
    place.add_argument(
        '--gpu',
        nargs='?',
        type=gpu_indices,
        const=0,
        metavar='INDEX,...',
        help='run on a GPU, the first one when no index is given, or on several that share each '
        'batch',
    )
    place.add_argument(
        '--cpu_workers',
        type=int,
        metavar='N',
        help='share each batch among this many workers on the CPU',
    )
    group.add_argument('--traceback', action='store_true', help='show where an error came from')


def _add_flag(group, names, type, help, default):
    spellings = [f'--{name}' for name in names]
    if default not in (None, False):
        # The default is told, but left to the library.
        help = f'{help} (default: {default})'
    if type is None:
        group.add_argument(*spellings, dest=names[0], action='store_true', help=help)
    else:
        group.add_argument(*spellings, dest=names[0], type=type, help=help)


def _finetune(finetune, task, given, command):
    options = vars(given)
    options.pop('traceback', None)
    model, folder = options.pop('model', None), options.pop('output_dir')
    place = argparse.Namespace(
        gpu=options.pop('gpu', None),
        cpu_workers=options.pop('cpu_workers', None),
        batch_size=options.get('batch_size', 32),
    )
    options.update(ctx=devices(place), command=command)
    options['arguments'] = {'task': task, 'model': model, 'output_dir': folder, **options}
    del options['arguments']['ctx'], options['arguments']['command']
    return finetune.run_job(finetune.make_run(task, model, folder, options))
