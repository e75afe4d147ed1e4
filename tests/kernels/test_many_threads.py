"""The kernels with more threads than processors: the same results, and no thread waits for ever."""

import mxnet as mx
import numpy as np
import pytest

from gluon_bert import kernels
from gluon_bert.kernels.dense import NativeDense
from gluon_bert.kernels.encoder import NativeEncoder
from gluon_bert.kernels.training import NativeTrainer

THREADS = (2, 3, 7, 16, 33, 64)
# Sequences that threads share out, and one that all of them work on together.
BATCHES = {'ragged': (3, 1, 60, 17, 17, 17, 2, 40, 9), 'one': (60,), 'one token': (1,)}


@pytest.fixture(autouse=True)
def loaded():
    if not kernels.is_available():
        pytest.skip('native kernels are not built: python -m gluon_bert.kernels')


@pytest.mark.parametrize('precision', ['float32', 'bfloat16', 'int8'])
def test_an_encoder_gives_the_same_with_any_number_of_threads(precision, make_model):
    model = make_model(units=48, num_heads=3, hidden_size=200, max_length=64)
    encoder, words = NativeEncoder(model, precision), model.config.vocab_size
    for lengths in BATCHES.values():
        count = sum(lengths)
        ids = (np.arange(count) * 7 % words).astype('int32')
        arguments = ids, np.zeros_like(ids), np.array(lengths, 'int32')
        expected = encoder(*arguments, 1)
        for num_threads in THREADS:
            for found, alone in zip(encoder(*arguments, num_threads), expected):
                np.testing.assert_array_equal(found, alone)


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_training_gives_the_same_with_any_number_of_threads(dtype, make_model, tiny_config, seed):
    model = make_model(use_pooler=False)
    length = tiny_config.max_length
    ids = mx.nd.array(np.arange(3 * length).reshape(3, length) % tiny_config.vocab_size)
    weights, gradients = mx.nd.random.normal(shape=(3, length, tiny_config.units)), []
    for num_threads in (1, 3, 64):
        encoder = NativeTrainer(model, dtype, num_threads)
        mx.random.seed(seed)  # of the dropout
        with mx.autograd.record():
            loss = model(ids, ids * 0, mx.nd.array([length, 5, 1]), encoder=encoder) * weights
        loss.backward()
        parameters = model.collect_params().values()
        gradients.append([parameter.grad().asnumpy() for parameter in parameters])
    assert any(gradient.any() for gradient in gradients[0])
    for found in gradients[1:]:
        for gradient, alone in zip(found, gradients[0]):
            np.testing.assert_array_equal(gradient, alone)


@pytest.mark.parametrize('rows', [1, 200])
def test_a_layer_gives_the_same_with_any_number_of_threads(rows):
    draw = np.random.RandomState(1)
    x, weight = (draw.normal(size=(size, 33)).astype('float32') for size in (rows, 70))
    layer = NativeDense(weight, np.zeros(70, 'float32'))
    expected = layer(x)
    np.testing.assert_allclose(expected, x @ weight.T, atol=1e-4)
    for num_threads in THREADS:
        np.testing.assert_array_equal(layer(x, num_threads), expected)
