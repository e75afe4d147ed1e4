"""Ids, token types and lengths out of range, in a block and in a Predictor."""

import mxnet as mx
import numpy as np
import pytest

from gluon_bert import BertClassifier, Predictor

INPUTS = [[5, 6, 7, 0], [8, 9, 10, 11]]
TYPES = [[0, 0, 1, 0], [0, 1, 1, 1]]
LENGTHS = [3, 4]

# Name of the input, place, value, and the error.
WRONG = [
    ('inputs', (0, 1), 97, r'inputs\[0, 1\] is 97.*whole number from 0 to 96'),
    ('inputs', (1, 3), -1, r'inputs\[1, 3\] is -1.*from 0 to 96'),
    ('inputs', (1, 0), 3.5, r'inputs\[1, 0\] is 3.5.*whole number'),
    ('inputs', (1, 0), float('nan'), r'inputs\[1, 0\] is nan'),
    ('inputs', (0, 0), 1e9, r'inputs\[0, 0\] is 1000000000'),
    ('types', (0, 2), 2, r'token_types\[0, 2\] is 2.*from 0 to 1'),
    ('types', (1, 0), -1, r'token_types\[1, 0\] is -1'),
    ('lengths', (0,), 0, r'valid_length\[0\] is 0.*from 1 to 4'),
    ('lengths', (1,), 5, r'valid_length\[1\] is 5.*from 1 to 4'),
    ('lengths', (1,), -2, r'valid_length\[1\] is -2'),
    ('lengths', (1,), 2.5, r'valid_length\[1\] is 2.5'),
]


def arrays(name=None, place=None, value=None, dtype='float32'):
    parts = {'inputs': INPUTS, 'types': TYPES, 'lengths': LENGTHS}
    parts = {key: np.array(part, 'float64') for key, part in parts.items()}
    if name:
        parts[name][place] = value
    return [mx.nd.array(part, dtype=dtype) for part in parts.values()]


@pytest.fixture
def classifier(make_model):
    network = BertClassifier(make_model(), 2)
    network.classifier.initialize(mx.init.Normal(0.1))
    return network


@pytest.mark.parametrize('name, place, value, message', WRONG)
def test_out_of_range(make_model, classifier, name, place, value, message):
    whole = value in range(-10, 100)
    model = make_model()
    for dtype in ['float32', 'int32'] if whole else ['float32']:
        wrong = arrays(name, place, value, dtype)
        for network in (model, classifier, Predictor(model), Predictor(classifier)):
            with pytest.raises(ValueError, match=message):
                network(*wrong)
        with pytest.raises(ValueError, match=message):
            model.layer_outputs(*wrong)
        with mx.autograd.record(), pytest.raises(ValueError, match=message):
            classifier(*wrong)
        classifier.hybridize()
        for _ in range(2):  # traced by the first call that is right
            with pytest.raises(ValueError, match=message):
                classifier(*wrong)
            assert classifier(*arrays(dtype=dtype)).shape == (2, 2)
        classifier.hybridize(False)


def test_padding_is_not_checked(make_model):
    model = make_model()
    expected = model(*arrays()).pooled.asnumpy()
    inputs, types, lengths = arrays('inputs', (0, 3), -100)
    types[0, 3] = 77
    for network in (model, Predictor(model)):
        found = network(inputs, types, lengths).pooled.asnumpy()
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_sequence_longer_than_the_network_takes(make_model):
    model = make_model()
    for network in (model, Predictor(model)):
        with pytest.raises(ValueError, match='inputs has 41 tokens.*max_length=40'):
            network(mx.nd.zeros((1, 41)))


def test_a_network_without_token_types_reads_none(make_model):
    model = make_model(num_token_types=0)
    inputs, _, lengths = arrays()
    assert model(inputs, lengths).pooled.shape == (2, 24)
    with pytest.raises(ValueError, match=r'valid_length\[0\] is 9'):
        model(inputs, mx.nd.array([9, 1]))
