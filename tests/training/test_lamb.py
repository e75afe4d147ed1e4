"""LAMB against a transcription of its paper, MXNet's operator, and torch's AdamW."""

import mxnet as mx
import numpy as np
import pytest
from test_optimizer import operators  # noqa: F401 (fixture)

from gluon_bert.training.optimizer import make_optimizer

RATE, DECAY, EPSILON = 0.02, 0.1, 1e-6


def lamb(w, g, m, v, t, rate, adapts=True):
    """You et al. (2020), algorithm 2, with phi the identity."""
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
    ratio = m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + EPSILON)
    update = ratio + DECAY * w if adapts else ratio
    trust = np.linalg.norm(w) / np.linalg.norm(update) if adapts else 1.0
    return w - rate * trust * update, m, v


def train(optimizer, start, gradients, excluded=False, rescale=1.0):
    """The parameter after each step of a trainer on gradients."""
    parameter = mx.gluon.Parameter('w', shape=start.shape, wd_mult=0.0 if excluded else 1.0)
    parameter.initialize(mx.init.Constant(mx.nd.array(start)))
    trainer = mx.gluon.Trainer([parameter], optimizer, update_on_kvstore=False)
    for t, gradient in enumerate(gradients, 1):
        with mx.autograd.record():
            loss = (parameter.data() * mx.nd.array(gradient * rescale)).sum()
        loss.backward()
        trainer.set_learning_rate(RATE / t)
        trainer.update(rescale)
        yield parameter.data().asnumpy()


def draw(shape=(7, 11), steps=8):
    return np.random.normal(size=shape), np.random.normal(size=(steps, *shape))


@pytest.mark.usefixtures('operators')
@pytest.mark.parametrize('excluded', [False, True])
@pytest.mark.parametrize('rescale', [1.0, 4.0])
def test_follows_the_paper(excluded, rescale):
    w, gradients = draw()
    weights = train(make_optimizer('lamb', RATE, EPSILON, DECAY), w, gradients, excluded, rescale)
    m = v = np.zeros_like(w)
    for t, (gradient, weight) in enumerate(zip(gradients, weights), 1):
        w, m, v = lamb(w, gradient, m, v, t, RATE / t, adapts=not excluded)
        np.testing.assert_allclose(weight, w, atol=2e-6)
    assert t == 8


@pytest.mark.usefixtures('operators')
def test_agrees_with_the_operator_of_mxnet():
    start, gradients = draw()
    theirs = mx.optimizer.LAMB(RATE, 0.9, 0.999, EPSILON, wd=DECAY)
    pairs = zip(
        train(make_optimizer('lamb', RATE, EPSILON, DECAY), start, gradients),
        train(theirs, start, gradients),
    )
    for ours, others in pairs:
        np.testing.assert_allclose(ours, others, atol=2e-6)


def test_excluded_parameters_take_the_step_of_torch_adamw():
    torch = pytest.importorskip('torch', reason='the reference is torch.optim.AdamW')
    start, gradients = draw()
    parameter = torch.nn.Parameter(torch.tensor(start, dtype=torch.float32))
    theirs = torch.optim.AdamW([parameter], RATE, eps=EPSILON, weight_decay=0.0)
    weights = train(make_optimizer('lamb', RATE, EPSILON, DECAY), start, gradients, excluded=True)
    for t, (gradient, weight) in enumerate(zip(gradients, weights), 1):
        theirs.param_groups[0]['lr'] = RATE / t
        parameter.grad = torch.tensor(gradient, dtype=torch.float32)
        theirs.step()
        np.testing.assert_allclose(weight, parameter.detach().numpy(), atol=2e-6)


@pytest.mark.usefixtures('operators')
@pytest.mark.parametrize('start, gradient', [(0.0, 1.0), (1.0, 0.0), (0.0, 0.0)])
def test_lengths_of_zero_are_no_factor(start, gradient):
    optimizer = make_optimizer('lamb', RATE, EPSILON, 0.0)
    (weight,) = train(optimizer, np.full(5, start), np.full((1, 5), gradient))
    # The first step of Adam has length 1 in each number.
    np.testing.assert_allclose(weight, start - RATE * gradient, atol=1e-6)
