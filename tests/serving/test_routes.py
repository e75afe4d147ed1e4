# ruff: noqa: F811 (fixtures are imported)
"""Routes of all protocols: their answers are those of the library."""

import base64
import json
import subprocess
import sys

import numpy as np
import pytest
from script_runs import WORDS, tiny_pipeline, tokenizer  # noqa: F401 (fixtures)
from served import REAL, TASKS, array, close, folders, make_client  # noqa: F401 (fixtures)

import gluon_bert as gb
from gluon_bert.serving.models import Source, open_models

TEXTS = ['the cat sleeps', 'a dog barks loudly !', 'sun']
LONG = ' '.join(WORDS[5:] * 3)
CONTEXT = 'the cat sleeps here . a dog barks out loud , without the moon'


@pytest.fixture(scope='module')
def encoder():
    try:
        return gb.SentenceEncoder('all_minilm_l6_v2')
    except FileNotFoundError as error:
        pytest.skip(f'needs real weights: {error}')


@pytest.fixture
def real(encoder, folders, make_client):
    folders['minilm'] = REAL
    return make_client('minilm')


@pytest.mark.weights
def test_vectors_are_those_of_the_encoder(real, encoder):
    texts = ['A cat sleeps.', 'Shares fell.', '']
    expected = encoder.encode(texts)
    for path in ('/embed', '/models/minilm/embed', '/', '/models/minilm', '/invocations'):
        np.testing.assert_allclose(
            array(real.post(path, json={'inputs': texts})), expected, atol=1e-5
        )
        one = array(real.post(path, json={'inputs': texts[0]}))
        np.testing.assert_allclose(one, expected[:1], atol=1e-5)
    plain = real.post('/embed', json={'inputs': texts, 'normalize': False})
    np.testing.assert_allclose(array(plain), encoder.encode(texts, normalize=False), atol=1e-5)
    short = array(real.post('/embed', json={'inputs': texts, 'dimensions': 20}))
    cut = expected[:, :20] / np.linalg.norm(expected[:, :20], axis=1, keepdims=True)
    np.testing.assert_allclose(short, cut, atol=1e-5)


@pytest.mark.weights
@pytest.mark.parametrize('form', ['float', 'base64', None])
def test_vectors_for_openai(real, encoder, form):
    texts = ['A cat sleeps.', 'Shares fell.']
    ids = encoder.steps.tokenizer.encode_ids(texts)
    marked = [[101, *row, 102] for row in ids]
    expected = encoder.encode(texts)
    for given in (texts, marked, texts[0], marked[0]):
        body = {'input': given, **({'encoding_format': form} if form else {})}
        answer = real.post('/v1/embeddings', json=body).json()
        rows = answer['data']
        if form == 'base64':
            vectors = [np.frombuffer(base64.b64decode(row['embedding']), '<f4') for row in rows]
        else:
            vectors = [row['embedding'] for row in rows]
        np.testing.assert_allclose(vectors, expected[: len(rows)], atol=1e-5)
        assert [row['index'] for row in rows] == list(range(len(rows)))
        tokens = sum(len(row) + 2 for row in ids[: len(rows)])
        assert answer['usage'] == {'prompt_tokens': tokens, 'total_tokens': tokens}
        assert (answer['object'], answer['model']) == ('list', 'minilm')
    assert len(rows) == 1
    for given in (ids, ids[0], [*marked[:1], marked[1][:-1]], [marked[0], [101]]):
        refused = real.post('/v1/embeddings', json={'input': given})
        assert refused.status_code == 422
        message = refused.json()['error']['message']
        assert 'from [CLS] (101) to [SEP] (102)' in message
        assert 'check_embedding_ctx_length=False' in message
        assert message.startswith(f'input[{int(given not in (ids, ids[0]))}]: ')


@pytest.mark.weights
def test_similarities_and_encodings_of_tokens(real, encoder):
    source, others = 'a kitten', ['A cat sleeps.', 'Shares fell.']
    expected = encoder.similarity([source], others)[0]
    body = {'inputs': {'source_sentence': source, 'sentences': others}}
    for path in ('/similarity', '/', '/invocations'):
        np.testing.assert_allclose(array(real.post(path, json=body)), expected, atol=1e-5)
    rows = real.post('/embed_all', json={'inputs': others}).json()
    tokens = encoder.steps.tokenizer.encode_ids(others)
    assert [np.shape(row) for row in rows] == [(len(ids) + 2, 384) for ids in tokens]
    means = np.stack([np.mean(row, axis=0) for row in rows])
    np.testing.assert_allclose(means, encoder.encode(others, normalize=False), atol=1e-5)


@pytest.mark.weights
def test_tokens_and_texts(real, encoder):
    (row,) = real.post('/tokenize', json={'inputs': 'A UNaffable'}).json()
    assert [(token['id'], token['text'], token['special']) for token in row] == [
        (101, '[CLS]', True),
        (1037, 'a', False),
        (14477, 'una', False),
        (20961, '##ffa', False),
        (3468, '##ble', False),
        (102, '[SEP]', True),
    ]
    assert [(token['start'], token['stop']) for token in row[1:-1]] == [
        (0, 1),
        (2, 5),
        (5, 8),
        (8, 11),
    ]
    ids = [token['id'] for token in row]
    assert real.post('/decode', json={'ids': ids}).json() == ['a unaffable']
    many = {'ids': [ids, ids[:2]], 'skip_special_tokens': False}
    assert real.post('/decode', json=many).json() == ['[CLS] a unaffable [SEP]', '[CLS] a']
    bare = real.post('/tokenize', json={'inputs': ['A'], 'add_special_tokens': False}).json()
    assert [[token['id'] for token in row] for row in bare] == [[1037]]


@pytest.mark.weights
def test_a_text_that_is_too_long_is_refused_or_counted(real, encoder):
    text, ids = 'word ' * 400, [2773] * 400
    for path, key in (('/embed', 'inputs'), ('/v1/embeddings', 'input'), ('/embed_all', 'inputs')):
        refused = real.post(path, json={key: ['a', text]})
        assert refused.status_code == 422 and 'x-truncated' not in refused.headers
        assert f'{key}[1] has 402 tokens, the model reads 256' in refused.text
        cut = real.post(path, json={key: ['a', text], 'truncate': True})
        assert cut.status_code == 200 and cut.headers['x-truncated'] == '1'
    with pytest.warns(UserWarning, match='were cut'):
        expected = encoder.encode([text])
    cut = real.post('/embed', json={'inputs': [ids], 'truncate': True})
    np.testing.assert_allclose(array(cut), expected, atol=1e-5)
    assert 'x-truncated' not in real.post('/embed', json={'inputs': 'a', 'truncate': True}).headers


def labels_of(result):
    shares = sorted(result.probabilities.items(), key=lambda pair: -pair[1])
    return [{'label': label, 'score': share} for label, share in shares]


@pytest.mark.parametrize('name', ['mood', 'topics'])
def test_labels_are_those_of_the_pipeline(make_client, folders, name):
    client, pipeline = make_client(name), gb.load_pipeline(folders[name])
    expected = [labels_of(result) for result in pipeline(TEXTS)]
    pair = labels_of(pipeline(('the cat', 'the sun')))
    close(client.post('/predict', json={'inputs': TEXTS}).json(), expected)
    close(client.post('/predict', json={'inputs': TEXTS[0]}).json(), expected[0])
    close(client.post('/predict', json={'inputs': [['the cat', 'the sun']]}).json(), [pair])
    close(client.post('/predict', json={'inputs': [[TEXTS[1]]]}).json(), [expected[1]])
    # Two texts are two texts for a model that does not say that it reads pairs.
    close(client.post('/predict', json={'inputs': TEXTS[:2]}).json(), expected[:2])
    close(client.post('/', json={'inputs': TEXTS[0]}).json(), expected[:1])
    body = {'inputs': TEXTS, 'parameters': {'top_k': 2}}
    close(client.post('/invocations', json=body).json(), [row[:2] for row in expected])


def test_scores_are_those_of_the_pipeline(make_client, folders):
    client, pipeline = make_client('stars'), gb.load_pipeline(folders['stars'])
    expected = [[{'label': 'LABEL_0', 'score': row.value}] for row in pipeline(TEXTS)]
    close(client.post('/predict', json={'inputs': TEXTS}).json(), expected)


def test_texts_are_ranked_by_a_model_of_pairs(make_client, folders):
    client, pipeline = make_client('rank'), gb.load_pipeline(folders['rank'])
    values = [row.value for row in pipeline([('the cat', text) for text in TEXTS])]
    order = sorted(range(3), key=lambda number: -values[number])
    body = {'query': 'the cat', 'texts': TEXTS, 'raw_scores': True, 'return_text': True}
    raw = [{'index': i, 'score': values[i], 'text': TEXTS[i]} for i in order]
    close(client.post('/rerank', json=body).json(), raw)
    shares = [1 / (1 + np.exp(-values[i])) for i in order]
    answer = client.post('/rerank', json={'query': 'the cat', 'texts': TEXTS}).json()
    close(answer, [{'index': i, 'score': share} for i, share in zip(order, map(float, shares))])
    body = {'query': 'the cat', 'documents': [TEXTS[0], {'text': TEXTS[1]}, TEXTS[2]], 'top_n': 2}
    answer = client.post('/v1/rerank', json={**body, 'return_documents': True}).json()
    close(
        answer['results'],
        [
            {'index': i, 'relevance_score': float(share), 'document': {'text': TEXTS[i]}}
            for i, share in zip(order[:2], shares)
        ],
    )
    pair = [{'label': 'LABEL_0', 'score': values[0]}]
    close(client.post('/predict', json={'inputs': ['the cat', TEXTS[0]]}).json(), pair)


def test_a_cross_encoder_ranks_as_its_class_does(make_client, folders, tiny_pipeline, tmp_path):
    tiny_pipeline('text-ranking', folder=tmp_path / 'cross', activation='identity')
    folders['cross'] = tmp_path / 'cross'
    client, model = make_client('cross'), gb.CrossEncoder(folders['cross'])
    ranked = model.rank('the cat', TEXTS)
    body = {'query': 'the cat', 'texts': TEXTS, 'raw_scores': True}
    raw = [{'index': row['corpus_id'], 'score': row['score']} for row in ranked]
    close(client.post('/rerank', json=body).json(), raw)
    shares = model.rank('the cat', TEXTS, activation='sigmoid')
    answer = client.post('/v1/rerank', json={'query': 'the cat', 'documents': TEXTS}).json()
    close(
        answer['results'],
        [{'index': row['corpus_id'], 'relevance_score': row['score']} for row in shares],
    )
    value = float(model.predict(('the cat', TEXTS[0])))
    pair = [{'label': 'LABEL_0', 'score': value}]
    close(client.post('/predict', json={'inputs': ['the cat', TEXTS[0]]}).json(), pair)
    body = {'inputs': [['the cat', TEXTS[0]]], 'parameters': {'function_to_apply': 'none'}}
    close(client.post('/models/cross', json=body).json(), [pair])
    tensor = {'shape': [1], 'datatype': 'BYTES'}
    inputs = [
        {'name': 'query', 'data': ['the cat'], **tensor},
        {'name': 'document', 'data': [TEXTS[0]], **tensor},
    ]
    outputs = client.post('/v2/models/cross/infer', json={'inputs': inputs}).json()['outputs']
    close([row['data'] for row in outputs], [[value], [value]])
    assert 'reranker' in client.get('/info').json()['model_type']


def test_sparse_vectors_are_those_of_the_encoder(make_client, folders, tmp_path):
    gb.SparseEncoder(folders['words']).save(tmp_path / 'sparse')
    folders['sparse'] = tmp_path / 'sparse'
    client, encoder = make_client('sparse'), gb.SparseEncoder(folders['sparse'])
    expected = encoder.encode(TEXTS).toarray()
    rows = [
        [{'index': i, 'value': float(row[i])} for i in np.flatnonzero(row).tolist()]
        for row in expected
    ]
    close(client.post('/embed_sparse', json={'inputs': TEXTS}).json(), rows)
    close(client.post('/embed_sparse', json={'inputs': TEXTS[0]}).json(), rows[:1])
    close(client.post('/models/sparse', json={'inputs': TEXTS[0]}).json(), rows[:1])
    assert client.post('/embed_sparse', json={'inputs': LONG}).status_code == 422
    assert client.get('/info').json()['model_type'] == {'embedding': {'pooling': 'splade'}}
    refused = make_client('words').post('/embed_sparse', json={'inputs': TEXTS})
    assert refused.status_code == 424 and 'needs a model for sparse-embedding' in refused.text


def test_entities_are_those_of_the_pipeline(make_client, folders):
    client, pipeline = make_client('names'), gb.load_pipeline(folders['names'])
    texts = [*TEXTS, LONG]  # read in windows, never cut
    expected = [
        [
            {
                'entity_group': row.type,
                'score': row.probability,
                'word': row.text,
                'start': row.start,
                'end': row.end,
            }
            for row in rows
        ]
        for rows in pipeline(texts)
    ]
    assert any(expected)
    answer = client.post('/', json={'inputs': texts})
    close(answer.json(), expected)
    assert 'x-truncated' not in answer.headers
    body = {'inputs': LONG, 'parameters': {'ignore_labels': ['x']}}
    kept = [row for row in expected[-1] if row['entity_group'] != 'x']
    close(client.post('/models/names', json=body).json(), kept)


def test_answers_are_those_of_the_pipeline(make_client, folders):
    client, pipeline = make_client('answers'), gb.load_pipeline(folders['answers'])
    questions = [{'question': text, 'context': CONTEXT} for text in TEXTS]
    results = pipeline(TEXTS, CONTEXT)
    expected = [
        {'answer': row.text, 'score': row.probability, 'start': row.start, 'end': row.end}
        for row in results
    ]
    close(client.post('/', json={'inputs': questions}).json(), expected)
    close(client.post('/', json={'inputs': questions[0]}).json(), expected[0])
    body = {'inputs': questions[0], 'parameters': {'top_k': 3}}
    best = client.post('/', json=body).json()
    assert [row['answer'] for row in best] == [row.text for row in results[0].candidates[:3]]
    close(best[0], expected[0])
    assert all(CONTEXT[row['start'] : row['end']] == row['answer'] for row in best)


def test_words_for_masks_are_those_of_the_pipeline(make_client, folders):
    client, pipeline = make_client('words'), gb.load_pipeline(folders['words'])
    (words,) = pipeline('the [MASK] sleeps')
    expected = [
        {
            'score': word.probability,
            'token': word.token_id,
            'token_str': word.text,
            'sequence': f'the {word.text} sleeps',
        }
        for word in words
    ]
    close(client.post('/', json={'inputs': 'the [MASK] sleeps'}).json(), expected)
    body = {'inputs': ['the [MASK] sleeps'], 'parameters': {'top_k': 7}}
    (more,) = client.post('/', json=body).json()
    close(more[:5], expected)
    assert len(more) == 7
    first, second = client.post('/', json={'inputs': 'a [MASK] [MASK] !'}).json()
    assert first[0]['sequence'] == f'a {first[0]["token_str"]} [MASK] !'
    assert second[0]['sequence'] == f'a [MASK] {second[0]["token_str"]} !'
    refused = client.post('/', json={'inputs': ['a [MASK]', 'the cat']})
    assert refused.status_code == 422 and 'inputs[1]: has no [MASK]' in refused.text


def tensor(*texts, name='text'):
    return {'name': name, 'datatype': 'BYTES', 'shape': [len(texts)], 'data': list(texts)}


def test_tensors_of_kserve(make_client, folders):
    client = make_client()
    mood = gb.load_pipeline(folders['mood'])(TEXTS)
    answer = client.post('/v2/models/mood/infer', json={'id': '7', 'inputs': [tensor(*TEXTS)]})
    label, shares = answer.json()['outputs']
    assert answer.json()['id'] == '7'
    assert label['data'] == [row.label for row in mood] and label['shape'] == [3]
    close(shares['data'], [share for row in mood for share in row.probabilities.values()])
    assert (shares['datatype'], shares['shape']) == ('FP32', [3, 3])
    body = {'inputs': [tensor(CONTEXT, name='context'), tensor('the cat', name='question')]}
    body['outputs'] = [{'name': 'result'}]
    (result,) = client.post('/v2/models/answers/infer', json=body).json()['outputs']
    pipeline = gb.load_pipeline(folders['answers'])
    close(json.loads(result['data'][0]), pipeline.as_json(pipeline('the cat', CONTEXT)))
    (value,) = client.post('/v2/models/stars/infer', json={'inputs': [tensor(*TEXTS)]}).json()[
        'outputs'
    ]
    close(value['data'], [row.value for row in gb.load_pipeline(folders['stars'])(TEXTS)])
    for name in folders:
        described = client.get(f'/v2/models/{name}').json()
        keys = [row['name'] for row in described['inputs']]
        keys = keys if name in ('answers', 'rank') else keys[:1]
        given = [tensor(text, name=key) for text, key in zip(('the [MASK]', 'the cat'), keys)]
        answer = client.post(f'/v2/models/{name}/infer', json={'inputs': given}).json()
        assert [row['name'] for row in answer['outputs']] == [
            row['name'] for row in described['outputs']
        ]
        assert len(answer['outputs'][0]['shape']) == len(described['outputs'][0]['shape'])
        assert client.get(f'/v2/models/{name}/ready').json() == {'ready': True}
    for given, reason in (
        ([tensor('a', name='texts')], "tensor 'texts' is unknown; did you mean 'text'?"),
        ([tensor('a'), tensor('b')], "expected one tensor 'text', and each name once"),
        ([tensor('a', name='pair')], "expected one tensor 'text', and each name once"),
        ([tensor('a'), tensor('b', 'c', name='pair')], 'the two tensors have different sizes'),
    ):
        refused = client.post('/v2/models/mood/infer', json={'inputs': given})
        assert refused.status_code == 422 and reason in refused.json()['error']
    wrong = {'inputs': [{**tensor('a'), 'shape': [2]}]}
    refused = client.post('/v2/models/mood/infer', json=wrong)
    assert refused.status_code == 422 and refused.json() == {
        'error': 'inputs[0].shape: does not fit 1 texts'
    }


def test_a_request_chooses_its_model(make_client, folders):
    client = make_client('stars', 'mood', 'topics')
    mood = labels_of(gb.load_pipeline(folders['mood'])(TEXTS[0]))
    assert client.post('/predict', json={'inputs': 'sun'}).json()[0]['label'] == 'LABEL_0'
    close(client.post('/models/mood/predict', json={'inputs': TEXTS[0]}).json(), mood)
    close(client.post('/models/mood', json={'inputs': TEXTS[0]}).json(), [mood])
    names = [row['id'] for row in client.get('/v1/models').json()['data']]
    assert names == ['stars', 'mood', 'topics']
    assert client.get('/models/mood/info').json()['model_id'] == 'mood'
    missing = client.post('/models/moood/predict', json={'inputs': 'sun'})
    assert missing.status_code == 404 and "did you mean 'mood'?" in missing.text
    missing = client.post('/v1/embeddings', json={'input': 'sun', 'model': 'x'})
    assert missing.status_code == 404 and missing.json()['error']['type'] == 'invalid_request_error'


@pytest.mark.parametrize(
    'name, path, body',
    [
        ('mood', '/embed', {'inputs': 'sun'}),
        ('mood', '/similarity', {'inputs': {'source_sentence': 'a', 'sentences': ['b']}}),
        ('mood', '/v1/embeddings', {'input': 'sun'}),
        ('mood', '/rerank', {'query': 'a', 'texts': ['b']}),
        ('mood', '/models/mood/rerank', {'query': 'a', 'texts': ['b']}),
        ('names', '/predict', {'inputs': 'sun'}),
        ('names', '/models/names/embed_all', {'inputs': 'sun'}),
        ('answers', '/v1/rerank', {'query': 'a', 'documents': ['b']}),
    ],
)
def test_a_model_does_not_answer_for_another_task(make_client, name, path, body):
    refused = make_client(name).post(path, json=body)
    assert refused.status_code == 424
    assert f'{TASKS[name]}' in refused.text and '\n' not in refused.text


def test_texts_of_a_classifier_are_cut_or_refused(make_client, folders):
    client, pipeline = make_client('mood'), gb.load_pipeline(folders['mood'])
    inputs = ['sun', LONG]
    for path in ('/predict', '/'):
        refused = client.post(path, json={'inputs': inputs})
        assert refused.status_code == 422
        assert 'inputs[1] has 74 tokens, the model reads 16' in refused.text
    cut = client.post('/predict', json={'inputs': inputs, 'truncate': True})
    assert cut.headers['x-truncated'] == '1'
    close(cut.json(), [labels_of(row) for row in pipeline(inputs)])
    assert (
        make_client('mood', auto_truncate=True)
        .post('/', json={'inputs': LONG})
        .headers['x-truncated']
    )


def test_what_the_server_is(make_client, folders):
    client = make_client()
    info = client.get('/info').json()
    assert info['model_id'] == 'mood' and info['max_input_length'] == 16
    assert {row['name']: row['task'] for row in info['models']} == {
        **TASKS,
        'rank': 'text-regression',
        'words': 'fill-mask',
    }
    assert info['model_type']['classifier']['id2label'] == {'0': 'low', '1': 'mid', '2': 'high'}
    assert 'reranker' in client.get('/models/rank/info').json()['model_type']
    description = client.get('/openapi.json').json()
    for path, rows in description['paths'].items():
        for method in rows:
            url = path.replace('{name}', 'mood')
            assert client.request(method, url, json={}).status_code not in (404, 405), path
    assert {'/embed', '/v1/rerank', '/v2/models/{name}/infer', '/'} <= set(description['paths'])


def test_opening_and_running_imports_no_mxnet(folders):
    program = """
import sys
import numpy as np
from gluon_bert.serving import app, server, workers
from gluon_bert.serving.models import Source, open_models
models = open_models([Source(str(i), path) for i, path in enumerate(sys.argv[1:])])
assert all(model.tokens_per_second > 0 for model in models)
heavy = 'mxnet', 'gluonnlp', 'sklearn', 'torch', 'starlette'
print([name for name in heavy if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, '-c', program, *map(str, folders.values())], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == '[]'


def test_two_models_of_one_name_are_refused(folders):
    sources = [Source('a', str(folders['mood'])), Source('a', str(folders['stars']))]
    with pytest.raises(ValueError, match='a: is the name of two models; write NAME=MODEL'):
        open_models(sources)


def test_a_task_is_chosen_for_pretrained_models(folders):
    def tasks(task, *names):
        sources = [Source(name, str(folders[name]), task) for name in names]
        return [model.task for model in open_models(sources)]

    assert tasks('next-sentence', 'words', 'mood') == ['next-sentence', 'text-classification']
    assert tasks('feature-extraction', 'words') == ['feature-extraction']
    assert tasks(None, 'words') == ['fill-mask']
    with pytest.raises(ValueError, match="task='fill-mask': none of the models is for it"):
        tasks('fill-mask', 'mood', 'stars')


def test_whether_a_text_follows_another(make_client, folders):
    pipeline = gb.load_pipeline(folders['words'], task='next-sentence')
    share = pipeline(('the cat sleeps', 'a dog barks')).probability
    (model,) = open_models([Source('next', str(folders['words']), 'next-sentence')])
    client = make_client('mood')
    client.app.state.service.models.replace(model)
    answer = client.post('/models/next/predict', json={'inputs': ['the cat sleeps', 'a dog barks']})
    scores = {row['label']: row['score'] for row in answer.json()}
    assert scores == pytest.approx({'follows': share, 'random': 1 - share}, abs=1e-5)
