"""Sparse vectors from the head of masked words, against NumPy and sentence-transformers."""

import json

import numpy as np
import pytest
from script_runs import tokenizer  # noqa: F401 (a fixture)
from served import words, write_words  # noqa: F401 (a fixture)

import gluon_bert as gb
from gluon_bert.checkpoint import read_checkpoint, write_checkpoint
from gluon_bert.checkpoint.retrieval import SparseSettings
from gluon_bert.pipelines import sparse

TEXTS = ['the cat sleeps', 'a dog barks loudly', 'sun', ' the moon  ']


def by_hand(folder, texts, pool):
    """Vectors by the Gluon network, text by text, with NumPy's pooling."""
    checkpoint = read_checkpoint(folder)
    network = gb.load_pipeline(folder, task='fill-mask').network
    transform = gb.data.SentenceTransform(checkpoint.tokenizer, 32)
    rows = []
    for text in texts:
        feature = transform(text)
        ids, types, length = (
            np.array(part, 'float32')
            for part in ([feature.inputs], [feature.token_types], [feature.valid_length])
        )
        import mxnet as mx

        places = mx.nd.arange(feature.valid_length).expand_dims(0)
        scores = network(*map(mx.nd.array, (ids, types, length)), places).masked_lm.asnumpy()[0]
        rows.append(pool(np.maximum(scores, 0)))
    return np.array(rows)[:, : len(checkpoint.tokenizer.vocabulary)]


POOLS = {
    ('max', 'relu'): lambda x: np.log1p(x).max(0),
    ('sum', 'relu'): lambda x: np.log1p(x).sum(0),
    ('max', 'log1p_relu'): lambda x: np.log1p(np.log1p(x)).max(0),
    ('sum', 'log1p_relu'): lambda x: np.log1p(np.log1p(x)).sum(0),
}


def saved(source, folder, **settings):
    """A folder of sentence-transformers' layout with these settings."""
    checkpoint = read_checkpoint(source)
    from dataclasses import replace

    write_checkpoint(replace(checkpoint, sparse=SparseSettings(**settings)), folder, 'huggingface')
    return folder


@pytest.mark.parametrize('pooling, activation', POOLS)
def test_vectors_by_hand(words, tmp_path, pooling, activation):  # noqa: F811
    folder = saved(words, tmp_path / 's', pooling=pooling, activation=activation)
    encoder = gb.SparseEncoder(folder)
    vectors = encoder.encode(TEXTS)
    expected = by_hand(words, TEXTS, POOLS[pooling, activation])
    np.testing.assert_allclose(vectors.toarray(), expected, atol=1e-5)
    assert vectors.nnz == (vectors.toarray() > 0).sum() < vectors.shape[0] * vectors.shape[1]
    np.testing.assert_allclose(
        encoder.similarity(TEXTS[:2], vectors), expected[:2] @ expected.T, 1e-4
    )
    (best,) = encoder.decode(vectors[:1], top_k=1)
    word = encoder.pipeline.tokenizer.vocabulary.idx_to_token[expected[0].argmax()]
    assert best == [(word, pytest.approx(expected[0].max(), rel=1e-5))]


def test_options(words, tmp_path, monkeypatch):  # noqa: F811
    encoder = gb.SparseEncoder(words)
    vectors = encoder.encode(TEXTS).toarray()
    monkeypatch.setattr(sparse, '_TOKENS', 7)  # several parts
    np.testing.assert_allclose(encoder.encode(TEXTS).toarray(), vectors, atol=1e-6)
    few = encoder.encode(TEXTS, max_active=2).toarray()
    assert ((few > 0).sum(1) == 2).all() and np.array_equal(few.max(1), vectors.max(1))
    prompts = {'query': 'a dog ', 'document': ''}
    folder = saved(words, tmp_path / 's', prompts=prompts, max_length=5, similarity='cosine')
    other = gb.SparseEncoder(folder)
    assert other.settings == SparseSettings(prompts=prompts, max_length=5, similarity='cosine')
    spoken = other.encode(['barks'], prompt_name='query').toarray()
    np.testing.assert_allclose(spoken, encoder.encode(['a dog barks']).toarray(), atol=1e-6)
    np.testing.assert_allclose(np.diag(other.similarity(TEXTS, TEXTS)), 1, rtol=1e-5)
    assert other.encode([]).shape == (0, other.units)
    before = other.pipeline.num_cut
    assert other.pipeline('the cat sleeps here').indices.dtype == np.int32
    assert other.pipeline.num_cut == before + 1
    assert gb.load_pipeline(folder).task == 'sparse-embedding'
    assert gb.load_pipeline(words).task == 'fill-mask'


@pytest.mark.parametrize(
    'call, error, message',
    [
        (lambda model: model.encode('sun'), TypeError, r'write \[text\]'),
        (lambda model: model.encode(['sun'], max_active=0), ValueError, 'max_active=0'),
        (lambda model: model.encode(['sun'], prompt_name='query'), ValueError, 'query'),
        (lambda model: model.encode([('a', 'b')]), ValueError, 'a pair of texts'),
    ],
)
def test_bad_calls(words, call, error, message):  # noqa: F811
    with pytest.raises(error, match=message):
        call(gb.SparseEncoder(words))


def test_models_without_the_head_and_bad_settings(words, tmp_path, real_model):  # noqa: F811
    with pytest.raises(ValueError, match='has no head to predict with|is for'):
        gb.SparseEncoder('all_minilm_l6_v2')
    folder = saved(words, tmp_path / 's')
    path = folder / '1_SpladePooling' / 'config.json'
    path.write_text(json.dumps({'pooling_strategy': 'mean'}))
    with pytest.raises(ValueError, match=r"config\.json: pooling 'mean': expected one of max, sum"):
        gb.SparseEncoder(folder)
    path.unlink()
    with pytest.raises(FileNotFoundError, match='1_SpladePooling'):
        gb.SparseEncoder(folder)


@pytest.mark.parametrize('pooling, activation', [('max', 'relu'), ('sum', 'log1p_relu')])
def test_sentence_transformers_makes_the_same(words, tmp_path, pooling, activation):  # noqa: F811
    reason = 'sentence-transformers is not installed'
    package = pytest.importorskip('sentence_transformers', reason=reason)
    folder = saved(words, tmp_path / 's', pooling=pooling, activation=activation)
    (folder / 'tokenizer_config.json').write_text(
        json.dumps({'tokenizer_class': 'BertTokenizer', 'do_lower_case': True})
    )
    theirs = package.SparseEncoder(str(folder), local_files_only=True, device='cpu')
    ours = gb.SparseEncoder(folder)
    expected = theirs.encode(TEXTS, convert_to_sparse_tensor=False).numpy()
    vectors = ours.encode(TEXTS)
    np.testing.assert_allclose(vectors.toarray(), expected[:, : ours.units], atol=1e-5)
    scores = theirs.similarity(expected, expected).numpy()
    np.testing.assert_allclose(ours.similarity(TEXTS, TEXTS), scores, rtol=1e-5)
    theirs.save_pretrained(str(tmp_path / 'again'))
    again = gb.SparseEncoder(tmp_path / 'again')
    assert (again.settings.pooling, again.settings.activation) == (pooling, activation)
    np.testing.assert_allclose(again.encode(TEXTS).toarray(), vectors.toarray(), atol=1e-6)
