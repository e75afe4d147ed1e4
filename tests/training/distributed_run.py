"""Runs of several processes, of which :func:`main` is one; used by test_distributed.py."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import mxnet as mx
import numpy as np
from process_run import train

import gluon_bert as gb
from gluon_bert.training import run as training_run
from gluon_bert.training.distributed.connect import connect
from gluon_bert.training.loop import Interrupted

# The package first: it mends NumPy for MXNet.
SCRIPT = 'import gluon_bert, distributed_run, sys; distributed_run.main(*sys.argv[1:])'


def start(folder, jobs, size=2, prefix=(), **variables):
    """Start processes that do jobs one after the other; see :func:`main`."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        place = {'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': str(free.getsockname()[1])}
    folder.mkdir(exist_ok=True)
    (folder / 'jobs.json').write_text(json.dumps(jobs, default=str))
    return [
        subprocess.Popen(
            [*prefix, sys.executable, '-W', 'ignore', '-c', SCRIPT, str(folder)],
            env={
                **os.environ,
                **place,
                'RANK': str(rank),
                'WORLD_SIZE': str(size),
                'OMP_NUM_THREADS': '1',
                'PYTHONPATH': os.pathsep.join(sys.path),
                **variables,
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]


def finish(folder, processes, timeout=500):
    """Wait for processes; return their exit codes, errors, and what each notes of its jobs."""
    try:
        errors = [process.communicate(timeout=timeout)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    notes = []
    for rank in range(len(processes)):
        path = folder / f'rank{rank}.json'
        notes.append(json.loads(path.read_text()) if path.exists() else None)
    return [process.returncode for process in processes], errors, notes


def main(folder):
    """Do the jobs in the folder; note what each came to, by rank."""
    folder, rank = Path(folder), int(os.environ['RANK'])
    jobs, notes = json.loads((folder / 'jobs.json').read_text()), []
    with connect('gloo', 60) as reduction:
        for job in jobs:
            changes = job.pop('rank1', {})
            notes.append(do(reduction, **{**job, **(changes if rank else {})}))
            (folder / f'rank{rank}.json').write_text(json.dumps(notes))


def do(reduction, kind, out, stop=None, version=None, buckets=None, **arguments):
    """Do a job; return the digest of the parameters, or the error.

    A signal comes as the run looks for batches for the ``stop``-th time; ``buckets`` are their size
    and type.
    """
    if reduction is not None:
        reduction.bucket_mb, reduction.bucket_dtype = buckets or (25.0, 'float32')
    try:
        with mock.patch.object(gb, '__version__', version or gb.__version__):
            return KINDS[kind](Path(out), reduction, stop, **arguments)
    except (ValueError, Interrupted) as error:
        return f'{type(error).__name__}: {error}'


def fit(out, reduction, stop, task, options, resume=False):
    network, _ = train(out, task, options, reduction, resume=resume, stop=stop)
    parameters = network._collect_params_with_prefix()
    arrays = {name: parameter.data(mx.cpu(0)).asnumpy() for name, parameter in parameters.items()}
    if reduction is None or reduction.rank == 0:
        np.savez(f'{out}.npz', **arrays)
    return training_run.digest_of_parameters(parameters)


def finetune(out, reduction, stop, **arguments):
    given = {} if reduction is None else {'reduction': reduction}
    done = gb.finetune(output_dir=out, **given, **arguments)
    parameters = done.pipeline.network._collect_params_with_prefix()
    return [training_run.digest_of_parameters(parameters), done.metrics]


def pretrain(out, reduction, stop, **arguments):
    given = {} if reduction is None else {'reduction': reduction}
    next_group, calls = training_run.TrainingRun._next_group, []

    def interrupting(run, *arguments):
        calls.append(run)
        if len(calls) == stop:
            os.kill(os.getpid(), signal.SIGTERM)
        return next_group(run, *arguments)

    with mock.patch.object(training_run.TrainingRun, '_next_group', interrupting):
        done = gb.pretrain(output_dir=out, **given, **arguments)
    return [done.result.steps, done.result.best_metrics]


def fail(out, reduction, stop, reason):
    """Fail in one process, while the other is at something else, as in an evaluation."""
    if reason:
        raise RuntimeError(reason)
    for _ in range(6000):
        time.sleep(0.1)


KINDS = {'fail': fail, 'fit': fit, 'finetune': finetune, 'pretrain': pretrain}
