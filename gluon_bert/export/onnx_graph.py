"""Build a graph of ONNX operators, node by node, with the weights of a network."""

from __future__ import annotations

import math
from typing import Any, Callable, List, Mapping, Optional, Sequence, Tuple

import numpy as np

OPSETS = (13, 21)
"""The oldest and the newest version of the operators that a graph can be written in."""

# Codes of ONNX's ``TensorProto``.
FLOAT, INT64 = 1, 7

_TINY = 1e-12


class Graph:
    """Nodes, weights and outputs of a graph in the making.

    Parameters
    ----------
    arrays : mapping of str to numpy.ndarray
        The network's weights by common names; one is read when it is used.
    opset : int
    dtype : numpy dtype
        Of the stored weights, float32 or float16; the graph computes in float32.
    products : mapping of str to callable, optional
        Name of a dense layer of the encoder, such as '0.expand' -> ``product(graph, x, name)``,
        which adds x W' in int8. With it the tables of embeddings are stored in int8, too.
    """

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray],
        opset: int,
        dtype: Any = np.float32,
        products: Optional[Mapping[str, Callable[[Graph, str, str], str]]] = None,
    ) -> None:
        self.nodes: List[Any] = []
        self.weights: List[Any] = []
        self.outputs: List[Tuple[str, Sequence[Any]]] = []
        self.arrays = arrays
        self._opset, self._dtype, self._products = opset, np.dtype(dtype), products
        self._values: dict = {}

    def op(self, kind: str, *inputs: str, output: Optional[str] = None, **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        return self.node(kind, inputs, [output or f'{kind}_{len(self.nodes)}'], **attributes)[0]

    def node(
        self, kind: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any
    ) -> Sequence[str]:
        """Add a node with several outputs and return their names."""
        from onnx import helper

        self.nodes.append(helper.make_node(kind, list(inputs), list(outputs), **attributes))
        return outputs

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """Return what ``make`` added to the graph when it was first called for a key."""
        if key not in self._values:
            self._values[key] = make()
        return self._values[key]

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """Store a number or a short list of numbers."""
        name = f'constant_{value}_{np.dtype(dtype)}'.replace(' ', '')
        return self.store(name, lambda: np.array(value, dtype))

    def weight(self, name: str, transposed: bool = False) -> str:
        """Store a weight of the network, and widen it where the file has float16."""

        def make():
            array = self.arrays[name]
            return (array.T if transposed else array).astype(self._dtype)

        stored = self.store(f'{name}.T' if transposed else name, make)
        if self._dtype == np.float32:
            return stored
        return self.once((stored, 'wide'), lambda: self.op('Cast', stored, to=FLOAT))

    def table(self, name: str, ids: Optional[str] = None) -> str:
        """Give the rows of a table of embeddings by their ids, or all of them."""
        if self._products is None:
            whole = self.weight(name)
            return whole if ids is None else self.op('Gather', whole, ids)
        rows, scales = self.store_int8(name, 127)
        if ids is not None:
            rows, scales = self.op('Gather', rows, ids), self.op('Gather', scales, ids)
        return self.op('Mul', self.op('Cast', rows, to=FLOAT), scales)

    def has(self, name: str) -> bool:
        """Tell whether the network has a weight."""
        return name in self.arrays

    def give(self, name: str, value: str, shape: Sequence[Any]) -> None:
        """Make a value an output of the graph."""
        self.op('Identity', value, output=name)
        self.outputs.append((name, shape))

    def store(self, name: str, make: Callable[[], np.ndarray]) -> str:
        """Store an array by a name; ``make`` gives it when it is not stored yet."""
        from onnx import numpy_helper

        def stored():
            self.weights.append(numpy_helper.from_array(np.array(make(), order='C'), name))
            return name

        return self.once(name, stored)

    def store_int8(self, name: str, largest: int, transposed: bool = False) -> Tuple[str, str]:
        """Store a weight (rows, columns) in int8, with a scale for each row.

        Parameters
        ----------
        name : str
        largest : int
            The value that stands for the largest size in a row.
        transposed : bool
            Store (columns, rows) and scales (rows,), as a product has them, else (rows, columns)
            and scales (rows, 1).

        Returns
        -------
        values, scales : str
        """

        def scales():
            sizes = np.abs(self.arrays[name]).max(axis=1, keepdims=True)
            return (np.maximum(sizes, _TINY) / largest).astype('float32')

        def values():
            rounded = np.round(self.arrays[name] / scales()).astype('int8')
            return rounded.T if transposed else rounded

        suffix = '.T' if transposed else ''
        return (
            self.store(f'{name}{suffix}.int8', values),
            self.store(f'{name}{suffix}.scale', lambda: scales()[:, 0] if transposed else scales()),
        )

    def dense(self, x: str, name: str, layer: str = '') -> str:
        """x W' + b, (..., in) -> (..., out); ``layer`` names it where it may be in int8."""
        multiply = (self._products or {}).get(layer)
        if multiply is None:
            product = self.op('MatMul', x, self.weight(f'{name}.weight', transposed=True))
        else:
            product = multiply(self, x, f'{name}.weight')
        return self.op('Add', product, self.weight(f'{name}.bias'))

    def norm(self, x: str, gamma: str, beta: str, epsilon: float) -> str:
        """Layer normalisation over the last axis (Ba et al., 2016), as onnxruntime fuses it."""
        if self._opset >= 17:
            return self.op('LayerNormalization', x, gamma, beta, axis=-1, epsilon=epsilon)
        centred = self.op('Sub', x, self.reduce('ReduceMean', x, -1))
        variance = self.reduce('ReduceMean', self.op('Pow', centred, self.constant(2.0)), -1)
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
        """x / 2 (1 + erf(x / sqrt 2)) (Hendrycks and Gimpel, 2016, section 2), as it is fused."""
        erf = self.op('Erf', self.op('Div', x, self.constant(math.sqrt(2))))
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
