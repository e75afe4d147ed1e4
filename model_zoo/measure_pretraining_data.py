"""Measure memory and processor time of gluon-bert pretraining-data on texts of several sizes.

    python model_zoo/measure_pretraining_data.py corpus/*.txt --megabytes 30 100 1000 \\
        --vocab_file vocab.txt --output model_zoo/results/pretraining_data.csv

The files, a sentence a line with blank lines between documents, are repeated up to each size. The
command makes records of this text in --num_workers processes, as a user would run it. The memory of
each of its processes is read twice a second; a row has the peak of the main process, and of the
largest worker. A plot of the peaks is written beside --output.
"""

import argparse
import csv
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import comparing

INTERVAL = 0.02  # seconds; the smallest job takes half a second


def make_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('files', nargs='+', type=Path, help='text to repeat')
    parser.add_argument('--megabytes', nargs='+', type=float, default=[30, 100, 1000])
    parser.add_argument('--vocab_file', required=True)
    parser.add_argument('--num_workers', type=int, default=2)
    parser.add_argument('--num_shards', type=int, default=8)
    parser.add_argument('--dupe_factor', type=int, default=1)
    parser.add_argument('--folder', type=Path, help='for files (default: a temporary folder)')
    comparing.add_output_arguments(parser)
    return parser


def main(argv=None):
    args = make_parser().parse_args(argv)
    for size in args.megabytes:
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            text = Path(folder) / 'text.txt'
            repeat(args.files, text, size * 1e6)
            comparing.record(args, {**measure(args, text), **comparing.origin()})
    if args.output:
        draw(args.output, args.output.with_suffix('.png'))


def repeat(paths, target, size):
    """Repeat files in one until it has ``size`` bytes; the last line may be a few less."""
    block = b'\n\n'.join(path.read_bytes() for path in paths) + b'\n\n'
    with open(target, 'wb') as file:
        left = int(size)
        while left >= len(block):
            left -= file.write(block)
        file.write(block[:left].decode('utf-8', 'ignore').encode())


def measure(args, text):
    """Run the command on a text; a row of the results."""
    options = {
        'input_file': text,
        'vocab_file': args.vocab_file,
        'output_file': text.with_name('records.tfrecord'),
        'num_shards': args.num_shards,
        'num_workers': args.num_workers,
        'dupe_factor': args.dupe_factor,
    }
    command = [sys.executable, '-m', 'gluon_bert', 'pretraining-data']
    command += [str(part) for name, value in options.items() for part in (f'--{name}', value)]
    before = _processor_seconds()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    peak, worker_peak = watch(process)
    with process.stderr:
        log = process.stderr.read().decode()
    if process.returncode:
        raise RuntimeError(log)
    seconds = _processor_seconds() - before
    records, documents, tokens = map(
        int, re.search(r'(\d+) records of (\d+) documents with (\d+) tokens', log).groups()
    )
    return {
        'text_mb': round(text.stat().st_size / 1e6, 3),
        'documents': documents,
        'tokens': tokens,
        'dupe_factor': args.dupe_factor,
        'records': records,
        'workers': args.num_workers,
        'cpu_seconds': round(seconds, 1),
        'cpu_seconds_per_million_tokens': round(seconds / tokens * 1e6, 2),
        'main_peak_mb': round(peak / 1e6, 1),
        'worker_peak_mb': round(worker_peak / 1e6, 1),
    }


def watch(process):
    """Read memory until a process ends; peaks of itself and of its children, in bytes."""
    peak = worker_peak = 0
    while process.poll() is None:
        peak = max(peak, _memory(process.pid))
        children = Path(f'/proc/{process.pid}/task/{process.pid}/children')
        names = children.read_text().split() if children.is_file() else []
        worker_peak = max([worker_peak, *map(_memory, names)])
        time.sleep(INTERVAL)
    return peak, worker_peak


def _memory(process):
    try:
        return comparing.memory('VmHWM', process)
    except OSError:  # it has ended
        return 0


def _processor_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def draw(path, target):
    """Plot the peaks of memory over the size of the text."""
    from gluon_bert.plots import style

    with open(path, newline='', encoding='utf-8') as file:
        rows = sorted(csv.DictReader(file), key=lambda row: float(row['text_mb']))
    sizes = [float(row['text_mb']) for row in rows]
    with style.picture(target, (5.2, 2.9)) as (figure, _):
        axes = figure.subplots()
        for number, (field, label) in enumerate(
            (('worker_peak_mb', 'a worker'), ('main_peak_mb', 'main process'))
        ):
            axes.plot(
                sizes,
                [float(row[field]) for row in rows],
                label=label,
                color=style.PALETTE[number],
                linestyle=style.DASHES[number],
                marker='o',
            )
        peaks = [float(row[name]) for row in rows for name in ('worker_peak_mb', 'main_peak_mb')]
        axes.set_ylim(0, 1.25 * max(peaks))
        axes.set_xlim(0, 1.05 * sizes[-1])
        axes.set_xlabel('MB of text')
        axes.set_ylabel('peak memory, MB')
        axes.grid(True)
        axes.legend(loc='lower right')


if __name__ == '__main__':
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    main()
