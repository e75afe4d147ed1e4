"""Products of dense layers in int8, as ONNX operators.

Weights have a scale for each output and seven bits: processors without VNNI instructions add two
products of uint8 and int8 in 16 bits, which weights of eight bits would overflow. Inputs are uint8
with a zero point; sums are whole numbers of 32 bits (Jacob et al., 2018, section 2.1).
"""

from __future__ import annotations

import functools
from typing import Any, Callable, Dict, Mapping, Optional, Sequence

import numpy as np

from ..checkpoint.schema import Checkpoint
from ..data import Features
from ..kernels.encoder import dense_layers
from .calibration import Range, measure_ranges, saved_precision, saved_ranges
from .onnx_graph import FLOAT, Graph

Products = Dict[str, Callable[[Graph, str, str], str]]

_WEIGHT, _INPUT = 64, 255  # the largest values


def dynamic_products(checkpoint: Checkpoint) -> Products:
    """Make the products whose inputs have the scale of their batch, measured as they come.

    Parameters
    ----------
    checkpoint : Checkpoint
        Layers that ``precision.json`` of its folder keeps in float32 have no product.

    Returns
    -------
    dict of str to callable
        As a :class:`.Graph` takes them.
    """
    return dict.fromkeys(_int8_layers(checkpoint), _dynamic)


def static_products(checkpoint: Checkpoint, calibration: Optional[Sequence[Features]]) -> Products:
    """Make the products whose inputs have a scale measured on calibration texts.

    Parameters
    ----------
    checkpoint : Checkpoint
    calibration : list of Features, optional
        By default the ranges are estimated from the scales in ``precision.json`` of its folder.

    Returns
    -------
    dict of str to callable
        As a :class:`.Graph` takes them.

    Raises
    ------
    ValueError
        If there are no calibration texts, nor scales in the folder; or the network computes no
        finite numbers of the texts.
    """
    ranges: Mapping[str, Range]
    if calibration is None:
        ranges = saved_ranges(checkpoint)
    else:
        ranges = measure_ranges(checkpoint, calibration)
    return {
        layer: functools.partial(_static, input_range=ranges[layer])
        for layer in _int8_layers(checkpoint)
    }


def _int8_layers(checkpoint):
    kept = saved_precision(checkpoint).float32_layers
    return [name for name in dense_layers(checkpoint.config.num_layers) if name not in kept]


def _dynamic(graph, x, name):
    def quantize():
        outputs = [f'{x}_{part}' for part in ('quantized', 'scale', 'zero')]
        return graph.node('DynamicQuantizeLinear', [x], outputs)

    values, scale, zero = graph.once((x, 'int8'), quantize)
    weight, scales = graph.store_int8(name, _WEIGHT, transposed=True)
    product = graph.op('Cast', graph.op('MatMulInteger', values, weight, zero), to=FLOAT)
    return graph.op('Mul', product, graph.op('Mul', scale, scales))


def _static(graph, x, name, input_range: Any):
    scale, zero = _scale(input_range)

    def quantize():
        given = [
            graph.store(f'{x}_scale', lambda: np.float32(scale)),
            graph.store(f'{x}_zero', lambda: np.uint8(zero)),
        ]
        return graph.op('DequantizeLinear', graph.op('QuantizeLinear', x, *given), *given)

    values = graph.once((x, 'int8'), quantize)
    weight, scales = graph.store_int8(name, _WEIGHT, transposed=True)
    zeros = graph.store(f'{name}.zero', lambda: np.zeros(len(graph.arrays[name]), 'int8'))
    return graph.op('MatMul', values, graph.op('DequantizeLinear', weight, scales, zeros, axis=1))


def _scale(input_range):
    """The scale and the zero point of a range, in which 0 has a value of its own."""
    lowest, highest = min(input_range.lowest, 0.0), max(input_range.highest, 0.0)
    scale = max((highest - lowest) / _INPUT, np.finfo('float32').tiny)
    return scale, round(-lowest / scale)
