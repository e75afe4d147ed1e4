"""Python that opens an export with the package that it is for; FOLDER stands for its path."""

from __future__ import annotations

from ..checkpoint.schema import Checkpoint

TYPES = "\n    'token_type_ids': text.type_ids,"
_INPUTS = """\
text = Tokenizer.from_file('FOLDER/tokenizer.json').encode('A text.')
inputs = {
    'input_ids': text.ids,
    'attention_mask': text.attention_mask,
    'token_type_ids': text.type_ids,
}
inputs = {name: np.array([values], 'int64') for name, values in inputs.items()}
"""

ONNX = f"""\
import numpy as np
import onnxruntime
from tokenizers import Tokenizer

{_INPUTS}\
session = onnxruntime.InferenceSession('FOLDER/onnx/model.onnx')
for put, output in zip(session.get_outputs(), session.run(None, inputs)):
    print(put.name, output.shape)
"""

OPENVINO = f"""\
import numpy as np
import openvino
from tokenizers import Tokenizer

{_INPUTS}\
model = openvino.Core().compile_model('FOLDER/openvino_model.xml', 'CPU')
for put, output in model(inputs).items():
    print(put.any_name, output.shape)
"""

SYMBOL = """\
import gluon_bert  # before MXNet on Python 3.9 to 3.13 with today's NumPy
import mxnet as mx
from tokenizers import Tokenizer

text = Tokenizer.from_file('FOLDER/tokenizer.json').encode('A text.')
network = mx.gluon.SymbolBlock.imports(
    'FOLDER/bert-symbol.json', ['data0', 'data1', 'data2'], 'FOLDER/bert-0000.params'
)
print(network(*map(mx.nd.array, ([text.ids], [text.type_ids], [len(text.ids)]))))
"""

CTRANSLATE2 = """\
import ctranslate2
import numpy as np
from tokenizers import Tokenizer

text = Tokenizer.from_file('FOLDER/tokenizer.json').encode('A text.')
encoder = ctranslate2.Encoder('FOLDER')
outputs = encoder.forward_batch([text.ids])
print(np.array(outputs.last_hidden_state).shape)
"""
_HEAD = """
from safetensors.numpy import load_file

head = load_file('FOLDER/head.safetensors')
scores = np.array(outputs.{output}) @ head['{name}.weight'].T + head['{name}.bias']
print(scores.shape)
"""
# Head -> code that applies its array; that of masked words has several layers.
CTRANSLATE2_HEADS = {
    'classifier': _HEAD.format(output='pooler_output', name='classifier.1'),
    'choice': _HEAD.format(output='pooler_output', name='choice_classifier'),
    'next_sentence': _HEAD.format(output='pooler_output', name='classifier'),
    'span': _HEAD.format(output='last_hidden_state', name='span_classifier'),
    'tagger': _HEAD.format(output='last_hidden_state', name='tag_classifier'),
}

_SENTENCE = """\
from sentence_transformers import SentenceTransformer

print(SentenceTransformer('FOLDER').encode(['A text.']).shape)
"""
_PIPELINE = """\
from transformers import pipeline

print(pipeline('{tag}', model='FOLDER')({call}))
"""
_MODEL = """\
from transformers import AutoTokenizer, {architecture}

inputs = AutoTokenizer.from_pretrained('FOLDER')({call}, return_tensors='pt')
print({architecture}.from_pretrained('FOLDER')(**inputs)[0].shape)
"""
_CHOICES = """\
from transformers import AutoTokenizer, {architecture}

choices = ['A choice.', 'Another.']
tokenizer = AutoTokenizer.from_pretrained('FOLDER')
inputs = tokenizer(['A context.'] * 2, choices, padding=True, return_tensors='pt')
inputs = {{name: values[None] for name, values in inputs.items()}}
print({architecture}.from_pretrained('FOLDER')(**inputs).logits)
"""
# Those of transformers 5: it has no pipeline for questions.
_PIPELINES = ('text-classification', 'token-classification')


def huggingface(checkpoint: Checkpoint, architecture: str, tag: str) -> str:
    """Write code for a folder of transformers; empty if there is no tokenizer.

    Parameters
    ----------
    checkpoint : Checkpoint
    architecture : str
        transformers' class.
    tag : str
        The hub's pipeline tag.
    """
    if checkpoint.tokenizer is None:
        return ''
    if checkpoint.sentence is not None:
        return _SENTENCE
    if 'choice' in checkpoint.heads:
        return _CHOICES.format(architecture=architecture)
    if tag not in _PIPELINES:
        call = "'Who?', 'A text that tells it.'" if 'span' in checkpoint.heads else "'A text.'"
        return _MODEL.format(architecture=architecture, call=call)
    is_pair = (checkpoint.task or {}).get('pair')
    call = "{'text': 'A text.', 'text_pair': 'Another.'}" if is_pair else "'A text.'"
    return _PIPELINE.format(tag=tag, call=call)
