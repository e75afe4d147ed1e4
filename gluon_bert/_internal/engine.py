"""Choose devices and threads of a training process.

MXNet reads its environment variables when it is imported: nothing here imports it too early.
"""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence
from typing import Optional, Union

from .cpu import SPIN_COUNT, physical_cores
from .types import Context

logger = logging.getLogger(__name__)


def gpu_indices(text: str) -> Union[int, tuple[int, ...]]:
    """Parse the index of a GPU, or comma-separated indices into a tuple."""
    indices = tuple(int(part) if part.isdecimal() else -1 for part in text.split(','))
    if min(indices) < 0 or len(set(indices)) < len(indices):
        raise argparse.ArgumentTypeError(
            f'{text}: expected the index of a GPU, or several different ones such as 0,1'
        )
    return indices[0] if len(indices) == 1 else indices


def prepare_engine(argv: Optional[Sequence[str]] = ()) -> None:
    """Set the environment variables that MXNet reads when imported, unless the user did.

    ``argv`` has the arguments, None means those of the process.
    """
    # Before the script's own parser, which may need what imports MXNet.
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument('--cpu_workers', '--cpu-workers', nargs='?')
    given = parser.parse_known_args(argv)[0].cpu_workers or ''
    workers = max(1, int(given)) if given.isdecimal() else 1
    beside = os.environ.get('LOCAL_WORLD_SIZE', '')  # processes of a training run on this host
    workers_of_all = workers * max(1, int(beside) if beside.isdecimal() else 1)
    # Sequences of many lengths would fill the GPU's memory with buffers of as many sizes.
    os.environ.setdefault('MXNET_GPU_MEM_POOL_TYPE', 'Round')
    # By itself MXNet uses half of the processors, as if each core counted twice.
    os.environ.setdefault('OMP_NUM_THREADS', str(max(1, physical_cores() // workers_of_all)))
    if workers > 1:
        # Buffers that operators take in turn: with few, a worker waits for those of another.
        os.environ.setdefault('MXNET_CPU_TEMP_COPY', '256')
    # Threads that spin long while they wait are many times slower where another process runs.
    if 'OMP_WAIT_POLICY' not in os.environ:
        os.environ.setdefault('GOMP_SPINCOUNT', SPIN_COUNT)


def cpu() -> Context:
    """Return the CPU's context."""
    import mxnet as mx

    return mx.cpu()


def device(gpu: Optional[int]) -> Context:
    """Return the context to run on; ValueError if there is no such GPU."""
    import mxnet as mx

    if gpu is None:
        return mx.cpu()
    count = mx.context.num_gpus()
    if not 0 <= gpu < count:
        raise ValueError(f'--gpu {gpu}: no such GPU, {_gpus()}; leave --gpu out to run on the CPU')
    return mx.gpu(gpu)


def check_context(ctx: Optional[Context]) -> None:
    """Raise ValueError if one of the contexts is a GPU that is not there."""
    if ctx is None:
        return
    import mxnet as mx

    for context in ctx if isinstance(ctx, (list, tuple)) else (ctx,):
        if not isinstance(context, mx.Context):
            raise TypeError(f'ctx={context!r}: expected an mxnet.Context, such as mx.cpu()')
        if context.device_type == 'gpu' and context.device_id >= mx.context.num_gpus():
            raise ValueError(f'ctx={context}: no such GPU, {_gpus()}; use mx.cpu()')


def _gpus():
    import mxnet as mx

    built = mx.runtime.Features().is_enabled('CUDA')
    return (
        f'{mx.context.num_gpus()} usable GPUs exist'
        if built
        else 'this MXNet is built without CUDA'
    )


def devices(args: argparse.Namespace) -> list[Context]:
    """List the contexts to train on; ValueError if one is missing or would have no work."""
    import mxnet as mx

    if args.cpu_workers:
        contexts = [mx.cpu(number) for number in range(args.cpu_workers)]
    else:
        indices = args.gpu if isinstance(args.gpu, tuple) else [args.gpu]
        contexts = [device(index) for index in indices]
    if args.batch_size < len(contexts):
        raise ValueError(
            f'--batch_size {args.batch_size}: is shared by {len(contexts)} devices, '
            f'expected at least one sequence for each'
        )
    if len(contexts) > 1:
        logger.info('devices: %s', ', '.join(map(str, contexts)))
    return contexts


def is_cpu(ctx: Optional[Context]) -> bool:
    """Tell if a context is the CPU, as None is."""
    return ctx is None or getattr(ctx, 'device_type', '') == 'cpu'
