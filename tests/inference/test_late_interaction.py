"""Vectors of tokens and MaxSim, against NumPy and sentence-transformers' modules."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import reference
from script_runs import tiny_folder, tokenizer  # noqa: F401 (fixtures)

import gluon_bert as gb
from gluon_bert.checkpoint import read_checkpoint, write_checkpoint
from gluon_bert.checkpoint.retrieval import TokenVectorSettings
from gluon_bert.checkpoint.sentence import Dense
from gluon_bert.inference.late_interaction import MultiVectorEncoder, maxsim

QUERIES = ['the cat', 'a dog']
TEXTS = ['the cat sleeps here', 'a dog barks , loudly !', 'sun']


@pytest.fixture
def save(tiny_folder, tmp_path):  # noqa: F811
    """Write the folder of a model with a Dense layer: settings -> folder, weight."""
    source, model = tiny_folder()
    weight = np.random.default_rng(4).normal(size=(6, model.config.units)).astype('float32')

    def make(**settings):
        settings = TokenVectorSettings((Dense(weight, None, 'identity'),), **settings)
        checkpoint = replace(read_checkpoint(source), token_vectors=settings)
        write_checkpoint(checkpoint, tmp_path / 'colbert', 'huggingface')
        return tmp_path / 'colbert', weight

    return make


def by_hand(checkpoint, weight, ids, num_keys=None):
    """The vectors of tokens by the oracle; all tokens attend to the first ones alone."""

    def attention(x, p, name, num_heads):
        query, key, value = (
            reference.dense(x, p, f'{name}.proj_{part}') for part in ('query', 'key', 'value')
        )
        parts = (np.split(part, num_heads, axis=1) for part in (query, key, value))
        contexts = [
            reference.softmax(q @ k[:num_keys].T / math.sqrt(q.shape[1])) @ v[:num_keys]
            for q, k, v in zip(*parts)
        ]
        return np.concatenate(contexts, axis=1), None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference, 'attention', lambda *a: (attention(*a)[0], np.zeros(1)))
        rows, *_ = reference.bert(checkpoint.config, checkpoint.arrays, ids, np.zeros_like(ids))
    rows = rows @ weight.T
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def ids_of(checkpoint, text, prefix=None, size=None):
    """Ids with the prefix behind the first, filled with mask tokens."""
    vocab, (ids,) = checkpoint.tokenizer.vocabulary, checkpoint.tokenizer.encode_ids([text])
    front = [vocab['[CLS]']] + ([] if prefix is None else [vocab[prefix]])
    ids = [*front, *ids[: (size or 40) - len(front) - 1], vocab['[SEP]']]
    return np.array(ids + [vocab['[MASK]']] * ((size or 0) - len(ids)))


def test_without_settings_of_pylate(save):
    folder, weight = save()
    checkpoint, encoder = read_checkpoint(folder), MultiVectorEncoder(folder)
    assert encoder.units == 6
    documents = encoder.encode_documents(TEXTS)
    queries = encoder.encode_queries(QUERIES)
    for texts, rows in ((TEXTS, documents), (QUERIES, queries)):
        for text, row in zip(texts, rows):
            expected = by_hand(checkpoint, weight, ids_of(checkpoint, text))
            np.testing.assert_allclose(row, expected, atol=1e-5)
    scores = [[(q @ d.T).max(1).sum() for d in documents] for q in queries]
    np.testing.assert_allclose(maxsim(queries, documents), scores, rtol=1e-5)
    ranked = encoder.rank(QUERIES[0], TEXTS, top_k=2)
    order = np.argsort(-np.array(scores[0]))[:2]
    assert [row['corpus_id'] for row in ranked] == order.tolist()
    assert ranked[0]['score'] == pytest.approx(max(scores[0]), rel=1e-5)


@pytest.mark.parametrize('attends', [False, True])
def test_prefixes_expansion_and_skipped_words(save, attends):
    folder, weight = save(
        query_prefix='sun',
        document_prefix='moon',
        query_length=8,
        document_length=6,
        expand_queries=True,
        attend_to_expansion=attends,
        skip_words=(',', '!', 'not there'),
    )
    checkpoint, encoder = read_checkpoint(folder), MultiVectorEncoder(folder)
    assert encoder.settings == checkpoint.token_vectors
    for text, row in zip(QUERIES, encoder.encode_queries(QUERIES)):
        ids = ids_of(checkpoint, text, 'sun', 8)
        expected = by_hand(checkpoint, weight, ids, None if attends else 5)
        np.testing.assert_allclose(row, expected, atol=1e-5)
    vocab = checkpoint.tokenizer.vocabulary
    for text, row in zip(TEXTS, encoder.encode_documents(TEXTS)):
        ids = ids_of(checkpoint, text, 'moon')
        ids = np.array([*ids[:5], ids[-1]]) if len(ids) > 6 else ids
        kept = ~np.isin(ids, [vocab[','], vocab['!']])
        np.testing.assert_allclose(row, by_hand(checkpoint, weight, ids)[kept], atol=1e-5)


def test_a_saved_folder_is_the_same(save, tmp_path):
    folder, _ = save(query_length=8, expand_queries=True)
    encoder = MultiVectorEncoder(folder)
    encoder.save(tmp_path / 'again')
    again = MultiVectorEncoder(tmp_path / 'again')
    assert again.settings == encoder.settings
    for left, right in zip(again.encode_queries(QUERIES), encoder.encode_queries(QUERIES)):
        np.testing.assert_array_equal(left, right)


def test_scores_of_no_tokens():
    one, none = np.eye(2, dtype='float32'), np.zeros((0, 2), 'float32')
    assert maxsim([one, none], [none, one]).tolist() == [[0, 2], [0, 0]]
    assert maxsim([one], []).shape == (1, 0) and maxsim([one], [none]).tolist() == [[0]]


@pytest.mark.parametrize(
    'file, change, message',
    [
        ('config_sentence_transformers.json', {'query_length': 1}, 'query_length is 1: expected 3'),
        ('config_sentence_transformers.json', {'query_prefix': 3}, 'query_prefix is 3'),
        ('config_sentence_transformers.json', {'query_prefix': '[Q] '}, r"no token '\[Q\] '"),
        ('config_sentence_transformers.json', {'skiplist_words': 'x'}, 'skiplist_words: expected'),
        ('config_sentence_transformers.json', {'do_query_expansion': 1}, 'do_query_expansion is 1'),
        ('1_Dense/config.json', {'module_input_name': 'sentence_embedding'}, 'module_input_name'),
        ('1_Dense/config.json', {'use_residual': True}, 'use_residual'),
    ],
)
def test_bad_folders(save, file, change, message):
    folder, _ = save(query_length=8)
    path = folder / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ValueError, match=message):
        MultiVectorEncoder(folder)


def test_bad_calls(save):
    encoder = MultiVectorEncoder(save()[0])
    with pytest.raises(TypeError, match=r'write \[text\]'):
        encoder.encode_queries('sun')
    with pytest.raises(ValueError, match='0 documents'):
        encoder.rank('sun', [])
    with pytest.raises(ValueError, match='top_k=0'):
        encoder.rank('sun', TEXTS, top_k=0)


def test_it_is_no_sentence_encoder(save):
    folder, _ = save()
    with pytest.raises(ValueError, match='makes vectors of tokens: use MultiVectorEncoder'):
        gb.SentenceEncoder(folder)
    encoder = gb.SentenceEncoder(folder, pooling='mean')
    assert encoder.units == read_checkpoint(folder).config.units


def test_sentence_transformers_makes_the_same(save):
    reason = 'sentence-transformers is not installed'
    package = pytest.importorskip('sentence_transformers', reason=reason)
    import torch

    folder, _ = save()
    path = folder / 'modules.json'
    modules = json.loads(path.read_text())
    modules[1]['type'] = 'sentence_transformers.models.Dense'
    path.write_text(json.dumps(modules))
    (folder / 'config_sentence_transformers.json').write_text('{}')
    (folder / 'tokenizer_config.json').write_text(
        json.dumps({'tokenizer_class': 'BertTokenizer', 'do_lower_case': True})
    )
    model = package.SentenceTransformer(str(folder), local_files_only=True, device='cpu')
    encoder, theirs = MultiVectorEncoder(folder), []
    for texts, ours in (
        (QUERIES, encoder.encode_queries(QUERIES)),
        (TEXTS, encoder.encode_documents(TEXTS)),
    ):
        rows = []
        for text, row in zip(texts, ours):
            with torch.no_grad():
                output = model(
                    model.preprocess([text])
                    if hasattr(model, 'preprocess')
                    else model.tokenize([text])
                )
            tokens = torch.nn.functional.normalize(output['token_embeddings'][0], dim=-1)
            np.testing.assert_allclose(row, tokens.numpy(), atol=1e-5)
            rows.append(tokens)
        theirs.append(rows)
    scores = [[float((q @ d.T).max(dim=1).values.sum()) for d in theirs[1]] for q in theirs[0]]
    np.testing.assert_allclose(
        maxsim(encoder.encode_queries(QUERIES), encoder.encode_documents(TEXTS)), scores, rtol=1e-5
    )
