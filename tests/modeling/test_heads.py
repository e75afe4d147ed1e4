"""Classifier and pre-training heads."""

import mxnet as mx
import numpy as np
import pytest
from test_bert import parameters_of

from gluon_bert import BertClassifier, BertForPretraining


@pytest.mark.parametrize('hybridized', [False, True])
def test_classifier_is_a_dense_layer_on_the_pooled_vector(make_model, ragged, hybridized):
    bert = make_model()
    classifier = BertClassifier(bert, num_classes=3)
    classifier.classifier.initialize(mx.init.Normal(1))
    if hybridized:
        classifier.hybridize()
    batch = ragged(bert.config, [7, 2, 5])
    weight = classifier.classifier.weight.data().asnumpy()
    expected = bert(*batch.arrays()).pooled.asnumpy() @ weight.T
    np.testing.assert_allclose(classifier(*batch.arrays()).asnumpy(), expected, atol=1e-5)


def test_classifier_trains_every_parameter(make_model, ragged):
    bert = make_model()
    classifier = BertClassifier(bert)
    classifier.classifier.initialize(mx.init.Normal(1))
    classifier.hybridize()
    with mx.autograd.record():
        loss = classifier(*ragged(bert.config, [bert.config.max_length] * 6).arrays()).sum()
    loss.backward()
    without = [
        name
        for name, parameter in classifier.collect_params().items()
        if not parameter.grad().asnumpy().any()
    ]
    assert without == []


def test_classifier_refuses_no_classes(make_model):
    with pytest.raises(ValueError, match='num_classes=0'):
        BertClassifier(make_model(), num_classes=0)


def make_pretraining(bert, **heads):
    model = BertForPretraining(bert, **heads)
    for parameter in model.collect_params().values():
        if parameter._data is None:
            parameter.initialize(mx.init.Normal(0.3), force_reinit=True)
    return model


@pytest.mark.parametrize('hybridized', [False, True])
def test_pretraining_outputs_in_gluonnlp_order(make_model, ragged, hybridized):
    model = make_pretraining(make_model())
    if hybridized:
        model.hybridize()
    batch = ragged(model.config, [7, 4, 3])
    output = model(*batch.arrays(), mx.nd.array([[1, 2], [0, 3], [2, 2]]))
    assert output._fields == ('sequence', 'pooled', 'next_sentence', 'masked_lm')
    assert [part.shape for part in output] == [(3, 7, 24), (3, 24), (3, 2), (3, 2, 97)]


def test_masked_lm_scores_are_those_of_the_chosen_positions(make_model, ragged):
    model = make_pretraining(make_model())
    batch = ragged(model.config, [7, 4, 3])
    positions = np.array([[1, 6], [0, 3], [2, 0]])
    output = model(*batch.arrays(), mx.nd.array(positions))
    parameters = parameters_of(model)
    sequence = output.sequence.asnumpy()
    for row in range(3):
        for column, position in enumerate(positions[row]):
            x = sequence[row, position] @ parameters['decoder.0.weight'].T
            x = x + parameters['decoder.0.bias']
            x = mx.nd.LeakyReLU(mx.nd.array(x), act_type='gelu').asnumpy()
            x = (x - x.mean()) / np.sqrt(x.var() + 1e-12)
            x = x * parameters['decoder.2.gamma'] + parameters['decoder.2.beta']
            expected = x @ parameters['word_embed.0.weight'].T + parameters['decoder.3.bias']
            np.testing.assert_allclose(output.masked_lm[row, column].asnumpy(), expected, atol=1e-4)


@pytest.mark.parametrize(
    'heads, fields',
    [
        ({'use_decoder': False}, ('sequence', 'pooled', 'next_sentence')),
        ({'use_classifier': False}, ('sequence', 'pooled', 'masked_lm')),
    ],
)
def test_heads_can_be_left_out(make_model, ragged, heads, fields):
    model = make_pretraining(make_model(), **heads)
    positions = (mx.nd.array([[1]]),) if 'masked_lm' in fields else ()
    assert model(*ragged(model.config, [4]).arrays(), *positions)._fields == fields


def test_masked_positions_are_asked_for(make_model, ragged):
    model = make_pretraining(make_model())
    with pytest.raises(ValueError, match='masked_positions'):
        model(*ragged(model.config, [4]).arrays())
