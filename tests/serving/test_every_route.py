# ruff: noqa: F811 (fixtures are imported)
"""What holds on every route: nothing is cut silently, unknown names and fields are refused."""

import pytest
from script_runs import tiny_pipeline, tokenizer  # noqa: F401 (fixtures)
from served import folders, http_client  # noqa: F401 (fixtures)

import gluon_bert as gb
from gluon_bert.serving.models import Source, open_models
from gluon_bert.serving.protocols import ENDPOINTS

LONG = 'sun ' * 60
NAMES = ('vectors', 'mood', 'stars', 'rank', 'answers', 'names', 'masks', 'sparse')


@pytest.fixture
def client(folders, tmp_path):
    pytest.importorskip('starlette', reason='needs starlette')
    http_client()
    from starlette import testclient

    from gluon_bert.serving.app import make_app

    gb.SparseEncoder(folders['words']).save(tmp_path / 'sparse')
    paths = {'vectors': folders['words'], 'masks': folders['words'], **folders}
    paths['sparse'] = tmp_path / 'sparse'
    rows = [
        Source(name, str(paths[name]), 'feature-extraction' if name == 'vectors' else None)
        for name in NAMES
    ]
    with testclient.TestClient(make_app(open_models(rows)), raise_server_exceptions=False) as made:
        yield made


def tensor(name, text):
    return {'name': name, 'datatype': 'BYTES', 'shape': [1], 'data': [text]}


def in_task_form(text, **beside):
    return {'inputs': text, 'parameters': {'truncate': True}, **beside}


CUT = {
    '/embed': {'inputs': LONG, 'truncate': True},
    '/embed_all': {'inputs': ['a', LONG], 'truncate': True},
    '/similarity': {
        'inputs': {'source_sentence': 'a', 'sentences': [LONG]},
        'parameters': {'truncate': True},
    },
    '/v1/embeddings': {'input': LONG, 'truncate': True},
    '/embed_sparse': {'inputs': LONG, 'truncate': True},
    '/predict': {'inputs': LONG, 'truncate': True},
    '/models/rank/predict': {'inputs': [['a', LONG]], 'truncate': True},
    '/rerank': {'query': 'a', 'texts': [LONG], 'truncate': True},
    '/v1/rerank': {'query': 'a', 'documents': [{'text': LONG}], 'truncate': True},
    '/': in_task_form(LONG),
    '/invocations': in_task_form(LONG),
    '/models/mood': in_task_form(LONG),
    '/models/stars': in_task_form([LONG]),
    '/models/answers': in_task_form({'question': LONG, 'context': 'a'}),
    '/v2/models/vectors/infer': {'inputs': [tensor('text', LONG)]},
    '/v2/models/mood/infer': {'inputs': [tensor('text', LONG)]},
    '/v2/models/answers/infer': {'inputs': [tensor('question', LONG), tensor('context', 'a')]},
}


def test_a_text_that_is_too_long_is_refused_or_said_to_be_cut(client):
    for path, row in CUT.items():
        body = dict(row)
        if path.startswith('/v2'):
            body['parameters'] = {'truncate': True}
        cut = client.post(path, json=body)
        assert cut.status_code == 200 and cut.headers['x-truncated'] == '1', (path, cut.text)
        for key in ('truncate', 'parameters'):
            body.pop(key, None)
        refused = client.post(path, json=body)
        assert refused.status_code == 422 and 'tokens' in refused.text, path
        assert 'x-truncated' not in refused.headers
    # A mask might be what is cut.
    refused = client.post('/models/masks', json={'inputs': '[MASK] ' + LONG})
    assert refused.status_code == 422 and 'tokens' in refused.text


def test_an_unknown_model_is_named_with_the_nearest(client):
    paths = {row.path: row for row in client_rows() if '{name}' in row.path}
    assert len(paths) > 10
    for path, row in paths.items():
        body = dict(row.example) if row.example else {}
        answer = client.request(row.method, path.replace('{name}', 'moood'), json=body)
        assert answer.status_code == 404 and "did you mean 'mood'?" in answer.text, path
    for path, body in (
        ('/v1/embeddings', {'input': 'a'}),
        ('/v1/rerank', {'query': 'a', 'documents': ['a']}),
    ):
        answer = client.post(path, json={**body, 'model': 'vectros'})
        assert answer.status_code == 404 and "did you mean 'vectors'?" in answer.text
        assert client.post(path, json={**body, 'model': 7}).status_code == 422


def client_rows():
    from gluon_bert.serving.app import all_endpoints

    return all_endpoints(has_keys=False)


def test_unknown_fields_are_refused_by_name(client):
    rows = [row for row in client_rows() if row.method == 'POST']
    assert {row.path for row in ENDPOINTS if row.method == 'POST'} <= {row.path for row in rows}
    for row in rows:
        path = row.path.replace('{name}', 'mood')
        answer = client.post(path, json={**(row.example or {}), 'secret': 1})
        assert answer.status_code == 422 and "'secret' is unknown" in answer.text, path


REFUSED = (
    ('/embed', {'inputs': 'a', 'dimensions': 10_000}, 'dimensions: the vectors have'),
    ('/embed', {'inputs': 'a', 'dimensions': 0}, 'dimensions: expected a whole number'),
    ('/embed', {'inputs': 'a', 'dimensions': 1e3}, 'dimensions: expected a whole number'),
    ('/embed', {'inputs': 'a', 'prompt_name': 'x'}, 'x'),
    ('/v1/embeddings', {'input': 'a', 'dimensions': 10_000}, 'dimensions: the vectors have'),
    ('/v1/embeddings', {'input': 'a', 'encoding_format': 'hex'}, 'one of float, base64'),
    ('/models/vectors', {'inputs': 'a', 'dimensions': 10_000}, 'dimensions: the vectors'),
    ('/embed', {'inputs': [[10_000]]}, '10000 is no token id of the model'),
    ('/v1/embeddings', {'input': []}, 'input: expected one text or more, got none'),
    ('/v1/embeddings', {'input': [[2, -1, 3]]}, '-1 is no token id'),
    ('/embed_all', {'inputs': []}, 'inputs: expected one text or more, got none'),
    ('/similarity', {'inputs': {'source_sentence': 'a', 'sentences': []}}, 'got none'),
    ('/v1/rerank', {'query': 'a', 'documents': []}, 'got none'),
    ('/models/names', {'inputs': []}, 'got none'),
    ('/models/answers', {'inputs': []}, 'expected a JSON object'),
    ('/models/masks', {'inputs': []}, 'got none'),
    ('/tokenize', {'inputs': []}, 'got none'),
    ('/decode', {'ids': [[]] * 33}, 'at most 32'),
)


def test_what_no_model_can_answer_is_refused(client):
    for path, body, reason in REFUSED:
        answer = client.post(path, json=body)
        status = 413 if 'at most' in reason else 422
        assert answer.status_code == status and reason in answer.text, (path, body, answer.text)


def test_an_empty_text_is_a_text(client):
    for path, body in (
        ('/embed', {'inputs': ''}),
        ('/embed_all', {'inputs': ['']}),
        ('/v1/embeddings', {'input': ''}),
        ('/predict', {'inputs': ''}),
        ('/rerank', {'query': '', 'texts': ['']}),
        ('/models/names', {'inputs': ''}),
        ('/models/answers', {'inputs': {'question': '', 'context': ''}}),
        ('/tokenize', {'inputs': ''}),
        ('/v2/models/mood/infer', {'inputs': [tensor('text', '')]}),
    ):
        answer = client.post(path, json=body)
        assert answer.status_code == 200, (path, answer.text)
    answer = client.post('/v1/embeddings', json={'input': ['', 'the cat']}).json()
    assert answer['usage'] == {'prompt_tokens': 6, 'total_tokens': 6}
    empty = client.post('/embed', json={'inputs': [[]]})
    assert empty.json() == client.post('/embed', json={'inputs': ''}).json()
