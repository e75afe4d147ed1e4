"""Measure memory, order and speed of sentence vectors of a stream of texts.

    python model_zoo/compare_stream.py corpus/*.txt --bytes 1e9 \\
        --output model_zoo/results/stream.csv

There are two measurements:

stream  The lines of the files are repeated in a file of --bytes, which examples/embed_sentences.py
        reads in a separate process, as a user would run it. The network has --stream_model's shape
        and random parameters. Its memory is measured at each percent of the vectors. --output gets
        the values at 1, 10, 25, 50, 75 and 100 percent. A second file, stream_memory.csv for
        stream.csv, gets all values, with a plot. Then each vector is compared with that of the same
        line in the first pass over the files, which reveals wrong order, missing lines and
        duplicates.
speed   The work of the script, from reading lines to writing vectors, is compared with
        Predictor.batches on sequences that are already tokenized and sorted by length. Both run
        --rounds times, in turn and in one process, on the first --speed_lines lines, with each of
        --speed_models.
"""

import argparse
import contextlib
import csv
import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import comparing
import numpy as np

import gluon_bert as gb

sys.path.insert(0, str(comparing.EXAMPLES))
PERCENTS = (1, 10, 25, 50, 75, 100)
EVERY = range(1, 101)  # percents at which memory is measured
MEMORY_FIELDS = ('network', 'percent', 'lines', 'stream_mb', 'memory_mb', 'peak_memory_mb')
LOOK_AHEAD = 64  # batches sorted by length together, as the script does
TOLERANCE = 1e-4  # padding depends on the other lines of a batch


def make_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('files', nargs='+', type=Path, help='lines of text to repeat')
    parser.add_argument(
        '--bytes', type=float, default=1e9, help='size of the stream; 0 skips this measurement'
    )
    parser.add_argument('--stream_model', default='bert_2_128_2', help='network of the stream')
    parser.add_argument('--speed_models', nargs='*', default=['bert_2_128_2', comparing.MODEL])
    parser.add_argument('--speed_lines', type=int, default=8192)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--batch_size', type=int, default=32)
    parser.add_argument('--max_len', type=int, default=128)
    parser.add_argument(
        '--folder', type=Path, help='for intermediate files (default: a temporary folder)'
    )
    comparing.add_output_arguments(parser)
    return parser


def main(argv=None):
    args = make_parser().parse_args(argv)
    lines = [
        line
        for path in args.files
        for line in path.read_bytes().decode('utf-8').split('\n')
        if line.strip()
    ]
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        folder = Path(folder)
        measurements = itertools.chain(
            measure_stream(args, lines, folder) if args.bytes else (),
            *(measure_speed(args, name, lines, folder) for name in args.speed_models),
        )
        for name, network, value, unit, lowest, highest in measurements:
            comparing.record(
                args,
                {
                    'measure': name,
                    'network': network,
                    'value': value,
                    'unit': unit,
                    'lowest': lowest,
                    'highest': highest,
                    'bytes': int(args.bytes),
                    'batch_size': args.batch_size,
                    'max_len': args.max_len,
                    'threads': args.threads,
                    **comparing.origin(),
                },
            )


def network_folder(name, folder):
    """Write a folder with a network of this shape, random parameters and a real vocabulary."""
    target = folder / name
    if not target.is_dir():
        tokenizer = gb.get_tokenizer(comparing.MODEL, comparing.DATASET)
        gb.training.set_seed(1)
        model, _ = gb.get_model(name, vocab=tokenizer.vocab, pretrained=False)
        gb.checkpoint.write_checkpoint(
            gb.checkpoint.Checkpoint(model.checkpoint_arrays(), model.config, tokenizer=tokenizer),
            target,
        )
    return target


def script_arguments(args, model):
    return [
        '--params_path',
        str(model),
        '--batch_size',
        str(args.batch_size),
        '--max_seq_length',
        str(args.max_len),
    ]


def measure_stream(args, lines, folder):
    """Measure the memory of the script over the stream, and check the order of its vectors."""
    stream, output = folder / 'stream.txt', folder / 'vectors.npy'
    model = network_folder(args.stream_model, folder)
    num_lines = write_stream(stream, lines, args.bytes)
    row_bytes = 4 * gb.zoo.get_config(args.stream_model, 1).units
    start = time.perf_counter()
    process = subprocess.Popen(
        [
            sys.executable,
            comparing.EXAMPLES / 'embed_sentences.py',
            stream,
            '--output',
            output,
            *script_arguments(args, model),
        ],
        env=comparing.environment(args),
        stderr=subprocess.DEVNULL,
    )
    peaks = watch(process, folder, num_lines * row_bytes)
    stream_bytes = stream.stat().st_size
    if process.returncode:
        raise RuntimeError(f'embed_sentences.py ended with {process.returncode}')
    seconds = time.perf_counter() - start
    if args.output:
        path = write_memory(args, peaks, num_lines, stream_bytes)
        draw_memory(path, path.with_suffix('.png'))
    for percent in PERCENTS:
        for name, value in zip(('memory', 'peak memory so far'), peaks[percent]):
            yield (
                f'{name} at {percent} % of the stream',
                args.stream_model,
                round(value / 1e6, 1),
                'MB',
                '',
                '',
            )
    yield (
        'speed over the whole stream',
        args.stream_model,
        round(num_lines / seconds, 1),
        'lines/s',
        '',
        '',
    )
    yield (
        'lines whose vector is that of the first pass',
        args.stream_model,
        agreeing_rows(output, num_lines, len(lines)),
        f'of {num_lines}',
        '',
        '',
    )


def write_memory(args, peaks, num_lines, num_bytes):
    """Write the memory over the stream to a file in the folder of the results; return its path."""
    path = args.output.with_name(f'{args.output.stem}_memory.csv')
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(MEMORY_FIELDS)
        for percent, figures in peaks.items():
            writer.writerow(
                [
                    args.stream_model,
                    percent,
                    num_lines * percent // 100,
                    round(num_bytes * percent / 1e8, 3),
                    *(round(value / 1e6, 1) for value in figures),
                ]
            )
    return path


def draw_memory(path, target):
    """Plot resident memory and its peak against the number of processed lines."""
    from matplotlib.ticker import EngFormatter

    from gluon_bert.plots import style

    with open(path, newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    lines = [int(row['lines']) for row in rows]
    with style.picture(target, (5.2, 2.9)) as (figure, _):
        axes = figure.subplots()
        for number, (field, label) in enumerate(
            (('memory_mb', 'resident memory'), ('peak_memory_mb', 'its peak so far'))
        ):
            axes.plot(
                lines,
                [float(row[field]) for row in rows],
                label=label,
                color=style.PALETTE[number],
                linestyle=style.DASHES[number],
            )
        axes.set_ylim(0, 1.15 * max(float(row['peak_memory_mb']) for row in rows))
        axes.set_xlim(0, lines[-1])
        axes.set_xlabel('lines done')
        axes.set_ylabel('MB')
        axes.xaxis.set_major_formatter(EngFormatter(sep=''))
        whole = axes.secondary_xaxis('top', functions=_scale(lines[-1], rows[-1]['stream_mb']))
        whole.set_xlabel(f'MB of text done, {rows[-1]["network"]}')
        axes.grid(True)
        axes.legend(loc='lower right')


def _scale(lines, megabytes):
    """Make functions that convert lines to MB of text, and back."""
    ratio = float(megabytes) / lines or 1.0
    return (lambda value: value * ratio), (lambda value: value / ratio)


def write_stream(path, lines, size):
    """Repeat the lines in a file until it has ``size`` bytes; return the number of lines."""
    block = '\n'.join(lines) + '\n'
    block, count = block.encode(), 0
    with open(path, 'wb') as file:
        while (left := size - file.tell()) > 0:
            part = block if left >= len(block) else block[: block.index(b'\n', int(left) - 1) + 1]
            file.write(part)
            count += part.count(b'\n')
    return count


def watch(process, folder, num_bytes):
    """Measure the memory of a process and its peak at each percent of its output, in bytes."""
    by_percent, figures = {}, ()
    while process.poll() is None:
        with contextlib.suppress(OSError):  # it may end or rename its output at any time
            figures = tuple(comparing.memory(field, process.pid) for field in ('VmRSS', 'VmHWM'))
            written = max([path.stat().st_size for path in folder.glob('.vectors.npy.*')] or [0])
            for percent in EVERY:
                if written * 100 >= percent * num_bytes:
                    by_percent.setdefault(percent, figures)
        time.sleep(0.05)
    return {percent: by_percent.get(percent, figures) for percent in EVERY}


def agreeing_rows(path, num_rows, period, chunk=1 << 16):
    """Count the rows that equal those of the first pass over the lines."""
    vectors = np.load(path, mmap_mode='r')
    first = np.array(vectors[:period])
    if len(vectors) != num_rows:
        raise ValueError(f'{len(vectors)} vectors for {num_rows} lines')
    count = 0
    for begin in range(0, num_rows, chunk):
        rows = vectors[begin : begin + chunk]
        expected = first[np.arange(begin, begin + len(rows)) % period]
        count += int((abs(rows - expected).max(axis=1) < TOLERANCE).sum())
    return count


def measure_speed(args, name, lines, folder):
    """Measure lines per second of the script and of prepared batches, and their ratio."""
    import embed_sentences

    part = folder / 'part.txt'
    part.write_text(
        ''.join(f'{line}\n' for line in itertools.islice(itertools.cycle(lines), args.speed_lines)),
        encoding='utf-8',
    )
    encoder = embed_sentences.make_encoder(
        embed_sentences.make_parser().parse_args(
            script_arguments(args, network_folder(name, folder))
        )
    )
    blocks = list(ready_blocks(args, part.read_text(encoding='utf-8').split('\n')[:-1]))
    predictor = gb.Predictor(encoder.bert)
    sides = {
        'script': lambda: embed_sentences.write_vectors(encoder, [part], folder / 'v.npy', 'npy'),
        'ready batches': lambda: run_blocks(predictor, blocks, args.batch_size),
    }
    seconds = {side: [] for side in sides}
    for number in range(args.rounds + 1):  # the first warms up
        for side in sorted(sides, reverse=number % 2):
            start = time.perf_counter()
            sides[side]()
            if number:
                seconds[side].append(time.perf_counter() - start)
    for side, values in seconds.items():
        yield (
            f'speed of {side}',
            name,
            *summary([args.speed_lines / value for value in values], 'lines/s', 1),
        )
    ratios = [ready / script for script, ready in zip(*seconds.values())]
    yield 'script beside ready batches', name, *summary(ratios, 'of their speed', 3)


def summary(values, unit, digits):
    return (
        round(statistics.median(values), digits),
        unit,
        round(min(values), digits),
        round(max(values), digits),
    )


def ready_blocks(args, lines):
    """Tokenize the lines and sort the sequences by length within blocks, as the script does."""
    tokenizer = gb.get_tokenizer(comparing.MODEL, comparing.DATASET)
    transform = gb.data.SentenceTransform(tokenizer, args.max_len)
    size = args.batch_size * LOOK_AHEAD
    for begin in range(0, len(lines), size):
        block, _ = transform.transform_batch(lines[begin : begin + size])
        yield sorted(block, key=lambda feature: -feature.valid_length)


def run_blocks(predictor, blocks, batch_size):
    """Compute the vectors of all blocks."""
    for block in blocks:
        for _ in predictor.batches(block, batch_size, 'mean'):
            pass


if __name__ == '__main__':
    sys.exit(main())
