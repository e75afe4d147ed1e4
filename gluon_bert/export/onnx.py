"""Networks in ONNX, for onnxruntime, OpenVINO, transformers.js and others."""

from __future__ import annotations

import logging
from typing import Any, Callable, Mapping, Optional

import numpy as np

from .._internal.files import new_folder
from .._internal.types import PathLike
from ..checkpoint.huggingface.folder import describe_huggingface
from ..checkpoint.schema import Checkpoint
from ..checkpoint.sentence import Normalize
from .beside import without_crf, write_settings
from .heads import NO_HEAD, choose_head
from .onnx_encoder import add_encoder, add_masked_lm, add_pooler, inputs_of
from .onnx_graph import OPSETS, Graph
from .packages import import_package

logger = logging.getLogger(__name__)

MODEL_FILE = 'model.onnx'
DTYPES = ('float32', 'float16')
POOLINGS = ('mean', 'cls')

_BATCH, _TOKENS = 'batch_size', 'sequence_length'  # the names of optimum's dynamic axes
_TINY = 1e-12
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
    normalize: bool = True,
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
        'mean' or 'cls': also give ``sentence_embedding``, a vector for each text.
    normalize : bool
        Scale these vectors to length 1.

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
    if pooling is not None and pooling not in POOLINGS:
        raise ValueError(f'pooling={pooling!r}: expected one of {POOLINGS}')
    if pooling and head != NO_HEAD:
        raise ValueError(f'pooling={pooling!r}: sentence vectors need head="none", got {head!r}')
    _check_sentence(checkpoint, pooling)
    graph = Graph(checkpoint.arrays, opset, dtype)
    sequence = add_encoder(graph, checkpoint.config)
    _ADDED[head](graph, checkpoint, sequence)
    if pooling:
        _add_sentence_vectors(graph, checkpoint.config.units, sequence, pooling, normalize)
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
        describe_huggingface(without_crf(checkpoint), whole)
        write_settings(checkpoint, whole)
        (whole / 'onnx').mkdir()
        size = sum(len(weight.raw_data) for weight in model.graph.initializer)
        onnx.save_model(
            model,
            whole / 'onnx' / MODEL_FILE,
            save_as_external_data=size > _LARGEST,
            location=f'{MODEL_FILE}_data',
        )


def _check_sentence(checkpoint, pooling):
    """Refuse vectors other than those of a sentence model; say that a graph has none of them."""
    settings = checkpoint.sentence
    if settings is None:
        return
    others = [type(one).__name__ for one in settings.modules if not isinstance(one, Normalize)]
    made_by = ' and '.join(['+'.join(settings.modes), *others])
    if pooling is None:
        logger.warning('the graph has no sentence vectors, which this model makes by %s', made_by)
    elif others or settings.modes != (pooling,):
        raise ValueError(
            f'pooling={pooling!r}: this model makes its vectors by {made_by}; the graph can only '
            f'pool by {" or ".join(POOLINGS)}'
        )


def _add_sentence_vectors(graph, units, sequence, pooling, normalize):
    """Reimers and Gurevych (2019), section 3: (N, C)."""
    axis = graph.constant([1], np.int64)
    if pooling == 'cls':
        vectors = graph.op('Gather', sequence, graph.constant(0, np.int64), axis=1)
    else:
        valid = graph.op('Cast', 'attention_mask', to=1)  # float32
        valid = graph.op('Unsqueeze', valid, graph.constant([2], np.int64))  # (N, T, 1)
        total = graph.reduce('ReduceSum', graph.op('Mul', sequence, valid), 1)
        count = graph.op('Max', graph.reduce('ReduceSum', valid, 1), graph.constant(_TINY))
        vectors = graph.op('Squeeze', graph.op('Div', total, count), axis)
    if normalize:
        length = graph.op('Sqrt', graph.reduce('ReduceSum', graph.op('Mul', vectors, vectors), 1))
        vectors = graph.op('Div', vectors, graph.op('Max', length, graph.constant(_TINY)))
    graph.give('sentence_embedding', vectors, [_BATCH, units])


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
