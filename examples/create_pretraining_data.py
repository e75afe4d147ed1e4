"""Make TFRecords to pre-train a BERT on, as Google's script of this name does.

    python3 create_pretraining_data.py --input_file=sample_text.txt \\
        --output_file=tf_examples.tfrecord --vocab_file=$BERT_BASE_DIR/vocab.txt \\
        --do_lower_case=True --max_seq_length=128 --max_predictions_per_seq=20 \\
        --masked_lm_prob=0.15 --random_seed=12345 --dupe_factor=5

The flags, and the records number for number, are those of Google's script. With --compatible none
it is the command ``gluon-bert pretraining-data``: several processes, constant memory, and flags for
other ways to pair and to mask, which --help lists.
"""

import sys

from common import cli
from gluon_bert.cli import pretraining_data


def make_parser():
    parser = cli.make_parser(__doc__)
    pretraining_data.add_arguments(parser)
    parser.add_argument('--traceback', action='store_true', help='show where an error came from')
    parser.set_defaults(compatible='google')
    return parser


def main(argv=None):
    pretraining_data.run(make_parser().parse_args(argv))


if __name__ == '__main__':
    sys.exit(cli.run(main))
