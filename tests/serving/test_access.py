# ruff: noqa: F811 (fixtures are imported)
"""Keys, origins, request ids, the log and the counts."""

import json
import logging
import re

import pytest
from script_runs import tiny_pipeline, tokenizer  # noqa: F401 (fixtures)
from served import folders, make_client  # noqa: F401 (fixtures)

from gluon_bert.serving.limits import ServerLimits, read_api_keys
from gluon_bert.serving.logs import JsonFormatter
from gluon_bert.serving.metrics import Metrics
from gluon_bert.serving.metrics_values import REGION_BYTES, reset_gauges

KEYS = ('first-key', 'second-key')


def test_without_a_key_every_route_but_health_is_closed(make_client):
    client = make_client('mood', api_keys=KEYS)
    paths = (
        client.app.state.service
        and client.get('/openapi.json', headers={'authorization': 'Bearer first-key'}).json()[
            'paths'
        ]
    )
    opened = set()
    for path, rows in paths.items():
        for method in rows:
            url = path.replace('{name}', 'mood')
            answer = client.request(method, url, json={})
            if answer.status_code != 401:
                opened.add(path)
                continue
            assert answer.headers['www-authenticate'] == 'Bearer'
            security = rows[method]['security']
            assert security == [{'key': []}]
    assert opened == {'/health', '/ping', '/v2/health/live', '/v2/health/ready'}
    for path in ('/nothing', '/docs', '/health/', '//health', '/metrics', '/models/mood/health'):
        # With its host: alone, '//health' names a host and the path '/', which is the page.
        assert client.get(f'http://testserver{path}').status_code == 401, path
    assert client.get('/v1/models').json()['error']['type'] == 'authentication_error'
    assert set(client.post('/v1/rerank').json()) == {'message'}


@pytest.mark.parametrize(
    'value, status',
    [
        ('Bearer first-key', 200),
        ('bearer second-key', 200),
        ('Bearer  first-key', 200),
        ('Bearer first-ke', 401),
        ('Bearer first-keyy', 401),
        ('Bearer FIRST-KEY', 401),
        ('Bearer first-key, second-key', 401),
        ('Basic first-key', 401),
        ('first-key', 401),
        ('Bearer', 401),
        ('', 401),
        ('Bearer \xe9', 401),
    ],
)
def test_keys(make_client, value, status):
    client = make_client('mood', api_keys=KEYS)
    headers = {'authorization': value.encode('latin-1')}
    answer = client.post('/predict', json={'inputs': 'the cat'}, headers=headers)
    assert answer.status_code == status


def test_keys_are_read_from_a_file_or_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv('GLUON_BERT_API_KEY', raising=False)
    assert read_api_keys(None) == ()
    monkeypatch.setenv('GLUON_BERT_API_KEY', 'a\n')
    assert read_api_keys(None) == ('a',)
    path = tmp_path / 'keys.txt'
    path.write_text('b\n\n  c  \n')
    assert read_api_keys(str(path)) == ('b', 'c')
    for content, reason in (
        (b'\n', 'has no key'),
        (b'a\nb c\n', 'key 2'),
        (b'\xff', 'key 1'),
        (b'key\n' * 20_000, 'has more than 65536 bytes'),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f'{re.escape(str(path))}: {reason}'):
            read_api_keys(str(path))
    with pytest.raises(FileNotFoundError):
        read_api_keys(str(tmp_path / 'missing'))
    monkeypatch.setenv('GLUON_BERT_API_KEY', ' ')
    with pytest.raises(ValueError, match='GLUON_BERT_API_KEY: has no key'):
        read_api_keys(None)


def test_pages_of_other_origins_may_not_call_unless_they_are_named(make_client):
    origin = {'origin': 'https://example.org'}
    ask = {**origin, 'access-control-request-method': 'POST'}
    closed = make_client('mood')
    assert 'access-control-allow-origin' not in closed.get('/info', headers=origin).headers
    assert closed.options('/predict', headers=ask).status_code == 405
    client = make_client('mood', cors_origins=('https://example.org',), api_keys=KEYS)
    assert client.options('/predict', headers=ask).status_code == 200
    answer = client.get('/info', headers=origin)  # a page may read why it is refused
    assert answer.status_code == 401
    assert answer.headers['access-control-allow-origin'] == 'https://example.org'
    other = client.get('/info', headers={'origin': 'https://example.com'})
    assert 'access-control-allow-origin' not in other.headers


def test_an_application_below_a_path(make_client):
    from starlette import testclient

    client = testclient.TestClient(make_client('mood', api_keys=KEYS).app, root_path='/texts')
    assert client.get('/texts/health').status_code == 200
    assert client.get('/texts/info').status_code == 401
    refused = client.post('/texts/v1/embeddings', json={'input': 'a'})
    assert refused.status_code == 401 and refused.json()['error']['type'] == 'authentication_error'
    headers = {'authorization': f'Bearer {KEYS[0]}'}
    assert client.post('/texts/predict', json={'inputs': 'a'}, headers=headers).status_code == 200
    missing = client.post('/texts/v1/embedding', json={'input': 'a'}, headers=headers)
    assert missing.status_code == 404 and 'message' in missing.json()['error']


def test_health_is_that_of_the_computing_thread(make_client):
    client = make_client('mood')
    paths = '/health', '/ping', '/v2/health/ready'
    assert [client.get(path).status_code for path in paths] == [200] * 3
    client.app.state.service.batcher.close(10)
    assert [client.get(path).status_code for path in paths] == [503] * 3
    assert client.get('/v2/health/live').status_code == 200


def test_requests_have_ids(make_client):
    client = make_client('mood')
    for given in ('abc-1', 'A' * 64):
        assert client.get('/info', headers={'x-request-id': given}).headers['x-request-id'] == given
    for given in ('', 'a b', 'A' * 65, '{"a": 1}'):
        made = client.get('/info', headers={'x-request-id': given}).headers['x-request-id']
        assert re.fullmatch('[0-9a-f]{32}', made)


def test_the_log_has_a_line_for_each_request_and_no_texts(make_client, caplog):
    client = make_client('mood')
    caplog.set_level(logging.INFO)
    client.post('/predict', json={'inputs': 'the cat'}, headers={'x-request-id': 'a1'})
    client.post('/models/mood/predict', json={'inputs': 'barks ' * 50, 'truncate': True})
    client.post('/predict', json={'barks': 'the cat'})
    client.get('/barks')
    client.get('/health')
    ours = [record for record in caplog.records if record.name.startswith('gluon_bert')]
    lines = [JsonFormatter().format(record) for record in ours]
    rows = [json.loads(line) for line in lines if '"request"' in line]
    assert [(row['route'], row['status']) for row in rows] == [
        ('/predict', 200),
        ('/models/{name}/predict', 200),
        ('/predict', 422),
        ('none', 404),
    ]
    first = rows[0]
    assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z', first.pop('time'))
    assert first.pop('ms') > 0
    assert first == {
        'level': 'info',
        'event': 'request',
        'id': 'a1',
        'method': 'POST',
        'route': '/predict',
        'status': 200,
        'model': 'mood',
        'tokens': 4,
    }
    assert rows[1]['truncated'] == 1 and rows[2]['error'] == 'Validation'
    assert not any('the cat' in line or 'barks' in line for line in lines)


def test_counts_of_the_server(make_client):
    client = make_client('mood')
    client.post('/predict', json={'inputs': ['the cat', 'a dog barks']})
    client.post('/predict', json={'inputs': 'sun ' * 50, 'truncate': True})
    client.post('/predict', json={})
    text = client.get('/metrics').text
    for line in (
        'te_request_count{method="/predict"} 3',
        'te_request_success{method="/predict"} 2',
        'te_request_failure{err="Validation"} 1',
        'te_request_duration_count 3',
        'te_request_queue_duration_count 2',
        'te_request_inference_duration_count 2',
        'te_request_tokenization_duration_count 2',
        'te_queue_size 0',
        'te_truncated_count 1',
        'te_batch_next_size_sum 3',
        'te_batch_next_tokens_sum 25',
        'te_tokens_count 25',
        'te_request_input_length_bucket{le="4"} 1',
        'te_request_input_length_count 3',
    ):
        assert f'\n{line}\n' in text, line
    assert client.get('/metrics').headers['content-type'].startswith('text/plain; version=0.0.4')


def test_counts_of_processes_are_summed_and_outlive_them():
    regions = [bytearray(REGION_BYTES) for _ in range(2)]
    first, second = (Metrics(regions, own) for own in range(2))
    first.watch('te_queue_size', '', lambda: 3)
    second.watch('te_queue_size', '', lambda: 4)
    second.publish()
    first.requests.add(label='/a')
    second.requests.add(2, label='/a')
    second.requests.add(label='/b')
    second.duration.add(0.03)
    lines = (
        'te_request_count{method="/a"} 3',
        'te_request_count{method="/b"} 1',
        'te_request_duration_bucket{le="0.05"} 1',
        'te_request_duration_count 1',
    )
    for text in (first.text(), second.text()):
        assert not set(lines) - set(text.splitlines())
        assert '\nte_queue_size 7\n' in text
    reset_gauges(regions[1])
    assert '\nte_queue_size 3\n' in first.text()
    third = Metrics(regions, 1)
    third.requests.add(label='/b')
    assert 'te_request_count{method="/b"} 2' in first.text().splitlines()
    names = [f'te_{number}' for number in range(5000)]
    with pytest.raises(RuntimeError, match='more than 4096 metrics'):
        for name in names:
            third.watch(name, '', int)


def test_metrics_are_in_the_format_of_prometheus():
    parser = pytest.importorskip('prometheus_client.parser', reason='needs prometheus_client')
    metrics = Metrics()
    metrics.requests.add(label='a"\\\nb')
    metrics.batch(3, 40, 0.02)
    families = {row.name: row for row in parser.text_string_to_metric_families(metrics.text())}
    (sample,) = families['te_request_count'].samples
    assert sample.labels == {'method': 'a"\\\nb'} and sample.value == 1
    assert families['te_batch_next_tokens'].type == 'histogram'


@pytest.mark.parametrize(
    'change', [{'max_batch_tokens': 0}, {'payload_limit': -1}, {'stop_seconds': 0.0}]
)
def test_bounds_are_checked(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        ServerLimits(**change)
