"""Shared by the comparisons with PyTorch: runs in turn, times, rows of a CSV file."""

import argparse
import csv
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import gluon_bert as gb
from gluon_bert.zoo import OFFLINE_DEFAULT
from gluon_bert.zoo.fetch.store import find_file

EXAMPLES = Path(__file__).resolve().parents[1] / 'examples'
MODEL, DATASET = OFFLINE_DEFAULT
FRAMEWORKS = ('gluon_bert', 'pytorch')


def make_parser(doc, seeds, batch_size, epochs, lr, length, longest):
    """Make the parser of a comparison, with the arguments of all comparisons.

    ``length`` is the flag for the maximum length of a sequence, ``longest`` its default.
    """
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--batch_size', type=int, default=batch_size)
    parser.add_argument('--epochs', type=int, default=epochs)
    parser.add_argument('--lr', type=float, default=lr)
    parser.add_argument(length, dest='max_len', type=int, default=longest)
    parser.add_argument('--seeds', type=int, nargs='+', default=seeds)
    parser.add_argument('--optimizer', default='adam', help='optimizer of gluon_bert')
    parser.add_argument('--frameworks', nargs='+', default=list(FRAMEWORKS), choices=FRAMEWORKS)
    parser.add_argument(
        '--like_lengths',
        action='store_true',
        help='group sequences of similar length in PyTorch, too',
    )
    parser.add_argument(
        '--max_steps',
        type=int,
        metavar='N',
        help='train for this number of steps, to compare only their time',
    )
    parser.add_argument('--child', help='used by the script itself: the seed of a PyTorch run')
    add_output_arguments(parser)
    return parser


def add_output_arguments(parser):
    """Add the arguments of every measurement: threads and output file."""
    parser.add_argument('--threads', type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument('--output', type=Path, help='CSV file to append to')


def compare(args, script, run_gluon, run_pytorch, columns, torch_padding=None):
    """Run the frameworks one after the other for each seed; print and store a row for each run.

    Parameters
    ----------
    args : argparse.Namespace
    script : str
        The file of the comparison, which is run again for the PyTorch side.
    run_gluon : function
        (args, seed) -> metrics, seconds of an epoch.
    run_pytorch : function
        args -> the same; called in a separate process.
    columns : function
        metrics -> further columns of the row.
    torch_padding : str, optional
        How the PyTorch side pads.
    """
    args.epochs = 1 if args.max_steps else args.epochs
    if args.child:
        prepare_pytorch(args)
        return print(json.dumps(run_pytorch(args)))
    rows = []
    for seed in args.seeds:
        for framework in args.frameworks:
            if framework == 'gluon_bert':
                metrics, seconds = run_gluon(args, seed)
                padding = 'batches of like lengths'
            else:
                metrics, seconds = run_child(args, script, seed)
                padding = (
                    'batches of like lengths'
                    if args.like_lengths
                    else torch_padding or 'to the longest of the batch'
                )
            row = describe(args, framework, seed, metrics, seconds, padding, **columns(metrics))
            rows.append(row)
            record(args, row)
    for framework in args.frameworks:
        own = [row for row in rows if row['framework'] == framework]
        print(
            f'{framework}: mean {own[0]["metric"]} '
            f'{statistics.mean(row["score"] for row in own):.4f}, median seconds per epoch '
            f'{statistics.median(row["seconds_per_epoch"] for row in own):.1f}'
        )


def run_script(args, script, *arguments):
    """Run an example; return its last metrics and the median seconds of an epoch."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            EXAMPLES / script,
            '--bert_model',
            MODEL,
            '--bert_dataset',
            DATASET,
            '--batch_size',
            args.batch_size,
            '--epochs',
            args.epochs,
            '--lr',
            args.lr,
            '--optimizer',
            args.optimizer,
            '--log_interval',
            '1',
            '--output_dir',
            folder,
            *arguments,
        ]
        if args.max_steps:
            command += ['--training_steps', args.max_steps]
        subprocess.run(
            list(map(str, command)), check=True, env=environment(args), stderr=subprocess.DEVNULL
        )
        rows = [
            json.loads(line) for line in (Path(folder) / 'metrics.jsonl').read_text().splitlines()
        ]
    seconds = [
        seconds_of_epoch(
            [row['seconds'] for row in rows if row['epoch'] == epoch and 'loss' in row]
        )
        for epoch in range(1, args.epochs + 1)
    ]
    metrics = [row['metrics'] for row in rows if 'metrics' in row][-1]
    return metrics, statistics.median(seconds)


def run_child(args, script, seed):
    """Run the PyTorch side of a comparison in a separate process; return what it prints."""
    command = [sys.executable, script, '--child', str(seed), *sys.argv[1:]]
    result = subprocess.run(command, check=True, env=environment(args), stdout=subprocess.PIPE)
    return json.loads(result.stdout.splitlines()[-1])


def weights_folder():
    """Find the folder of the model's weights, which transformers can read."""
    return str(find_file(gb.zoo.WEIGHTS[MODEL, DATASET], Path('')).parent)


def padded(features, fixed_length=None):
    """Make a padded batch, as keyword arguments of transformers' networks."""
    import torch

    inputs, types, lengths = gb.data.pad_batch(features, 0, round_to=fixed_length)
    mask = torch.arange(inputs.shape[1])[None] < torch.tensor(lengths)[:, None]
    return {
        'input_ids': torch.tensor(inputs).long(),
        'attention_mask': mask.long(),
        'token_type_ids': torch.tensor(types).long(),
    }


def train_pytorch(args, model, lengths, loss_of):
    """Train in a plain loop: AdamW, linear warm-up and decay, clipping, random batches.

    ``lengths`` are the numbers of tokens of the sequences. ``loss_of`` returns the mean loss of the
    sequences with these indices. Returns the median seconds of an epoch.
    """
    import torch
    import transformers

    decays = [
        p for name, p in model.named_parameters() if not ('bias' in name or 'LayerNorm' in name)
    ]
    others = [p for name, p in model.named_parameters() if 'bias' in name or 'LayerNorm' in name]
    optimizer = torch.optim.AdamW(
        [{'params': decays, 'weight_decay': 0.01}, {'params': others, 'weight_decay': 0.0}],
        lr=args.lr,
        eps=1e-6,
    )
    steps = args.epochs * -(-len(lengths) // args.batch_size)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, steps // 10, steps)
    seconds = []
    for epoch in range(args.epochs):
        model.train()
        times = []
        for batch in batches_of(args, lengths, epoch)[: args.max_steps]:
            loss = loss_of(batch)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            loss.item()
            times.append(time.perf_counter())
        seconds.append(seconds_of_epoch(times))
    model.eval()
    return statistics.median(seconds)


def batches_of(args, lengths, epoch):
    """Draw the indices of the sequences of each batch, on the PyTorch side."""
    if args.like_lengths:
        return [
            batch.tolist()
            for batch in gb.data.bucketed_batches(
                np.array(lengths), args.batch_size, int(args.child), epoch
            )
        ]
    order = list(range(len(lengths)))
    random.shuffle(order)
    return [order[i : i + args.batch_size] for i in range(0, len(order), args.batch_size)]


def prepare_pytorch(args):
    """Set the seed and the number of threads of PyTorch."""
    import torch

    random.seed(int(args.child))
    torch.manual_seed(int(args.child))
    torch.set_num_threads(args.threads)


def seconds_of_epoch(times):
    """Measure from the end of the first step, after all warm-up, to the end of the last one."""
    return (times[-1] - times[0]) * len(times) / max(len(times) - 1, 1)


def describe(args, framework, seed, metrics, seconds, padding, **others):
    """Make a row of the CSV file; the first of the metrics is the score."""
    name, score = next(iter(metrics.items()))
    return {
        'framework': framework,
        **others,
        'seed': seed,
        'score': round(score, 4),
        'metric': name,
        'seconds_per_epoch': round(seconds, 1),
        'steps': args.max_steps or 'all',
        'padding': padding,
        'batch_size': args.batch_size,
        'epochs': args.epochs,
        'lr': args.lr,
        'max_len': args.max_len,
        'threads': args.threads,
        **origin(),
    }


def origin():
    """Describe the origin of a row: hardware and commit."""
    commit = subprocess.run(
        ['git', 'rev-parse', '--short', 'HEAD'], capture_output=True, text=True, cwd=EXAMPLES
    ).stdout.strip()
    return {'hardware': hardware(), 'commit': commit}


def environment(args):
    """Make the environment variables of a run."""
    return {**os.environ, 'OMP_NUM_THREADS': str(args.threads)}


def hardware():
    """Describe the processor: name and number."""
    info = Path('/proc/cpuinfo')
    names = (
        [
            line.split(':')[1].strip()
            for line in info.read_text().splitlines()
            if line.startswith('model name')
        ]
        if info.is_file()
        else []
    )
    return f'{os.cpu_count()} x {names[0] if names else platform.processor()}'


def memory(field, process='self'):
    """Read a memory figure of a process in bytes, such as VmHWM, the peak; OSError if none."""
    for line in Path(f'/proc/{process}/status').read_text().splitlines():
        if line.startswith(field + ':'):
            return int(line.split()[1]) * 1024
    raise OSError(f'/proc/{process}/status has no {field}')


def record(args, row):
    """Print a row and append it to the file of --output."""
    print(json.dumps(row), flush=True)
    if args.output:
        append(args.output, row)


def append(path, row):
    """Append a line to a CSV file, with a header if the file is new."""
    is_new = not path.is_file()
    with open(path, 'a', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, list(row))
        if is_new:
            writer.writeheader()
        writer.writerow(row)
