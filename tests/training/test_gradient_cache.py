"""Gradient caching: the gradients of the big batch, with and without dropout."""

from dataclasses import replace

import mxnet as mx
import numpy as np
import pytest
from conftest import TINY
from test_sentence_losses import batch_of, labels_of, make_embedder

from gluon_bert.kernels.training import make_trainer
from gluon_bert.training import TrainingOptions, make_sentence_objective
from gluon_bert.training.batches import Batch
from gluon_bert.training.data_parallel import add_gradients
from gluon_bert.training.gradient_cache import _split
from gluon_bert.training.step import TrainingStep

CONFIG = replace(TINY, dropout=0.0)
CASES = [
    ('multiple_negatives_ranking', 3, {'scale': 4.0, 'symmetric': True}),
    ('cosent', 2, {'scale': 4.0}),
    ('triplet', 3, {}),
    ('simcse', 2, {'matryoshka': (8, 24)}),
]


def gradients(network, objective, inputs, labels=(), encoder=None):
    parameters = network._collect_params_with_prefix()
    for parameter in parameters.values():
        parameter.grad_req = 'add' if objective.adds_gradients else 'write'
        parameter.zero_grad()
    counts = objective.counts(inputs, labels)
    means = add_gradients(network, objective, [(inputs, labels)], counts, [mx.cpu()], (1,), encoder)
    return means, {name: value.grad().asnumpy() for name, value in parameters.items()}


@pytest.mark.parametrize('native', [False, True])
@pytest.mark.parametrize('case', CASES, ids=lambda case: case[0])
def test_gradients_are_those_of_the_big_batch(case, native):
    name, columns, options = case
    network = make_embedder(CONFIG)
    network.hybridize(static_alloc=True)
    encoder = make_trainer(network) if native else None
    assert native == (encoder is not None)
    inputs = batch_of(CONFIG, 7 * columns)
    labels = labels_of(name, np.linspace(0, 1, 7, dtype='float32'))
    means, expected = gradients(
        network, make_sentence_objective(name, columns, **options), inputs, labels, encoder
    )
    for size in (4, 100):
        objective = make_sentence_objective(name, columns, cache_size=size, **options)
        found_means, found = gradients(network, objective, inputs, labels, encoder)
        assert found_means == pytest.approx(means, rel=1e-5)
        for key, value in expected.items():
            np.testing.assert_allclose(found[key], value, atol=1e-5, err_msg=key)


class Parts:
    """The network on the parts of a batch, one after the other, as they are cached."""

    def __init__(self, network, seeds, size):
        self.network, self.seeds, self.size = network, seeds, size

    def __call__(self, *inputs, **more):
        outputs = []
        for seed, part in zip(self.seeds, _split(inputs, self.size)):
            mx.random.seed(seed)
            outputs.append(self.network(*part, **more))
        return mx.nd.concat(*outputs, dim=0)


@pytest.mark.parametrize('native', [False, True])
def test_both_passes_have_the_same_dropout(native):
    """The gradient is that of the vectors whose loss is taken, not of other draws."""
    network = make_embedder(replace(CONFIG, dropout=0.3))
    network.hybridize(static_alloc=True)
    encoder = make_trainer(network) if native else None
    inputs = batch_of(CONFIG, 10)
    objective = make_sentence_objective('simcse', cache_size=4, scale=4.0)
    means, found = gradients(network, objective, inputs, (), encoder)
    assert gradients(network, objective, inputs, (), encoder)[0] == means

    first = np.random.RandomState([1, 0]).randint(2**31)  # of add_gradients for the batch
    mx.random.seed(first)
    seed = int(mx.nd.random.randint(0, 2**30, shape=(1,), dtype='int32').asscalar())
    parts = Parts(network, range(seed, seed + 3), 4)
    plain = make_sentence_objective('simcse', scale=4.0)
    for parameter in network.collect_params().values():
        parameter.grad_req = 'add'
        parameter.zero_grad()
    terms = plain.gradients(parts, inputs, (), {'loss': 5}, encoder)
    assert float(terms['loss'].asscalar()) == pytest.approx(means['loss'], rel=1e-5)
    for key, parameter in network._collect_params_with_prefix().items():
        np.testing.assert_allclose(found[key], parameter.grad().asnumpy(), atol=1e-5, err_msg=key)


def test_steps_with_caching_are_those_of_the_big_batch():
    results = []
    for size in (None, 3):
        mx.random.seed(4)
        network = make_embedder(CONFIG)
        objective = make_sentence_objective('simcse', cache_size=size, scale=4.0)
        step = TrainingStep(network, objective, TrainingOptions(learning_rate=0.01), num_steps=3)
        batches = [Batch(batch_of(CONFIG, 8, seed), ()) for seed in range(3)]
        losses = [step([batch], number).loss for number, batch in enumerate(batches)]
        values = {
            name: parameter.data().asnumpy()
            for name, parameter in network._collect_params_with_prefix().items()
        }
        results.append((losses, values))
    (losses, values), (cached_losses, cached) = results
    assert cached_losses == pytest.approx(losses, rel=1e-4)
    for key, value in values.items():
        np.testing.assert_allclose(cached[key], value, atol=1e-4, err_msg=key)
