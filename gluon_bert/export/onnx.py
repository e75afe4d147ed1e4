"""Networks in ONNX, for onnxruntime, OpenVINO, transformers.js and others."""

from __future__ import annotations

from collections import ChainMap
from typing import Any, Callable, Mapping, Optional

import numpy as np

from .._internal.files import new_folder
from .._internal.types import PathLike
from ..checkpoint.schema import Checkpoint
from .beside import write_description
from .heads import NO_HEAD, choose_head
from .onnx_encoder import add_encoder, add_masked_lm, add_pooler, inputs_of
from .onnx_graph import OPSETS, Graph
from .onnx_sentence import Vectors, choose_vectors
from .packages import import_package

MODEL_FILE = 'model.onnx'
DTYPES = ('float32', 'float16')

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
        Of the stored weights: 'float32', or 'float16' for a file of half the size. The model
        computes in float32.
    pooling : str, optional
        Way of pooling of an encoder that is no sentence model, as for :class:`.SentenceEncoder`:
        also give ``sentence_embedding``, a vector for each text. A sentence model gives its own.
    normalize : bool, optional
        Scale these vectors to length 1. By default True, but for a sentence model that compares
        vectors by another similarity than the cosine as its modules do.

    Returns
    -------
    onnx.ModelProto
        Checked by ONNX's checker.

    Raises
    ------
    ImportError
        If ``onnx`` is not installed.
    ValueError
        If an argument is not as above, or the network does not have the head.
    """
    onnx = import_package('onnx', 'ONNX files')
    head = choose_head(checkpoint, head)
    if type(opset) is not int or not OPSETS[0] <= opset <= OPSETS[1]:
        raise ValueError(f'opset={opset!r}: expected {OPSETS[0]} to {OPSETS[1]}')
    if dtype not in DTYPES:
        raise ValueError(f'dtype={dtype!r}: expected one of {DTYPES}')
    vectors = _choose_vectors(checkpoint, head, pooling, normalize)
    arrays: Any = checkpoint.arrays
    if vectors:
        arrays = ChainMap(vectors.arrays(), arrays)
    graph = Graph(arrays, opset, dtype)
    sequence = add_encoder(graph, checkpoint.config)
    _ADDED[head](graph, checkpoint, sequence)
    if vectors:
        vectors.add(graph, checkpoint, sequence)
    return _finish(onnx, graph, inputs_of(checkpoint.config), opset)


def write_onnx(checkpoint: Checkpoint, folder: PathLike, **options: Any) -> None:
    """Write the ONNX model of a network, in the layout of optimum and transformers.js.

    ``onnx/model.onnx``, with ``model.onnx_data`` beside it where the weights exceed 2 GB;
    ``config.json`` and the tokenizer's files as transformers writes them; ``settings.json`` with
    what the graph has no place for: labels, windows, thresholds, the transitions of a CRF.

    Parameters
    ----------
    checkpoint : Checkpoint
    folder : str or Path
        Made here; it appears when it is whole.
    options
        See :func:`build_onnx`.

    Raises
    ------
    FileExistsError
        If the folder is there already and not empty.
    ImportError, ValueError
        As :func:`build_onnx`; or transformers has no such network.
    """
    onnx = import_package('onnx', 'ONNX files')
    model = build_onnx(checkpoint, **options)
    with new_folder(folder) as whole:
        write_description(checkpoint, whole)
        (whole / 'onnx').mkdir()
        size = sum(len(weight.raw_data) for weight in model.graph.initializer)
        onnx.save_model(
            model,
            whole / 'onnx' / MODEL_FILE,
            save_as_external_data=size > _LARGEST,
            location=f'{MODEL_FILE}_data',
        )


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
    onnx.checker.check_model(model, full_check=True)
    return model
