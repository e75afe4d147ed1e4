"""Sentence vectors of a stream of any length: memory, order, and speed beside ready-made batches.

    python model_zoo/compare_stream.py corpus/*.txt --bytes 1e9 \\
        --output model_zoo/results/stream.csv

Two measurements, after one another:

stream  The lines of the files are written again and again into one file of --bytes, which
        examples/embed_sentences.py reads in a process of its own, as a user would run it, with a
        network that has --stream_model's shape and random numbers. Its memory is taken when 1, 10,
        25, 50, 75 and 100 percent of the vectors are there. Then each vector is compared with
        that of the same line in the first pass over the files: what is out of order, missing or
        twice does not agree.
speed   What the script does, from reading lines to writing their vectors, and the same network on
        batches that were tokenized, sorted by length and padded before, --rounds times in turn
        within one process, on the first --speed_lines lines; with each of --speed_models.
"""
import argparse
import collections
import contextlib
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
LOOK_AHEAD = 64      # batches sorted by length together, as the script does
IN_FLIGHT = 2
TOLERANCE = 1e-4     # lines beside other ones are padded otherwise


def make_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('files', nargs='+', type=Path, help='lines of text to repeat')
    parser.add_argument('--bytes', type=float, default=1e9, help='of the stream; 0 leaves it out')
    parser.add_argument('--stream_model', default='bert_2_128_2', help='network of the stream')
    parser.add_argument('--speed_models', nargs='*', default=['bert_2_128_2', comparing.MODEL])
    parser.add_argument('--speed_lines', type=int, default=8192)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--batch_size', type=int, default=32)
    parser.add_argument('--max_len', type=int, default=128)
    parser.add_argument('--folder', type=Path, help='for what is written meanwhile (default: a '
                                                    'temporary one)')
    comparing.add_output_arguments(parser)
    return parser


def main(argv=None):
    args = make_parser().parse_args(argv)
    lines = [line for path in args.files
             for line in path.read_bytes().decode('utf-8').split('\n') if line.strip()]
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        folder = Path(folder)
        measurements = itertools.chain(
            measure_stream(args, lines, folder) if args.bytes else (),
            *(measure_speed(args, name, lines, folder) for name in args.speed_models))
        for name, network, value, unit, lowest, highest in measurements:
            comparing.keep(args, {
                'measure': name, 'network': network, 'value': value, 'unit': unit,
                'lowest': lowest, 'highest': highest, 'bytes': int(args.bytes),
                'batch_size': args.batch_size, 'max_len': args.max_len, 'threads': args.threads,
                **comparing.origin()})


def network_folder(name, folder):
    """A folder with a network of a shape, its numbers random, and a real vocabulary."""
    target = folder / name
    if not target.is_dir():
        tokenizer = gb.get_tokenizer(comparing.MODEL, comparing.DATASET)
        gb.training.set_seed(1)
        model, _ = gb.get_model(name, vocab=tokenizer.vocab, pretrained=False)
        gb.checkpoint.write_checkpoint(gb.checkpoint.Checkpoint(
            model.checkpoint_arrays(), model.config, tokenizer=tokenizer), target)
    return target


def script_arguments(args, model):
    return ['--params_path', str(model), '--batch_size', str(args.batch_size),
            '--max_seq_length', str(args.max_len)]


def measure_stream(args, lines, folder):
    """Memory of the script over the stream, and whether its vectors are in order."""
    stream, output = folder / 'stream.txt', folder / 'vectors.npy'
    model = network_folder(args.stream_model, folder)
    num_lines = write_stream(stream, lines, args.bytes)
    row_bytes = 4 * gb.zoo.get_config(args.stream_model, 1).units
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, comparing.EXAMPLES / 'embed_sentences.py', stream, '--output', output,
         *script_arguments(args, model)], env=comparing.environment(args),
        stderr=subprocess.DEVNULL)
    peaks = watch(process, folder, num_lines * row_bytes)
    if process.returncode:
        raise RuntimeError(f'embed_sentences.py ended with {process.returncode}')
    seconds = time.perf_counter() - start
    for percent, figures in peaks.items():
        for name, value in zip(('memory', 'peak memory so far'), figures):
            yield (f'{name} at {percent} % of the stream', args.stream_model,
                   round(value / 1e6, 1), 'MB', '', '')
    yield ('speed over the whole stream', args.stream_model, round(num_lines / seconds, 1),
           'lines/s', '', '')
    yield ('lines whose vector is that of the first pass', args.stream_model,
           agreeing_rows(output, num_lines, len(lines)), f'of {num_lines}', '', '')


def write_stream(path, lines, size):
    """Write the lines again and again until there are ``size`` bytes; give their number."""
    block = '\n'.join(lines) + '\n'
    block, count = block.encode(), 0
    with open(path, 'wb') as file:
        while (left := size - file.tell()) > 0:
            part = block if left >= len(block) else block[:block.index(b'\n', int(left) - 1) + 1]
            file.write(part)
            count += part.count(b'\n')
    return count


def watch(process, folder, num_bytes):
    """The memory of a process and its peak when percents of its output are there, in bytes."""
    found, figures = {}, ()
    while process.poll() is None:
        with contextlib.suppress(OSError):      # it may end, or rename its output, meanwhile
            figures = tuple(comparing.memory(field, process.pid) for field in ('VmRSS', 'VmHWM'))
            written = max([path.stat().st_size for path in folder.glob('.vectors.npy.*')] or [0])
            for percent in PERCENTS:
                if written * 100 >= percent * num_bytes:
                    found.setdefault(percent, figures)
        time.sleep(0.05)
    return {percent: found.get(percent, figures) for percent in PERCENTS}


def agreeing_rows(path, num_rows, period, chunk=1 << 16):
    """How many rows are those of the first pass over the lines."""
    vectors = np.load(path, mmap_mode='r')
    first = np.array(vectors[:period])
    if len(vectors) != num_rows:
        raise ValueError(f'{len(vectors)} vectors for {num_rows} lines')
    count = 0
    for begin in range(0, num_rows, chunk):
        rows = vectors[begin:begin + chunk]
        expected = first[np.arange(begin, begin + len(rows)) % period]
        count += int((abs(rows - expected).max(axis=1) < TOLERANCE).sum())
    return count


def measure_speed(args, name, lines, folder):
    """Lines a second of the script's path and of ready batches, and their ratio."""
    import embed_sentences
    part = folder / 'part.txt'
    part.write_text(''.join(f'{line}\n' for line in itertools.islice(
        itertools.cycle(lines), args.speed_lines)), encoding='utf-8')
    encoder = embed_sentences.make_encoder(embed_sentences.make_parser().parse_args(
        script_arguments(args, network_folder(name, folder))))
    batches = ready_batches(args, encoder.bert, part.read_text(encoding='utf-8').split('\n')[:-1])
    sides = {
        'script': lambda: embed_sentences.write_vectors(encoder, [part], folder / 'v.npy', 'npy'),
        'ready batches': lambda: run_batches(encoder.bert, batches)}
    seconds = {side: [] for side in sides}
    for number in range(args.rounds + 1):       # the first warms up
        for side in sorted(sides, reverse=number % 2):
            start = time.perf_counter()
            sides[side]()
            if number:
                seconds[side].append(time.perf_counter() - start)
    for side, values in seconds.items():
        yield (f'speed of {side}', name, *summary([args.speed_lines / value for value in values],
                                                  'lines/s', 1))
    ratios = [ready / script for script, ready in zip(*seconds.values())]
    yield 'script beside ready batches', name, *summary(ratios, 'of their speed', 3)


def summary(values, unit, digits):
    return (round(statistics.median(values), digits), unit, round(min(values), digits),
            round(max(values), digits))


def ready_batches(args, bert, lines):
    """All batches as arrays, sorted by length within blocks as the script sorts them."""
    from mxnet import nd
    tokenizer = gb.get_tokenizer(comparing.MODEL, comparing.DATASET)
    transform = gb.data.SentenceTransform(tokenizer, args.max_len)
    pad_id, block, found = tokenizer.vocab[tokenizer.vocab.padding_token], [], []
    for begin in range(0, len(lines), args.batch_size * LOOK_AHEAD):
        block, _ = transform.transform_batch(lines[begin:begin + args.batch_size * LOOK_AHEAD])
        lengths = [feature.valid_length for feature in block]
        for indices in gb.data.sequential_batches(lengths, args.batch_size):
            arrays = gb.data.pad_batch([block[index] for index in indices], pad_id)
            found.append([nd.array(array, dtype='float32') for array in arrays])
    return found


def run_batches(bert, batches):
    """The vectors of all batches, the next one computed while one is waited for."""
    waiting = collections.deque()
    for inputs, types, lengths in batches:
        waiting.append(gb.bert.mean_pool(bert(inputs, types, lengths).sequence, lengths))
        if len(waiting) > IN_FLIGHT:
            waiting.popleft().asnumpy()
    for vectors in waiting:
        vectors.asnumpy()


if __name__ == '__main__':
    sys.exit(main())
