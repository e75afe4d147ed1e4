"""A lower precision for a fine-tuned folder, with the layers that must stay in float32.

The network is evaluated on the dev set in float32 and in the lower precision. If that costs more
than the tolerance, the layers that suffer most on the calibration texts are kept in float32, as few
as will do. What was found goes into precision.json of the folder; gluon-bert predict --precision
saved and load_pipeline(folder, precision='saved') use it. Needs the native kernels.

examples:
  gluon-bert quantize output_dir --precision int8 --dev dev.tsv
  gluon-bert quantize output_dir --precision bfloat16 --data_dir glue_data/MRPC --output smaller
  gluon-bert quantize output_dir --precision int8 --calibrate texts.txt
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import time
from pathlib import Path
from typing import Any

from .._internal.files import staging_folder
from .calibration import calibration_inputs
from .output import columns, note, say
from .texts import add_format_arguments, existing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        'folder',
        metavar='FOLDER',
        help='that a fine-tuning script wrote, or of a fine-tuned checkpoint of another format',
    )
    parser.add_argument(
        '--precision',
        choices=('bfloat16', 'int8'),
        default='int8',
        help='of the dense layers (default: int8)',
    )
    data = parser.add_mutually_exclusive_group()
    data.add_argument(
        '--dev',
        metavar='FILE',
        help='with the right answers: a table, for questions SQuAD, for entities '
        'CoNLL columns or CLUENER',
    )
    data.add_argument(
        '--data_dir',
        metavar='DIR',
        help='the folder of the GLUE task that the network was trained on (default, '
        'unless --calibrate is given: the one in $GLUE_DIR)',
    )
    parser.add_argument(
        '--calibrate',
        metavar='FILE',
        help='texts to rank the layers on, of all lengths that will come, as '
        'gluon-bert predict reads them (default: those of the dev set); '
        'without --dev and --data_dir the error on them decides',
    )
    parser.add_argument(
        '--tolerance',
        type=float,
        metavar='LOSS',
        help='how much less than in float32 the score may be, of 1 (default: '
        '0.005); or without a dev set, how large the relative error of the '
        'outputs (default: 0.05)',
    )
    add_format_arguments(parser, '--calibrate')
    parser.add_argument(
        '--label_column',
        metavar='NAME',
        default='label',
        help='of the label or score (default: label)',
    )
    parser.add_argument(
        '--batch_size',
        type=int,
        metavar='N',
        help='sequences computed at once (default: as in the evaluations of the training, else 32)',
    )
    parser.add_argument(
        '--output', metavar='FOLDER', help='copy the folder here, and leave the first as it is'
    )


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    from ..inference.precision import choose_precision
    from ..inference.precision_file import write_precision
    from ..pipelines import load_pipeline
    from ..tasks.evaluation import features_of, read_dev
    from ..tasks.model_card import tell_precision

    _check(args)
    source = _folder(args.folder)
    calibration = existing(args.calibrate, '--calibrate') if args.calibrate else None
    pipeline = load_pipeline(source, batch_size=args.batch_size)
    _check_task(pipeline, source)
    dev: Any = None
    if args.dev or args.data_dir or calibration is None:
        dev = read_dev(
            pipeline,
            args.dev and existing(args.dev, '--dev'),
            args.data_dir,
            args.text_column,
            args.pair_column,
            args.label_column,
        )
    inputs = (
        calibration_inputs(args, calibration, pipeline) if calibration is not None else dev.inputs
    )
    trials = _Trials(pipeline, args.precision, dev)
    found = choose_precision(
        pipeline.trained,
        args.precision,
        features_of(pipeline, inputs),
        None if dev is None else trials.score,
        args.tolerance,
        'error' if dev is None else dev.metric,
        tell=trials.tell,
    )
    found = found._replace(data=dev and _name(dev.path), calibration=_name(calibration or dev.path))
    for line in columns(trials.rows(found), right=(1, 2)):
        say(line)
    if len(found.keep) == len(trials.tried[0][0]):
        note('within the tolerance only with every dense layer in float32: nothing is gained')
    with _target(args, source) as folder:
        write_precision(folder, found)
        tell_precision(folder, found)
    note(f'{args.output or args.folder}: precision.json is written')
    return 0


def _check(args):
    from .. import kernels

    if not kernels.is_available():
        raise ValueError(
            f'a lower precision needs the native kernels, and there are: {kernels.describe()}'
        )
    if args.batch_size is not None and args.batch_size < 1:
        raise ValueError(f'--batch_size {args.batch_size}: expected 1 or more')
    if args.tolerance is not None and not 0 <= args.tolerance < float('inf'):
        raise ValueError(f'--tolerance {args.tolerance}: expected a number from 0')
    if args.output and os.path.lexists(os.path.expanduser(args.output)):
        raise ValueError(f'--output {args.output}: is there already')


def _folder(text):
    """The folder to quantize; precision.json goes into it."""
    path = Path(text).expanduser()
    if not path.is_dir():
        what = 'is a file' if path.is_file() else 'no such folder'
        raise ValueError(f'{text}: {what}; expected a folder, such as gluon-bert convert writes')
    return path


def _check_task(pipeline, source):
    from ..tasks.registry import TASKS

    if pipeline.task not in TASKS:
        raise ValueError(
            f'{source}: is for {pipeline.task}; expected a network that was fine-tuned for '
            f'{", ".join(TASKS)}'
        )


class _Trials:
    """What was tried: layers kept, score or error, seconds."""

    def __init__(self, pipeline, precision, dev):
        self.pipeline, self.precision, self.dev = pipeline, precision, dev
        self.tried: list = []
        self.seconds = 0.0

    def score(self, predictor):
        """The score of a network on the dev set, its time taken."""
        self.pipeline.freeze(predictor)
        start = time.perf_counter()
        score = self.dev.score(self.pipeline)
        self.seconds = time.perf_counter() - start
        return score

    def tell(self, keep, value):
        """Keep a trial in mind."""
        self.tried.append((keep, value, self.seconds))
        note(f'{len(keep)} dense layers in float32: {value:.4f}')

    def rows(self, found):
        """The table: float32, the whole network in the lower precision, what was chosen."""
        all_layers = self.tried[0][0]
        wanted = {len(all_layers): 'float32', 0: self.precision}
        wanted.setdefault(len(found.keep), f'{self.precision}, chosen')
        times = self.dev is not None
        rows = [('', found.measure, 'seconds' if times else '', 'dense layers in float32')]
        for number, name in wanted.items():
            keep, value, seconds = next(row for row in self.tried if len(row[0]) == number)
            listed = '' if number in (0, len(all_layers)) else ': ' + ' '.join(keep)
            rows.append(
                (
                    name,
                    f'{value:.4f}',
                    f'{seconds:.2f}' if times else '',
                    f'{number} of {len(all_layers)}{listed}',
                )
            )
        return rows


@contextlib.contextmanager
def _target(args, source):
    """The folder to write into: the one given, or a copy that is whole or not at all."""
    if not args.output:
        yield source
        return
    output = Path(os.path.abspath(os.path.expanduser(args.output)))
    output.parent.mkdir(parents=True, exist_ok=True)
    with staging_folder(output) as temporary:
        folder = temporary / 'new'
        folder.mkdir()
        for path in _files_of(source):
            copy = shutil.copytree if path.is_dir() else shutil.copyfile
            copy(path, folder / path.name)
        yield folder
        os.rename(folder, output)


def _files_of(source):
    """What belongs to the network of a folder: of a training, one file of parameters."""
    from ..checkpoint.task_file import TASK_FILE, TOKENIZER_FOLDER, has_task, read_task_file
    from ..tasks.model_card import CARD_FILE

    parameters = read_task_file(source).parameters if has_task(source) else None
    if parameters is None or parameters.suffix != '.params':
        return sorted(source.iterdir())
    names = (TASK_FILE, parameters.name, TOKENIZER_FOLDER, CARD_FILE)
    return [*filter(Path.exists, map(source.joinpath, names)), *source.glob('*.png')]


def _name(path):
    """The name of a file, with its folder's, as text that can be printed."""
    text = '/'.join(Path(path).parts[-2:])
    return ''.join(character if character.isprintable() else '?' for character in text)
