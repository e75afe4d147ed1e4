"""Compare the speed of gluon_bert and other systems on the same network and inputs.

    python3 model_zoo/benchmark/benchmark.py --mode grid --bert_model bert_6_384_12 --threads 1 2 \\
        --batches 1 8 --lengths 32 128 --output benchmark.csv

    python3 model_zoo/benchmark/benchmark.py --mode ragged --data glue_data/MRPC/dev.tsv \\
        --batches 8 32
    python3 model_zoo/benchmark/benchmark.py --mode growth --threads 1 2 \\
        --data glue_data/STS-B/train.tsv --one_by_one --rounds 3 --cell_seconds 60

Each system is a separate process, which is stopped while another one works. Before timing, the
outputs of all systems are compared with those of the first one, gluon_bert. A system that differs
is reported and not ranked. Then the systems take turns, round by round.

Modes:
  grid     batches of random tokens, each batch size with each length
  ragged   texts in their order, each batch padded to its longest text
  dataset  all vectors of a file: tokenization, sorting by length, encoding
  train    steps: forward, backward, clipping, Adam; on a grid or on the texts of --data
  load     time from the start of a process to the vector of one text, beside that of
           importing NumPy and tokenizers alone
  latency  single queries of each of --lengths, from text to vector: p50 and p99
  growth   batch sizes at one length, lengths at one batch size, both of these with each number of
           threads, and the first --sizes texts of --data as data sets in batches of 32

pip install .[bench] installs the other systems.
"""

import datetime
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'examples'))

import benchmark_arguments
import benchmark_plot
import benchmark_report as report
import benchmark_weights
import benchmark_work
from benchmark_isa import flags_within, reason_not_held
from benchmark_loading import measure_loading
from benchmark_machine import REPORTED_FLAGS, processor, versions
from benchmark_rounds import Team
from benchmark_systems import SYSTEMS, ceilings, reason_to_skip

from common import cli

# Arguments that are paths of this machine.
PRIVATE = ('--work_folder', '--output')


def make_parser():
    """Make the parser of this script."""
    return benchmark_arguments.make_parser(__doc__)


def main(argv=None):
    args = benchmark_arguments.parse(make_parser(), argv)
    config = prepare_network(args)
    systems, skipped = choose_systems(args)
    for name, reason in skipped.items():
        print(f'{name}: skipped, {reason}', file=sys.stderr)
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


def prepare_network(args):
    """Make the folder of the network; return its configuration."""
    import gluon_bert as gb

    size = cli.VOCABULARIES[args.bert_dataset or cli.OFFLINE_MODEL[1]].size
    if args.vocab_file:
        size = len(gb.data.read_vocab(args.vocab_file))
    config = gb.zoo.get_config(args.bert_model, size)
    longest = max([*args.lengths, *(args.at[1:] if args.mode == 'growth' else [])])
    has_lengths = args.mode in ('grid', 'growth', 'latency') or (
        args.mode == 'train' and not args.data
    )
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
    """List the systems that can run, after making their files; report why others cannot."""
    flags, skipped, forms = processor()[1], {}, {}
    held = flags_within(flags, args.isa)
    for name in args.systems:
        system = SYSTEMS[name]
        reason = reason_to_skip(system, args.mode, held) or reason_not_held(system, args.isa, flags)
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
    """Measure all cells with a number of threads; yield the rows after writing them."""
    common = {
        'mode': args.mode,
        'model': args.bert_model,
        'weights': args.weights,
        'threads': threads,
        'isa': args.isa,
        **origin(args.isa),
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
            systems, left[0][0], config, args.folder, threads, args.rounds, args.isa
        )
        yield from record(args, left[0][1], rows, 'start and load')
        return
    limits = []
    if args.mode != 'latency':  # a query is not bound by its products
        limits = ceilings(systems, flags_within(processor()[1], args.isa))
    with Team(systems, limits, args.folder, args.mode, threads, folder, args.isa) as team:
        for name in sorted(team.failed.keys() & set(limits)):
            print(f'{name}: not in the ceiling, {team.failed[name]}', file=sys.stderr)
        for cell, keys in left:
            rows = team.measure(cell, config, args.rounds, args.turn_seconds, args.cell_seconds)
            yield from record(args, keys, rows, f'{cell.name}, filled to {cell.fill:.2f}')


def record(args, keys, rows, title):
    """Append rows to the file and print them."""
    rows = [{**keys, **row} for row in rows]
    report.append_rows(args.output, rows)
    print(f'{keys["mode"]} {keys["model"]}, {title}, threads {keys["threads"]}')
    print('\n'.join(report.table(rows)), flush=True)
    return rows


def without_paths(argv):
    """Format the arguments for a row, without paths of this machine."""
    found, skipped = [], False
    for item in argv:
        if not skipped and item.split('=')[0] not in PRIVATE:
            flag, equals, value = item.rpartition('=')
            if os.path.isabs(value):
                value = '/'.join(Path(value).parts[-2:])
            found.append(flag + equals + value)
        skipped = item in PRIVATE
    return found


def origin(isa):
    """Describe the origin of rows: hardware in use, versions, commit, time, command."""
    name, flags = processor()
    flags = flags_within(flags, isa)
    return {
        'processor': name,
        'processors': os.cpu_count(),
        'flags': ' '.join(flag for flag in REPORTED_FLAGS if flag in flags),
        'versions': versions(),
        'commit': commit(),
        'date': datetime.datetime.now(datetime.timezone.utc).strftime('%Y-%m-%d %H:%M'),
        'command': shlex.join(
            ['python3', 'model_zoo/benchmark/benchmark.py', *without_paths(sys.argv[1:])]
        ),
    }


def commit():
    """Get the commit of the code, followed by '+' if files have changed; '' if unknown."""

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
