"""NaN and infinity in parameters: the kernels give NaN where Gluon does.

GLUON_BERT_KERNELS chooses the instructions when a process begins, so every case runs in a process
for each kind of processor.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import settings

from gluon_bert import kernels

SCRIPT = """
import dataclasses, json, sys
import numpy as np
import gluon_bert as gb
from gluon_bert.data import Features
from gluon_bert.kernels.dense import NativeDense
from gluon_bert.kernels.training import make_trainer
import mxnet as mx

CONFIG = gb.BertConfig(vocab_size=40, units=24, hidden_size=50, num_layers=2, num_heads=3,
                       max_length=20, num_token_types=2, dropout=0.0, layer_norm_eps=1e-12,
                       activation='gelu', pooler_activation='tanh')
INPUTS = np.array([[5, 6, 7, 8, 3], [9, 5, 0, 0, 0], [11, 12, 13, 0, 0]])
LENGTHS = np.array([5, 2, 3])
ROWS = [Features(row[:n].astype('int32'), row[:n].astype('int32') * 0, n)
        for row, n in zip(INPUTS, LENGTHS)]
PLACES = {
    'embeddings.word.weight': (6, 3), 'embeddings.token_type.weight': (1, 2),
    'embeddings.position.weight': (2, 7), 'embeddings.norm.gamma': (4,),
    'embeddings.norm.beta': (4,), 'pooler.weight': (1, 2), 'pooler.bias': (3,),
}
for layer in (0, 1):
    for name, place in {
        'attention.query_key_value.weight': (1, 2), 'attention.query_key_value.bias': (30,),
        'attention.output.weight': (20, 3), 'attention.output.bias': (1,),
        'attention_norm.gamma': (0,), 'attention_norm.beta': (23,), 'expand.weight': (49, 5),
        'expand.bias': (2,), 'contract.weight': (3, 49), 'contract.bias': (3,),
        'output_norm.gamma': (9,), 'output_norm.beta': (9,),
    }.items():
        PLACES[f'layers.{layer}.{name}'] = place

def network(activation, pooler_activation):
    config = dataclasses.replace(CONFIG, activation=activation,
                                 pooler_activation=pooler_activation)
    mx.random.seed(3)
    model = gb.BertModel(config)
    model.initialize(mx.init.Normal(0.4))
    return model

def nan_rows(outputs):
    # By sequence: the rows of tokens with NaN, and whether the pooled vector has it.
    return [(np.isnan(tokens).any(axis=1).tolist(), bool(np.isnan(pooled).any()))
            for tokens, pooled in outputs]

wrong, count = [], 0
for activation, pooler in (('gelu', 'tanh'), ('gelu_tanh', 'gelu'), ('relu', 'relu')):
    for name, place in PLACES.items():
        for value in (np.nan, -np.nan, np.inf, -np.inf):
            model = network(activation, pooler)
            parameter = model._collect_params_with_prefix()[name]
            array = parameter.data().asnumpy()
            array[place] = value
            parameter.set_data(mx.nd.array(array))
            # One by one: Gluon computes padding too, which can have NaN of its own.
            singles = [model(mx.nd.array(row[None, :n])) for row, n in zip(INPUTS, LENGTHS)]
            outputs = [(sequence[0].asnumpy(), pooled[0].asnumpy())
                       for sequence, pooled in singles]
            expected = nan_rows(outputs)
            for precision in ('float32', 'bfloat16', 'int8'):
                native = gb.Predictor(model, 1, precision).batch(ROWS)
                found = nan_rows(zip(*native))
                exact = precision == 'float32'
                count += 1
                # NaN where Gluon has it, and in sequences where Gluon has none, none; infinity is
                # NaN in int8, which has none.
                same = (found == expected if exact or np.isnan(value) else all(
                    not np.any(theirs[0]) or np.any(ours[0])
                    for theirs, ours in zip(expected, found)))
                if exact and same:
                    same = all(np.array_equal(np.isinf(ours), np.isinf(theirs))
                               for (_, theirs), ours in zip(outputs, native.pooled))
                if not same:
                    wrong.append([activation, name, repr(value), precision, expected, found])
            for dtype in ('float32', 'bfloat16'):
                trained, vectors = model(mx.nd.array(INPUTS), None, mx.nd.array(LENGTHS),
                                         encoder=make_trainer(model, dtype))
                found = nan_rows((tokens[:n], vector) for tokens, n, vector
                                 in zip(trained.asnumpy(), LENGTHS, vectors.asnumpy()))
                if np.isnan(value) and found != expected:
                    wrong.append([activation, name, repr(value), dtype, expected, found])
print(json.dumps([gb.kernels.processor(), count, wrong]))
"""


@pytest.fixture(params=settings.ALL)
def setting(request):
    if not kernels.is_available():
        pytest.skip('native kernels are not built: python -m gluon_bert.kernels')
    return request.param


def run(script, setting):
    result = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', script],
        capture_output=True,
        text=True,
        env={**os.environ, 'GLUON_BERT_KERNELS': setting},
    )
    assert not result.returncode, result.stderr
    return json.loads(result.stdout)


def test_every_parameter(setting):
    name, count, wrong = run(SCRIPT, setting)
    assert name == 'generic' or setting != 'generic'
    assert count > 1000
    assert not wrong


DENSE = """
import json
import numpy as np
import gluon_bert as gb
from gluon_bert.kernels.dense import NativeDense

bits = [0x7fffffff, 0xffffffff, 0x7f800001, 0x7fc00000, 0xff800001]
nans = np.array(bits, 'uint32').view('float32')
wrong = []
for width in (1, 5, 16, 33, 70):
    for place in {0, width // 2, width - 1}:
        for value in (*nans, np.inf, -np.inf):
            x = np.random.RandomState(width).normal(size=(9, width)).astype('float32')
            weight = np.random.RandomState(3).normal(size=(40, width)).astype('float32')
            spoiled_x, spoiled_weight = x.copy(), weight.copy()
            spoiled_x[4, place] = spoiled_weight[7, place] = value
            for precision in ('float32', 'bfloat16', 'int8'):
                for activation in (None, 'gelu', 'gelu_tanh', 'relu', 'tanh'):
                    bias = np.ones(40)
                    rows = NativeDense(weight, bias, precision)(spoiled_x, activation=activation)
                    columns = NativeDense(spoiled_weight, bias, precision)(x, activation=activation)
                    if np.isnan(value) or precision == 'int8':
                        good = np.isnan(rows[4]).all() and np.isnan(columns[:, 7]).all()
                    else:  # an infinity goes through, as far as the activation has one
                        limits = {'gelu': (np.nan, np.inf), 'gelu_tanh': (np.nan, np.inf),
                                  'relu': (0, np.inf), 'tanh': (-1, 1), None: (-np.inf, np.inf)}
                        below, above = limits[activation]
                        good = all(
                            np.allclose(found, np.where(np.sign(others) == np.sign(value), above,
                                                        below), equal_nan=True)
                            for found, others in ((rows[4], weight[:, place]),
                                                  (columns[:, 7], x[:, place])))
                    others = np.delete(rows, 4, 0), np.delete(columns, 7, 1)
                    exact = NativeDense(weight, bias, precision)(x, activation=activation)
                    good = good and np.array_equal(others[0], np.delete(exact, 4, 0))
                    good = good and np.array_equal(others[1], np.delete(exact, 7, 1))
                    if not good:
                        wrong.append([width, place, repr(value), precision, activation])
print(json.dumps(wrong))
"""


def test_a_row_and_a_column_of_a_dense_layer(setting):
    assert not run(DENSE, setting)


BACKWARD = """
import json
import numpy as np
import gluon_bert as gb
from gluon_bert.kernels.training import make_trainer
import mxnet as mx

wrong = []
for activation in ('gelu', 'gelu_tanh', 'relu'):
    config = gb.BertConfig(vocab_size=40, units=24, hidden_size=50, num_layers=2, num_heads=3,
                           max_length=20, num_token_types=2, dropout=0.0, layer_norm_eps=1e-12,
                           activation=activation, pooler_activation='tanh')
    mx.random.seed(3)
    model = gb.BertModel(config, use_pooler=False)
    model.initialize(mx.init.Normal(0.4))
    inputs, lengths = mx.nd.array([[5, 6, 7], [9, 8, 4]]), mx.nd.array([3, 3])
    for name in (None, 'embeddings.word.weight', 'layers.0.expand.weight',
                 'layers.1.attention.query_key_value.bias', 'layers.1.output_norm.gamma'):
        parameters = model._collect_params_with_prefix()
        before = {} if name is None else {name: parameters[name].data().copy()}
        upstream = np.ones((2, 3, 24), 'float32')
        if name is None:
            upstream[1, 1, 3] = np.nan  # a gradient that came with NaN
        else:
            array = before[name].asnumpy()
            array[(7 if array.ndim == 2 else -1,)] = np.nan
            parameters[name].set_data(mx.nd.array(array))
        results = []
        for encoder in (None, make_trainer(model), make_trainer(model, 'bfloat16'),
                        make_trainer(model, recompute=True)):
            with mx.autograd.record():
                y = model(inputs, None, lengths, encoder=encoder)
            y.backward(mx.nd.array(upstream))
            results.append({key: bool(np.isnan(parameter.grad().asnumpy()).any())
                            for key, parameter in parameters.items()})
        for result in results[1:]:
            missing = [key for key in result if results[0][key] and not result[key]]
            if missing:
                wrong.append([activation, name, missing])
        for key, value in before.items():
            parameters[key].set_data(value)
x = mx.nd.ones(9000)
x[8999] = np.nan
moments = mx.nd.zeros(9000), mx.nd.zeros(9000)
weight = mx.nd.ones(9000)
gb.kernels.adam(weight, x, *moments, 0.1, 0.9, 0.999, 1e-6, 1, 0, 1)
found = [int(np.isnan(array.asnumpy()).sum()) for array in (weight, *moments)]
if found != [1, 1, 1] or not np.isnan(gb.kernels.sum_of_squares(x)):
    wrong.append(['adam', found])
print(json.dumps(wrong))
"""


def test_gradients_and_adam(setting):
    assert not run(BACKWARD, setting)


def test_calibration_refuses_a_network_that_computes_nan(make_model):
    from gluon_bert.data import Features
    from gluon_bert.inference.precision import calibrate

    if not kernels.is_available():
        pytest.skip('native kernels are not built: python -m gluon_bert.kernels')
    model = make_model()
    weight = model.embeddings.word.weight
    weight.set_data(weight.data() * np.nan)
    row = np.array([1, 2, 3], 'int32')
    with pytest.raises(ValueError, match=r'0.query_key_value are not finite'):
        calibrate(model, [Features(row, row * 0, 3)])
