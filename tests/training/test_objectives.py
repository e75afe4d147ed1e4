"""Objectives: losses against NumPy, and means over what is counted wherever the cuts fall."""

from dataclasses import replace

import mxnet as mx
import numpy as np
import pytest
from test_bert import parameters_of
from test_training import make_classifier, rows, toy_data  # noqa: F401 (a fixture)

from gluon_bert import BertClassifier, BertForPretraining, BertModel
from gluon_bert.training import OBJECTIVES, TrainingOptions, fit
from gluon_bert.training.batches import Batch
from gluon_bert.training.objectives import (
    LossTerm,
    cross_entropy,
    make_objective,
    masked_word_loss,
    multi_label_loss,
    squared_error,
)
from gluon_bert.training.step import TrainingStep


def log_softmax(scores):
    scores = scores - scores.max(axis=-1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))


def test_multi_label_loss_is_the_mean_binary_cross_entropy():
    rng = np.random.RandomState(1)
    scores, labels = rng.normal(scale=3, size=(7, 5)), rng.randint(0, 2, (7, 5))
    probabilities = 1 / (1 + np.exp(-scores))
    expected = -np.where(labels, np.log(probabilities), np.log(1 - probabilities)).mean(axis=1)
    found = multi_label_loss(mx.nd.array(scores), mx.nd.array(labels))
    np.testing.assert_allclose(found.asnumpy(), expected, rtol=1e-5)


def test_multi_label_loss_and_its_gradient_are_finite_far_out():
    scores = mx.nd.array([[500.0, -500.0, 500.0, -500.0]])
    labels = mx.nd.array([[1, 0, 0, 1]])
    scores.attach_grad()
    with mx.autograd.record():
        loss = multi_label_loss(scores, labels)
    loss.backward()
    assert loss.asscalar() == pytest.approx(250)
    np.testing.assert_allclose(scores.grad.asnumpy(), [[0, 0, 0.25, -0.25]], atol=1e-6)


def test_masked_word_loss_leaves_out_padding():
    rng = np.random.RandomState(1)
    scores, words = rng.normal(size=(3, 4, 9)), rng.randint(0, 9, (3, 4))
    weights = np.array([[1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]])
    expected = -np.take_along_axis(log_softmax(scores), words[..., None], axis=2)[..., 0] * weights
    found = masked_word_loss(*map(mx.nd.array, (scores, words, weights)))
    np.testing.assert_allclose(found.asnumpy(), expected, rtol=1e-5)


@pytest.mark.parametrize(
    'name, labels, counts',
    [
        ('cross_entropy', [[0, 1, 1]], {'loss': 3}),
        ('squared_error', [[0, 1, 1]], {'loss': 3}),
        ('span', [[[1, 2]] * 3], {'loss': 3}),
        ('tags', [[[1, -1], [2, 0], [-1, -1]]], {'loss': 3}),
        ('multi_label', [[[1, 0], [0, 0], [1, 1]]], {'loss': 3}),
        ('masked_words', [[[4, 5]] * 3, [[1, 0], [1, 1], [0, 0]]], {'masked_words': 3.0}),
        (
            'pretraining',
            [[[4, 5]] * 3, [[1, 0], [1, 0], [0, 0]], [0, 1, 0]],
            {'masked_words': 2.0, 'next_sentence': 3},
        ),
    ],
)
def test_counts_are_those_of_the_labels(name, labels, counts):
    inputs = (mx.nd.zeros((3, 2)), mx.nd.zeros((3, 2)), mx.nd.full(3, 2))
    assert OBJECTIVES[name].counts(inputs, tuple(map(mx.nd.array, labels))) == counts


def test_losses_by_name_by_row_and_as_functions():
    assert make_objective('span') is OBJECTIVES['span']
    assert make_objective(OBJECTIVES['tags']) is OBJECTIVES['tags']
    row = make_objective(cross_entropy)
    assert (row.name, row.terms) == ('cross_entropy', {'loss': LossTerm(cross_entropy)})
    with pytest.raises(
        ValueError, match="'crossentropy' is unknown; did you mean 'cross_entropy'.* multi_label"
    ):
        make_objective('crossentropy')


def make_pretrained(config, num_devices=1, dropout=0.0, classifier=True):
    mx.random.seed(3)
    bert = BertModel(replace(config, dropout=dropout), use_pooler=classifier)
    network = BertForPretraining(bert, use_classifier=classifier)
    network.initialize(mx.init.Normal(0.05), ctx=[mx.cpu(i) for i in range(num_devices)])
    network.hybridize()
    return network


class MaskedData:
    """Pairs with masked words: another number in each sequence, none in some."""

    def __init__(self, batch_size, num=18):
        rng = np.random.RandomState(4)
        self.ids = rng.randint(5, 90, (num, 12))
        self.types = np.repeat([[0] * 6 + [1] * 6], num, axis=0)
        self.lengths = rng.randint(8, 13, num)
        self.positions = np.array([rng.choice(8, 4, replace=False) for _ in range(num)])
        self.weights = (np.arange(4) < rng.randint(0, 5, (num, 1))).astype('float32')
        self.weights[:3] = 0
        self.words = np.take_along_axis(self.ids, self.positions, axis=1)
        self.follows = rng.randint(0, 2, num)
        self.batch_size = batch_size

    def __len__(self):
        return len(self.ids)

    def training_batches(self, epoch):
        return np.split(np.arange(len(self)), range(self.batch_size, len(self), self.batch_size))

    def load(self, indices):
        inputs = (self.ids, self.types, self.lengths, self.positions)
        labels = (self.words, self.weights, self.follows)
        return tuple(
            tuple(mx.nd.array(array[indices], dtype='float32') for array in arrays)
            for arrays in (inputs, labels)
        )


def test_terms_of_pretraining_are_means_over_words_and_over_pairs(tiny_config):
    network, data = make_pretrained(tiny_config), MaskedData(18)
    inputs, labels = data.load(np.arange(18))
    terms = OBJECTIVES['pretraining'](network, inputs, labels)
    outputs = network(*inputs)
    words = log_softmax(outputs.masked_lm.asnumpy().astype('float64'))
    words = np.take_along_axis(words, data.words[..., None], axis=2)[..., 0]
    pairs = log_softmax(outputs.next_sentence.asnumpy().astype('float64'))
    expected = {
        'masked_words': -(words * data.weights).sum() / data.weights.sum(),
        'next_sentence': -pairs[np.arange(18), data.follows].mean(),
    }
    for name, value in expected.items():
        found = terms[name].sum.asscalar() / terms[name].count
        assert found == pytest.approx(value, rel=1e-5), name


@pytest.mark.parametrize('name', ['pretraining', 'masked_words'])
@pytest.mark.parametrize(
    'batch_size, accumulate, num_devices', [(6, 3, 1), (3, 6, 1), (9, 2, 2), (4, 5, 3), (18, 1, 2)]
)
def test_means_over_words_do_not_depend_on_the_cuts(
    tiny_config, tmp_path, name, batch_size, accumulate, num_devices
):
    """The first batch of 3 has no masked word at all."""
    results = []
    for cut in ((18, 1, 1), (batch_size, accumulate, num_devices)):
        network = make_pretrained(tiny_config, cut[2], classifier=name == 'pretraining')
        options = TrainingOptions(
            training_steps=2, accumulate=cut[1], learning_rate=1e-3, epsilon=1e-3, log_interval=1
        )
        folder = tmp_path / str(cut)
        fit(network, MaskedData(cut[0]), name, options, folder)
        results.append((parameters_of(network), rows(folder)))
    (expected, expected_rows), (found, found_rows) = results
    for key, array in expected.items():
        np.testing.assert_allclose(found[key], array, rtol=0, atol=1e-6, err_msg=key)
    for row, other in zip(found_rows, expected_rows):
        for key in ('loss', 'gradient_norm', 'masked_words_loss', 'next_sentence_loss'):
            if name == 'pretraining' or key in ('loss', 'gradient_norm'):
                assert row[key] == pytest.approx(other[key], rel=1e-4), key


def test_terms_are_logged_each_and_add_up(tiny_config, tmp_path):
    options = TrainingOptions(epochs=4, learning_rate=1e-2, log_interval=3)
    fit(make_pretrained(tiny_config, dropout=0.1), MaskedData(6), 'pretraining', options, tmp_path)
    logged = rows(tmp_path)
    assert [row['step'] for row in logged] == [3, 6, 9, 12]
    for row in logged:
        assert row['loss'] == pytest.approx(row['masked_words_loss'] + row['next_sentence_loss'])
    assert logged[-1]['loss'] < logged[0]['loss']


def test_several_labels_are_arguments_of_a_function(make_classifier, tmp_path):  # noqa: F811
    class Weighted:
        def __init__(self, data):
            self.data, self.training_batches = data, data.training_batches

        def load(self, indices):
            inputs, labels = self.data.load(indices)
            return inputs, (labels, mx.nd.full(len(indices), 0.5))

    finals = []
    for data, loss in (
        (toy_data(), lambda scores, labels: 0.5 * cross_entropy(scores, labels)),
        (
            Weighted(toy_data()),
            lambda scores, labels, weights: weights * cross_entropy(scores, labels),
        ),
    ):
        model = make_classifier()
        fit(model, data, loss, TrainingOptions(epochs=1), tmp_path, overwrite=True)
        finals.append(parameters_of(model))
    assert all(np.array_equal(finals[1][name], array) for name, array in finals[0].items())


def test_a_step_of_multi_label_classification_learns(make_model):
    model = BertClassifier(make_model(wide=0.05, dropout=0.0), num_classes=3, dropout=0.0)
    model.classifier.initialize()
    rng = np.random.RandomState(0)
    inputs = (mx.nd.array(rng.randint(0, 90, (6, 8))), mx.nd.zeros((6, 8)), mx.nd.full(6, 8))
    batch = Batch(inputs, (mx.nd.array(rng.randint(0, 2, (6, 3))),))
    step = TrainingStep(
        model, 'multi_label', TrainingOptions(learning_rate=3e-3, warmup_ratio=0.0), num_steps=200
    )
    losses = [step([batch], number).loss for number in range(100)]
    assert losses[-1] < 0.2 * losses[0]


def test_regression_by_name_is_regression_by_function(make_classifier, tmp_path):  # noqa: F811
    finals = []
    for loss in (squared_error, 'squared_error'):
        model = make_classifier(num_classes=1)
        fit(model, toy_data(), loss, TrainingOptions(epochs=1), tmp_path, overwrite=True)
        finals.append(parameters_of(model))
    assert all(np.array_equal(finals[1][name], array) for name, array in finals[0].items())


def test_a_loss_that_is_a_mean_already_is_refused():
    objective = make_objective(lambda outputs, labels: (outputs - labels).mean())
    arrays = [mx.nd.ones((3,))], [mx.nd.ones((3,))]
    with pytest.raises(ValueError, match='expected one value for each of 3 sequences'):
        objective.sums(lambda inputs: inputs, *arrays)
