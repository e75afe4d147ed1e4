"""Predict for large or many files, in processes of this machine or on a Ray cluster.

    python3 predict_files.py output/reviews reviews.txt predictions.jsonl --num_workers 2
    python3 predict_files.py output/reviews 'parts/*.txt' predictions --engine ray --num_workers 8

The results are those of one process; started again after an interruption, it goes on.
"""

import argparse
import sys

import gluon_bert as gb
from gluon_bert.batch import PredictStage, Workers, run_batch


def make_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('model', help='a fine-tuned folder, or a checkpoint')
    parser.add_argument('input', help='a file, or a pattern')
    parser.add_argument('output', help='a file; or a folder, for several files')
    parser.add_argument('--engine', choices=('local', 'ray'), default='local')
    parser.add_argument('--num_workers', type=int, default=1)
    return parser


def main(argv=None):
    args = make_parser().parse_args(argv)
    stage = PredictStage(gb.load_pipeline(args.model))
    workers = Workers(args.num_workers, args.engine)
    summary = run_batch(stage, args.input, args.output, num_workers=workers)
    print(f'{summary.num_results} results, {summary.num_kept} shards were there', file=sys.stderr)


if __name__ == '__main__':
    main()
