"""Measure how far the probabilities of a fine-tuned classifier can be trusted, on MRPC.

    GLUE_DIR=glue_data python model_zoo/measure_calibration.py --seeds 1 2 3 \\
        --output model_zoo/results/calibration.csv

The temperature is fitted on half of the dev set, which the seed chooses, and the expected
calibration error (ECE, 15 bins) and the negative log-likelihood are measured on the other half, as
by ``gluon-bert temperature output_dir --held_out 0.5``.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

TASK = 'MRPC'


def make_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--seeds', type=int, nargs='+', default=[1, 2, 3])
    parser.add_argument('--data_dir', type=Path, help=f'folder of {TASK} (default: in $GLUE_DIR)')
    parser.add_argument('--epochs', type=int, default=1)
    parser.add_argument('--batch_size', type=int, default=16)
    parser.add_argument('--max_len', type=int, default=96)
    parser.add_argument('--label_smoothing', type=float, default=0.0)
    parser.add_argument('--output', type=Path, help='CSV file to append to')
    return parser


def main(argv=None):
    args = make_parser().parse_args(argv)
    import comparing

    for seed in args.seeds:
        comparing.record(args, measure(args, seed))


def measure(args, seed):
    """Fine-tune, fit the temperature on one half of the dev set, measure on the other."""
    import comparing

    import gluon_bert as gb
    from gluon_bert.tasks.evaluation import read_dev
    from gluon_bert.tasks.temperature import fit_folder

    options = {
        name: getattr(args, name) for name in ('epochs', 'batch_size', 'max_len', 'label_smoothing')
    }
    cpu = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        done = gb.finetune(
            TASK,
            f'{comparing.MODEL}/{comparing.DATASET}',
            data_dir=args.data_dir,
            output_dir=folder,
            seed=seed,
            **options,
        )
        seconds = time.process_time() - cpu
        dev = read_dev(done.pipeline, data_dir=args.data_dir)
        fit = fit_folder(folder, done.pipeline, dev, held_out=0.5, seed=seed)
    before, after, count = fit.measured['held out']
    return {
        'task': TASK,
        'model': '/'.join((comparing.MODEL, comparing.DATASET)),
        'accuracy': round(done.metrics['dev']['accuracy'], 4),
        'temperature': round(fit.temperature, 4),
        'ece': round(before.ece, 4),
        'ece_calibrated': round(after.ece, 4),
        'nll': round(before.nll, 4),
        'nll_calibrated': round(after.nll, 4),
        'fitted': fit.measured['fitted'][2],
        'held_out': count,
        **options,
        'seed': seed,
        'train_cpu_seconds': round(seconds, 1),
        **comparing.origin(),
        'command': ' '.join(
            ['python model_zoo/measure_calibration.py', *describe(options), f'--seeds {seed}']
        ),
    }


def describe(options):
    return [f'--{name} {value}' for name, value in options.items()]


if __name__ == '__main__':
    sys.exit(main())
