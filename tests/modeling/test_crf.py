"""The CRF against an enumeration of all tag sequences."""

import itertools
import math

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd

from gluon_bert import BertCrfTagger, BertModel, BertTagger
from gluon_bert.data import tag_names, tag_problems, valid_transitions
from gluon_bert.modeling.crf import LinearChainCRF, viterbi

SCHEMES = ['IOB1', 'IOB2', 'BMES', 'BIOES', 'BILOU']


def random_crf(num_tags, transitions=None):
    crf = LinearChainCRF(num_tags, transitions)
    crf.initialize(mx.init.Normal(1.0))
    for parameter in (crf.transitions, crf.begin, crf.end):
        parameter.set_data(mx.nd.random.normal(shape=parameter.shape))
    return crf


def arrays_of(crf):
    return [
        parameter.data().asnumpy().astype('float64')
        for parameter in (crf.transitions, crf.begin, crf.end)
    ]


def path_score(path, emissions, transitions, begin, end):
    score = begin[path[0]] + end[path[-1]]
    score += sum(emissions[word, tag] for word, tag in enumerate(path))
    return score + sum(transitions[pair] for pair in zip(path, path[1:]))


def enumerate_paths(emissions, *arrays):
    """Every tag sequence with its score."""
    paths = itertools.product(range(emissions.shape[1]), repeat=len(emissions))
    return {path: path_score(path, emissions, *arrays) for path in paths}


@pytest.mark.parametrize('num_tags, lengths', [(1, [4, 1, 3]), (3, [4, 1, 3]), (3, [1, 1])])
def test_likelihood_and_gradients_are_those_of_enumeration(num_tags, lengths):
    crf = random_crf(num_tags)
    emissions = mx.nd.random.normal(shape=(len(lengths), max(lengths), num_tags))
    tags = np.random.randint(0, num_tags, emissions.shape[:2])
    emissions.attach_grad()
    with autograd.record():
        found = crf(emissions, mx.nd.array(tags), mx.nd.array(lengths))
        found.sum().backward()
    arrays = arrays_of(crf)
    gradients = [np.zeros_like(array) for array in (emissions.asnumpy(), *arrays)]
    for row, length in enumerate(lengths):
        scores = enumerate_paths(emissions.asnumpy()[row, :length].astype('float64'), *arrays)
        total = math.log(sum(map(math.exp, scores.values())))
        gold = tuple(tags[row, :length])
        assert found[row].asscalar() == pytest.approx(scores[gold] - total, abs=2e-5)
        # The gradient of log p: what the tags have of each feature, less its expectation.
        for path, score in scores.items():
            weight = (path == gold) - math.exp(score - total)
            for word, tag in enumerate(path):
                gradients[0][row, word, tag] += weight
            for pair in zip(path, path[1:]):
                gradients[1][pair] += weight
            gradients[2][path[0]] += weight
            gradients[3][path[-1]] += weight
    grads = [emissions.grad, *(part.grad() for part in (crf.transitions, crf.begin, crf.end))]
    for grad, expected in zip(grads, gradients):
        np.testing.assert_allclose(grad.asnumpy(), expected, atol=2e-5)


@pytest.mark.parametrize('scheme', SCHEMES)
def test_best_path_is_the_best_valid_one(scheme):
    names = tag_names(['x', 'y'], scheme)[:7]
    crf = random_crf(len(names), valid_transitions(names, scheme))
    for length in (1, 2, 4):
        emissions = np.random.normal(scale=2, size=(length, len(names)))
        scores = enumerate_paths(emissions, *arrays_of(crf))
        valid = {
            path: score
            for path, score in scores.items()
            if not tag_problems([names[tag] for tag in path], scheme)
        }
        assert tuple(crf.decode(emissions)) == max(valid, key=valid.get)
    assert len(crf.decode(np.zeros((0, len(names))))) == 0


@pytest.mark.parametrize('scheme', SCHEMES)
def test_transitions_allow_exactly_what_the_scheme_has(scheme):
    names = tag_names(['x', 'y'], scheme)
    between, begin, end = valid_transitions(names, scheme)
    for length in (1, 2, 3):
        for path in itertools.product(range(len(names)), repeat=length):
            allowed = (
                begin[path[0]]
                and end[path[-1]]
                and all(between[pair] for pair in zip(path, path[1:]))
            )
            assert allowed == (not tag_problems([names[tag] for tag in path], scheme)), path


def test_forbidden_transitions_have_no_probability():
    between = np.array([[True, False], [True, True]])
    crf = random_crf(2, (between, np.ones(2, bool), np.ones(2, bool)))
    emissions = mx.nd.random.normal(shape=(1, 3, 2))
    paths = list(itertools.product(range(2), repeat=3))
    found = np.exp(
        [crf(emissions, mx.nd.array([path]), mx.nd.array([3])).asscalar() for path in paths]
    )
    assert found.sum() == pytest.approx(1, abs=1e-5)
    for path, probability in zip(paths, found):
        assert (probability > 0) == ((0, 1) not in set(zip(path, path[1:])))


def test_what_stands_in_the_padding_has_no_influence():
    crf = random_crf(3)
    emissions, tags = np.random.normal(size=(2, 5, 3)), np.random.randint(0, 3, (2, 5))
    lengths = mx.nd.array([5, 2])
    first = crf(mx.nd.array(emissions), mx.nd.array(tags), lengths).asnumpy()
    emissions[1, 2:], tags[1, 2:] = 1e3, 0
    second = crf(mx.nd.array(emissions), mx.nd.array(tags), lengths).asnumpy()
    assert (first == second).all()


def test_long_sentences_do_not_overflow():
    crf = random_crf(3)
    emissions = mx.nd.random.normal(scale=100, shape=(1, 300, 3))
    best = crf.decode(emissions[0].asnumpy())
    likelihood = crf(emissions, mx.nd.array([best]), mx.nd.array([300])).asscalar()
    assert np.isfinite(likelihood)
    assert likelihood <= 0.1


def test_viterbi_without_transitions_is_argmax():
    emissions = np.random.normal(size=(20, 4))
    zeros = np.zeros(4)
    assert (viterbi(emissions, np.zeros((4, 4)), zeros, zeros) == emissions.argmax(1)).all()


@pytest.mark.parametrize(
    'arguments, message',
    [
        ((0,), 'num_tags=0'),
        ((2, (np.ones((3, 3)), np.ones(2), np.ones(2))), r'between has shape'),
        ((2, (np.ones((2, 2)), np.zeros(2), np.ones(2))), 'begin allows nothing'),
    ],
)
def test_bad_arguments_are_told(arguments, message):
    with pytest.raises(ValueError, match=message):
        LinearChainCRF(*arguments)


@pytest.fixture
def tagger(tiny_config):
    def make(cls, **options):
        network = cls(BertModel(tiny_config, use_pooler=False), 5, dropout=0.0, **options)
        network.initialize(mx.init.Normal(0.3))
        network.hybridize(static_alloc=True)
        return network

    return make


def test_loss_is_that_of_the_labelled_tokens_alone(tagger, ragged, tiny_config):
    network = tagger(BertCrfTagger)
    inputs = ragged(tiny_config, [6, 4, 3])
    labels = np.full((3, 6), -1)
    labels[0, [1, 3, 4]], labels[1, 2] = [2, 0, 4], 1
    scores = network(*inputs.arrays())
    losses = network.loss(scores, mx.nd.array(labels)).asnumpy()
    picked = mx.nd.array(scores.asnumpy()[0][[1, 3, 4]][None])
    expected = network.crf(picked, mx.nd.array([[2, 0, 4]]), mx.nd.array([3])).asscalar()
    assert losses[0] == pytest.approx(-expected / 3, rel=1e-5)
    assert losses[1] > 0
    assert losses[2] == 0


def test_every_parameter_gets_a_gradient(tagger, ragged, tiny_config):
    network = tagger(BertCrfTagger)
    labels = mx.nd.array(np.random.randint(0, 5, (2, 6)))
    with autograd.record():
        network.loss(network(*ragged(tiny_config, [6, 4]).arrays()), labels).sum().backward()
    for name, parameter in network._collect_params_with_prefix().items():
        assert parameter.grad().abs().sum().asscalar() > 0, name


def test_files_go_both_ways_and_to_a_tagger_without_crf(tagger, ragged, tiny_config, tmp_path):
    network, copy, plain = tagger(BertCrfTagger), tagger(BertCrfTagger), tagger(BertTagger)
    network.crf.transitions.set_data(mx.nd.random.normal(shape=(5, 5)))
    network.save_parameters(tmp_path / 'a.params')
    copy.load_parameters(tmp_path / 'a.params')
    plain.load_parameters(tmp_path / 'a.params', ignore_extra=True)
    arrays = ragged(tiny_config, [6, 4]).arrays()
    expected = network(*arrays).asnumpy()
    assert (copy(*arrays).asnumpy() == expected).all()
    assert (plain(*arrays).asnumpy() == expected).all()
    assert (copy.crf.transitions.data() == network.crf.transitions.data()).min().asscalar()
    saved = mx.nd.load(str(tmp_path / 'a.params'))
    assert {name for name in saved if 'crf' in name} == {
        f'bert_model.crf.{part}' for part in ('transitions', 'begin', 'end')
    }
    with pytest.raises(ValueError, match='crf'):
        plain.load_parameters(tmp_path / 'a.params')
