"""What bfloat16 and int8 cost in accuracy after fine-tuning, on texts of other lengths too.

    GLUE_DIR=glue_data python model_zoo/compare_precision.py --tasks MRPC STS-B --seeds 1 2 3 \\
        --work fine_tuned --output model_zoo/results/precision.csv

Each network is evaluated in float32 and in each lower precision, without layers kept in float32 and
with those that choose_precision finds. The dev set is halved by length: layers are chosen on one
half, or on all, and every choice is evaluated on both halves and on all. Networks are fine-tuned by
examples/finetune_classifier.py into --work and reused from there; --folders takes others that are
there already.
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
        '--work',
        type=Path,
        default=Path('fine_tuned'),
        help='folder of the networks that are trained here',
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
        help='use the first rows of the dev set alone, to try out',
    )
    for flag, default in (
        ('--batch_size', 32),
        ('--epochs', 3),
        ('--lr', 5e-5),
        ('--max_len', 128),
    ):
        parser.add_argument(flag, type=type(default), default=default, help='of the training')
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
                    f'{100 * statistics.mean(lost):.2f} points in the mean, '
                    f'{100 * max(lost):.2f} at most'
                )


def folders(args):
    """The fine-tuned folders, each with its seed where it is known."""
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
    """The rows of a folder."""
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
                comparing.keep(args, rows[-1])
    return rows


def halves(dev, most=None):
    """The dev set, and its halves of short and of long texts."""
    dev = dev.part(range(min(most or len(dev.inputs), len(dev.inputs))))
    lengths = [sum(map(len, (row,) if isinstance(row, str) else row)) for row in dev.inputs]
    order, middle = np.argsort(lengths, kind='stable').tolist(), len(lengths) // 2
    return {
        'all': dev,
        'short': dev.part(sorted(order[:middle])),
        'long': dev.part(sorted(order[middle:])),
    }


def choose(args, pipeline, dev, precision):
    """The layers that stay in float32, chosen on a dev set."""

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
