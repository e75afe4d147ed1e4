"""Devices and threads of a process that trains.

MXNet reads its environment variables when it is imported: nothing here imports it too early.
"""

from __future__ import annotations

import argparse
import logging
import os

from .cpu import physical_cores

logger = logging.getLogger(__name__)


def gpu_indices(text):
    """Read an argument that is the index of a GPU, or several with commas between: a tuple."""
    indices = tuple(int(part) if part.isdecimal() else -1 for part in text.split(','))
    if min(indices) < 0 or len(set(indices)) < len(indices):
        raise argparse.ArgumentTypeError(
            f'{text}: expected the index of a GPU, or several different ones such as 0,1'
        )
    return indices[0] if len(indices) == 1 else indices


def prepare_engine(argv=()):
    """Set what MXNet reads at its import, unless the user did.

    ``argv`` has the arguments, None for those of the process.
    """
    # Before the script's own parser, which may need what imports MXNet.
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument('--cpu_workers', '--cpu-workers', nargs='?')
    given = parser.parse_known_args(argv)[0].cpu_workers or ''
    workers = max(1, int(given)) if given.isdecimal() else 1
    # Sequences of many lengths would fill the GPU's memory with buffers of as many sizes.
    os.environ.setdefault('MXNET_GPU_MEM_POOL_TYPE', 'Round')
    # By itself MXNet uses half of the processors, as if each core counted twice.
    os.environ.setdefault('OMP_NUM_THREADS', str(max(1, physical_cores() // workers)))
    if workers > 1:
        # Buffers that operators take in turn: with few, a worker waits for those of another.
        os.environ.setdefault('MXNET_CPU_TEMP_COPY', '256')
    # Threads that spin long while they wait are many times slower where another process runs.
    if 'OMP_WAIT_POLICY' not in os.environ:
        os.environ.setdefault('GOMP_SPINCOUNT', '3000')


def device(gpu):
    """Give the context to run on; ValueError if there is no such GPU."""
    import mxnet as mx

    if gpu is None:
        return mx.cpu()
    count = mx.context.num_gpus()
    if not 0 <= gpu < count:
        built = mx.runtime.Features().is_enabled('CUDA')
        reason = f'{count} usable GPUs were found' if built else 'this MXNet is built without CUDA'
        raise ValueError(f'--gpu {gpu}: no such GPU, {reason}; leave --gpu out to run on the CPU')
    return mx.gpu(gpu)


def devices(args):
    """List the contexts to train on; ValueError if one is not there, or would have no work."""
    import mxnet as mx

    if args.cpu_workers:
        found = [mx.cpu(number) for number in range(args.cpu_workers)]
    else:
        found = [
            device(index) for index in (args.gpu if isinstance(args.gpu, tuple) else [args.gpu])
        ]
    if args.batch_size < len(found):
        raise ValueError(
            f'--batch_size {args.batch_size}: is shared by {len(found)} devices, '
            f'expected at least one sequence for each'
        )
    if len(found) > 1:
        logger.info('devices: %s', ', '.join(map(str, found)))
    return found
