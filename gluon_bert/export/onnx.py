"""Networks in ONNX, for onnxruntime, OpenVINO, transformers.js and others."""

from __future__ import annotations

import json
from collections import ChainMap
from pathlib import Path
from typing import Any, Callable, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from .._internal.files import new_folder
from .._internal.packages import import_package
from .._internal.suggestions import unknown_name
from .._internal.types import PathLike
from ..checkpoint.schema import Checkpoint
from ..data import Features
from .beside import write_description
from .heads import NO_HEAD, choose_head
from .onnx_encoder import add_encoder, add_masked_lm, add_pooler, inputs_of
from .onnx_graph import OPSETS, Graph
from .onnx_int8 import Products, dynamic_products, static_products
from .onnx_sentence import Vectors, choose_vectors


class Storage(NamedTuple):
    """A way to store the weights of a graph.

    ``file`` and ``js_name`` are the file's name and its ``dtype`` in transformers.js, ``weights``
    the type of what is not quantized. ``products(checkpoint)``, with the calibration texts where
    ``is_calibrated``, makes the quantized products.
    """

    file: str
    js_name: str
    weights: str = 'float32'
    products: Optional[Callable[..., Products]] = None
    is_calibrated: bool = False


DTYPES: Mapping[str, Storage] = {
    'float32': Storage('model.onnx', 'fp32'),
    'float16': Storage('model_fp16.onnx', 'fp16', 'float16'),
    'int8': Storage('model_quantized.onnx', 'q8', products=dynamic_products),
    'int8-static': Storage('model_int8.onnx', 'int8', products=static_products, is_calibrated=True),
}
"""Name -> its row."""

_BATCH, _TOKENS = 'batch_size', 'sequence_length'  # the names of optimum's dynamic axes
_LARGEST = 2**31 - 2**24  # bytes of a protobuf message, some left for the graph


def _add_nothing(graph, checkpoint, sequence):
    config = checkpoint.config
    graph.give('last_hidden_state', sequence, [_BATCH, _TOKENS, config.units])
    if graph.has('pooler.weight'):
        graph.give('pooler_output', add_pooler(graph, config, sequence), [_BATCH, config.units])


def _add_classifier(graph, checkpoint, sequence):
    scores = graph.dense(add_pooler(graph, checkpoint.config, sequence), 'classifier.1')
    graph.give('logits', scores, [_BATCH, len(checkpoint.arrays['classifier.1.bias'])])


def _add_choice(graph, checkpoint, sequence):
    scores = graph.dense(add_pooler(graph, checkpoint.config, sequence), 'choice_classifier')
    graph.give('logits', scores, [_BATCH, 1])


def _add_tagger(graph, checkpoint, sequence):
    scores = graph.dense(sequence, 'tag_classifier')
    graph.give('logits', scores, [_BATCH, _TOKENS, len(checkpoint.arrays['tag_classifier.bias'])])


def _add_span(graph, checkpoint, sequence):
    scores = graph.dense(sequence, 'span_classifier')  # (N, T, 2)
    for number, name in enumerate(('start_logits', 'end_logits')):
        one = graph.op('Gather', scores, graph.constant(number, np.int64), axis=2)
        graph.give(name, one, [_BATCH, _TOKENS])


def _add_masked_lm(graph, checkpoint, sequence):
    scores = add_masked_lm(graph, checkpoint.config, sequence)
    graph.give('logits', scores, [_BATCH, _TOKENS, checkpoint.config.vocab_size])


def _add_next_sentence(graph, checkpoint, sequence):
    pooled = add_pooler(graph, checkpoint.config, sequence)
    graph.give('logits', graph.dense(pooled, 'classifier'), [_BATCH, 2])


# Name of a head -> function (graph, checkpoint, sequence) that adds its outputs.
_ADDED: Mapping[str, Callable[[Graph, Checkpoint, str], None]] = {
    'classifier': _add_classifier,
    'choice': _add_choice,
    'tagger': _add_tagger,
    'span': _add_span,
    'masked_lm': _add_masked_lm,
    'next_sentence': _add_next_sentence,
    NO_HEAD: _add_nothing,
}


def build_onnx(
    checkpoint: Checkpoint,
    head: Optional[str] = None,
    opset: int = 14,
    dtype: str = 'float32',
    pooling: Optional[str] = None,
    normalize: Optional[bool] = None,
    calibration: Optional[Sequence[Features]] = None,
) -> Any:
    """Build the ONNX model of a network.

    Inputs are int64 of shape (N, T), with transformers' names: ``input_ids``, ``attention_mask``
    and, where the network has token types, ``token_type_ids``. N and T are free.

    Parameters
    ----------
    checkpoint : Checkpoint
    head : str, optional
        Of :attr:`.Checkpoint.heads`, or 'none' for the encoder alone: ``last_hidden_state`` and
        ``pooler_output``. By default the fine-tuned head if there is one, else 'none'. The output
        of a head is ``logits``; that of an answer's begin and end ``start_logits`` and
        ``end_logits``.
    opset : int
        Version of the operators, 13 to 21.
    dtype : str
        Of the stored weights, a key of ``DTYPES``. 'float16': a file of half the size; the model
        computes in float32. 'int8': the dense layers of the encoder multiply in int8, with the
        scale of their inputs that each batch has. 'int8-static': the same with scales that are
        measured on calibration texts, as pairs of QuantizeLinear and DequantizeLinear. In both the
        word embedding is stored in int8, and layers that ``precision.json`` of the checkpoint's
        folder keeps in float32 stay in it.
    pooling : str, optional
        Way of pooling of an encoder that is no sentence model, as for :class:`.SentenceEncoder`:
        also give ``sentence_embedding``, a vector for each text. A sentence model gives its own.
    normalize : bool, optional
        Scale these vectors to length 1. By default True, but for a sentence model that compares
        vectors by another similarity than the cosine as its modules do.
    calibration : list of Features, optional
        Texts for 'int8-static', such as will come; by default the ranges are estimated from the
        scales that :func:`.choose_precision` measured and ``precision.json`` has.

    Returns
    -------
    onnx.ModelProto
        Checked by ONNX's checker, if it is not larger than that takes.

    Raises
    ------
    ImportError
        If ``onnx`` is not installed.
    ValueError
        If an argument is not as above, the network does not have the head, or there is no
        calibration.
    """
    onnx = import_package('onnx', 'ONNX files')
    head = choose_head(checkpoint, head)
    if type(opset) is not int or not OPSETS[0] <= opset <= OPSETS[1]:
        raise ValueError(f'opset={opset!r}: expected {OPSETS[0]} to {OPSETS[1]}')
    if dtype not in DTYPES:
        raise unknown_name('dtype', dtype, DTYPES)
    vectors = _choose_vectors(checkpoint, head, pooling, normalize)
    arrays: Any = checkpoint.arrays
    if vectors:
        arrays = ChainMap(vectors.arrays(), arrays)
    products = _make_products(checkpoint, dtype, calibration)
    graph = Graph(arrays, opset, DTYPES[dtype].weights, products)
    sequence = add_encoder(graph, checkpoint.config)
    _ADDED[head](graph, checkpoint, sequence)
    if vectors:
        vectors.add(graph, checkpoint, sequence)
    return _finish(onnx, graph, inputs_of(checkpoint.config), opset)


def write_onnx(
    checkpoint: Checkpoint, folder: PathLike, dtype: str = 'float32', **options: Any
) -> None:
    """Write the ONNX model of a network, in the layout of optimum and transformers.js.

    ``onnx/model.onnx``, or the name that transformers.js gives to a ``dtype``, see ``DTYPES``; with
    a file of the same name and ``_data`` beside it where the weights exceed 2 GB; ``config.json``
    and the tokenizer's files as transformers writes them; ``settings.json`` with what the graph has
    no place for: labels, windows, thresholds, the transitions of a CRF.

    Parameters
    ----------
    checkpoint : Checkpoint
    folder : str or Path
        Made here; it appears when it is whole.
    dtype, options
        See :func:`build_onnx`.

    Raises
    ------
    FileExistsError
        If the folder is there already and not empty.
    ImportError, ValueError
        As :func:`build_onnx`; or transformers has no such network.
    """
    onnx = import_package('onnx', 'ONNX files')
    with new_folder(folder) as whole:
        model = build_onnx(checkpoint, dtype=dtype, **options)
        storage, is_large = DTYPES[dtype], _is_large(model)
        write_description(checkpoint, whole)
        _describe_to_js(whole / 'config.json', storage, is_large)
        path = whole / 'onnx' / storage.file
        path.parent.mkdir()
        onnx.save_model(
            model, path, save_as_external_data=is_large, location=f'{storage.file}_data'
        )
        if is_large:  # which the checker only takes from a file
            onnx.checker.check_model(str(path), full_check=True)


def _is_large(model):
    """Whether a model is larger than a protobuf message may be."""
    return sum(len(weight.raw_data) for weight in model.graph.initializer) > _LARGEST


def _describe_to_js(path: Path, storage: Storage, is_large: bool) -> None:
    """Add what transformers.js is to load, if its user does not say."""
    config = json.loads(path.read_text(encoding='utf-8'))
    config['transformers.js_config'] = {
        'dtype': storage.js_name,
        'use_external_data_format': is_large,
    }
    path.write_text(json.dumps(config, indent=2) + '\n', encoding='utf-8')


def _make_products(checkpoint, dtype, calibration) -> Optional[Products]:
    storage = DTYPES[dtype]
    if storage.is_calibrated and storage.products is not None:
        return storage.products(checkpoint, calibration)
    if calibration is not None:
        wanted = ', '.join(name for name, row in DTYPES.items() if row.is_calibrated)
        raise ValueError(f'dtype={dtype!r}: needs no calibration texts; {wanted} does')
    return None if storage.products is None else storage.products(checkpoint)


def _choose_vectors(checkpoint, head, pooling, normalize) -> Optional[Vectors]:
    """The sentence vectors of a graph, which only one without a head has."""
    if head == NO_HEAD:
        return choose_vectors(checkpoint, pooling, normalize)
    if pooling is not None or normalize is not None:
        name = 'normalize' if pooling is None else f'pooling={pooling!r}'
        raise ValueError(f"{name}: sentence vectors need head='none', got {head!r}")
    return None


def _finish(onnx, graph, inputs, opset):
    helper, kinds = onnx.helper, onnx.TensorProto
    versions = [helper.make_opsetid('', opset)]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            'bert',
            [
                helper.make_tensor_value_info(name, kinds.INT64, [_BATCH, _TOKENS])
                for name in inputs
            ],
            [
                helper.make_tensor_value_info(name, kinds.FLOAT, shape)
                for name, shape in graph.outputs
            ],
            graph.weights,
        ),
        opset_imports=versions,
        producer_name='gluon_bert',
    )
    model.ir_version = helper.find_min_ir_version_for(versions)
    if not _is_large(model):
        onnx.checker.check_model(model, full_check=True)
    return model
