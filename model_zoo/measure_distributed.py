"""Measure training by one process and by several, at the same number of threads in all.

    python3 model_zoo/measure_distributed.py --output model_zoo/results/distributed.csv
    python3 model_zoo/measure_distributed.py --tasks classifier questions entities \\
        --data_dir data --output model_zoo/results/distributed_tasks.csv

Without --tasks: steps of pre-training from random weights. A row has the median time of a step, the
bytes that each process gives to the sums of a step, and the time of the sums: in all, exposed
(waited for when the backward pass was over) and hidden behind it. With --tasks: the example scripts
fine-tune; a row has the median time of a step and the scores. All processes are on this machine.
"""

import argparse
import json
import os
import shlex
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import comparing
from compare_pretraining_step import make_batch, make_gluon_step

# Name -> script, and its flags, with the data in --data_dir.
TASKS = {
    'classifier': ('finetune_classifier.py', '--task_name MRPC --max_len 96'),
    'questions': (
        'finetune_squad.py',
        '--train_file squad/train40-v1.1.json --predict_file squad/dev8-v1.1.json '
        '--max_seq_length 192 --doc_stride 96',
    ),
    'entities': (
        'finetune_ner.py',
        '--train_path ner/wnut17/wnut17train.conll --dev_path ner/wnut17/emerging.dev.conll '
        '--seq_len 64',
    ),
}
MODELS = [(2, 128, 2, 30522), (4, 256, 4, 30522)]


def make_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    comparing.add_output_arguments(parser)
    parser.add_argument('--processes', nargs='+', type=int, default=[1, 2])
    parser.add_argument('--bucket_mb', nargs='+', type=float, default=[25.0])
    parser.add_argument('--bucket_dtypes', nargs='+', default=['float32', 'bfloat16'])
    parser.add_argument(
        '--models',
        nargs='+',
        default=MODELS,
        type=lambda text: tuple(map(int, text.split(','))),
        help='layers,units,heads,vocabulary',
    )
    parser.add_argument(
        '--shape',
        nargs=3,
        type=int,
        default=[32, 128, 20],
        metavar=('N', 'T', 'M'),
        help='sequences of all processes together, tokens and masked words of each',
    )
    parser.add_argument('--steps', type=int, default=12, help='the first two are not counted')
    parser.add_argument('--tasks', nargs='+', default=[], choices=TASKS)
    parser.add_argument('--data_dir', type=Path, default=os.environ.get('GLUON_BERT_DATA', 'data'))
    parser.add_argument('--task_flags', default='--batch_size 16 --epochs 1 --lr 5e-5', help='more')
    parser.add_argument('--child', help='used by the script itself')
    return parser


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    args = make_parser().parse_args(argv)
    if args.child:
        run_child(args, **json.loads(args.child))
        return
    command = shlex.join(['python3', 'model_zoo/measure_distributed.py', *argv])
    for row in task_rows(args) if args.tasks else step_rows(args, argv):
        comparing.record(args, {**row, **comparing.origin(), 'command': command})


def start(command, processes, threads):
    """Run a command in several processes that share the threads; return the first one's output."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    place = {'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': port, 'WORLD_SIZE': processes}
    if processes == 1:
        place = {}
    running = []
    for rank in range(processes):
        variables = {**place, 'RANK': rank, 'OMP_NUM_THREADS': max(1, threads // processes)}
        running.append(
            subprocess.Popen(
                list(map(str, command)),
                env={**os.environ, **{name: str(value) for name, value in variables.items()}},
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    outputs = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise SystemExit(f'a process failed: {shlex.join(map(str, command))}')
    return outputs[0]


def step_rows(args, argv):
    """Rows of steps of pre-training."""
    for model in args.models:
        for processes in args.processes:
            for size in args.bucket_mb if processes > 1 else args.bucket_mb[:1]:
                for dtype in args.bucket_dtypes if processes > 1 else ['float32']:
                    child = {'model': model, 'processes': processes, 'size': size, 'dtype': dtype}
                    command = [sys.executable, '-W', 'ignore', __file__, *argv]
                    command += ['--child', json.dumps(child)]
                    found = json.loads(start(command, processes, args.threads))
                    yield {
                        'processes': processes,
                        'threads': args.threads,
                        'layers': model[0],
                        'units': model[1],
                        'vocab_size': model[3],
                        'bucket_mb': size,
                        'bucket_dtype': dtype,
                        **found,
                    }


def run_child(args, model, processes, size, dtype):
    """Make the steps of one process; the first one prints the figures."""
    from gluon_bert.data.shares import rows_of
    from gluon_bert.training.distributed.connect import connect

    backend = 'gloo' if processes > 1 else 'device'
    with connect(backend, bucket_mb=size, bucket_dtype=dtype) as reduction:
        batch = make_batch(model[3], *args.shape)
        rows = rows_of(reduction.rank, reduction.size, args.shape[0])
        step = make_gluon_step(model, [array[rows] for array in batch], reduction=reduction)
        seconds, timings = [], []
        for number in range(args.steps):
            began = time.perf_counter()
            loss = step(number)
            seconds.append(time.perf_counter() - began)
            if step.training_step.buckets is not None:
                timings.append(step.training_step.buckets.timing)
        if reduction.rank == 0:
            print(json.dumps(figures(step.training_step, seconds, timings, loss)))


def figures(training_step, seconds, timings, loss):
    """Compute the columns of a row."""
    total, exposed = (
        1000 * statistics.median(values) for values in (list(zip(*timings[2:])) or [[0], [0]])
    )
    buckets = training_step.buckets
    return {
        'ms_per_step': round(1000 * statistics.median(seconds[2:]), 1),
        'bytes_per_step': 0 if buckets is None else buckets.num_bytes,
        'sum_ms': round(total, 1),
        'exposed_ms': round(exposed, 1),
        'hidden_ms': round(max(0.0, total - exposed), 1),
        'loss': round(loss, 4),
    }


def task_rows(args):
    """Rows of the example scripts."""
    os.environ['GLUE_DIR'] = str(args.data_dir / 'glue_data')
    for task in args.tasks:
        script, flags = TASKS[task]
        words = [args.data_dir / word if '/' in word else word for word in flags.split()]
        for processes in args.processes:
            with tempfile.TemporaryDirectory() as folder:
                backend = 'gloo' if processes > 1 else 'device'
                command = [sys.executable, '-W', 'ignore', comparing.EXAMPLES / script, *words]
                command += [*args.task_flags.split(), '--comm_backend', backend]
                command += ['--log_interval', 1, '--output_dir', folder]
                start(command, processes, args.threads)
                text = (Path(folder) / 'metrics.jsonl').read_text()
            rows = [json.loads(line) for line in text.splitlines()]
            seconds = [row['seconds'] for row in rows if 'loss' in row]
            steps = [after - before for before, after in zip(seconds, seconds[1:])]
            metrics = [row['metrics'] for row in rows if 'metrics' in row][-1]
            yield {
                'task': task,
                'processes': processes,
                'threads': args.threads,
                'steps': len(seconds),
                'ms_per_step': round(1000 * statistics.median(steps), 1),
                'scores': ' '.join(f'{name}={value:.4f}' for name, value in metrics.items()),
                'flags': f'{flags} {args.task_flags}',
            }


if __name__ == '__main__':
    main()
