"""Speed of matrix products on this machine, which benchmark.py measures with the systems."""

from __future__ import annotations

import time
import warnings
from typing import ClassVar

import numpy as np

SECONDS = 0.15  # time of a shape in each turn
FEWEST = 3
PROBE = (512, 512, 512)
EMULATED = 2  # times as long as float32: the precision is emulated


class Products:
    """Measures products of a batch (M, K) and the weights (N, K) of a dense layer.

    Parameters
    ----------
    folder : Path
        Unused; all systems have this argument.
    threads : int
    precision : str
        Of ``forms``. The form that is fastest on a product of :data:`PROBE` is used.

    Raises
    ------
    ValueError
        If none runs here, or the fastest one takes at least :data:`EMULATED` times as long as
        float32.
    """

    # Precision -> methods: (inputs, weights) to a function that multiplies them.
    forms: ClassVar[dict] = {}

    def __init__(self, folder, threads, precision='fp32'):
        self.threads = threads
        self._form = self._choose(precision)

    def time(self, shapes):
        """Measure the seconds of a product of each shape (M, N, K): the median of a turn."""
        return [self._time(self._form, *shape) for shape in shapes]

    def _choose(self, precision):
        forms, (plain,) = self.forms[precision], self.forms['fp32']
        if precision == 'fp32':
            return plain
        seconds, errors = {}, []
        for form in forms:
            try:
                seconds[form] = self._time(form, *PROBE)
            except Exception as error:  # each library has its own exceptions
                errors.append(f'{form}: {error}'.strip().split('\n')[0])
        if not seconds:
            raise ValueError('; '.join(errors))
        best = min(seconds, key=seconds.get)
        slower = seconds[best] / self._time(plain, *PROBE)
        if slower > EMULATED:
            raise ValueError(
                f'{precision} is emulated here: it takes {slower:.1f} times as long as float32'
            )
        return best

    def _time(self, form, rows, columns, inner):
        draw = np.random.RandomState(0)
        compute = getattr(self, form)(
            *(draw.rand(size, inner).astype('float32') for size in (rows, columns))
        )
        compute()
        seconds, end = [], time.perf_counter() + SECONDS
        while len(seconds) < FEWEST or time.perf_counter() < end:
            start = time.perf_counter()
            compute()
            seconds.append(time.perf_counter() - start)
        return float(np.median(seconds))


class MxnetProducts(Products):
    """MXNet's FullyConnected, which is oneDNN's inner product."""

    forms: ClassVar[dict] = {
        'fp32': ('fully_connected',),
        'bf16': ('bfloat16',),
        'int8': ('quantized',),
    }

    def __init__(self, folder, threads, precision='fp32'):
        import mxnet  # noqa: F401 (imported here, not during a measurement)

        super().__init__(folder, threads, precision)

    def fully_connected(self, inputs, weights, dtype=None):
        """Multiply from and to float32."""
        from mxnet import nd

        inputs, weights = nd.array(inputs), nd.array(weights)
        output = nd.zeros((inputs.shape[0], weights.shape[0]))
        if dtype:
            inputs, weights, output = (
                nd.amp_cast(array, dtype=dtype) for array in (inputs, weights, output)
            )

        def compute():
            nd.FullyConnected(
                inputs, weights, no_bias=True, num_hidden=weights.shape[0], out=output
            )
            output.wait_to_read()

        return compute

    def bfloat16(self, inputs, weights):
        """Multiply from and to bfloat16."""
        return self.fully_connected(inputs, weights, np.dtype([('bfloat16', np.uint16)]))

    def quantized(self, inputs, weights):
        """Multiply from int8 to 32-bit integers."""
        from mxnet import nd

        inputs, weights = (
            nd.array((array * 127).astype('int8'), dtype='int8') for array in (inputs, weights)
        )
        ranges = {
            f'{end}_{name}': nd.array([value])
            for name in ('data', 'weight')
            for end, value in (('min', -1), ('max', 1))
        }

        def compute():
            product, _, _ = nd.contrib.quantized_fully_connected(
                inputs, weights, no_bias=True, num_hidden=weights.shape[0], **ranges
            )
            product.wait_to_read()

        return compute


class TorchProducts(Products):
    """PyTorch's product of a batch and transposed weights, as of its dense layers."""

    forms: ClassVar[dict] = {
        'fp32': ('float32',),
        'bf16': ('bfloat16',),
        'int8': ('int_mm', 'quantized_linear'),
    }

    def __init__(self, folder, threads, precision='fp32'):
        import torch

        torch.set_num_threads(threads)
        super().__init__(folder, threads, precision)

    def float32(self, inputs, weights, dtype='float32'):
        """Multiply from and to float32."""
        import torch

        dtype = getattr(torch, dtype)
        inputs, weights = (torch.from_numpy(array).to(dtype) for array in (inputs, weights))
        output = torch.empty(inputs.shape[0], weights.shape[0], dtype=dtype)

        def compute():
            with torch.inference_mode():
                torch.mm(inputs, weights.t(), out=output)

        return compute

    def bfloat16(self, inputs, weights):
        """Multiply from and to bfloat16."""
        return self.float32(inputs, weights, 'bfloat16')

    def int_mm(self, inputs, weights):
        """Multiply from int8 to 32-bit integers."""
        import torch

        inputs, weights = (
            torch.from_numpy((array * 127).astype('int8')) for array in (inputs, weights)
        )
        return lambda: torch._int_mm(inputs, weights.t())

    def quantized_linear(self, inputs, weights):
        """Run the layer of quantized networks, from and to 8 bits."""
        import torch

        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # it will move to a separate package
            inputs = torch.quantize_per_tensor(torch.from_numpy(inputs), 1 / 255, 0, torch.quint8)
            zeros = torch.zeros(len(weights), dtype=torch.long)
            weights = torch.quantize_per_channel(
                torch.from_numpy(weights),
                torch.full((len(weights),), 1 / 127),
                zeros,
                0,
                torch.qint8,
            )
            packed = torch.ops.quantized.linear_prepack(weights, None)
        return lambda: torch.ops.quantized.linear(inputs, packed, 1.0, 0)


class OurProducts(Products):
    """The dense layer of gluon_bert's kernels: from and to float32, including conversions."""

    forms: ClassVar[dict] = {'fp32': ('float32',), 'bf16': ('bfloat16',), 'int8': ('int8',)}

    def __init__(self, folder, threads, precision='fp32'):
        from gluon_bert import kernels

        if not kernels.load():
            raise ValueError('the native kernels are not built')
        super().__init__(folder, threads, precision)

    def float32(self, inputs, weights, precision='float32'):
        """Multiply in float32."""
        from gluon_bert.kernels.dense import NativeDense

        layer = NativeDense(weights, np.zeros(len(weights), 'float32'), precision)
        return lambda: layer(inputs, self.threads)

    def bfloat16(self, inputs, weights):
        """Multiply in bfloat16."""
        return self.float32(inputs, weights, 'bfloat16')

    def int8(self, inputs, weights):
        """Multiply in int8, with a scale for each row of the batch, computed in the same call."""
        return self.float32(inputs, weights, 'int8')
