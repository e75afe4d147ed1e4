"""The three Adams against their formulas, the decay exclusions and the schedule."""

import math

import mxnet as mx
import numpy as np
import pytest

from gluon_bert import BertClassifier, kernels
from gluon_bert.training.optimizer import (
    exclude_from_decay,
    global_norm,
    linear_schedule,
    make_optimizer,
)
from gluon_bert.training.options import TrainingOptions
from gluon_bert.training.step import TrainingStep


def bertadam(w, g, m, v, t, lr, wd, eps):
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
    return w - lr * (m / (np.sqrt(v) + eps) + wd * w), m, v


def adamw(w, g, m, v, t, lr, wd, eps):
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
    m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.999**t)
    return w - lr * m_hat / (np.sqrt(v_hat) + eps) - lr * wd * w, m, v


def adam(w, g, m, v, t, lr, wd, eps):
    return adamw(w, g + wd * w, m, v, t, lr, 0, eps)


@pytest.fixture(params=['native', 'MXNet'])
def operators(request, monkeypatch):
    """Both ways of computing: the kernels, and MXNet's operators."""
    monkeypatch.setenv('GLUON_BERT_KERNELS', '1' if request.param == 'native' else '0')
    if request.param == 'native' and not kernels.is_available():
        pytest.skip('native kernels are not built: python -m gluon_bert.kernels')


@pytest.mark.usefixtures('operators')
@pytest.mark.parametrize('formula', [bertadam, adamw, adam], ids=lambda f: f.__name__)
@pytest.mark.parametrize('wd', [0.0, 0.1])
@pytest.mark.parametrize('eps', [1e-6, 1e-2])
def test_trainer_follows_the_formula(formula, wd, eps):
    parameter = mx.gluon.Parameter('w', shape=(50,))
    parameter.initialize(mx.init.Normal(1))
    trainer = mx.gluon.Trainer(
        [parameter], make_optimizer(formula.__name__, 0.01, eps, wd), update_on_kvstore=False
    )
    w = parameter.data().asnumpy().astype(np.float64)
    m = v = np.zeros(50)
    for t in range(1, 8):
        gradient = np.random.normal(scale=10.0 ** np.random.uniform(-4, 0, 50))
        with mx.autograd.record():
            loss = (parameter.data() * mx.nd.array(gradient)).sum()
        loss.backward()
        rate = 0.01 / t
        trainer.set_learning_rate(rate)
        trainer.update(2.0)
        w, m, v = formula(w, gradient / 2, m, v, t, rate, wd, eps)
        np.testing.assert_allclose(parameter.data().asnumpy(), w, atol=2e-6)


@pytest.mark.usefixtures('operators')
@pytest.mark.parametrize('exponent', [-24, -21, -20, -19, -18, -17, -12])
def test_gradients_whose_square_is_hardly_a_number_do_no_harm(exponent):
    weight, gradient = mx.nd.ones((37,)), mx.nd.full((37,), 10.0**exponent)
    optimizer = make_optimizer('bertadam', 1e-3, wd=0.0)
    optimizer.update(0, weight, gradient, optimizer.create_state(0, weight))
    np.testing.assert_allclose(weight.asnumpy(), 1, atol=1e-8)


def test_decay_defaults_to_0_01_only_where_it_is_decoupled():
    assert [make_optimizer(name, 1e-3).wd for name in ('bertadam', 'adamw', 'adam')] == [
        0.01,
        0.01,
        0.0,
    ]


def test_unknown_optimizer_is_refused():
    with pytest.raises(ValueError, match="'lamp': expected one of bertadam, adam, adamw, lamb"):
        make_optimizer('lamp', 1e-3)


def test_bertadam_is_known_to_mxnet_by_name():
    assert type(mx.optimizer.create('bertadam')).__module__ == 'gluon_bert.training.optimizer'


def test_biases_and_norms_do_not_decay(make_model):
    classifier = BertClassifier(make_model())
    exclude_from_decay(classifier.collect_params().values())
    decaying = {
        name
        for name, parameter in classifier._collect_params_with_prefix().items()
        if parameter.wd_mult
    }
    assert {name.split('.')[-1] for name in decaying} == {'weight'}
    assert len(decaying) == 3 + 2 * 4 + 1 + 1


def test_schedule_rises_to_the_peak_and_falls_to_zero():
    rates = [linear_schedule(step, 100, 10, 2.0) for step in range(1, 101)]
    assert rates[:10] == pytest.approx([0.2 * step for step in range(1, 11)])
    assert rates[9] == max(rates) == 2.0
    assert np.diff(rates[9:]) == pytest.approx(-2 / 90)
    assert rates[-1] == 0


def test_schedule_without_warmup_starts_near_the_peak():
    assert linear_schedule(1, 4, 0, 1.0) == 0.75


@pytest.mark.usefixtures('operators')
def test_global_norm_is_over_all_arrays():
    arrays = [mx.nd.random.normal(shape=(3, 4)), mx.nd.random.normal(shape=(10001,))]
    expected = math.sqrt(sum(float((array**2).sum().asscalar()) for array in arrays))
    assert global_norm(arrays) == pytest.approx(expected, rel=1e-6)


def test_bias_correction_makes_adamw_of_bertadam(make_model):
    steps = {}
    for name, correct in (('bertadam', True), ('adamw', False), ('bertadam', False)):
        parameter = mx.gluon.Parameter('w', shape=(4,))
        parameter.initialize(mx.init.One())
        optimizer = make_optimizer(name, 0.01, bias_correction=correct)
        trainer = mx.gluon.Trainer([parameter], optimizer, update_on_kvstore=False)
        with mx.autograd.record():
            loss = (parameter.data() * mx.nd.array([1, 2, 3, 4])).sum()
        loss.backward()
        trainer.update(1.0)
        steps[name, correct] = parameter.data().asnumpy()
    corrected, adamw_step, plain = steps.values()
    assert np.array_equal(corrected, adamw_step)
    assert np.abs(corrected - plain).min() > 1e-3


def test_rates_fall_from_layer_to_layer(make_model):
    """The first step of BertAdam moves each weight by about 3.16 times its rate."""
    network = BertClassifier(make_model(num_layers=3, dropout=0.0), 2, dropout=0.0)
    network.classifier.initialize()
    options = TrainingOptions(layer_decay=0.5, weight_decay=0.0, epsilon=1e-12, max_grad_norm=1e9)
    step = TrainingStep(network, 'cross_entropy', options)
    before = {name: p.data().asnumpy() for name, p in step.parameters.items()}
    ids, lengths = mx.nd.array([[1, 2, 3], [4, 5, 6]]), mx.nd.array([3, 3])
    step([((ids, mx.nd.zeros((2, 3)), lengths), [mx.nd.array([0, 1])])], 0, 1e-3)
    moves = {
        name: np.median(np.abs(p.data().asnumpy() - before[name])) / 1e-3
        for name, p in step.parameters.items()
        if name.endswith(('expand.weight', 'embeddings.norm.gamma', 'classifier.weight'))
    }
    full = moves['bert.layers.2.expand.weight']
    assert full == pytest.approx(np.sqrt(10), rel=1e-3)
    assert moves['bert.layers.1.expand.weight'] == pytest.approx(full / 2, rel=1e-3)
    assert moves['bert.layers.0.expand.weight'] == pytest.approx(full / 4, rel=1e-3)
    assert moves['bert.embeddings.norm.gamma'] == pytest.approx(full / 8, rel=1e-3)
    head = np.abs(
        step.parameters['classifier.weight'].data().asnumpy() - before['classifier.weight']
    )
    assert np.median(head) / 1e-3 == pytest.approx(full, rel=1e-3)


def test_a_layer_decay_is_a_share():
    for value in (0, -0.5, 1.5):
        with pytest.raises(ValueError, match='layer_decay=.*: expected a number above 0, 1 at'):
            TrainingOptions(layer_decay=value)
