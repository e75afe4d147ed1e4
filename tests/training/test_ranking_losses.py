"""Losses of cross-encoders, against NumPy and against sentence-transformers'."""

import mxnet as mx
import numpy as np
import pytest

from gluon_bert.training.objectives import OBJECTIVES

SCORES = np.array([[0.3], [-1.2], [2.0], [0.1], [0.4], [-0.7]], 'float32')
LISTS = np.array([0, 1, 0, 1, 1, 0], 'float32')
LABELS = np.array([1, 0, 0, 1, 0, 0.5], 'float32')


def value(name, scores=SCORES, labels=LABELS, lists=LISTS):
    """The mean of an objective for scores that are given, and its gradient by them."""
    labels = [mx.nd.array(array) for array in (labels, lists)]
    array = mx.nd.array(scores)
    array.attach_grad()
    labels = labels[:1] if name == 'binary_cross_entropy' else labels
    with mx.autograd.record():
        (term,) = OBJECTIVES[name](lambda x: x, [array], labels).values()
        mean = term.sum / term.count
    mean.backward()
    return float(mean.asscalar()), array.grad.asnumpy()[:, 0]


def members():
    return [np.flatnonzero(number == LISTS) for number in (0, 1)]


def by_hand(name, scores):
    scores = scores[:, 0].astype('float64')
    if name == 'binary_cross_entropy':
        share = 1 / (1 + np.exp(-scores))
        return -np.mean(LABELS * np.log(share) + (1 - LABELS) * np.log(1 - share))
    if name == 'listwise':
        return np.mean(
            [
                -(np.exp(LABELS[rows]) / np.exp(LABELS[rows]).sum())
                @ np.log(np.exp(scores[rows]) / np.exp(scores[rows]).sum())
                for rows in members()
            ]
        )
    losses = []
    for rows in members():
        order = np.argsort(-scores[rows])
        place = {int(rows[i]): 2 + position for position, i in enumerate(order)}
        ideal = sum((2**y - 1) / np.log2(2 + i) for i, y in enumerate(sorted(LABELS[rows])[::-1]))
        for i in rows:
            for j in rows:
                if LABELS[i] > LABELS[j]:
                    change = abs(1 / np.log2(place[i]) - 1 / np.log2(place[j]))
                    weight = change * (2 ** LABELS[i] - 2 ** LABELS[j]) / ideal
                    loss = np.log2(1 + np.exp(scores[j] - scores[i]))
                    losses.append(loss * (weight if name == 'lambdarank' else 1))
    return np.mean(losses)


@pytest.mark.parametrize('name', ['binary_cross_entropy', 'listwise', 'ranknet', 'lambdarank'])
def test_value_and_gradient_by_hand(name):
    mean, gradient = value(name)
    assert mean == pytest.approx(by_hand(name, SCORES), rel=1e-5)
    for row in range(len(SCORES)):
        step = np.zeros_like(SCORES, 'float64')
        step[row] = 1e-4
        slope = (by_hand(name, SCORES + step) - by_hand(name, SCORES - step)) / 2e-4
        assert gradient[row] == pytest.approx(slope, abs=2e-5)


@pytest.mark.parametrize('name', ['binary_cross_entropy', 'listwise', 'ranknet', 'lambdarank'])
def test_large_scores_do_not_overflow(name):
    mean, gradient = value(name, SCORES * 1e4)
    assert np.isfinite(mean) and np.isfinite(gradient).all()


class Given:
    """A stand-in for a CrossEncoder of sentence-transformers whose scores are given."""

    num_labels, device = 1, 'cpu'

    def __init__(self, scores):
        import torch

        self.scores, self.first = torch.tensor(scores, requires_grad=True), 0

    def preprocess(self, pairs, **options):
        return {'count': len(pairs)}

    def __call__(self, tokens):
        self.first += tokens['count']
        return {'scores': self.scores[self.first - tokens['count'] : self.first]}


THEIRS = {
    'listwise': ('ListNetLoss', None),
    'ranknet': ('RankNetLoss', None),
    'lambdarank': ('LambdaLoss', 'LambdaRankScheme'),
}


@pytest.mark.parametrize('name', THEIRS)
def test_value_and_gradient_of_sentence_transformers(name):
    reason = 'sentence-transformers is not installed'
    losses = pytest.importorskip('sentence_transformers.cross_encoder.losses', reason=reason)
    import torch

    order = np.argsort(LISTS, kind='stable')
    model = Given(SCORES[order])
    kind, scheme = THEIRS[name]
    options = {} if scheme is None else {'weighting_scheme': getattr(losses, scheme)()}

    class Loss(getattr(losses, kind)):
        def __setattr__(self, key, value):  # the stand-in is no module of torch
            object.__setattr__(self, key, value)

    texts = [[str(i) for i in rows] for rows in members()]
    labels = [torch.tensor(LABELS[rows]) for rows in members()]
    theirs = Loss(model, mini_batch_size=-1, **options)([['a', 'b'], texts], labels)
    theirs.backward()
    mean, gradient = value(name)
    assert mean == pytest.approx(float(theirs.detach()), rel=1e-5)
    np.testing.assert_allclose(gradient[order], model.scores.grad[:, 0].numpy(), atol=1e-5)
