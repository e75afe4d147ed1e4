"""How fast the machine multiplies matrices, measured by benchmark.py beside the systems."""
from __future__ import annotations

import time

import numpy as np

SECONDS = 0.15       # that a shape is repeated for, in each turn
FEWEST = 3


class _Products:
    """Times products of (M, K) and (K, N) matrices; ``_prepare`` gives what computes one."""

    def time(self, shapes):
        """Seconds of one product of each shape (M, N, K): the median of a turn."""
        return [self._time(*shape) for shape in shapes]

    def _time(self, rows, columns, inner):
        draw = np.random.RandomState(0)
        compute = self._prepare(*(draw.rand(size, inner).astype('float32')
                                  for size in (rows, columns)))
        compute()
        seconds, end = [], time.perf_counter() + SECONDS
        while len(seconds) < FEWEST or time.perf_counter() < end:
            start = time.perf_counter()
            compute()
            seconds.append(time.perf_counter() - start)
        return float(np.median(seconds))


class MxnetProducts(_Products):
    """MXNet's FullyConnected, which is oneDNN's inner product."""

    def __init__(self, folder, threads):
        import mxnet  # noqa: F401 (here, that its import is in no product's time)

    def _prepare(self, inputs, weights):
        from mxnet import nd
        inputs, weights = nd.array(inputs), nd.array(weights)
        output = nd.zeros((inputs.shape[0], weights.shape[0]))

        def compute():
            nd.FullyConnected(inputs, weights, no_bias=True, num_hidden=weights.shape[0],
                              out=output)
            output.wait_to_read()
        return compute


class TorchProducts(_Products):
    """PyTorch's product of a batch and transposed weights, as of its dense layers."""

    def __init__(self, folder, threads):
        import torch
        torch.set_num_threads(threads)

    def _prepare(self, inputs, weights):
        import torch
        inputs, weights = torch.from_numpy(inputs), torch.from_numpy(weights)
        output = torch.empty(inputs.shape[0], weights.shape[0])

        def compute():
            with torch.inference_mode():
                torch.mm(inputs, weights.t(), out=output)
        return compute
