"""Networks that detect replaced tokens: what is drawn, where it is put, and what is kept."""

from dataclasses import replace

import mxnet as mx
import numpy as np
import pytest
from conftest import TINY

from gluon_bert import BertModel
from gluon_bert.modeling.replaced_tokens import BertForReplacedTokens, generator_config
from gluon_bert.training import OBJECTIVES
from gluon_bert.training.replaced_tokens import replaced_labels

CONFIG = replace(TINY, dropout=0.0, num_heads=4)


@pytest.fixture
def network():
    network = BertForReplacedTokens(BertModel(CONFIG, use_pooler=False), 0.5)
    network.initialize(mx.init.Normal(0.3))
    network.hybridize()
    return network


def batch():
    ids = mx.nd.array([[2, 10, 11, 12, 13, 3], [2, 20, 21, 3, 0, 0]])
    lengths, positions = mx.nd.array([6, 4]), mx.nd.array([[1, 4], [2, 0]])
    return ids, mx.nd.zeros_like(ids), lengths, positions


def run(network, seed):
    mx.random.seed(seed)
    outputs = network(*batch())
    return [output.asnumpy() for output in outputs]


def test_draws_are_a_function_of_the_seed(network):
    first, again, other = (run(network, seed) for seed in (1, 1, 2))
    for one, two in zip(first, again):
        np.testing.assert_array_equal(one, two)
    assert not np.array_equal(first[2], other[2])


def test_the_network_reads_the_samples_at_the_masked_positions(network):
    scores, replaced, samples, positions, valid = run(network, 1)
    ids, types, lengths, _ = batch()
    corrupted = ids.asnumpy()
    corrupted[0, 1], corrupted[0, 4], corrupted[1, 2] = samples[0, 0], samples[0, 1], samples[1, 0]
    sequence = network.bert(mx.nd.array(corrupted), types, lengths)
    expected = network.discriminator(sequence).asnumpy()[:, :, 0]
    np.testing.assert_allclose(replaced, expected, atol=1e-6)
    assert scores.shape == (2, 2, CONFIG.vocab_size)
    np.testing.assert_array_equal(valid, [[1] * 6, [1, 1, 1, 1, 0, 0]])
    np.testing.assert_array_equal(positions, [[1, 4], [2, 0]])


def test_samples_follow_the_scores():
    scores = mx.nd.array(np.tile([0.0, 1.0, 2.0, -1.0], (20000, 1, 1)))
    mx.random.seed(4)
    samples = BertForReplacedTokens._sample(mx.nd, scores).asnumpy()
    shares = np.bincount(samples.ravel().astype(int), minlength=4) / samples.size
    expected = np.exp([0, 1, 2, -1]) / np.exp([0, 1, 2, -1]).sum()
    np.testing.assert_allclose(shares, expected, atol=0.012)  # 3.5 standard deviations


def test_labels_are_where_another_word_was_put(network):
    mx.random.seed(1)
    outputs = network(*batch())
    words = outputs.samples.copy()
    weights = mx.nd.array([[1, 1], [1, 0]])
    assert not replaced_labels(outputs, words, weights).asnumpy().any()
    words[0, 1] = (words[0, 1] + 1) % 97
    words[1, 1] = (words[1, 1] + 1) % 97  # padding
    labels = replaced_labels(outputs, words, weights).asnumpy()
    assert [tuple(place) for place in np.argwhere(labels)] == [(0, 4)]


def test_the_loss_is_the_mean_over_tokens_times_50(network):
    mx.random.seed(1)
    inputs, labels = batch(), (mx.nd.array([[5, 6], [7, 0]]), mx.nd.array([[1, 1], [1, 0]]))
    objective = OBJECTIVES['replaced_tokens']
    assert objective.counts(inputs, labels) == {'masked_words': 3, 'replaced_tokens': 10}
    assert objective.weighted({'masked_words': 2.0, 'replaced_tokens': 0.5}) == 27.0
    outputs = network(*inputs)
    scores = outputs.replaced.asnumpy()
    truth = replaced_labels(outputs, *labels).asnumpy()
    losses = np.log1p(np.exp(-np.where(truth, scores, -scores)))
    values = objective.terms['replaced_tokens'].loss(outputs, *labels).asnumpy()
    np.testing.assert_allclose(values, losses * outputs.valid.asnumpy(), atol=1e-6)


def test_both_networks_have_one_table_of_embeddings(network):
    names = network._collect_params_with_prefix()
    for part in ('word.weight', 'position.weight', 'token_type.weight', 'norm.gamma'):
        shared = names[f'generator.bert.embeddings.{part}']
        assert names[f'bert.embeddings.{part}'] is shared
    assert names['generator.masked_lm.decoder.weight'] is names['bert.embeddings.word.weight']


def test_generators_are_narrower():
    config = generator_config(CONFIG, 0.5)
    assert (config.units, config.num_heads, config.hidden_size) == (12, 2, 26)
    assert config.embedding_units == 24
    assert generator_config(CONFIG, 1.0) == CONFIG
    for size in (0.0, 1.5):
        with pytest.raises(ValueError, match=f'generator_size={size}: expected more than 0'):
            generator_config(CONFIG, size)


def test_a_pooler_is_refused():
    with pytest.raises(ValueError, match='bert has a pooler'):
        BertForReplacedTokens(BertModel(CONFIG))


def test_the_discriminator_is_what_is_kept(network, tmp_path):
    network(*batch())
    network.save_parameters(tmp_path / 'model.params')
    bert = BertModel(CONFIG, use_pooler=False)
    bert.load_parameters(tmp_path / 'model.params')
    ids, types, lengths, _ = batch()
    np.testing.assert_array_equal(
        bert(ids, types, lengths).asnumpy(), network.bert(ids, types, lengths).asnumpy()
    )
