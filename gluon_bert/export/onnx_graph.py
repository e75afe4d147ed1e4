"""Build a graph of ONNX operators, node by node, with the weights of a network."""

from __future__ import annotations

import math
from typing import Any, List, Mapping, Optional, Sequence, Tuple

import numpy as np

OPSETS = (13, 21)
"""The oldest and the newest version of the operators that a graph can be written in."""

# Codes of ONNX's ``TensorProto``.
FLOAT, INT64 = 1, 7


class Graph:
    """Nodes, weights and outputs of a graph in the making.

    Parameters
    ----------
    arrays : mapping of str to numpy.ndarray
        The network's weights by common names; one is read when it is used.
    opset : int
    dtype : numpy dtype
        Of the stored weights, float32 or float16; the graph computes in float32.
    """

    def __init__(
        self, arrays: Mapping[str, np.ndarray], opset: int, dtype: Any = np.float32
    ) -> None:
        self.nodes: List[Any] = []
        self.weights: List[Any] = []
        self.outputs: List[Tuple[str, Sequence[Any]]] = []
        self._arrays, self._opset, self._dtype = arrays, opset, np.dtype(dtype)
        self._values: dict = {}

    def op(self, kind: str, *inputs: str, output: Optional[str] = None, **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        from onnx import helper

        output = output or f'{kind}_{len(self.nodes)}'
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """Store a number or a short list of numbers."""
        name = f'constant_{value}_{np.dtype(dtype)}'.replace(' ', '')
        return self._stored(name, lambda: np.array(value, dtype))

    def weight(self, name: str, transposed: bool = False) -> str:
        """Store a weight of the network, and widen it where the file has float16."""
        stored = self._stored(
            f'{name}.T' if transposed else name,
            lambda: (self._arrays[name].T if transposed else self._arrays[name]).astype(
                self._dtype
            ),
        )
        if self._dtype == np.float32:
            return stored
        if (name, transposed) not in self._values:
            self._values[name, transposed] = self.op('Cast', stored, to=FLOAT)
        return self._values[name, transposed]

    def has(self, name: str) -> bool:
        """Tell whether the network has a weight."""
        return name in self._arrays

    def give(self, name: str, value: str, shape: Sequence[Any]) -> None:
        """Make a value an output of the graph."""
        self.op('Identity', value, output=name)
        self.outputs.append((name, shape))

    def _stored(self, name, make):
        from onnx import numpy_helper

        if name not in self._values:
            self._values[name] = name
            self.weights.append(numpy_helper.from_array(np.array(make(), order='C'), name))
        return name

    def dense(self, x: str, name: str) -> str:
        """x W' + b, (..., in) -> (..., out)."""
        product = self.op('MatMul', x, self.weight(f'{name}.weight', transposed=True))
        return self.op('Add', product, self.weight(f'{name}.bias'))

    def norm(self, x: str, gamma: str, beta: str, epsilon: float) -> str:
        """Layer normalisation over the last axis (Ba et al., 2016)."""
        if self._opset >= 17:
            return self.op('LayerNormalization', x, gamma, beta, axis=-1, epsilon=epsilon)
        centred = self.op('Sub', x, self.reduce('ReduceMean', x, -1))
        variance = self.reduce('ReduceMean', self.op('Mul', centred, centred), -1)
        deviation = self.op('Sqrt', self.op('Add', variance, self.constant(epsilon)))
        return self.op('Add', self.op('Mul', self.op('Div', centred, deviation), gamma), beta)

    def reduce(self, kind: str, x: str, axis: int) -> str:
        """Reduce an axis, which is kept with length 1."""
        # ReduceSum takes its axes as an input since version 13, the others since 18.
        if kind == 'ReduceSum' or self._opset >= 18:
            return self.op(kind, x, self.constant([axis], np.int64), keepdims=1)
        return self.op(kind, x, axes=[axis], keepdims=1)

    def activation(self, x: str, name: str) -> str:
        """An activation of the configuration, or of a sentence model's dense layer."""
        return _ACTIVATIONS[name](self, x)

    def gelu(self, x: str) -> str:
        """x / 2 (1 + erf(x / sqrt 2)) (Hendrycks and Gimpel, 2016, section 2)."""
        erf = self.op('Erf', self.op('Mul', x, self.constant(math.sqrt(0.5))))
        return self._half(x, self.op('Add', erf, self.constant(1.0)))

    def gelu_tanh(self, x: str) -> str:
        """The approximation of gelu with tanh."""
        cubed = self.op('Mul', self.op('Mul', x, x), x)
        inner = self.op('Add', x, self.op('Mul', cubed, self.constant(0.044715)))
        tanh = self.op('Tanh', self.op('Mul', inner, self.constant(math.sqrt(2 / math.pi))))
        return self._half(x, self.op('Add', tanh, self.constant(1.0)))

    def _half(self, x, factor):
        return self.op('Mul', self.op('Mul', x, factor), self.constant(0.5))


_ACTIVATIONS = {
    'gelu': Graph.gelu,
    'gelu_tanh': Graph.gelu_tanh,
    'relu': lambda graph, x: graph.op('Relu', x),
    'tanh': lambda graph, x: graph.op('Tanh', x),
    'sigmoid': lambda graph, x: graph.op('Sigmoid', x),
    'identity': lambda graph, x: x,
}
