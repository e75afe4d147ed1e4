"""Losses of sentence vectors and the pooling of the network in front of them, against NumPy."""

import mxnet as mx
import numpy as np
import pytest

from gluon_bert import BertModel
from gluon_bert.modeling.embedder import BertEmbedder
from gluon_bert.training import OBJECTIVES, SENTENCE_LOSSES, make_sentence_objective

N, UNITS = 7, 12


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def log_sum_exp(values, axis=None):
    top = values.max()
    return np.log(np.exp(values - top).sum(axis=axis)) + top


def ranking(anchors, *candidates, scale=20.0, symmetric=False):
    scores = unit(anchors) @ unit(np.concatenate(candidates)).T * scale
    losses = log_sum_exp(scores, 1) - np.diag(scores)
    if symmetric:
        own = scores[:, : len(anchors)]
        losses = (losses + log_sum_exp(own, 0) - np.diag(own)) / 2
    return losses.mean()


def cosent(first, second, scores, scale=20.0):
    cosines = (unit(first) * unit(second)).sum(1) * scale
    gaps = [
        cosines[i] - cosines[j]
        for i in range(len(scores))
        for j in range(len(scores))
        if scores[i] < scores[j]
    ]
    return log_sum_exp(np.array([0.0, *gaps]))


def cosine(first, second, scores):
    return (((unit(first) * unit(second)).sum(1) - scores) ** 2).mean()


def triplet(anchors, positives, negatives, distance='euclidean', margin=5.0):
    measure = {
        'euclidean': lambda a, b: np.linalg.norm(a - b, axis=1),
        'cosine': lambda a, b: 1 - (unit(a) * unit(b)).sum(1),
        'manhattan': lambda a, b: np.abs(a - b).sum(1),
    }[distance]
    gaps = measure(anchors, positives) - measure(anchors, negatives) + margin
    return np.maximum(gaps, 0).mean()


ORACLES = {
    'multiple_negatives_ranking': ranking,
    'cosent': cosent,
    'cosine': cosine,
    'triplet': triplet,
    'simcse': ranking,
}
# Name, number of texts, options.
CASES = [
    ('multiple_negatives_ranking', 2, {}),
    ('multiple_negatives_ranking', 4, {'scale': 5.0}),
    ('multiple_negatives_ranking', 2, {'symmetric': True}),
    ('multiple_negatives_ranking', 3, {'symmetric': True, 'scale': 8.0}),
    ('cosent', 2, {}),
    ('cosent', 2, {'scale': 3.0}),
    ('cosine', 2, {}),
    ('triplet', 3, {}),
    ('triplet', 3, {'distance': 'cosine', 'margin': 0.5}),
    ('triplet', 3, {'distance': 'manhattan', 'margin': 1.0}),
    ('simcse', 2, {}),
]
MATRYOSHKA = [*CASES[:1], CASES[5], CASES[7]]


def ids(case):
    return '-'.join(map(str, (case[0], case[1], *case[2].values())))


def drawn(columns, seed=3):
    rng = np.random.RandomState(seed)
    vectors = rng.normal(size=(columns, N, UNITS)).astype('float32')
    # Two pairs have one score, whose order does not count.
    scores = np.array([0.2, 0.9, 0.2, 0.0, 1.0, 0.5, 0.7], 'float32')
    return vectors, scores


def labels_of(name, scores):
    return (mx.nd.array(scores),) if SENTENCE_LOSSES[name].is_scored else ()


def value_of(objective, vectors, labels):
    """The loss of vectors below each other, a mean over what is counted."""
    stacked = mx.nd.array(vectors.reshape(-1, vectors.shape[-1]))
    terms = objective(lambda *_: stacked, (stacked,) * 3, labels)
    return float(
        objective.weighted({name: term.sum / term.count for name, term in terms.items()}).asscalar()
    )


def oracle(name, vectors, scores, options):
    labels = (scores,) if SENTENCE_LOSSES[name].is_scored else ()
    return ORACLES[name](*vectors.astype('float64'), *labels, **options)


@pytest.mark.parametrize('case', CASES, ids=ids)
def test_a_loss_is_that_of_its_paper(case):
    name, columns, options = case
    vectors, scores = drawn(columns)
    objective = make_sentence_objective(name, columns, **options)
    found = value_of(objective, vectors, labels_of(name, scores))
    assert found == pytest.approx(oracle(name, vectors, scores, options), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize('case', MATRYOSHKA, ids=ids)
def test_matryoshka_adds_up_the_losses_of_shorter_vectors(case):
    name, columns, options = case
    vectors, scores = drawn(columns)
    objective = make_sentence_objective(name, columns, matryoshka=(4, UNITS, 7), **options)
    expected = sum(
        oracle(
            name,
            unit(vectors[..., :units].reshape(-1, units)).reshape(columns, N, units),
            scores,
            options,
        )
        for units in (4, 7, UNITS)
    )
    found = value_of(objective, vectors, labels_of(name, scores))
    assert found == pytest.approx(expected, rel=1e-5)
    assert list(objective.terms) == ['loss_12', 'loss_7', 'loss_4']


def test_the_rows_have_the_options_by_default():
    assert {*SENTENCE_LOSSES} <= {*OBJECTIVES}
    assert OBJECTIVES['triplet'].name == "triplet(distance='euclidean', margin=5.0)"
    vectors, scores = drawn(3)
    assert value_of(OBJECTIVES['triplet'], vectors, ()) == pytest.approx(
        oracle('triplet', vectors, scores, {}), rel=1e-5
    )


@pytest.mark.parametrize(
    'name, options, part',
    [
        ('cossent', {}, "did you mean 'cosent'"),
        ('cosent', {'margin': 1.0}, 'margin=1.0: goes with the loss triplet'),
        ('cosine', {'scale': 2.0}, 'goes with the loss multiple_negatives_ranking or cosent'),
        ('cosent', {'scale': 0.0}, 'scale=0.0: expected a positive number'),
        ('triplet', {'columns': 3, 'distance': 'euclidian'}, "did you mean 'euclidean'"),
        ('cosent', {'matryoshka': (4, 4)}, 'different numbers'),
        ('triplet', {'columns': 2}, 'columns=2: expected a whole number from 3 to 3'),
        ('cosent', {'cache_size': 0}, 'cache_size=0: expected a whole number'),
    ],
)
def test_wrong_options_are_refused(name, options, part):
    with pytest.raises(ValueError, match=part):
        make_sentence_objective(name, **options)


def test_scores_are_given_where_they_are_read():
    vectors, scores = drawn(2)
    with pytest.raises(ValueError, match='labels: cosent reads a score of each example'):
        value_of(OBJECTIVES['cosent'], vectors, ())
    with pytest.raises(ValueError, match='labels: simcse reads none'):
        value_of(OBJECTIVES['simcse'], vectors, (mx.nd.array(scores),))


def test_more_units_than_the_vectors_have_are_refused():
    vectors, _ = drawn(2)
    objective = make_sentence_objective('simcse', matryoshka=(UNITS + 1,))
    with pytest.raises(ValueError, match=f'13: the vectors have {UNITS} units'):
        value_of(objective, vectors, ())


# --- pooling


def make_embedder(config, **options):
    network = BertEmbedder(BertModel(config, use_pooler=False), **options)
    network.initialize(mx.init.Normal(0.3))
    return network


def batch_of(config, size, seed=5):
    rng = np.random.RandomState(seed)
    lengths = rng.randint(2, 9, size)
    inputs = rng.randint(1, config.vocab_size, (size, lengths.max()))
    arrays = inputs * (np.arange(inputs.shape[1]) < lengths[:, None]), inputs * 0, lengths
    return tuple(mx.nd.array(array, dtype='float32') for array in arrays)


@pytest.mark.parametrize('pooling', [('mean',), ('cls',), ('max',), ('cls', 'max', 'mean')])
@pytest.mark.parametrize('normalize', [False, True])
def test_pooled_vectors_are_those_of_the_encoder(tiny_config, pooling, normalize):
    network = make_embedder(tiny_config, pooling=pooling, normalize=normalize)
    inputs = batch_of(tiny_config, 5)
    encodings = network.bert(*inputs).asnumpy()
    lengths = inputs[2].asnumpy().astype(int)
    ways = {
        'mean': lambda row: row.mean(0),
        'cls': lambda row: row[0],
        'max': lambda row: row.max(0),
    }
    expected = np.array(
        [
            np.concatenate([ways[mode](row[:length]) for mode in pooling])
            for row, length in zip(encodings, lengths)
        ]
    )
    found = network(*inputs).asnumpy()
    np.testing.assert_allclose(found, unit(expected) if normalize else expected, atol=1e-5)
    network.hybridize()
    np.testing.assert_allclose(network(*inputs).asnumpy(), found, atol=1e-6)


def test_pooling_that_cannot_be_trained_is_refused(tiny_config):
    with pytest.raises(ValueError, match=r"pooling=\['lasttoken'\]: expected some of \('cls'"):
        BertEmbedder(BertModel(tiny_config, use_pooler=False), pooling=['lasttoken'])
