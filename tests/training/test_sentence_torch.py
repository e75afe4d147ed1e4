"""Losses of sentence vectors against sentence-transformers, and gradients against PyTorch."""

from dataclasses import replace

import mxnet as mx
import numpy as np
import pytest
from conftest import TINY
from test_sentence_losses import (
    CASES,
    MATRYOSHKA,
    UNITS,
    batch_of,
    drawn,
    ids,
    labels_of,
    make_embedder,
    value_of,
)

from gluon_bert.checkpoint import Checkpoint, write_checkpoint
from gluon_bert.kernels.training import make_trainer
from gluon_bert.training import make_sentence_objective

torch = pytest.importorskip('torch', reason='the reference is PyTorch')
transformers = pytest.importorskip('transformers', reason='the reference is transformers')
losses = pytest.importorskip(
    'sentence_transformers.sentence_transformer.losses', reason='the reference of the losses'
)

CONFIG = replace(TINY, dropout=0.0, num_heads=4)


class Embeddings:
    """A model of sentence-transformers whose embeddings are given."""

    def __call__(self, features):
        return self.forward(features)

    def forward(self, features):
        return {'sentence_embedding': features['vectors']}

    def get_embedding_dimension(self):
        return UNITS


def foreign_loss(name, options):
    """The loss of sentence-transformers with the same options."""
    model = Embeddings()
    if name in ('multiple_negatives_ranking', 'simcse'):
        more = {}
        if options.get('symmetric'):
            more = {
                'directions': ('query_to_doc', 'doc_to_query'),
                'partition_mode': 'per_direction',
            }
        return losses.MultipleNegativesRankingLoss(
            model, scale=options.get('scale', 20.0), **more
        ), model
    if name == 'cosent':
        return losses.CoSENTLoss(model, scale=options.get('scale', 20.0)), model
    if name == 'cosine':
        return losses.CosineSimilarityLoss(model), model
    metric = getattr(losses.TripletDistanceMetric, options.get('distance', 'euclidean').upper())
    return losses.TripletLoss(model, metric, options.get('margin', 5.0)), model


def foreign_value(loss, vectors, scores):
    columns = [{'vectors': torch.tensor(column, requires_grad=True)} for column in vectors]
    value = loss(columns, torch.tensor(scores))
    value.backward()
    return float(value.detach()), np.concatenate(
        [column['vectors'].grad.numpy() for column in columns]
    )


def gradient_of(objective, vectors, labels):
    stacked = mx.nd.array(vectors.reshape(-1, UNITS))
    stacked.attach_grad()
    counts = objective.counts((stacked,), labels)
    objective.gradients(lambda *_: stacked, (stacked,) * 3, labels, counts)
    return stacked.grad.asnumpy()


@pytest.mark.parametrize('case', CASES, ids=ids)
def test_a_loss_is_that_of_sentence_transformers(case):
    name, columns, options = case
    loss, _ = foreign_loss(name, options)
    vectors, scores = drawn(columns)
    expected, gradient = foreign_value(loss, vectors, scores)
    objective, labels = make_sentence_objective(name, columns, **options), labels_of(name, scores)
    assert value_of(objective, vectors, labels) == pytest.approx(expected, rel=1e-5, abs=1e-5)
    np.testing.assert_allclose(
        gradient_of(objective, vectors, labels), gradient, rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize('case', MATRYOSHKA, ids=ids)
def test_matryoshka_is_that_of_sentence_transformers(case):
    name, columns, options = case
    loss, model = foreign_loss(name, options)
    vectors, scores = drawn(columns)
    expected, gradient = foreign_value(
        losses.MatryoshkaLoss(model, loss, [UNITS, 5]), vectors, scores
    )
    objective = make_sentence_objective(name, columns, matryoshka=(5, UNITS), **options)
    labels = labels_of(name, scores)
    assert value_of(objective, vectors, labels) == pytest.approx(expected, rel=1e-5, abs=1e-5)
    np.testing.assert_allclose(
        gradient_of(objective, vectors, labels), gradient, rtol=1e-5, atol=1e-5
    )


def as_transformers(folder, config, arrays):
    """The model of transformers with these arrays."""
    write_checkpoint(Checkpoint(arrays, config), folder, 'huggingface')
    return transformers.BertModel.from_pretrained(
        folder, attn_implementation='eager', add_pooling_layer=False
    ).eval()


def pooled(model, inputs, pooling):
    ids, types, lengths = (array.asnumpy().astype('int64') for array in inputs)
    mask = torch.tensor(np.arange(ids.shape[1]) < lengths[:, None])
    hidden = model(torch.tensor(ids), mask, torch.tensor(types)).last_hidden_state
    mask = mask[..., None]
    return {
        'mean': lambda: (hidden * mask).sum(1) / mask.sum(1),
        'cls': lambda: hidden[:, 0],
        'max': lambda: hidden.masked_fill(~mask, -1e9).max(1).values,
    }[pooling]()


NETWORK_CASES = [
    ('multiple_negatives_ranking', 3, {'symmetric': True, 'scale': 4.0}, 'mean'),
    ('cosent', 2, {'scale': 4.0}, 'cls'),
    ('cosine', 2, {}, 'mean'),
    ('triplet', 3, {}, 'max'),
]


@pytest.mark.parametrize('native', [False, True])
@pytest.mark.parametrize('case', NETWORK_CASES, ids=ids)
def test_gradients_of_a_network_are_those_of_pytorch(tmp_path, case, native):
    name, columns, options, pooling = case
    network = make_embedder(CONFIG, pooling=(pooling,), normalize=False)
    network.hybridize()
    size, (_, scores) = 5, drawn(columns)
    inputs, scores = batch_of(CONFIG, columns * size), scores[:size]
    model = as_transformers(tmp_path / 'before', CONFIG, network.bert.checkpoint_arrays())
    loss, _ = foreign_loss(name, options)
    vectors = pooled(model, inputs, pooling)
    # The reference reads given embeddings, one matrix for each text of an example.
    matrices = [{'vectors': part} for part in vectors.split(size)]
    value = loss(matrices, torch.tensor(scores))
    value.backward()

    objective, labels = make_sentence_objective(name, columns, **options), labels_of(name, scores)
    encoder = make_trainer(network) if native else None
    assert native == (encoder is not None)
    totals = objective.counts(inputs, labels)
    terms = objective.gradients(network, inputs, labels, totals, encoder)
    assert terms['loss'].asscalar() == pytest.approx(float(value.detach()), rel=1e-5, abs=1e-5)

    mx.nd.waitall()
    for parameter in network.collect_params().values():
        parameter.set_data(parameter.data() - parameter.grad())
    after = as_transformers(tmp_path / 'after', CONFIG, network.bert.checkpoint_arrays())
    after = after.state_dict()
    for key, parameter in model.named_parameters():
        expected = parameter.detach() - parameter.grad
        np.testing.assert_allclose(
            after[key].numpy(), expected.numpy(), rtol=1e-4, atol=1e-5, err_msg=key
        )
