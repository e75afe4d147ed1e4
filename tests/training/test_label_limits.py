"""Labels that a loss cannot take are refused, with their row, before they change a parameter."""

import mxnet as mx
import numpy as np
import pytest

import gluon_bert as gb
from gluon_bert.data import Features, SequenceData
from gluon_bert.training import TrainingOptions, fit
from gluon_bert.training.labels import LabelError
from gluon_bert.training.objectives import (
    cross_entropy,
    masked_word_loss,
    multi_label_loss,
    span_loss,
    squared_error,
    tag_loss,
)

NAN, INF = float('nan'), float('inf')


@pytest.mark.parametrize(
    'loss, shape, labels, message',
    [
        (cross_entropy, (2, 3), [0, 3], 'sequence 1 of the batch has 3: .* one of 3 classes'),
        (cross_entropy, (2, 3), [-1, 0], 'sequence 0 .* has -1'),
        (cross_entropy, (2, 3), [0.5, 0], 'has 0.5'),
        (cross_entropy, (2, 3), [0, NAN], 'has nan'),
        (squared_error, (2, 1), [1, INF], 'has inf: expected a finite number'),
        (squared_error, (2, 1), [NAN, 1], 'has nan'),
        (span_loss, (2, 4, 2), [[0, 3], [2, 4]], 'sequence 1 .* has 4: .* one of 4 tokens'),
        (span_loss, (2, 4, 2), [[-1, 3], [2, 3]], 'sequence 0 .* has -1'),
        (tag_loss, (2, 2, 5), [[0, -1], [5, 1]], 'sequence 1 .* has 5: .* one of 5 tags'),
        (tag_loss, (2, 2, 5), [[0, -1], [0.5, 1]], 'has 0.5'),
        (multi_label_loss, (2, 2), [[0, 1], [1, 2]], 'has 2: expected a number from 0 to 1'),
        (multi_label_loss, (2, 2), [[0, 1], [1, NAN]], 'has nan'),
    ],
)
def test_losses_refuse(loss, shape, labels, message):
    with pytest.raises(LabelError, match=message):
        loss(mx.nd.zeros(shape), mx.nd.array(labels))


def test_masked_words_have_ids_of_the_vocabulary():
    weights = mx.nd.ones((1, 2))
    with pytest.raises(LabelError, match='has 7: .* one of 7 classes'):
        masked_word_loss(mx.nd.zeros((1, 2, 7)), mx.nd.array([[1, 7]]), weights)


@pytest.mark.parametrize(
    'loss, shape, labels, expected',
    [
        (cross_entropy, (2, 4), [0, 3], np.log([4, 4])),
        (squared_error, (2, 1), [-2, 1e3], [2, 5e5]),
        (span_loss, (1, 4, 2), [[0, 3]], np.log([4])),
        (tag_loss, (1, 2, 5), [[-1, 4]], np.log([5])),
        (multi_label_loss, (1, 2), [[0, 1]], np.log([2])),
    ],
)
def test_losses_take_the_least_and_the_most(loss, shape, labels, expected):
    assert loss(mx.nd.zeros(shape), mx.nd.array(labels)).asnumpy() == pytest.approx(
        expected, rel=1e-5
    )


@pytest.mark.parametrize('bad, row', [(2, 0), (7, 5), (2, 11)])
def test_fit_names_the_row_and_keeps_the_parameters(bad, row, make_model, tmp_path):
    network = gb.BertClassifier(make_model(), 2)
    network.classifier.initialize()
    labels = np.arange(12) % 2
    labels[row] = bad
    features = [Features(np.array([5, 6, 7]), np.zeros(3, int), 3) for _ in labels]
    data = SequenceData(features, labels, 0, batch_size=12)
    before = network.classifier.weight.data().asnumpy()
    with pytest.raises(LabelError, match=f'row {row} has {bad}: .* one of 2 classes'):
        fit(network, data, 'cross_entropy', TrainingOptions(epochs=1), tmp_path)
    assert np.array_equal(network.classifier.weight.data().asnumpy(), before)


def test_fit_names_the_row_of_tags(make_model, tmp_path):
    network = gb.BertTagger(make_model(use_pooler=False), 3)
    network.tagger.initialize()
    features = [Features(np.array([5, 6, 7]), np.zeros(3, int), 3) for _ in range(4)]
    data = SequenceData(features, [[-1, 0, 2], [-1, 1, 1], [-1, 3, 0], [-1, 0, 0]], 0, batch_size=2)
    with pytest.raises(LabelError, match='row 2 has 3: .* one of 3 tags'):
        fit(network, data, 'tags', TrainingOptions(epochs=1), tmp_path)
