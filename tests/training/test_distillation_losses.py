"""Losses of distillation, values and gradients, against NumPy in float64."""

import mxnet as mx
import numpy as np
import pytest

from gluon_bert.training.distillation import SOFT_LOSSES
from gluon_bert.training.distillation_objective import (
    LayerPairs,
    Lesson,
    LossWeights,
    make_distillation_objective,
)
from gluon_bert.training.layer_losses import hidden_loss, relation_loss
from gluon_bert.training.objectives import OBJECTIVES

N, T, K, C = 3, 4, 5, 12
LENGTHS = np.array([4, 2, 3])
VALID = (np.arange(T) < LENGTHS[:, None]).astype('float32')
COUNTED = np.array([[0, 1, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]], 'float32')


def drawn(*shape, seed=5):
    return np.random.RandomState(seed).normal(size=shape).astype('float32')


def softmax(x):
    shares = np.exp(x - x.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True)


def classes(scores, teacher, temperature):
    return -(temperature**2) * (
        softmax(teacher / temperature) * np.log(softmax(scores / temperature))
    ).sum(-1)


def labels(scores, teacher, temperature):
    """Each label as two classes, of which the other one has the logit 0."""
    both = (np.stack([array, np.zeros_like(array)], -1) for array in (scores, teacher))
    return classes(*both, temperature).mean(1)


def tags(scores, teacher, temperature):
    losses = classes(scores, teacher, temperature)
    return np.array(
        [row[flags > 0].mean() if flags.any() else 0.0 for row, flags in zip(losses, COUNTED)]
    )


def span(scores, teacher, temperature):
    found = []
    for row, right, length in zip(scores, teacher, LENGTHS):
        ends = [classes(row[:length, end], right[:length, end], temperature) for end in (0, 1)]
        found.append(np.mean(ends))
    return np.array(found)


CASES = {
    'classes': (classes, (N, K), None),
    'labels': (labels, (N, K), None),
    'score': (lambda s, t, _: 0.5 * (s - t)[:, 0] ** 2, (N, 1), None),
    'vector': (lambda s, t, _: ((s - t) ** 2).sum(1), (N, C), None),
    'tags': (tags, (N, T, K), COUNTED),
    'span': (span, (N, T, 2), VALID),
}


def value_and_gradient(function, array):
    """The sum of a function of NDArrays, and its gradient by the first."""
    array = mx.nd.array(array)
    array.attach_grad()
    with mx.autograd.record():
        losses = function(array)
    losses.backward()
    return losses.asnumpy(), array.grad.asnumpy()


def slopes(oracle, array, step=1e-5):
    """The gradient of the sum of a function in NumPy, by differences."""
    array = array.astype('float64')
    found = np.zeros_like(array)
    for place in np.ndindex(*array.shape):
        moved = np.zeros_like(array)
        moved[place] = step
        found[place] = (oracle(array + moved) - oracle(array - moved)).sum() / (2 * step)
    return found


def compare(function, oracle, array):
    found, gradient = value_and_gradient(function, array)
    np.testing.assert_allclose(found, oracle(array.astype('float64')), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(gradient, slopes(oracle, array), rtol=1e-5, atol=1e-5)


def test_every_form_of_scores_is_tested():
    assert {*CASES} == {*SOFT_LOSSES}


@pytest.mark.parametrize('temperature', [1.0, 2.5])
@pytest.mark.parametrize('form', CASES)
def test_scores(form, temperature):
    oracle, shape, counted = CASES[form]
    scores, teacher = drawn(*shape), 2 * drawn(*shape, seed=6)
    given = None if counted is None else mx.nd.array(counted)
    compare(
        lambda array: SOFT_LOSSES[form](array, mx.nd.array(teacher), temperature, given),
        lambda array: oracle(array, teacher.astype('float64'), temperature),
        scores,
    )


@pytest.mark.parametrize('form', CASES)
def test_the_temperature_has_an_influence_where_a_row_says_so(form):
    _, shape, counted = CASES[form]
    scores, teacher = (mx.nd.array(drawn(*shape, seed=seed)) for seed in (5, 6))
    given = None if counted is None else mx.nd.array(counted)
    one, two = (SOFT_LOSSES[form](scores, teacher, t, given).asnumpy() for t in (1.0, 3.0))
    assert SOFT_LOSSES[form].has_temperature == (not np.allclose(one, two))


def test_large_scores_do_not_overflow():
    for form in ('classes', 'labels'):
        scores, teacher = 1e4 * drawn(N, K), 1e4 * drawn(N, K, seed=6)
        losses, gradient = value_and_gradient(
            lambda array, form=form, teacher=teacher: SOFT_LOSSES[form](
                array, mx.nd.array(teacher), 1.0
            ),
            scores,
        )
        assert np.isfinite(losses).all() and np.isfinite(gradient).all()


def relations(student, teacher, heads):
    """The equations of MiniLMv2, token by token."""

    def rows(vectors):
        width = vectors.shape[1] // heads
        parts = [vectors[:, head * width : (head + 1) * width] for head in range(heads)]
        return np.stack([softmax(part @ part.T / np.sqrt(width)) for part in parts])

    found = []
    for ours, theirs, length in zip(student, teacher, LENGTHS):
        s, t = rows(ours[:length]), rows(theirs[:length])
        found.append((t * np.log(t / s)).sum() / (heads * length))
    return np.array(found)


@pytest.mark.parametrize('width, heads', [(C, 1), (C, 4), (2 * C, 6)])
def test_relations(width, heads):
    student, teacher = drawn(N, T, C), drawn(N, T, width, seed=6)
    compare(
        lambda array: relation_loss(array, mx.nd.array(teacher), mx.nd.array(VALID), heads),
        lambda array: relations(array, teacher.astype('float64'), heads),
        student,
    )


def test_relations_of_the_teacher_itself_are_its_own():
    vectors = mx.nd.array(drawn(N, T, C))
    assert np.allclose(relation_loss(vectors, vectors, mx.nd.array(VALID), 3).asnumpy(), 0)


def test_hidden_states():
    student, teacher = drawn(N, T, C), drawn(N, T, C, seed=6)

    def oracle(array):
        return np.array(
            [
                ((row[:length] - right[:length]) ** 2).mean()
                for row, right, length in zip(array, teacher.astype('float64'), LENGTHS)
            ]
        )

    compare(
        lambda array: hidden_loss(array, mx.nd.array(teacher), mx.nd.array(VALID)), oracle, student
    )


def lesson(scores, gold, labelled):
    none = mx.nd.zeros((len(scores), 1))
    arrays = (gold, labelled, np.ones((len(scores), 1)), np.ones((len(scores), 1)), scores)
    return Lesson(*(mx.nd.array(array) for array in arrays), none)


def test_the_objective_weighs_the_means_of_teacher_and_labels():
    scores, teacher = drawn(N, K), drawn(N, K, seed=6)
    gold, labelled = np.array([1, 0, 4]), np.array([1, 0, 1])
    objective = make_distillation_objective(
        'classes', LossWeights(0.25, 2.0), OBJECTIVES['cross_entropy']
    )
    given = lesson(teacher, gold, labelled)
    inputs = [mx.nd.array(scores)]
    terms = objective(lambda x: x, inputs, tuple(given))
    assert {name: term.count for name, term in terms.items()} == {'teacher': N, 'labels': 2.0}
    means = {name: term.sum / term.count for name, term in terms.items()}
    hard = -np.log(softmax(scores))[[0, 2], [1, 4]].mean()
    soft = classes(scores, teacher, 2.0).mean()
    total = float(objective.weighted(means).asscalar())
    assert total == pytest.approx(0.25 * soft + 0.75 * hard, rel=1e-5)


@pytest.mark.parametrize(
    'weights, labels, names',
    [
        (LossWeights(1.0), 'cross_entropy', {'teacher'}),
        (LossWeights(0.0), 'cross_entropy', {'labels'}),
        (LossWeights(0.5), None, {'teacher'}),
        (LossWeights(0.5, relations=1.0, hidden=2.0), None, {'teacher', 'relations', 'hidden'}),
    ],
)
def test_terms_without_weight_are_left_out(weights, labels, names):
    layers = LayerPairs(4, ((0, 0),), (1, 2), 2) if weights.relations else None
    objective = make_distillation_objective(
        'classes', weights, labels and OBJECTIVES[labels], layers
    )
    assert {*objective.terms} == names


def test_nothing_to_learn_and_losses_of_lists_are_refused():
    with pytest.raises(ValueError, match='alpha=0.0: leaves nothing to learn from'):
        make_distillation_objective('classes', LossWeights(0.0))
    with pytest.raises(ValueError, match='loss=lambdarank: is no mean over texts'):
        make_distillation_objective('score', LossWeights(0.5), OBJECTIVES['lambdarank'])
