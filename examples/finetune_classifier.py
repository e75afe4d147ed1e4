"""Fine-tune a BERT on a GLUE task, or on your own table, to classify or rate texts.

    GLUE_DIR=glue_data MXNET_GPU_MEM_POOL_TYPE=Round python3 finetune_classifier.py \\
        --task_name MRPC --batch_size 32 --optimizer bertadam --epochs 3 --lr 2e-5 --gpu

    python3 finetune_classifier.py --train_file my.csv --dev_file dev.csv \\
        --text_column review --label_column stars

GLUE tasks are read from $GLUE_DIR/<task>/ in their official layouts. A table of your own (.tsv,
.csv, .jsonl) needs named columns; its labels are found in the training file.

The output folder gets the best epoch's parameters with all that is needed to use them,
metrics.jsonl, a training curve, predictions, a report by class, a confusion matrix and a model
card. ``gluon-bert predict`` and ``gluon_bert.load_pipeline`` use it.
"""

import sys
from pathlib import Path

from common import cli, task_arguments, training


def make_parser():
    parser = cli.make_parser(__doc__)
    group = parser.add_argument_group('data')
    task_arguments.add_task_arguments(group, 'MRPC')
    group.add_argument('--dev_file', type=Path, help='evaluate on this table after each epoch')
    group.add_argument('--test_file', type=Path, help='predict for this table in the end')
    group.add_argument(
        '--max_train_examples', type=cli.positive, help='train on the first rows only'
    )
    group.add_argument('--round_to', type=cli.positive, help='pad lengths to a multiple of this')
    group.add_argument('--pad', action='store_true', help='pad all sequences to max_len')
    group.add_argument(
        '--dev_batch_size',
        '--test_batch_size',
        type=cli.positive,
        default=8,
        help='sequences in a batch of evaluation',
    )
    group.add_argument(
        '--only_inference',
        action='store_true',
        help='evaluate and predict with --model_parameters, train nothing',
    )
    cli.add_model_arguments(parser)
    cli.add_training_arguments(parser)
    cli.add_run_arguments(parser)
    return parser


def main(argv=None):
    cli.log_to()
    cli.prepare_engine(argv)
    args, saved = parse(argv)
    task = 'text-regression' if args.regression else 'text-classification'
    training.run(args, saved.task if saved else task, saved, trains=not args.only_inference)


def parse(argv):
    """Parse the arguments, and read what stands beside --model_parameters, or None."""
    parser = make_parser()
    args, saved = training.recall(
        parser,
        argv,
        ('text-classification', 'text-regression'),
        {'max_len': 'max_len', 'batch_size': 'dev_batch_size'},
    )
    if args.only_inference and not args.model_parameters:
        parser.error('--only_inference needs --model_parameters')
    if args.dev_file and not (args.train_file or args.only_inference):
        parser.error('--dev_file goes with --train_file or --only_inference')
    return args, saved


if __name__ == '__main__':
    sys.exit(cli.run(main))
