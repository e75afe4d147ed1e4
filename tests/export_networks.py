"""Networks with random heads and their checkpoints, of every family, for the tests of exports."""

from dataclasses import replace

import mxnet as mx
import numpy as np

import gluon_bert as gb
from gluon_bert.checkpoint import Checkpoint
from gluon_bert.families import FAMILIES

# Changes of the tiny configuration with which it is one of the family's.
FAMILY_CONFIGS = {
    'bert': {},
    'ernie': {'activation': 'relu'},
    'roberta': {'num_token_types': 0, 'layer_norm_eps': 1e-5},
    'xlm-roberta': {'num_token_types': 0, 'layer_norm_eps': 1e-3},
    'distilbert': {'num_token_types': 0, 'pooler_activation': 'relu'},
    'electra': {'embedding_units': 10, 'pooler_activation': 'gelu'},
    'albert': {'embedding_units': 10, 'share_layers': True, 'activation': 'gelu_tanh'},
}
WITHOUT_POOLER = ('distilbert', 'electra')  # in transformers, but for its classifiers
HEADS = {
    'encoder': lambda bert: bert,
    'classifier': lambda bert: gb.BertClassifier(bert, 3),
    'choice': gb.BertForMultipleChoice,
    'span': gb.BertForQA,
    'tagger': lambda bert: gb.BertTagger(bert, 5),
    'pretraining': gb.BertForPretraining,
}
assert {*FAMILY_CONFIGS} == {*FAMILIES}


def initialized(network):
    """Give the parameters that have no values yet random ones."""
    for parameter in network.collect_params().values():
        if parameter._data is None:
            parameter.initialize(mx.init.Normal(0.3))
    return network


def head_of(name, bert):
    """A network of a head, all its parameters random."""
    return initialized(HEADS[name](bert))


def checkpoint_of(network, **fields):
    return Checkpoint(network.checkpoint_arrays(), network.config, **fields)


def rounded(checkpoint, dtype='float16'):
    """The checkpoint with its weights rounded to a type."""
    arrays = {
        name: array.astype(dtype).astype('float32') for name, array in checkpoint.arrays.items()
    }
    return replace(checkpoint, arrays=arrays)


def valid(batch):
    """Where a batch has tokens."""
    return np.arange(batch.inputs.shape[1]) < batch.lengths[:, None]


def graph_inputs(batch):
    """A batch by the names of transformers' inputs."""
    given = {
        'input_ids': batch.inputs,
        'attention_mask': valid(batch),
        'token_type_ids': batch.token_types,
    }
    return {name: array.astype('int64') for name, array in given.items()}


def run_onnx(model, batch):
    """Run an ONNX model, or the file of one: name of the output -> array."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    source = model.SerializeToString() if hasattr(model, 'graph') else str(model)
    session = onnxruntime.InferenceSession(source, options)
    given = graph_inputs(batch)
    outputs = session.run(None, {put.name: given[put.name] for put in session.get_inputs()})
    return dict(zip((put.name for put in session.get_outputs()), outputs))
