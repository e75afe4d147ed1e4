"""Label smoothing and class weights: PyTorch's values and gradients, wherever the cuts fall."""

from types import SimpleNamespace

import mxnet as mx
import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from gluon_bert.training.batches import Batch
from gluon_bert.training.class_losses import (
    balanced_positive_weights,
    balanced_weights,
    make_class_objective,
)
from gluon_bert.training.data_parallel import add_gradients
from gluon_bert.training.objectives import OBJECTIVES

WEIGHTS = np.array([0.5, 2.0, 1.25])


def value_and_gradient(objective, scores, labels):
    """The mean of a batch and its gradient by the scores."""
    scores = mx.nd.array(scores)
    scores.attach_grad()
    labels = (mx.nd.array(labels),)
    total = objective.counts((scores,), labels)['loss']
    with mx.autograd.record():
        loss = objective.sums(lambda scores: scores, (scores,), labels)['loss'] / total
    loss.backward()
    return loss.asscalar(), scores.grad.asnumpy()


def by_hand(scores, labels, smoothing, weights):
    """The weighted and smoothed cross-entropy by the definition of the smoothed label."""
    weights = np.ones(scores.shape[1]) if weights is None else weights
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    target = np.eye(scores.shape[1])[labels] * (1 - smoothing) + smoothing / scores.shape[1]
    return -(target * weights * np.log(shares)).sum() / weights[labels].sum()


@pytest.mark.parametrize('smoothing', [0.0, 0.1, 1.0])
@pytest.mark.parametrize('weights', [None, WEIGHTS])
def test_cross_entropy_is_that_of_the_definition(smoothing, weights):
    rng = np.random.RandomState(0)
    scores, labels = rng.normal(scale=2, size=(7, 3)), rng.randint(0, 3, 7)
    objective = make_class_objective('cross_entropy', smoothing, weights)
    value, _ = value_and_gradient(objective, scores, labels)
    assert value == pytest.approx(by_hand(scores, labels, smoothing, weights), rel=1e-6)


@pytest.mark.parametrize('smoothing', [0.0, 0.1])
@pytest.mark.parametrize('weights', [None, WEIGHTS])
@pytest.mark.parametrize('name', ['cross_entropy', 'tags', 'multi_label'])
def test_values_and_gradients_are_those_of_pytorch(name, smoothing, weights):
    torch = pytest.importorskip('torch', reason='the values are compared with PyTorch')
    rng = np.random.RandomState(1)
    shape = (5, 4, 3) if name == 'tags' else (5, 3)
    scores = rng.normal(scale=2, size=shape)
    given = torch.tensor(scores, requires_grad=True)
    if name == 'multi_label':
        smoothing, labels = 0.0, rng.randint(0, 2, shape)
        positive = None if weights is None else torch.tensor(weights)
        loss = torch.nn.BCEWithLogitsLoss(pos_weight=positive)(given, torch.tensor(labels * 1.0))
    else:
        # One sentence has one word: without weights each sentence counts once, with them each word.
        labels = rng.randint(0, 3, shape[:-1])
        if name == 'tags':
            labels[0, 1:] = labels[1, 3] = -1
        function = torch.nn.CrossEntropyLoss(
            weight=None if weights is None else torch.tensor(weights),
            label_smoothing=smoothing,
            ignore_index=-1,
        )
        if name == 'tags' and weights is None:
            loss = sum(map(function, given, torch.tensor(labels))) / len(labels)
        else:
            loss = function(given.reshape(-1, 3), torch.tensor(labels).reshape(-1))
    loss.backward()
    value, gradient = value_and_gradient(
        make_class_objective(name, smoothing, weights), scores, labels
    )
    assert value == pytest.approx(loss.item(), rel=1e-6, abs=1e-6)
    np.testing.assert_allclose(gradient, given.grad.numpy(), atol=3e-6)


@pytest.mark.parametrize('cut', [[7], [2, 3], [1, 1, 1]])
@pytest.mark.parametrize('num_devices', [1, 2])
def test_weighted_means_do_not_depend_on_the_cuts(cut, num_devices):
    rng = np.random.RandomState(2)
    rows, labels = rng.normal(size=(7, 4)).astype('float32'), rng.randint(0, 3, 7)
    devices = [mx.cpu(i) for i in range(num_devices)]
    network = mx.gluon.nn.Dense(3, in_units=4)
    network.initialize(mx.init.Normal(1), ctx=devices)
    for parameter in network.collect_params().values():
        parameter.grad_req = 'add'
    objective = make_class_objective('cross_entropy', 0.1, WEIGHTS)
    found = []
    for parts in (np.split(np.arange(7), np.cumsum(cut)), [np.arange(7)]):
        for parameter in network.collect_params().values():
            parameter.zero_grad()
        batches = [
            Batch((mx.nd.array(rows[part]),), (mx.nd.array(labels[part]),))
            for part in parts
            if len(part)
        ]
        totals = {'loss': sum(objective.counts(*batch)['loss'] for batch in batches)}
        means = add_gradients(network, objective, batches, totals, devices, (0,))
        gradient = sum(part.asnumpy() for part in network.weight.list_grad())
        found.append((means['loss'], gradient))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-6)
    np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-6)
    scores = rows @ network.weight.data(devices[0]).asnumpy().T
    assert found[0][0] == pytest.approx(by_hand(scores, labels, 0.1, WEIGHTS), rel=1e-5)


def test_balanced_weights_are_those_of_scikit_learn():
    labels = np.array([0] * 6 + [1] * 3 + [3])
    expected = compute_class_weight('balanced', classes=np.unique(labels), y=labels)
    found = balanced_weights(np.bincount(labels, minlength=5), len(labels))
    np.testing.assert_allclose(found[[0, 1, 3]], expected)
    assert found[2] == found[4] == 1
    has = (labels == 1).astype(int)
    negative, positive = compute_class_weight('balanced', classes=np.arange(2), y=has)
    found = balanced_positive_weights(np.array([3, 0, 10]), 10)
    np.testing.assert_allclose(found, [positive / negative, 1, 1])


def test_without_options_the_objective_is_the_row():
    assert make_class_objective('tags') is OBJECTIVES['tags']
    assert make_class_objective('squared_error') is OBJECTIVES['squared_error']
    name = make_class_objective('cross_entropy', 0.1, WEIGHTS).name
    assert name == 'cross_entropy(label_smoothing=0.1, class_weights=0.5 2 1.25)'


def test_labels_out_of_range_are_refused():
    arguments = (SimpleNamespace(),), (mx.nd.array([0, 3]),)
    with pytest.raises(ValueError, match='sequence 1 of the batch has 3: expected the number of'):
        make_class_objective('cross_entropy', 0.0, WEIGHTS).counts(*arguments)
