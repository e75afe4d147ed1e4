"""Find the weights of an encoder in the graph of an ONNX file.

Exporters fold the transposition of a dense weight, and its name is lost then. So an array is known
by its place: the products of a layer follow each other as query, key, value, output and the two of
the feed-forward layer, whatever they are called. Which of the first three is which, is read from
the attention that they lead to.

V words, P positions, S token types, C units, L layers.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from ...config import BertConfig
from ..names import encoder_shapes, head_shapes
from ..tensor_file import printable

_PRODUCTS = ('proj_query', 'proj_key', 'proj_value')
_LAYER = (*(f'attention_cell.{product}' for product in _PRODUCTS), 'proj', 'ffn.ffn_1', 'ffn.ffn_2')
_NORMS = ('layer_norm', 'ffn.layer_norm')
_EMBEDDINGS = ('word_embed.0.weight', 'encoder.position_weight', 'token_type_embed.0.weight')
# Nodes whose first input alone is data.
_RESHAPING = ('Reshape', 'Transpose', 'Cast', 'Squeeze', 'Unsqueeze', 'Slice', 'Split', 'Identity')
_WITHOUT_DATA = ('Shape', 'Constant', 'ConstantOfShape', 'Range')
_INTEGER = ('MatMulInteger', 'QLinearMatMul', 'DynamicQuantizeLinear', 'DequantizeLinear')


class Stored(NamedTuple):
    """An array in the file.

    Parameters
    ----------
    tensor : onnx.TensorProto
    transposed : bool
        Whether it has to be transposed.
    shape : tuple of int
        Once it is.
    """

    tensor: Any
    transposed: bool
    shape: Tuple[int, ...]

    @property
    def turned(self) -> Stored:
        """The transposed array."""
        return Stored(self.tensor, not self.transposed, self.shape[::-1])


class _Dense(NamedTuple):
    """A dense layer: its weight (outputs, inputs), its bias, and the name of its result."""

    weight: Stored
    bias: Stored
    output: str


def find_arrays(graph: Any, config: BertConfig) -> Dict[str, Stored]:
    """Find the arrays of an encoder, and of its pooler if there is one.

    Parameters
    ----------
    graph : onnx.GraphProto
    config : BertConfig

    Returns
    -------
    dict of str to Stored
        By the common names of :mod:`gluon_bert.checkpoint.names`.

    Raises
    ------
    ValueError
        If the graph is not one of such an encoder, written node by node.
    """
    nodes = _Nodes(graph)
    if config.share_layers or config.embedding_units is not None:
        raise ValueError('shared layers and embeddings of another width are not read from ONNX')
    dense = list(nodes.dense_layers())
    if len(dense) < len(_LAYER) * config.num_layers:
        raise ValueError(
            f'has {len(dense)} dense layers in float32 or float16, {config.num_layers} layers of '
            f'BERT have {len(_LAYER) * config.num_layers}{nodes.hint()}'
        )
    arrays = dict(_embeddings(nodes, config))
    arrays.update(_norms(nodes, config))
    for i in range(config.num_layers):
        layer = dense[len(_LAYER) * i : len(_LAYER) * (i + 1)]
        for name, found in zip(_LAYER, [*nodes.in_order(layer[:3], i), *layer[3:]]):
            arrays[f'encoder.transformer_cells.{i}.{name}.weight'] = found.weight
            arrays[f'encoder.transformer_cells.{i}.{name}.bias'] = found.bias
    _check_shapes(arrays, encoder_shapes(config))
    arrays.update(_pooler(nodes, dense[len(_LAYER) * config.num_layers :], config))
    return arrays


def _embeddings(nodes, config):
    """Yield the tables of embeddings; which is which follows from their inputs and shapes."""
    tables = nodes.tables(config.units)
    words = [table for table, index in tables if nodes.comes_from(index, 'input_ids')]
    others = [table for table, _ in tables if table not in words]
    sizes = (config.max_length, config.num_token_types)
    if len(words) != 1:
        raise ValueError(
            f'has {len(words)} tables of {config.units} units for input_ids, expected one'
        )
    yield _EMBEDDINGS[0], words[0]
    for name, size in zip(_EMBEDDINGS[1:], sizes):
        fitting = [table for table in others if table.shape[0] == size]
        if size and len(fitting) != 1:
            raise ValueError(
                f'has {len(fitting)} tables of shape {(size, config.units)} for {name}, '
                f'expected one'
            )
        if size:
            yield name, fitting[0]


def _norms(nodes, config):
    norms = nodes.norms(config.units)
    if len(norms) < 1 + 2 * config.num_layers:
        raise ValueError(
            f'has {len(norms)} layer normalisations, {config.num_layers} layers of BERT have '
            f'{1 + 2 * config.num_layers}{nodes.hint()}'
        )
    names = ['encoder.layer_norm'] + [
        f'encoder.transformer_cells.{i}.{name}' for i in range(config.num_layers) for name in _NORMS
    ]
    for name, (gamma, beta) in zip(names, norms):
        yield f'{name}.gamma', gamma
        yield f'{name}.beta', beta


def _pooler(nodes, dense, config):
    """The first dense layer after the encoder, if tanh follows it."""
    if not dense or not any(node.op_type == 'Tanh' for node in nodes.users(dense[0].output)):
        return {}
    arrays = {'pooler.weight': dense[0].weight, 'pooler.bias': dense[0].bias}
    _check_shapes(arrays, head_shapes(config, 'pooler'))
    return arrays


def _check_shapes(arrays, shapes):
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ValueError(
                f'{printable(arrays[name].tensor.name)} in the place of {name} has shape '
                f'{arrays[name].shape}, the configuration needs {shape}'
            )


class _Nodes:
    """The nodes of a graph, by what they read and write."""

    def __init__(self, graph):
        self._nodes = list(graph.node)
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}
        self._makers, self._users = {}, {}
        for node in self._nodes:
            for name in node.output:
                self._makers[name] = node
            for name in dict.fromkeys(node.input):
                self._users.setdefault(name, []).append(node)
            value = _attribute(node, 'value')
            if node.op_type == 'Constant' and value is not None and len(node.output) == 1:
                self._tensors[node.output[0]] = value.t

    def users(self, name: str) -> List[Any]:
        """Return the nodes that read a value."""
        return self._users.get(name, [])

    def hint(self) -> str:
        """Say why layers may be missing."""
        if any(node.op_type in _INTEGER for node in self._nodes):
            return '; it is quantised: give the file in float32'
        fused = sorted({f'{node.domain}.{node.op_type}' for node in self._nodes if node.domain})
        if fused:
            return (
                f'; it has fused nodes ({printable(", ".join(fused[:3]))}): export without fusion'
            )
        return ''

    def stored(self, name: str) -> Optional[Stored]:
        """Find an array of the file by the name of a value; None if it is computed."""
        transposed = False
        for _ in range(4):  # an exporter chains no more
            if name in self._tensors:
                tensor = self._tensors[name]
                shape = tuple(tensor.dims)
                return Stored(tensor, transposed, shape[::-1] if transposed else shape)
            node = self._makers.get(name)
            if node is None or node.op_type not in ('Identity', 'Cast', 'Transpose'):
                return None
            transposed ^= node.op_type == 'Transpose'
            name = node.input[0]
        return None

    def dense_layers(self) -> Iterator[_Dense]:
        """Yield the dense layers, in the graph's order."""
        for node in self._nodes:
            if node.op_type == 'Gemm' and len(node.input) == 3:
                weight, bias = self.stored(node.input[1]), self.stored(node.input[2])
                if _is_plain(node) and weight is not None and bias is not None:
                    turned = _attribute(node, 'transB')
                    yield _Dense(
                        weight if turned is not None and turned.i else weight.turned,
                        bias,
                        node.output[0],
                    )
            elif node.op_type == 'MatMul':
                weight = self.stored(node.input[1])
                if weight is not None and len(weight.shape) == 2:
                    yield from self._with_bias(node, weight.turned)

    def _with_bias(self, node, weight):
        for user in self.users(node.output[0]):
            others = [name for name in user.input if name != node.output[0]]
            bias = self.stored(others[0]) if user.op_type == 'Add' and len(others) == 1 else None
            if bias is not None and bias.shape == weight.shape[:1]:
                yield _Dense(weight, bias, user.output[0])

    def tables(self, units: int) -> List[Tuple[Stored, str]]:
        """Return the tables whose rows are read, with the name of their index."""
        tables = [
            (self.stored(node.input[0]), node.input[1])
            for node in self._nodes
            if node.op_type in ('Gather', 'Slice') and len(node.input) > 1
        ]
        return [
            (table, index)
            for table, index in tables
            if table is not None and len(table.shape) == 2 and table.shape[1] == units
        ]

    def norms(self, units: int) -> List[Tuple[Stored, Stored]]:
        """Return gamma and beta of the layer normalisations, in the graph's order."""
        pairs = []
        for node in self._nodes:
            if node.op_type == 'LayerNormalization' and len(node.input) == 3:
                pairs.append((self.stored(node.input[1]), self.stored(node.input[2])))
            elif node.op_type == 'Mul':
                pairs.append((self._vector(node), self._vector_added_to(node)))
        return [
            (gamma, beta)
            for gamma, beta in pairs
            if gamma is not None and beta is not None and gamma.shape == beta.shape == (units,)
        ]

    def _vector(self, node):
        arrays = [self.stored(name) for name in node.input]
        return next((array for array in arrays if array is not None), None)

    def _vector_added_to(self, node):
        users = [user for user in self.users(node.output[0]) if user.op_type == 'Add']
        return self._vector(users[0]) if len(users) == 1 else None

    def comes_from(self, name: str, source: str) -> bool:
        """Tell whether a value is an input of the graph, at most cast."""
        while name != source and name in self._makers:
            node = self._makers[name]
            if node.op_type not in ('Cast', 'Identity'):
                return False
            name = node.input[0]
        return name == source

    def in_order(self, products: List[_Dense], layer: int) -> List[_Dense]:
        """Sort three dense layers as query, key and value of the attention that they lead to."""
        by_output = {dense.output: dense for dense in products}
        for softmax in (node for node in self._nodes if node.op_type == 'Softmax'):
            scores = self._product_before(softmax.input[0])
            context = self._product_after(softmax.output[0])
            if scores is None or context is None:
                continue
            values = [*scores.input[:2], context.input[1]]
            origins = [self._origins(name, {*by_output}) for name in values]
            if all(len(names) == 1 for names in origins):
                names = [next(iter(origin)) for origin in origins]
                if len({*names}) == 3:
                    return [by_output[name] for name in names]
        raise ValueError(f'layer {layer} has no attention from query, key and value to a softmax')

    def _product_before(self, name):
        """The product of two computed values that a value is a masked and scaled form of."""
        for node in self._before(name):
            if node.op_type == 'MatMul' and self.stored(node.input[1]) is None:
                return node
        return None

    def _product_after(self, name):
        reached = [name]
        for _ in range(4):  # dropout, a cast or a mask may follow
            users = [user for value in reached for user in self.users(value)]
            products = [user for user in users if user.op_type == 'MatMul']
            if products:
                return products[0]
            reached = [value for user in users for value in user.output]
        return None

    def _origins(self, name, wanted: Set[str]) -> Set[str]:
        """The wanted values that a value is computed from, through no other product."""
        reached = {name} if name in wanted else set()
        for node in self._before(name, wanted):
            reached |= {*node.input} & wanted
        return reached

    def _before(self, name, stop=()):
        """Yield the nodes that a value comes from, nearest first, up to the next product."""
        queue, seen = [name], {name, *stop}
        if name in stop:
            return
        while queue:
            node = self._makers.get(queue.pop(0))
            if node is None or node.op_type in _WITHOUT_DATA:
                continue
            yield node
            if node.op_type in ('MatMul', 'Gemm', 'LayerNormalization', 'Softmax'):
                continue
            inputs = node.input[:1] if node.op_type in _RESHAPING else node.input
            queue += [value for value in inputs if value not in seen]
            seen.update(inputs)


def _attribute(node, name):
    return next((attribute for attribute in node.attribute if attribute.name == name), None)


def _is_plain(node):
    """Tell whether a Gemm is x W + b."""
    factors = [_attribute(node, name) for name in ('alpha', 'beta')]
    turned = _attribute(node, 'transA')
    return all(factor is None or factor.f == 1 for factor in factors) and not (turned and turned.i)
