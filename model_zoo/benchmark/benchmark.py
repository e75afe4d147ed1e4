"""Measure gluon_bert and other systems side by side: the same network, the same inputs.

    python3 model_zoo/benchmark/benchmark.py --mode grid --bert_model bert_6_384_12 --threads 1 2 \\
        --batches 1 8 --lengths 32 128 --output benchmark.csv

    python3 model_zoo/benchmark/benchmark.py --mode ragged --data glue_data/MRPC/dev.tsv \\
        --batches 8 32
    python3 model_zoo/benchmark/benchmark.py --mode growth --threads 1 2 \\
        --data glue_data/STS-B/train.tsv --one_by_one --rounds 3 --cell_seconds 60

Each system is a process of its own that stays alive and is stopped while another one works. Before
anything is timed, what all of them compute is compared with what the first one, gluon_bert,
computes; one that differs is reported and not ranked. Then they take turns, round by round.

Modes:
  grid     batches of random tokens, each batch size with each length
  ragged   real texts in their order, a batch padded to its longest text
  dataset  all vectors of a file: tokenizing, sorting by length, encoding
  train    steps: forward, backward, clipping, Adam; of a grid, or of the texts of --data
  load     from the start of a process to its first outputs
  growth   batch sizes at one length, lengths at one batch size, these two with each number of
           threads, and the first --sizes texts of --data as data sets in batches of 32

The other systems are installed by pip install .[bench].
"""

import datetime
import math
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'examples'))

import benchmark_plot
import benchmark_report as report
import benchmark_weights
import benchmark_work
from benchmark_rounds import Team, measure_loading
from benchmark_systems import SYSTEMS, TOLD_FLAGS, ceilings, processor, reason_to_skip, versions

from common import cli

MODES = ('grid', 'ragged', 'dataset', 'train', 'load', 'growth')
TEXT_MODES = ('ragged', 'dataset')
BATCHES, LENGTHS = [1, 8, 32], [32, 128, 384]
# Of the mode growth: powers of two, each chain with the other size as --at has it.
GROWING_BATCHES, GROWING_LENGTHS = [1, 2, 4, 8, 16, 32, 64], [16, 32, 64, 128, 256, 512]

# Arguments that name places of one machine.
PRIVATE = ('--work_folder', '--output')


def make_parser():
    parser = cli.make_parser(__doc__)
    parser.add_argument('--mode', choices=MODES, default='grid')
    parser.add_argument('--traceback', action='store_true', help='show where an error came from')
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
        help='of each system, which gets as many processors',
    )
    group.add_argument('--rounds', type=cli.positive, default=5)
    group.add_argument(
        '--turn_seconds',
        type=float,
        default=0.3,
        help='a system is called so long in a round, once at least',
    )
    group.add_argument(
        '--cell_seconds',
        type=float,
        default=math.inf,
        help='fewer rounds, one at least, for a cell whose rounds would take longer',
    )
    group.add_argument(
        '--output',
        type=Path,
        default=Path('benchmark.csv'),
        help='CSV to add to; the plots go beside it',
    )
    group.add_argument(
        '--resume', action='store_true', help='leave out what is in the CSV for this commit'
    )
    group.add_argument('--no_plot', action='store_true', help='draw nothing')
    group.add_argument(
        '--work_folder',
        type=Path,
        default=Path('output_dir/benchmark'),
        help="for the network's files, kept for the next time",
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
        help='pre-trained on it (default: random numbers)',
    )
    group.add_argument(
        '--vocab_file', type=Path, metavar='FILE', help='vocab.txt of the random network'
    )
    group.add_argument('--seed', type=int, default=1, help='of the network and of the tokens')


def add_work_arguments(group):
    group.add_argument(
        '--batches',
        type=cli.positive,
        nargs='+',
        help=f'(default: {told_list(BATCHES)}; growth: {told_list(GROWING_BATCHES)})',
    )
    group.add_argument(
        '--lengths',
        type=cli.positive,
        nargs='+',
        help=f'in tokens (default: {told_list(LENGTHS)}; growth: {told_list(GROWING_LENGTHS)})',
    )
    group.add_argument(
        '--at',
        type=cli.positive,
        nargs=2,
        metavar=('BATCH', 'LENGTH'),
        default=[8, 128],
        help='growth: the size that stays while the other grows',
    )
    group.add_argument(
        '--sizes',
        type=cli.positive,
        nargs='+',
        default=[100, 1000, 10000],
        help='growth: of the data sets, in texts',
    )
    group.add_argument(
        '--data',
        type=Path,
        nargs='+',
        default=[],
        metavar='FILE',
        help='of texts: <task>/<split>.tsv of GLUE, .json of SQuAD, .txt',
    )
    group.add_argument('--one_by_one', action='store_true', help='take the texts of pairs singly')
    group.add_argument('--limit', type=cli.positive, help='the first so many texts of a file')
    group.add_argument('--max_len', type=cli.positive, default=384, help='of texts, in tokens')


def main(argv=None):
    args = parse(argv)
    config = prepare_network(args)
    systems, skipped = choose_systems(args)
    for name, reason in skipped.items():
        print(f'{name}: left out, {reason}', file=sys.stderr)
    if not systems:
        raise cli.Failure('--systems: none of them can run here')
    cells = benchmark_work.make_cells(args, config)
    with tempfile.TemporaryDirectory(dir=args.work_folder) as folder:
        rows = [
            row
            for threads in args.threads
            for row in run_threads(
                args,
                config,
                systems,
                benchmark_work.cells_for(args, cells, threads),
                threads,
                folder,
            )
        ]
    print('\n'.join(report.summary(rows)))
    if rows and not args.no_plot:
        for path in benchmark_plot.plot_file(args.output):
            print(path)


def parse(argv):
    """The arguments; an error if they do not go together."""
    parser = make_parser()
    args = parser.parse_args(argv)
    if args.mode in TEXT_MODES and not args.data:
        parser.error(f'--mode {args.mode} needs --data')
    if args.data and args.mode not in (*TEXT_MODES, 'train', 'growth'):
        parser.error(f'--data: does not go with --mode {args.mode}')
    if args.limit and args.mode == 'growth':
        parser.error('--limit: does not go with --mode growth, whose limits are --sizes')
    if args.vocab_file and args.bert_dataset:
        parser.error('--vocab_file: goes with a random network only')
    allowed = len(os.sched_getaffinity(0))
    if max(args.threads) > allowed:
        parser.error(f'--threads {max(args.threads)}: this process may use {allowed} processors')
    if args.turn_seconds < 0 or not math.isfinite(args.turn_seconds):
        parser.error('--turn_seconds: expected 0 or more')
    if not args.cell_seconds > 0:
        parser.error('--cell_seconds: expected more than 0')
    grows = args.mode == 'growth'
    args.batches = args.batches or (GROWING_BATCHES if grows else BATCHES)
    args.lengths = args.lengths or (GROWING_LENGTHS if grows else LENGTHS)
    if not args.output.parent.is_dir():
        parser.error(f'--output {args.output}: there is no folder {args.output.parent}')
    if args.bert_dataset:
        args.bert_dataset = cli.DATASET_ALIASES.get(args.bert_dataset, args.bert_dataset)
    report.read_rows(args.output)  # an error now rather than in the end
    return args


def prepare_network(args):
    """The network's configuration; makes its folder."""
    import gluon_bert as gb

    size = cli.VOCABULARIES[args.bert_dataset or cli.OFFLINE_MODEL[1]].size
    if args.vocab_file:
        size = len(gb.data.read_vocab(args.vocab_file))
    config = gb.zoo.get_config(args.bert_model, size)
    longest = max([*args.lengths, *(args.at[1:] if args.mode == 'growth' else [])])
    has_lengths = args.mode in ('grid', 'growth') or (args.mode == 'train' and not args.data)
    if has_lengths and longest > config.max_length:
        raise cli.Failure(f'--lengths {longest}: {args.bert_model} takes {config.max_length}')
    args.weights = args.bert_dataset or f'random {args.seed}'
    args.folder = args.work_folder / f'{args.bert_model}_{args.weights}'.replace(' ', '_')
    if args.vocab_file:
        args.folder = args.folder.with_name(f'{args.folder.name}_{size}_tokens')
    benchmark_weights.describe(
        args.folder, args.bert_model, args.bert_dataset, args.seed, size, args.vocab_file
    )
    return config


def choose_systems(args):
    """The systems that can run, with all their files made, and why others cannot."""
    flags, skipped, forms = processor()[1], {}, {}
    for name in args.systems:
        reason = reason_to_skip(SYSTEMS[name], args.mode, flags)
        if reason:
            skipped[name] = reason
            continue
        forms[name] = list(SYSTEMS[name].forms)
        if args.mode == 'train':
            forms[name] += ['gluonnlp_classifier' if 'gluonnlp' in forms[name] else 'classifier']
    wanted = ['huggingface', *(form for needed in forms.values() for form in needed)]
    problems = dict(benchmark_weights.prepare(args.folder, wanted))
    if problems['huggingface']:
        raise cli.Failure(f'the network cannot be made: {problems["huggingface"]}')
    for name, needed in forms.items():
        broken = [form for form in needed if problems[form]]
        if broken:
            skipped[name] = f'its file {broken[0]} cannot be made: {problems[broken[0]]}'
    return [name for name in SYSTEMS if name in forms and name not in skipped], skipped


def run_threads(args, config, systems, cells, threads, folder):
    """Measure all cells with a number of threads; yields the rows, which are in the file then."""
    common = {
        'mode': args.mode,
        'model': args.bert_model,
        'weights': args.weights,
        'threads': threads,
        **origin(),
    }
    done = {
        report.key_of(row)
        for row in report.read_rows(args.output)
        if args.resume and row['commit'] == common['commit']
    }
    left = []
    for cell in cells:
        keys = {**common, 'data': cell.data, 'batch': cell.batch, 'length': cell.length}
        if report.missing(done, keys, systems):
            left.append((cell, keys))
    if not left:
        return
    if args.mode == 'load':
        rows = measure_loading(
            systems, left[0][0], config, args.folder, threads, args.rounds, folder
        )
        yield from keep(args, left[0][1], rows, 'start and load')
        return
    limits = ceilings(systems, processor()[1])
    with Team(systems, limits, args.folder, args.mode, threads, folder) as team:
        for name in sorted(team.failed.keys() & set(limits)):
            print(f'{name}: left out of the ceiling, {team.failed[name]}', file=sys.stderr)
        for cell, keys in left:
            rows = team.measure(cell, config, args.rounds, args.turn_seconds, args.cell_seconds)
            yield from keep(args, keys, rows, f'{cell.name}, filled to {cell.fill:.2f}')


def keep(args, keys, rows, title):
    """Add rows to the file and show them."""
    rows = [{**keys, **row} for row in rows]
    report.append_rows(args.output, rows)
    print(f'{keys["mode"]} {keys["model"]}, {title}, threads {keys["threads"]}')
    print('\n'.join(report.table(rows)), flush=True)
    return rows


def told(argv):
    """The arguments that a row tells: not where this machine keeps its files."""
    found, skipped = [], False
    for item in argv:
        if not skipped and item.split('=')[0] not in PRIVATE:
            flag, equals, value = item.rpartition('=')
            if os.path.isabs(value):
                value = '/'.join(Path(value).parts[-2:])
            found.append(flag + equals + value)
        skipped = item in PRIVATE
    return found


def told_list(numbers):
    """Numbers for the help."""
    return ' '.join(map(str, numbers))


def origin():
    """Where rows come from: hardware, versions, commit, time, command."""
    name, flags = processor()
    return {
        'processor': name,
        'processors': os.cpu_count(),
        'flags': ' '.join(flag for flag in TOLD_FLAGS if flag in flags),
        'versions': versions(),
        'commit': commit(),
        'date': datetime.datetime.now(datetime.timezone.utc).strftime('%Y-%m-%d %H:%M'),
        'command': shlex.join(['python3', 'model_zoo/benchmark/benchmark.py', *told(sys.argv[1:])]),
    }


def commit():
    """The commit of the code, with '+' behind it if files were changed since; '' if unknown."""

    def git(*arguments):
        return subprocess.run(
            ['git', '--no-optional-locks', *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
        )

    found = git('rev-parse', '--short', 'HEAD').stdout.strip()
    changed = found and git('diff', '--quiet', 'HEAD', '--', 'gluon_bert', 'examples').returncode
    return found + '+' * bool(changed)


if __name__ == '__main__':
    sys.exit(cli.run(main))
