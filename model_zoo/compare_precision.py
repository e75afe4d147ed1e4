"""Measure the loss of accuracy with bfloat16 and int8 after fine-tuning, by length of text.

    GLUE_DIR=glue_data python model_zoo/compare_precision.py --tasks MRPC STS-B --seeds 1 2 3 \\
        --work fine_tuned --output model_zoo/results/precision.csv

Each network is evaluated in float32 and in each lower precision, with no layers in float32 and with
those that choose_precision selects. The dev set is divided into short and long texts: layers are
chosen on one half, or on all texts, and every choice is evaluated on both halves and on all texts.
Networks are fine-tuned by examples/finetune_classifier.py into --work and reused from there;
--folders names existing folders instead.
"""

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

import comparing
import numpy as np

import gluon_bert as gb
from gluon_bert.inference.precision import choose_precision
from gluon_bert.tasks.evaluation import features_of, read_dev


def make_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--tasks', nargs='+', default=['MRPC', 'STS-B'])
    parser.add_argument('--seeds', type=int, nargs='+', default=[1, 2, 3])
    parser.add_argument(
        '--work', type=Path, default=Path('fine_tuned'), help='folder for the fine-tuned networks'
    )
    parser.add_argument('--folders', type=Path, nargs='+', help='fine-tuned folders to use instead')
    parser.add_argument(
        '--precisions', nargs='+', default=['bfloat16', 'int8'], choices=('bfloat16', 'int8')
    )
    parser.add_argument('--tolerance', type=float, default=0.005)
    parser.add_argument(
        '--max_examples',
        type=int,
        metavar='N',
        help='use only the first rows of the dev set, for testing',
    )
    for flag, default in (
        ('--batch_size', 32),
        ('--epochs', 3),
        ('--lr', 5e-5),
        ('--max_len', 128),
    ):
        parser.add_argument(flag, type=type(default), default=default, help='for the training')
    comparing.add_output_arguments(parser)
    return parser


def main(argv=None):
    args = make_parser().parse_args(argv)
    rows = []
    for folder, seed in folders(args):
        rows += compare(args, folder, seed)
    for task, precision, part in dict.fromkeys(
        (row['task'], row['precision'], row['evaluated_on']) for row in rows
    ):
        for chosen in (False, True):
            lost = [
                row['lost']
                for row in rows
                if bool(row['chosen_on']) == chosen
                and (row['task'], row['precision'], row['evaluated_on']) == (task, precision, part)
            ]
            if lost and precision != 'float32':
                print(
                    f'{task} {precision}{", layers chosen" * chosen}, {part} texts: lost '
                    f'{100 * statistics.mean(lost):.2f} points on average, '
                    f'{100 * max(lost):.2f} at most'
                )


def folders(args):
    """List the fine-tuned folders with their seeds, None if unknown."""
    if args.folders:
        yield from ((folder, '') for folder in args.folders)
        return
    for task in args.tasks:
        for seed in args.seeds:
            folder = args.work / f'{task}_{seed}'
            if not gb.task_folder.has_task(folder):
                train(args, task, seed, folder)
            yield folder, seed


def train(args, task, seed, folder):
    """Fine-tune with the example script."""
    command = [
        sys.executable,
        comparing.EXAMPLES / 'finetune_classifier.py',
        '--bert_model',
        comparing.MODEL,
        '--bert_dataset',
        comparing.DATASET,
        '--task_name',
        task,
        '--seed',
        seed,
        '--epochs',
        args.epochs,
        '--batch_size',
        args.batch_size,
        '--lr',
        args.lr,
        '--max_len',
        args.max_len,
        '--dev_batch_size',
        32,
        '--output_dir',
        folder,
        '--resume',
    ]
    subprocess.run(
        list(map(str, command)),
        check=True,
        env=comparing.environment(args),
        stderr=subprocess.DEVNULL,
    )


def compare(args, folder, seed):
    """Make the rows of a folder."""
    pipeline = gb.load_pipeline(folder)
    parts = halves(read_dev(pipeline), args.max_examples)
    measured = {}

    def score(part, precision, keep=()):
        key = part, precision, tuple(sorted(keep))
        if key not in measured:
            pipeline.freeze(gb.Predictor(pipeline.network, args.threads, precision, keep))
            measured[key] = parts[part].score(pipeline)
        return measured[key]

    rows = []
    for precision in ('float32', *args.precisions):
        chosen = [('', ())] + [
            (part, choose(args, pipeline, parts[part], precision))
            for part in parts
            if precision != 'float32'
        ]
        for chosen_on, keep in chosen:
            for part, dev in parts.items():
                value = score(part, precision, keep)
                rows.append(
                    {
                        'task': pipeline.settings.get('name', ''),
                        'seed': seed,
                        'precision': precision,
                        'chosen_on': chosen_on,
                        'evaluated_on': part,
                        'texts': len(dev.inputs),
                        'metric': dev.metric,
                        'score': round(value, 4),
                        'lost': round(score(part, 'float32') - value, 4),
                        'kept': len(keep),
                        'layers': ' '.join(keep),
                        'tolerance': args.tolerance,
                        'processor': gb.kernels.processor(),
                        **comparing.origin(),
                    }
                )
                comparing.record(args, rows[-1])
    return rows


def halves(dev, most=None):
    """Divide the dev set into short and long texts; return all, short and long."""
    dev = dev.part(range(min(most or len(dev.inputs), len(dev.inputs))))
    lengths = [sum(map(len, (row,) if isinstance(row, str) else row)) for row in dev.inputs]
    order, middle = np.argsort(lengths, kind='stable').tolist(), len(lengths) // 2
    return {
        'all': dev,
        'short': dev.part(sorted(order[:middle])),
        'long': dev.part(sorted(order[middle:])),
    }


def choose(args, pipeline, dev, precision):
    """Choose the layers that stay in float32 on a dev set."""

    def score(predictor):
        return dev.score(pipeline.freeze(predictor))

    return choose_precision(
        pipeline.network,
        precision,
        features_of(pipeline, dev.inputs),
        score,
        args.tolerance,
        num_threads=args.threads,
    ).keep


if __name__ == '__main__':
    sys.exit(main())
