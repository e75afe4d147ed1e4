"""Models for retrieval are trained, saved, and opened with the same vectors."""

import json
from dataclasses import replace

import mxnet as mx
import numpy as np
import pytest
from script_runs import tokenizer  # noqa: F401 (a fixture)
from served import words  # noqa: F401 (a fixture)

import gluon_bert as gb
from gluon_bert.checkpoint import read_checkpoint
from gluon_bert.checkpoint.retrieval import SparseSettings, TokenVectorSettings
from gluon_bert.data import GroupData, SentenceTransform
from gluon_bert.inference.late_interaction import MultiVectorEncoder
from gluon_bert.modeling.build import build_network
from gluon_bert.modeling.retrieval_networks import SparseEmbedder, TokenEmbedder
from gluon_bert.pipelines.sparse_encoder import SparseEncoder
from gluon_bert.tasks.retrieval_models import write_retrieval_model
from gluon_bert.training import TrainingOptions, fit
from gluon_bert.training.retrieval_objectives import (
    make_late_interaction_objective,
    make_sparse_objective,
)

TEXTS = ['the cat sleeps', 'a dog barks', 'the sun', 'a cat', 'the dog', 'sun the sun']


@pytest.fixture
def opened(words):  # noqa: F811
    """The checkpoint of a tiny model with a head of masked words, and its network."""
    checkpoint = read_checkpoint(words)
    arrays = {
        name: checkpoint.arrays[name]
        for name in checkpoint.arrays
        if not name.startswith(('pooler', 'classifier'))
    }
    return checkpoint, build_network(replace(checkpoint, arrays=arrays), 'pretraining')


def data_of(checkpoint):
    features = [SentenceTransform(checkpoint.tokenizer, 12)(text) for text in TEXTS]
    groups = np.array([[0, 3], [1, 4], [2, 5]])
    return features, GroupData(features, groups, None, 0, batch_size=3, seed=1)


def train(network, data, objective, folder):
    options = TrainingOptions(training_steps=6, learning_rate=1e-2, log_interval=1)
    fit(network, data, objective, options, folder)
    rows = map(json.loads, (folder / 'metrics.jsonl').read_text().splitlines())
    losses = [row['loss'] for row in rows if 'loss' in row]
    assert losses[-1] < losses[0]


def vectors_of(network, features):
    rows = []
    for feature in features:
        inputs = [[feature.inputs], [feature.token_types], [feature.valid_length]]
        rows.append(network(*(mx.nd.array(part) for part in inputs)).asnumpy()[0])
    return rows


@pytest.mark.parametrize('pooling', ['max', 'sum'])
def test_sparse_vectors(opened, tmp_path, pooling):
    checkpoint, inner = opened
    network = SparseEmbedder(inner, SparseSettings(pooling=pooling, max_length=12))
    features, data = data_of(checkpoint)
    train(network, data, make_sparse_objective(), tmp_path / 'run')
    write_retrieval_model(network, checkpoint.tokenizer, tmp_path / 'model')
    encoder = SparseEncoder(tmp_path / 'model')
    assert encoder.settings == network.settings
    expected = np.array(vectors_of(network, features))[:, : encoder.units]
    np.testing.assert_allclose(encoder.encode(TEXTS).toarray(), expected, rtol=1e-4, atol=1e-5)


def test_vectors_of_tokens(opened, tmp_path):
    checkpoint, inner = opened
    network = TokenEmbedder(inner.bert, 6)
    network.projection.initialize(mx.init.Normal(0.1))
    features, data = data_of(checkpoint)
    train(network, data, make_late_interaction_objective(), tmp_path / 'run')
    settings = TokenVectorSettings(query_length=12, document_length=12)
    write_retrieval_model(network, checkpoint.tokenizer, tmp_path / 'model', settings)
    encoder = MultiVectorEncoder(tmp_path / 'model')
    assert encoder.units == 6
    for got, expected in zip(encoder.encode_documents(TEXTS), vectors_of(network, features)):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    network.save_parameters(tmp_path / 'all.params')
    again = TokenEmbedder(gb.BertModel(checkpoint.config, use_pooler=False), 6)
    again.load_parameters(tmp_path / 'all.params')
    for first, second in zip(vectors_of(again, features), vectors_of(network, features)):
        assert np.array_equal(first, second)


def test_padding_changes_no_vector(opened):
    _, inner = opened
    sparse, tokens = SparseEmbedder(inner), TokenEmbedder(inner.bert, 6)
    tokens.projection.initialize()
    ids, types = mx.nd.array([[2, 5, 6, 3]]), mx.nd.zeros((1, 4))
    padded, more = mx.nd.array([[2, 5, 6, 3, 0, 0]]), mx.nd.zeros((1, 6))
    length = mx.nd.array([4])
    for network in (sparse, tokens):
        short, long = (
            network(*arrays, length).asnumpy()[0] for arrays in ((ids, types), (padded, more))
        )
        np.testing.assert_allclose(long[: len(short)], short, rtol=1e-4, atol=1e-5)
        assert not long[len(short) :].any()


def test_what_cannot_be_trained_or_saved(opened, words, tmp_path):  # noqa: F811
    checkpoint, inner = opened
    whole = gb.load_pipeline(words, task='fill-mask').network
    for make in (lambda: SparseEmbedder(whole), lambda: TokenEmbedder(whole.bert)):
        with pytest.raises(ValueError, match='open it with use_pooler=False'):
            make()
    with pytest.raises(ValueError, match='expected a SparseEmbedder or TokenEmbedder, got Bert'):
        write_retrieval_model(inner, checkpoint.tokenizer, tmp_path / 'model')
    with pytest.raises(ValueError, match='a SparseEmbedder has its own'):
        write_retrieval_model(
            SparseEmbedder(inner), checkpoint.tokenizer, tmp_path / 'model', TokenVectorSettings()
        )
    with pytest.raises(ValueError, match='has no head of masked words'):
        SparseEmbedder(inner.bert)
    assert not (tmp_path / 'model').exists()
