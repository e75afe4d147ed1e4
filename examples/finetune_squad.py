"""Fine-tune a BERT to find the answers to questions in a paragraph: SQuAD 1.1, 2.0 and the like.

    SQUAD_DIR=squad MXNET_GPU_MEM_POOL_TYPE=Round python3 finetune_squad.py \\
        --optimizer adam --accumulate 2 --batch_size 6 --lr 3e-5 --epochs 2 --gpu

    python3 finetune_squad.py --train_file train.json --predict_file dev.json --version_2

    python3 finetune_squad.py --only_predict --predict_file test.json \\
        --model_parameters output_dir/model_bert_squad_1.params

Without --train_file and --predict_file, train-v1.1.json and dev-v1.1.json, or with --version_2
train-v2.0.json and dev-v2.0.json, are read from $SQUAD_DIR, else $MXNET_HOME/datasets/squad. Other
files need SQuAD's layout.

The output folder gets the best epoch's parameters with all that is needed to use them,
metrics.jsonl, a training curve, predictions.json, nbest_predictions.json, evaluation.json, for
SQuAD 2.0 null_odds.json, and a model card. ``gluon-bert predict`` and ``gluon_bert.load_pipeline``
use it. With --model_parameters, settings that are not given are those kept beside that file.
"""

import sys
from pathlib import Path

from common import cli, training
from gluon_bert.tasks.options import DEBUG_QUESTIONS, QUESTION_SETTINGS

# Fields of the library -> flags with other names.
FLAGS = {'dev_file': 'predict_file', 'dev_batch_size': 'test_batch_size'}


def make_parser():
    parser = cli.make_parser(__doc__)
    add_data_arguments(parser.add_argument_group('data'))
    add_answer_arguments(parser.add_argument_group('answers'))
    cli.add_model_arguments(parser)
    cli.add_training_arguments(parser)
    cli.add_run_arguments(parser)
    parser.add_argument(
        '--uncased', action='store_true', help='see that the model reads lower-cased text'
    )
    parser.add_argument(
        '--sentencepiece', metavar='FILE', help='cut words with this SentencePiece model'
    )
    parser.set_defaults(lr=5e-5, log_interval=50)
    return parser


def add_data_arguments(group):
    group.add_argument('--train_file', type=Path, help='questions to learn from')
    group.add_argument(
        '--predict_file',
        type=Path,
        help='questions to answer; if it has the answers, evaluated each epoch',
    )
    group.add_argument(
        '--skip_bad',
        action='store_true',
        help='leave training questions out whose answer is not where the file '
        'says, and say how many, instead of stopping',
    )
    group.add_argument(
        '--max_seq_length',
        type=cli.positive,
        default=384,
        help='tokens of a sequence, special tokens included',
    )
    group.add_argument(
        '--doc_stride',
        type=cli.positive,
        default=128,
        help='tokens from one window of a long paragraph to the next',
    )
    group.add_argument(
        '--max_query_length',
        type=cli.positive,
        default=64,
        help='tokens of a question; longer ones are cut',
    )
    group.add_argument('--round_to', type=cli.positive, help='pad lengths to a multiple of this')
    group.add_argument(
        '--feature_cache',
        type=Path,
        metavar='DIR',
        help='keep the windows here (default: in output_dir)',
    )
    group.add_argument(
        '--test_batch_size',
        '--predict_batch_size',
        type=cli.positive,
        default=24,
        help='sequences in a batch of evaluation',
    )
    group.add_argument(
        '--debug',
        action='store_true',
        help=f'use the first {DEBUG_QUESTIONS} questions of each file, to try out',
    )


def add_answer_arguments(group):
    group.add_argument(
        '--version_2',
        '--version_2_with_negative',
        action='store_true',
        help='as SQuAD 2.0: a question may have no answer',
    )
    group.add_argument(
        '--null_score_diff_threshold',
        type=float,
        default=0.0,
        help='null odds above which no answer is given',
    )
    group.add_argument(
        '--n_best_size', type=cli.positive, default=20, help='candidates for an answer'
    )
    group.add_argument(
        '--max_answer_length', type=cli.positive, default=30, help='tokens of an answer'
    )
    group.add_argument(
        '--character_f1', action='store_true', help='evaluate Chinese by characters, as CMRC 2018'
    )
    group.add_argument(
        '--only_predict', action='store_true', help='answer with --model_parameters, train nothing'
    )


def main(argv=None):
    cli.log_to()
    cli.prepare_engine(argv)
    args, saved = parse(argv)
    training.run(args, 'question-answering', saved, FLAGS, trains=not args.only_predict)


def parse(argv):
    """Parse the arguments, and read what stands beside --model_parameters, or None."""
    parser = make_parser()
    args, saved = training.recall(
        parser,
        argv,
        ('question-answering',),
        {**{name: name for name in QUESTION_SETTINGS}, 'batch_size': 'test_batch_size'},
    )
    if args.only_predict and not args.model_parameters:
        parser.error('--only_predict needs --model_parameters')
    return args, saved


if __name__ == '__main__':
    sys.exit(cli.run(main))
