"""Losses of sparse and of token vectors: NumPy, PyTorch and sentence-transformers say the same."""

import mxnet as mx
import numpy as np
import pytest

from gluon_bert.inference.late_interaction import maxsim
from gluon_bert.training.retrieval_losses import (
    flops,
    late_interaction_loss,
    maxsim_matrix,
    sparse_ranking_loss,
)
from gluon_bert.training.retrieval_objectives import (
    make_late_interaction_objective,
    make_sparse_objective,
)


def sparse_columns(rng, columns=3, examples=4, words=7):
    return [rng.rand(examples, words).clip(0.4) - 0.4 for _ in range(columns)]


def token_columns(rng, columns=3, examples=4, length=5, units=6):
    """Unit vectors, 0 behind the end of each text."""
    parts = []
    for _ in range(columns):
        rows = rng.randn(examples, length, units)
        rows /= np.linalg.norm(rows, axis=2, keepdims=True)
        for row, end in zip(rows, rng.randint(1, length + 1, examples)):
            row[end:] = 0
        parts.append(rows)
    return parts


def cross_entropy(scores):
    shifted = scores - scores.max(axis=1, keepdims=True)
    shares = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -np.diagonal(shares)


def arrays(parts):
    return [mx.nd.array(part, dtype='float32') for part in parts]


def test_sparse_ranking_by_hand(seed):
    queries, *documents = sparse_columns(np.random.RandomState(seed))
    expected = cross_entropy(2 * queries @ np.concatenate(documents).T)
    got = sparse_ranking_loss(*arrays([queries, *documents]), scale=2.0)
    np.testing.assert_allclose(got.asnumpy(), expected, rtol=1e-5, atol=1e-6)


def test_flops_by_hand(seed):
    (vectors,) = sparse_columns(np.random.RandomState(seed), 1)
    got = flops(mx.nd.array(vectors)).asnumpy()
    np.testing.assert_allclose(got, [(vectors.mean(axis=0) ** 2).sum()], rtol=1e-5)


def test_maxsim_is_that_of_the_inference(seed):
    queries, documents = token_columns(np.random.RandomState(seed), 2)
    documents *= -1  # so that the padding, 0, would be the best match
    rows = [[row[np.abs(row).sum(axis=1) > 0] for row in part] for part in (queries, documents)]
    got = maxsim_matrix(*arrays([queries, documents])).asnumpy()
    np.testing.assert_allclose(got, maxsim(*rows), rtol=1e-5, atol=1e-5)
    loss = late_interaction_loss(*arrays([queries, documents]), scale=3.0).asnumpy()
    np.testing.assert_allclose(loss, cross_entropy(3 * maxsim(*rows)), rtol=1e-5, atol=1e-5)


class Given:
    """A network whose vectors are given."""

    def __init__(self, parts):
        self.vectors = mx.nd.concat(*arrays(parts), dim=0)
        self.vectors.attach_grad()

    def __call__(self, inputs):
        return self.vectors


def value_and_gradients(objective, parts):
    network, inputs = Given(parts), [mx.nd.zeros((len(parts) * len(parts[0]), 1))]
    totals = objective.counts(inputs, [])
    terms = objective.gradients(network, inputs, [], totals)
    loss = objective.weighted({name: float(value.asscalar()) for name, value in terms.items()})
    return loss, network.vectors.grad.asnumpy().reshape((len(parts), *parts[0].shape))


def torch_parts(parts):
    torch = pytest.importorskip('torch', reason='the reference is PyTorch')
    return torch, [torch.tensor(part, requires_grad=True) for part in parts]


def compare(objective, parts, loss, tensors):
    loss.backward()
    value, gradients = value_and_gradients(objective, parts)
    assert value == pytest.approx(float(loss.detach()), rel=1e-5)
    for gradient, tensor in zip(gradients, tensors):
        np.testing.assert_allclose(gradient, tensor.grad.numpy(), rtol=0, atol=1e-5)


def test_the_objective_of_sparse_vectors_is_that_of_sentence_transformers(seed):
    losses = pytest.importorskip(
        'sentence_transformers.sparse_encoder.losses', reason='the reference of the loss'
    )
    parts = sparse_columns(np.random.RandomState(seed))
    _, tensors = torch_parts(parts)

    class Model:
        def __call__(self, features):
            return {'sentence_embedding': features['vectors']}

    model = Model()
    ranking = losses.SparseMultipleNegativesRankingLoss(model, scale=1.0)
    loss = losses.SpladeLoss(
        model, ranking, document_regularizer_weight=0.3, query_regularizer_weight=0.5
    )
    found = loss([{'vectors': tensor} for tensor in tensors], None)
    total = sum(found.values()) if isinstance(found, dict) else found
    objective = make_sparse_objective(3, query_weight=0.5, document_weight=0.3)
    compare(objective, parts, total, tensors)


def test_the_objective_of_token_vectors_has_the_gradients_of_pytorch(seed):
    parts = token_columns(np.random.RandomState(seed))
    torch, tensors = torch_parts(parts)
    queries, documents = tensors[0], torch.cat(tensors[1:])
    products = torch.einsum('itd,jsd->ijts', queries, documents)
    padding = (documents == 0).all(-1)[None, :, None]
    scores = products.masked_fill(padding, -1e30).amax(-1)
    scores = (scores * (queries != 0).any(-1)[:, None]).sum(-1)
    loss = torch.nn.functional.cross_entropy(2 * scores, torch.arange(len(queries)))
    compare(make_late_interaction_objective(3, scale=2.0), parts, loss, tensors)


def test_terms_without_weight_are_left_out():
    assert list(make_sparse_objective(query_weight=0.0).terms) == ['loss', 'document_flops']
    assert make_sparse_objective().compares and make_late_interaction_objective().compares


@pytest.mark.parametrize(
    'make, options, message',
    [
        (make_sparse_objective, {'columns': 1}, 'columns=1: expected a whole number from 2'),
        (
            make_sparse_objective,
            {'query_weight': -1.0},
            'query_weight=-1.0: expected a number, 0 or',
        ),
        (make_late_interaction_objective, {'scale': 0.0}, 'scale=0.0: expected'),
    ],
)
def test_bad_options_are_refused(make, options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)
