"""The inputs, outputs and heads of a written export, and code that opens it: what a card tells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, List, Mapping, NamedTuple, Optional, Tuple

from ..checkpoint.schema import Checkpoint
from ..tasks.checkpoint import task_of
from ..tasks.registry import TASKS
from . import snippets
from .heads import HEADS, NO_HEAD, choose_head


class Value(NamedTuple):
    """An input or output: its name, type and shape, N sequences of T tokens."""

    name: str
    dtype: str
    shape: str

    @property
    def meaning(self) -> str:
        """A few words on it; empty if its name is not known."""
        return _MEANINGS.get(self.name, '')


class Interface(NamedTuple):
    """An export as its reader sees it.

    Parameters
    ----------
    inputs, outputs : list of Value
    heads : tuple of str
        The heads that it computes, of :data:`gluon_bert.export.heads.HEADS`.
    code : str
        Python that opens it; FOLDER stands for its path.
    """

    inputs: List[Value]
    outputs: List[Value]
    heads: Tuple[str, ...]
    code: str


_MEANINGS = {
    'input_ids': 'ids of the tokens',
    'attention_mask': '1 for a token, 0 for padding',
    'token_type_ids': '0 in the first text, 1 in the second',
    'data0': 'ids of the tokens',
    'data1': 'token types, 0 in the first text and 1 in the second',
    'data2': 'numbers of tokens, without padding',
    'inputs': 'ids of the tokens, or the tokens themselves',
    'last_hidden_state': 'encodings of the tokens',
    'pooler_output': 'the pooled vector',
    'sentence_embedding': 'the vector of the text',
    'logits': 'scores',
    'start_logits': 'scores of the begin of an answer',
    'end_logits': 'scores of the end of an answer',
    'scores': 'scores',
    'probabilities': 'probabilities',
}
_TYPES = {1: 'float32', 6: 'int32', 7: 'int64', 10: 'float16'}  # numbers of ONNX
_AXES = {'batch_size': 'N', 'sequence_length': 'T'}


def describe_onnx(checkpoint: Checkpoint, folder: Path, options: Mapping[str, Any]) -> Interface:
    """Read the inputs and outputs of an ONNX graph."""
    import onnx

    files = sorted((folder / 'onnx').glob('*.onnx'))
    graph = onnx.load(str(files[0]), load_external_data=False).graph
    inputs, outputs = ([_onnx_value(put) for put in puts] for puts in (graph.input, graph.output))
    name = f'onnx/{files[0].name}'
    code = snippets.ONNX.replace('onnx/model.onnx', name)
    return _graph(checkpoint, options, inputs, outputs, code)


def describe_openvino(
    checkpoint: Checkpoint, folder: Path, options: Mapping[str, Any]
) -> Interface:
    """Read the inputs and outputs of OpenVINO's file."""
    import openvino

    (file,) = folder.glob('*.xml')
    model = openvino.Core().read_model(str(file))
    inputs, outputs = (
        [_openvino_value(put) for put in puts] for puts in (model.inputs, model.outputs)
    )
    return _graph(checkpoint, options, inputs, outputs, snippets.OPENVINO)


def describe_symbol(checkpoint: Checkpoint, folder: Path, options: Mapping[str, Any]) -> Interface:
    """Tell the inputs and outputs of MXNet's symbol."""
    from .symbol import outputs_of

    head = choose_head(checkpoint, options.get('head'))
    names = outputs_of(checkpoint, head, bool(options.get('probabilities')))
    shapes = ('(N, T)', '(N, T)', '(N,)')
    inputs = [Value(f'data{number}', 'float32', shape) for number, shape in enumerate(shapes)]
    outputs = [Value(name, 'float32', shape) for name, shape in names]
    return Interface(inputs, outputs, _held(head), _with_text(checkpoint, snippets.SYMBOL))


def describe_ctranslate2(
    checkpoint: Checkpoint, folder: Path, options: Mapping[str, Any]
) -> Interface:
    """Tell the inputs and outputs of CTranslate2's encoder."""
    has_types, units = checkpoint.config.num_token_types > 0, checkpoint.config.units
    inputs = [Value('inputs', 'list of lists', '(N, T)')]
    code = snippets.CTRANSLATE2
    if has_types:
        inputs.append(Value('token_type_ids', 'list of lists', '(N, T)'))
        code = code.replace('([text.ids])', '([text.ids], token_type_ids=[text.type_ids])')
    outputs = [Value('last_hidden_state', 'float32', f'(N, T, {units})')]
    if 'pooler' in checkpoint.heads:
        outputs.append(Value('pooler_output', 'float32', f'(N, {units})'))
    code += ''.join(snippets.CTRANSLATE2_HEADS.get(head, '') for head in checkpoint.heads)
    return Interface(inputs, outputs, (), _with_text(checkpoint, code))


def describe_huggingface(
    checkpoint: Checkpoint, folder: Path, options: Mapping[str, Any]
) -> Interface:
    """Tell what transformers gives for a folder."""
    (architecture,) = json.loads((folder / 'config.json').read_text(encoding='utf-8'))[
        'architectures'
    ]
    names = ['input_ids', 'attention_mask']
    if checkpoint.config.num_token_types:
        names.append('token_type_ids')
    heads = tuple(head for head in HEADS if head in checkpoint.heads)
    shape = '(N, choices, T)' if any(HEADS[head].has_choices for head in heads) else '(N, T)'
    inputs = [Value(name, 'int64', shape) for name in names]
    code = snippets.huggingface(checkpoint, architecture, hub_tag(checkpoint))
    return Interface(inputs, _transformers_outputs(checkpoint, heads), heads, code)


def _transformers_outputs(checkpoint, heads):
    """The outputs that transformers gives by these names; those of several heads are not listed."""
    if not heads:
        return [Value('last_hidden_state', 'float32', f'(N, T, {checkpoint.config.units})')]
    if len(heads) > 1:
        return []
    if heads == ('span',):
        return [Value(name, 'float32', '(N, T)') for name in ('start_logits', 'end_logits')]
    row = HEADS[heads[0]]
    return [
        Value('logits', 'float32', '(N, choices)' if row.has_choices else row.shape(checkpoint))
    ]


def hub_tag(checkpoint: Checkpoint, head: Optional[str] = None) -> str:
    """Give the pipeline tag that Hugging Face's hub has for a network.

    Parameters
    ----------
    checkpoint : Checkpoint
    head : str, optional
        The head that was exported, if not the default.
    """
    task = task_of(checkpoint)
    if task is not None:
        return TASKS[task].tag
    if checkpoint.sentence is not None:
        return 'sentence-similarity'
    return 'fill-mask' if head == 'masked_lm' else 'feature-extraction'


def _graph(checkpoint, options, inputs, outputs, code):
    head = choose_head(checkpoint, options.get('head'))
    if 'token_type_ids' not in [value.name for value in inputs]:
        code = code.replace(snippets.TYPES, '')
    return Interface(inputs, outputs, _held(head), _with_text(checkpoint, code))


def _held(head):
    return () if head == NO_HEAD else (head,)


def _with_text(checkpoint, code):
    """The code with the kind of input that the network was trained on."""
    if checkpoint.tokenizer is None:
        return ''
    given = "'A text.'"
    if (checkpoint.task or {}).get('pair'):
        given = "'A text.', 'Another.'"
    if 'choice' in checkpoint.heads:
        given = "'A context.', 'A choice.'"
    if 'span' in checkpoint.heads:
        given = "'Who?', 'A text that tells it.'"
    return code.replace("'A text.'", given)


def _onnx_value(put):
    tensor = put.type.tensor_type
    axes = [
        _AXES.get(axis.dim_param, axis.dim_param) or axis.dim_value for axis in tensor.shape.dim
    ]
    dtype = _TYPES.get(tensor.elem_type, str(tensor.elem_type))
    return Value(put.name, dtype, f'({", ".join(map(str, axes))})')


def _openvino_value(put):
    letters = iter('NT')
    axes = [
        next(letters, '?') if axis.is_dynamic else axis.get_length() for axis in put.partial_shape
    ]
    dtype = str(put.element_type.to_dtype())
    return Value(put.any_name, dtype, f'({", ".join(map(str, axes))})')
