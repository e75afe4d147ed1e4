"""The command-line arguments of benchmark.py."""

import math
import os
from pathlib import Path

import benchmark_latency
import benchmark_report as report
from benchmark_isa import ISAS
from benchmark_systems import SYSTEMS

from common import cli

MODES = ('grid', 'ragged', 'dataset', 'train', 'load', 'growth', 'latency')
TEXT_MODES = ('ragged', 'dataset')
BATCHES, LENGTHS = [1, 8, 32], [32, 128, 384, 512]
# For the mode growth: powers of two; --at gives the other size of a series.
GROWING_BATCHES, GROWING_LENGTHS = [1, 2, 4, 8, 16, 32, 64], [16, 32, 64, 128, 256, 512]
# Of modes with others than BATCHES and LENGTHS.
DEFAULTS = {
    'growth': (GROWING_BATCHES, GROWING_LENGTHS),
    'latency': ([1], benchmark_latency.LENGTHS),
}


def make_parser(doc):
    """Make the parser, with a description."""
    parser = cli.make_parser(doc)
    parser.add_argument('--mode', choices=MODES, default='grid')
    parser.add_argument(
        '--traceback', action='store_true', help='show the Python traceback of an error'
    )
    add_network_arguments(parser.add_argument_group('network'))
    add_work_arguments(parser.add_argument_group('work'))
    group = parser.add_argument_group('measurement')
    group.add_argument(
        '--systems',
        nargs='+',
        metavar='NAME',
        default=list(SYSTEMS),
        type=cli.one_of('system', SYSTEMS),
        help='(default: all that are installed)',
    )
    group.add_argument(
        '--threads',
        type=cli.positive,
        nargs='+',
        default=[1],
        help='threads of each system, which gets as many processors',
    )
    group.add_argument(
        '--isa',
        choices=ISAS,
        default='',
        help='hold all systems to this instruction set; those without a setting for it are named '
        'and skipped',
    )
    group.add_argument('--rounds', type=cli.positive, default=5)
    group.add_argument(
        '--turn_seconds',
        type=float,
        default=0.3,
        help='time of a system in a round, at least one call',
    )
    group.add_argument(
        '--cell_seconds',
        type=float,
        default=math.inf,
        help='limit of the time of a cell: fewer rounds, but at least one',
    )
    group.add_argument(
        '--output',
        type=Path,
        default=Path('benchmark.csv'),
        help='CSV file to append to; plots are written to its folder',
    )
    group.add_argument(
        '--resume', action='store_true', help='skip what the CSV file has for this commit'
    )
    group.add_argument('--no_plot', action='store_true', help='do not plot')
    group.add_argument(
        '--work_folder',
        type=Path,
        default=Path('output_dir/benchmark'),
        help="folder for the network's files, which are reused",
    )
    return parser


def add_network_arguments(group):
    group.add_argument(
        '--bert_model',
        default='bert_6_384_12',
        metavar='NAME',
        type=cli.one_of('model', cli.ARCHITECTURES),
    )
    group.add_argument(
        '--bert_dataset',
        metavar='NAME',
        type=cli.one_of('data set', {**cli.VOCABULARIES, **cli.DATASET_ALIASES}),
        help='pre-trained on this data set (default: random parameters)',
    )
    group.add_argument(
        '--vocab_file', type=Path, metavar='FILE', help='vocab.txt of the random network'
    )
    group.add_argument('--seed', type=int, default=1, help='seed of the network and the tokens')


def add_work_arguments(group):
    group.add_argument(
        '--batches',
        type=cli.positive,
        nargs='+',
        help=f'(default: {format_list(BATCHES)}; growth: {format_list(GROWING_BATCHES)})',
    )
    group.add_argument(
        '--lengths',
        type=cli.positive,
        nargs='+',
        help=f'in tokens (default: {format_list(LENGTHS)}; growth: {format_list(GROWING_LENGTHS)}; '
        f'latency: {format_list(benchmark_latency.LENGTHS)})',
    )
    group.add_argument(
        '--at',
        type=cli.positive,
        nargs=2,
        metavar=('BATCH', 'LENGTH'),
        default=[8, 128],
        help='growth: batch size and length of the series in which the other one grows',
    )
    group.add_argument(
        '--sizes',
        type=cli.positive,
        nargs='+',
        default=[100, 1000, 10000],
        help='growth: sizes of the data sets, in texts',
    )
    group.add_argument(
        '--data',
        type=Path,
        nargs='+',
        default=[],
        metavar='FILE',
        help='file of texts: <task>/<split>.tsv of GLUE, .json of SQuAD, .txt',
    )
    group.add_argument(
        '--one_by_one', action='store_true', help='use the texts of pairs separately'
    )
    group.add_argument(
        '--limit', type=cli.positive, help='number of texts to use, from the beginning of the file'
    )
    group.add_argument(
        '--max_len', type=cli.positive, default=384, help='maximum length of texts, in tokens'
    )


def parse(parser, argv):
    """Parse the arguments and check that they are consistent."""
    args = parser.parse_args(argv)
    if args.mode in TEXT_MODES and not args.data:
        parser.error(f'--mode {args.mode} needs --data')
    if args.data and args.mode not in (*TEXT_MODES, 'train', 'growth'):
        parser.error(f'--data: not allowed with --mode {args.mode}')
    if args.limit and args.mode == 'growth':
        parser.error('--limit: not allowed with --mode growth; use --sizes')
    if args.vocab_file and args.bert_dataset:
        parser.error('--vocab_file: only allowed for a random network')
    allowed = len(os.sched_getaffinity(0))
    if max(args.threads) > allowed:
        parser.error(f'--threads {max(args.threads)}: this process may use {allowed} processors')
    if args.turn_seconds < 0 or not math.isfinite(args.turn_seconds):
        parser.error('--turn_seconds: expected 0 or more')
    if not args.cell_seconds > 0:
        parser.error('--cell_seconds: expected more than 0')
    set_sizes(parser, args)
    if not args.output.parent.is_dir():
        parser.error(f'--output {args.output}: folder {args.output.parent} not found')
    if args.bert_dataset:
        args.bert_dataset = cli.DATASET_ALIASES.get(args.bert_dataset, args.bert_dataset)
    report.read_rows(args.output)  # fail early
    return args


def set_sizes(parser, args):
    """Fill in the batch sizes and lengths of the mode."""
    if args.mode == 'latency' and (args.batches or min(args.lengths or [3]) < 3):
        parser.error('--mode latency: one query at a time, of 3 tokens or more')
    batches, lengths = DEFAULTS.get(args.mode, (BATCHES, LENGTHS))
    args.batches, args.lengths = args.batches or batches, args.lengths or lengths


def format_list(numbers):
    """Format numbers for the help."""
    return ' '.join(map(str, numbers))
