"""What the scripts for tasks of classes and scores share: the arguments for their data."""

from pathlib import Path

from common import cli
from gluon_bert.tasks.options import DEBUG_ROWS, comma_separated


def add_task_arguments(group, default):
    """Which task or table; ``default`` is the task's name."""
    # Their names are not read from their table: MXNet would be imported too early.
    group.add_argument(
        '--task_name', default=default, help='of GLUE, or AX, XNLI, ChnSentiCorp, LCQMC or TNEWS'
    )
    group.add_argument(
        '--data_dir', type=Path, help="the task's folder (default: the one in $GLUE_DIR)"
    )
    group.add_argument('--train_file', type=Path, help='train on this table instead of a task')
    group.add_argument('--text_column', help='of the tables (default: sentence, text, ...)')
    group.add_argument('--pair_column', help='of the second text, where there is one')
    group.add_argument('--label_column', default='label', help='of the label or score')
    group.add_argument(
        '--labels',
        type=comma_separated,
        help='the classes of the tables, separated by commas, in the order of their numbers '
        '(default: those of --train_file)',
    )
    group.add_argument('--regression', action='store_true', help='the label column holds scores')
    group.add_argument(
        '--skip_malformed',
        action='store_true',
        help='leave bad rows out and say how many, instead of stopping',
    )
    group.add_argument(
        '--debug', action='store_true', help=f'use {DEBUG_ROWS} rows of each split, to try out'
    )
    group.add_argument(
        '--max_len',
        type=cli.positive,
        default=128,
        help='tokens of a sequence, special tokens included; longer ones are cut',
    )
