"""Fit the temperature of a fine-tuned model on a dev set, for probabilities that can be trusted.

Scores are divided by one number, chosen by the negative log-likelihood of the right labels (Guo et
al., 2017). No decision changes, only how sure the model says it is. The number goes into task.json
of the folder, and every pipeline, prediction and server uses it. What is printed is the expected
calibration error (ECE, 15 bins) and the negative log-likelihood (NLL), without the temperature and
with it. On the texts that it was fitted on, the error looks smaller than it is: hold a share of
them out, or name another file.

examples:
  gluon-bert temperature output_dir --dev_file dev.csv --held_out 0.5
  gluon-bert temperature output_dir --data_dir glue_data/MRPC
  gluon-bert temperature output_dir --dev_file dev.csv --test_file test.csv
"""

from __future__ import annotations

import argparse

from .._internal.errors import ArgumentError
from .output import columns, note, say
from .texts import existing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        'folder', metavar='FOLDER', help='of gluon-bert train text-classification or multi-label'
    )
    data = parser.add_mutually_exclusive_group()
    data.add_argument('--dev_file', metavar='FILE', help='a table of texts with labels')
    data.add_argument(
        '--data_dir',
        metavar='DIR',
        help='the folder of the GLUE task that the network was trained on (default: the one in '
        '$GLUE_DIR)',
    )
    parser.add_argument('--test_file', metavar='FILE', help='measure the error on this table, too')
    parser.add_argument(
        '--held_out',
        type=float,
        default=0.0,
        metavar='SHARE',
        help='share of the dev set to measure the error on instead of fitting (default: 0)',
    )
    parser.add_argument('--seed', type=int, default=0, help='of this share (default: 0)')
    parser.add_argument(
        '--text_column', metavar='NAME', help='of a table (default: as in training)'
    )
    parser.add_argument('--pair_column', metavar='NAME', help='of the second text')
    parser.add_argument(
        '--label_column', metavar='NAME', default='label', help='of the label (default: label)'
    )
    parser.add_argument(
        '--batch_size',
        type=int,
        metavar='N',
        help='sequences computed at once (default: as in the evaluations of the training, else 32)',
    )


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    if args.batch_size is not None and args.batch_size < 1:
        raise ValueError(f'--batch_size {args.batch_size}: expected 1 or more')
    try:
        fit = _fit(args)
    except ArgumentError as error:
        raise ValueError(error.message_with(lambda name: f'--{name}')) from None
    head = ('', 'examples', 'ECE', 'calibrated', 'NLL', 'calibrated')
    rows = [
        (name, str(count), *(f'{value:.4f}' for value in (*before[:2], *after[:2])))
        for name, (before, after, count) in fit.measured.items()
    ]
    rows = [(*row[:3], row[4], row[3], row[5]) for row in rows]
    for line in columns([head, *rows], right=(1, 2, 3, 4, 5)):
        say(line)
    note(f'{args.folder}: task.json has the temperature {fit.temperature:.4f}')
    if len(fit.measured) == 1:
        note('the error was measured on what was fitted, and is too small: --held_out, --test_file')
    return 0


def _fit(args):
    from ..pipelines import load_pipeline
    from ..tasks.evaluation import read_dev
    from ..tasks.temperature import check_folder, fit_folder

    dev_file = args.dev_file and existing(args.dev_file, '--dev_file')
    test_file = args.test_file and existing(args.test_file, '--test_file')
    pipeline = load_pipeline(args.folder, batch_size=args.batch_size)
    check_folder(args.folder, pipeline)
    names = args.text_column, args.pair_column, args.label_column
    dev = read_dev(pipeline, dev_file, args.data_dir, *names)
    test = read_dev(pipeline, test_file, None, *names) if test_file else None
    return fit_folder(args.folder, pipeline, dev, test, args.held_out, args.seed)
