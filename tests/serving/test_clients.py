# ruff: noqa: F811 (fixtures are imported)
"""Foreign clients on the server: openai, langchain, llama-index, huggingface_hub."""

import base64
import importlib

import numpy as np
import pytest
from script_runs import tiny_pipeline, tokenizer  # noqa: F401 (fixtures)
from served import REAL, folders  # noqa: F401 (fixtures)
from test_processes import start  # noqa: F401 (fixtures)

import gluon_bert as gb

TEXT, CONTEXT = 'the cat sleeps', 'the cat sleeps here . a dog barks out loud'


@pytest.fixture
def encoder():
    try:
        return gb.SentenceEncoder('all_minilm_l6_v2')
    except FileNotFoundError as error:
        pytest.skip(f'needs real weights: {error}')


@pytest.fixture
def key(tmp_path):
    path = tmp_path / 'keys.txt'
    path.write_text('a-key\n')
    return path


def _numbers(embedding):
    """The numbers of an embedding, which the client unpacks unless base64 was asked for."""
    if isinstance(embedding, str):
        return np.frombuffer(base64.b64decode(embedding), '<f4')
    return embedding


@pytest.mark.weights
def test_openai(start, encoder, key):
    openai = pytest.importorskip('openai', reason='needs openai')
    server = start(f'minilm={REAL}', '--api_key_file', key)
    texts = ['A cat sleeps.', 'Shares fell.', 'Ünïcödé 中国 🙂']
    expected, batch = encoder.encode(texts), encoder.steps.prepare(texts)
    num_tokens = sum(feature.valid_length for feature in batch.features)
    with openai.OpenAI(base_url=f'{server.url()}/v1', api_key='a-key', max_retries=0) as client:
        for form in ({}, {'encoding_format': 'float'}, {'encoding_format': 'base64'}):
            answer = client.embeddings.create(input=texts, model='minilm', **form)
            vectors = [_numbers(row.embedding) for row in answer.data]
            np.testing.assert_allclose(vectors, expected, atol=1e-5)
            assert answer.usage.total_tokens == num_tokens
        ids = [[101, *row, 102] for row in encoder.steps.tokenizer.encode_ids(texts)]
        answer = client.embeddings.create(input=ids, model='minilm')
        np.testing.assert_allclose([row.embedding for row in answer.data], expected, atol=1e-5)
        short = client.embeddings.create(input=texts[0], model='minilm', dimensions=8).data[0]
        assert np.linalg.norm(short.embedding) == pytest.approx(1, abs=1e-5)
        cut = expected[0, :8] / np.linalg.norm(expected[0, :8])
        np.testing.assert_allclose(short.embedding, cut, atol=1e-5)
        assert [row.id for row in client.models.list()] == ['minilm']
        assert client.models.retrieve('minilm').owned_by == 'local'
        with pytest.raises(openai.NotFoundError, match="'gpt' is unknown"):
            client.embeddings.create(input='a', model='gpt')
        with pytest.raises(openai.UnprocessableEntityError, match='has 402 tokens'):
            client.embeddings.create(input='word ' * 400, model='minilm')
        extra = {'truncate': True}
        raw = client.embeddings.with_raw_response
        answer = raw.create(input='word ' * 400, model='minilm', extra_body=extra)
        assert answer.headers['x-truncated'] == '1'
    with (
        openai.OpenAI(base_url=f'{server.url()}/v1', api_key='b-key', max_retries=0) as client,
        pytest.raises(openai.AuthenticationError),
    ):
        client.models.list()
    assert server.end() == 0


@pytest.mark.weights
def test_langchain(start, encoder, key, monkeypatch):
    langchain = pytest.importorskip('langchain_openai', reason='needs langchain-openai')
    openai, tiktoken = importlib.import_module('openai'), importlib.import_module('tiktoken')
    server = start(f'minilm={REAL}', '--api_key_file', key)
    texts = ['A cat sleeps.', 'Shares fell.', 'Ünïcödé 中国 🙂']
    common = {'base_url': f'{server.url()}/v1', 'api_key': 'a-key', 'model': 'minilm'}
    embeddings = langchain.OpenAIEmbeddings(check_embedding_ctx_length=False, **common)
    expected = encoder.encode(texts)
    np.testing.assert_allclose(embeddings.embed_documents(texts), expected, atol=1e-5)
    np.testing.assert_allclose(embeddings.embed_query(texts[0]), expected[0], atol=1e-5)
    # By default it sends ids of OpenAI's vocabulary, here of one that needs no download.
    ranks = {bytes([byte]): byte for byte in range(256)}
    pieces = tiktoken.Encoding('bytes', pat_str='.+', mergeable_ranks=ranks, special_tokens={})
    monkeypatch.setattr(tiktoken, 'get_encoding', lambda name: pieces)
    embeddings = langchain.OpenAIEmbeddings(max_retries=0, **common)
    with pytest.raises(openai.UnprocessableEntityError, match='check_embedding_ctx_length=False'):
        embeddings.embed_documents(texts)
    assert server.end() == 0


@pytest.mark.weights
def test_llama_index(start, encoder, key):
    package = pytest.importorskip(
        'llama_index.embeddings.openai', reason='needs llama-index-embeddings-openai'
    )
    server = start(f'minilm={REAL}', '--api_key_file', key)
    texts = ['A cat sleeps.', 'Shares fell.', 'Ünïcödé 中国 🙂']
    client = package.OpenAIEmbedding(
        api_base=f'{server.url()}/v1', api_key='a-key', model_name='minilm', max_retries=0
    )
    expected = encoder.encode(texts)
    np.testing.assert_allclose(client.get_text_embedding_batch(texts), expected, atol=1e-5)
    np.testing.assert_allclose(client.get_query_embedding(texts[0]), expected[0], atol=1e-5)
    assert server.end() == 0


@pytest.fixture
def hub(monkeypatch):
    """The client's package, which the offline mode of the tests would keep from this machine."""
    package = pytest.importorskip('huggingface_hub', reason='needs huggingface_hub')
    constants = importlib.import_module('huggingface_hub.constants')
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', False)
    return package


@pytest.mark.weights
def test_inference_client_on_vectors(start, encoder, hub):
    server = start(f'minilm={REAL}')
    texts = ['A cat sleeps.', 'Shares fell.']
    for url in (server.url(), f'{server.url()}/models/minilm'):
        client = hub.InferenceClient(model=url)
        expected = encoder.encode(texts)
        np.testing.assert_allclose(client.feature_extraction(texts), expected, atol=1e-5)
        one = client.feature_extraction(texts[0], normalize=False, truncate=True)
        plain = encoder.encode(texts[:1], normalize=False)
        np.testing.assert_allclose(one, plain, atol=1e-5)
        near = client.sentence_similarity('a kitten', texts)
        np.testing.assert_allclose(near, encoder.similarity(['a kitten'], texts)[0], atol=1e-5)
    assert server.end() == 0


def test_inference_client_on_all_tasks(start, folders, key, hub):
    server = start(*folders.values(), '--api_key_file', key)

    def ask(name):
        return hub.InferenceClient(model=f'{server.url()}/models/{name}', token='a-key')

    for name in ('mood', 'topics'):
        shares = gb.load_pipeline(folders[name])(TEXT).probabilities
        rows = ask(name).text_classification(TEXT)
        assert {row.label: row.score for row in rows} == pytest.approx(shares, abs=1e-5)
        best = max(shares, key=shares.get)
        assert rows[0].label == best
        assert len(ask(name).text_classification(TEXT, top_k=1)) == 1
    entities = gb.load_pipeline(folders['names'])(CONTEXT)
    rows = ask('names').token_classification(CONTEXT, aggregation_strategy='simple')
    assert [(row.word, row.entity_group, row.start, row.end) for row in rows] == [
        row[:4] for row in entities
    ]
    assert [row.score for row in rows] == pytest.approx(
        [row.probability for row in entities], abs=1e-5
    )
    answer = gb.load_pipeline(folders['answers'])(TEXT, CONTEXT)
    row = ask('answers').question_answering(TEXT, CONTEXT)
    assert (row.answer, row.start, row.end) == (answer.text, answer.start, answer.end)
    assert row.score == pytest.approx(answer.probability, abs=1e-5)
    (words,) = gb.load_pipeline(folders['words'])('the [MASK] sleeps')
    rows = ask('words').fill_mask('the [MASK] sleeps', top_k=3)
    assert [row.token for row in rows] == [word.token_id for word in words[:3]]
    assert [row.token_str for row in rows] == [word.text for word in words[:3]]
    assert rows[0].sequence == f'the {words[0].text} sleeps'
    with pytest.raises(Exception, match='401'):
        hub.InferenceClient(model=server.url(), token='b-key').text_classification(TEXT)
    assert server.end() == 0
