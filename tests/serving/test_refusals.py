# ruff: noqa: F811 (fixtures are imported)
"""Requests that are wrong, too large, too many or hostile: the right status and one line."""

import collections
import json
import random
import threading
import zlib

import numpy as np
import pytest
from script_runs import WORDS, tiny_pipeline, tokenizer  # noqa: F401 (fixtures)
from served import REAL, folders, make_client  # noqa: F401 (fixtures)

from gluon_bert.serving.limits import MAX_CHARACTERS, MAX_MASKS, MAX_TOKENS
from gluon_bert.serving.models import PipelineRun
from gluon_bert.serving.protocols import ENDPOINTS

JSON = {'content-type': 'application/json'}
LONG = ' '.join(WORDS[5:] * 3)
DEEP = b'[' * 100_000 + b']' * 100_000


def message_of(answer):
    """The one-line message of an error, in whichever form it is."""
    body = answer.json()
    text = body.get('error', body.get('message'))
    text = text['message'] if isinstance(text, dict) else text
    assert text and '\n' not in text and 'Traceback' not in text and len(text) < 500
    return text


WRONG = [
    (b'', 'not JSON'),
    (b'{"inputs": "a"', 'not JSON'),
    (b'\xff\xfe{}', 'not UTF-8'),
    (b'{"inputs": "\xc3\x28"}', 'not UTF-8'),
    (b'{"inputs": NaN}', 'NaN is not a number'),
    (b'{"inputs": "a", "truncate": Infinity}', 'Infinity is not a number'),
    (b'{"inputs": "a", "inputs": "b"}', 'occurs twice'),
    (b'{"inputs": "\\ud800"}', 'half of a surrogate pair'),
    (b'{"inputs": ' + DEEP + b'}', 'nested too deeply'),
    (b'{"inputs": [' + b'1,' * 300_000 + b'1]}', 'more than 200000 values'),
    (b'{"inputs": ' + b'1' * 200 + b'}', 'a number of 200 digits'),
    (b'[]', 'body: expected a JSON object, got a list'),
    (b'"a"', 'body: expected a JSON object, got a string'),
    (b'null', 'body: expected a JSON object, got null'),
    (b'{}', 'inputs: is missing'),
    (b'{"inputs": null}', 'inputs: is missing'),
    (b'{"inputs": []}', 'inputs: expected one text or more, got none'),
    (b'{"inputs": 1e999}', 'inputs: expected a string or a list, got a number'),
    (b'{"inputs": {}}', 'inputs: expected a string or a list, got an object'),
    (b'{"inputs": ["a", 1]}', 'inputs[1]: expected a string, or a list of one or two strings'),
    (b'{"inputs": [["a", "b", "c"]]}', 'inputs[0]: expected a string, or a list of one or two'),
    (b'{"inputs": [[]]}', 'inputs[0]: expected a string, or a list of one or two strings'),
    (b'{"inputs": "a", "truncate": 1}', 'truncate: expected true or false, got a number'),
    (b'{"inputs": "a", "truncat": true}', "'truncat' is unknown; did you mean 'truncate'?"),
    (
        b'{"inputs": "a", "truncation_direction": "Left"}',
        "expected one of Right, right, got 'Left'",
    ),
]


@pytest.mark.parametrize('body, reason', WRONG, ids=[row[1][:30] for row in WRONG])
def test_a_wrong_body_is_named(make_client, body, reason):
    answer = make_client('mood').post('/predict', content=body, headers=JSON)
    assert answer.status_code == 422
    assert reason in message_of(answer) and answer.json()['error_type'] == 'Validation'


@pytest.mark.parametrize(
    'name, path, body, reason',
    [
        ('mood', '/', {'inputs': 'a', 'parameters': []}, 'parameters: expected a JSON object'),
        ('mood', '/', {'inputs': 'a', 'parameters': {'top_k': 0}}, 'parameters.top_k: expected a'),
        ('mood', '/', {'inputs': 'a', 'parameters': {'x': 0}}, "'parameters.x' is unknown"),
        (
            'mood',
            '/',
            {'inputs': 'a', 'parameters': {'function_to_apply': 'none'}},
            'the model has softmax',
        ),
        ('mood', '/predict', {'inputs': 'a', 'raw_scores': True}, 'the model gives probabilities'),
        ('rank', '/predict', {'inputs': 'a'}, 'inputs[0]: the network reads pairs of texts'),
        ('rank', '/rerank', {'query': 'a', 'texts': []}, 'texts: expected one text or more'),
        ('rank', '/rerank', {'query': ['a'], 'texts': ['b']}, 'query: expected a string'),
        (
            'rank',
            '/rerank',
            {'query': 'a', 'texts': ['b', LONG]},
            'texts[1] has 76 tokens, the model',
        ),
        (
            'rank',
            '/v1/rerank',
            {'query': 'a', 'documents': [{}]},
            'documents[0]: expected a string',
        ),
        ('answers', '/', {'inputs': 'a'}, 'inputs: expected a JSON object, got a string'),
        ('answers', '/', {'inputs': {'question': 'a'}}, 'inputs.context: is missing'),
        (
            'answers',
            '/',
            {'inputs': [{'question': 'a', 'context': 1}]},
            'inputs[0].context: expect',
        ),
        ('words', '/', {'inputs': 'the cat'}, 'inputs[0]: has no [MASK]'),
        ('words', '/', {'inputs': '[MASK]', 'parameters': {'top_k': 10**6}}, 'expected 1 to '),
        ('words', '/', {'inputs': f'[MASK] {LONG}'}, 'tokens, the model takes at most 38'),
        ('names', '/', {'inputs': 'a', 'parameters': {'aggregation_strategy': 'none'}}, 'one of'),
        ('names', '/', {'inputs': [['the', 'cat']]}, 'inputs[0]: expected a string, got a list'),
        ('mood', '/tokenize', {'inputs': [1]}, 'inputs[0]: expected a string, got a number'),
        ('mood', '/decode', {'ids': []}, 'ids: expected a list of token ids'),
        ('mood', '/decode', {'ids': [True]}, 'ids[0]: expected a token id, got a boolean'),
        ('mood', '/decode', {'ids': [[1], 'a']}, 'ids[1]: expected a list of token ids'),
        ('mood', '/decode', {'ids': [10**9]}, 'ids[0]'),
        ('mood', '/v2/models/mood/infer', {'inputs': []}, 'expected one tensor of texts'),
        (
            'mood',
            '/v2/models/mood/infer',
            {'inputs': [{'name': 'a'}]},
            'inputs[0].shape: is missing',
        ),
        (
            'mood',
            '/v2/models/mood/infer',
            {
                'inputs': [{'name': 'text', 'shape': [1], 'datatype': 'BYTES', 'data': ['a']}],
                'outputs': [{'name': 'label'}] * 50_001,
            },
            'outputs: expected each name once',
        ),
    ],
)
def test_a_wrong_field_is_named_in_the_form_of_its_protocol(make_client, name, path, body, reason):
    answer = make_client(name).post(path, json=body)
    assert answer.status_code == 422
    assert reason in message_of(answer)
    keys = {'/v1/rerank': {'message'}, '/v2/models/mood/infer': {'error'}}
    assert set(answer.json()) == keys.get(path, {'error', 'error_type'})


def test_a_question_that_is_too_long_is_refused_or_cut(make_client):
    client, body = make_client('answers'), {'inputs': {'question': LONG, 'context': 'the cat'}}
    answer = client.post('/', json=body)
    assert answer.status_code == 422
    assert '1 of 1 questions: more than the 8 tokens that the model reads' in message_of(answer)
    answer = client.post('/', json={**body, 'parameters': {'truncate': True}})
    assert answer.status_code == 200 and answer.headers['x-truncated'] == '1'


def test_a_word_that_is_longer_than_a_window_is_counted(make_client):
    answer = make_client('names').post('/', json={'inputs': 'the loud' + 'ly' * 30})
    assert answer.status_code == 200 and answer.headers['x-truncated'] == '1'


def test_paths_and_methods_that_are_not_there(make_client):
    client = make_client('mood')
    answer = client.post('/nothing', json={})
    assert answer.status_code == 404 and message_of(answer) == 'there is no POST /nothing'
    assert client.get('/v1/nothing').json()['error']['code'] == 'notfound'
    answer = client.get('/predict')
    assert answer.status_code == 405 and answer.headers['allow'] == 'POST'
    assert client.post('/predict/', json={}).status_code == 404


def test_bounds_of_a_request(make_client):
    client = make_client('mood', 'words', max_client_batch_size=3, payload_limit=1000)
    answer = client.post('/predict', json={'inputs': ['a'] * 4})
    assert answer.status_code == 413
    assert message_of(answer) == '4 texts in one request, at most 3 are allowed'
    assert client.post('/predict', json={'inputs': ['a'] * 3}).status_code == 200
    large = json.dumps({'inputs': 'a' * 1000}).encode()
    for content in (large, iter([large[:600], large[600:]]), iter([b' ' * 100] * 100_000)):
        answer = client.post('/predict', content=content, headers=JSON)
        assert answer.status_code == 413 and answer.headers['connection'] == 'close'
        assert message_of(answer) == 'the body has more than the 1000 bytes that are allowed'
    masks = {'inputs': ['[MASK] ' * 30] * 3}
    answer = client.post('/models/words', json=masks)
    assert answer.status_code == 413 and f'at most {MAX_MASKS}' in message_of(answer)


def test_answers_are_bounded(make_client):
    client = make_client('words')
    bomb = {'inputs': '[MASK]' + ' ' * 250_000, 'parameters': {'top_k': 20}}
    answer = client.post('/', json=bomb)
    assert answer.status_code == 413 and f'at most {MAX_CHARACTERS}' in message_of(answer)
    bomb['parameters']['top_k'] = 2
    assert client.post('/', json=bomb).status_code == 200
    answer = client.post('/tokenize', json={'inputs': 'sun ' * (MAX_TOKENS + 1)})
    assert answer.status_code == 413
    reason = f'the answer would have {MAX_TOKENS + 1} tokens, at most {MAX_TOKENS}'
    assert message_of(answer) == reason
    answer = client.post('/tokenize', json={'inputs': ['sun ' * 20_000] * 2})
    assert [len(row) for row in answer.json()] == [20_002] * 2


def test_texts_that_wait_for_tokens_are_bounded(make_client, monkeypatch):
    client = make_client('mood', payload_limit=1 << 24)
    service, text = client.app.state.service, 'sun ' * 1_500_000
    entered, gate, results = threading.Event(), threading.Event(), []

    def wait(items):
        entered.set()
        assert gate.wait(30)
        raise ValueError('read')

    monkeypatch.setattr(service.models['mood'].pipeline, 'prepare', wait)
    thread = threading.Thread(
        target=lambda: results.append(client.post('/predict', json={'inputs': text}))
    )
    thread.start()
    assert entered.wait(30)
    assert service.characters == len(text)
    refused = client.post('/predict', json={'inputs': text})
    assert (refused.status_code, refused.headers['retry-after']) == (429, '1')
    gate.set()
    thread.join(30)
    assert results[0].status_code == 422 and service.characters == 0


@pytest.mark.parametrize('coding', ['gzip', 'br', 'deflate, gzip', 'x' * 5000])
def test_compressed_bodies_are_refused(make_client, coding):
    bomb = zlib.compress(b' ' * 50_000_000, wbits=31)
    headers = {**JSON, 'content-encoding': coding}
    answer = make_client('mood').post('/predict', content=bomb, headers=headers)
    assert answer.status_code == 415 and answer.headers['accept-encoding'] == 'identity'
    assert message_of(answer).startswith('content-encoding: expected none or identity, got')
    assert answer.headers['connection'] == 'close'


def test_control_characters_are_texts(make_client):
    client = make_client('mood')
    for text in ('\0', 'the\0cat', '\x1b[31m', '\ufffe', '', ' ', '\u202ecat'):
        answer = client.post('/predict', json={'inputs': text})
        assert answer.status_code == 200 and len(answer.json()) == 3


def test_more_tokens_than_a_stop_leaves_time_for(make_client):
    client = make_client('answers', max_queue_tokens=200, max_batch_tokens=100)
    body = {'inputs': {'question': 'the cat', 'context': LONG * 20}}
    answer = client.post('/', json=body)
    assert answer.status_code == 413 and 'at most 200 are allowed' in message_of(answer)


class Held:
    """A network that waits, in place of that of a pipeline."""

    def __init__(self, monkeypatch):
        self.gate, self.entered = threading.Event(), threading.Event()
        compute = PipelineRun.__call__

        def wait(run, features, positions):
            self.entered.set()
            assert self.gate.wait(30)
            return compute(run, features, positions)

        monkeypatch.setattr(PipelineRun, '__call__', wait)


def in_background(client, results, count=1):
    def call():
        results.append(client.post('/predict', json={'inputs': 'the cat'}).status_code)

    threads = [threading.Thread(target=call) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


def wait_for(condition):
    for _ in range(3000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError('did not happen')


def test_a_full_queue_is_answered_with_429(make_client, monkeypatch):
    client = make_client('mood', max_queue_tokens=12)
    service, held, results = client.app.state.service, Held(monkeypatch), []
    threads = in_background(client, results)
    assert held.entered.wait(30)
    threads += in_background(client, results, 2)  # four tokens each, as what is computed
    wait_for(lambda: service.batcher.size == 2)
    answer = client.post('/predict', json={'inputs': 'the cat'})
    assert (answer.status_code, answer.headers['retry-after']) == (429, '1')
    assert answer.json() == {
        'error': 'the server is overloaded, try again later',
        'error_type': 'Overloaded',
    }
    held.gate.set()
    for thread in threads:
        thread.join(30)
    assert results == [200] * 3
    assert 'te_request_failure{err="Overloaded"} 1' in client.get('/metrics').text


def test_too_many_open_requests_are_answered_with_429(make_client, monkeypatch):
    client = make_client('mood', max_concurrent_requests=2)
    service, held, results = client.app.state.service, Held(monkeypatch), []
    threads = in_background(client, results, 2)
    wait_for(lambda: service.in_flight == 2)
    for path, key in (
        ('/v1/embeddings', 'error'),
        ('/predict', 'error'),
        ('/v1/rerank', 'message'),
    ):
        answer = client.post(path, json={})
        assert answer.status_code == 429 and key in answer.json()
        assert answer.headers['retry-after'] == '1'
    assert client.get('/health').status_code == 200
    held.gate.set()
    for thread in threads:
        thread.join(30)
    assert results == [200] * 2 and service.in_flight == 0


def test_a_fault_of_the_network_is_one_of_the_server(make_client, monkeypatch, caplog):
    client = make_client('mood')

    def fail(run, features, positions):
        raise ArithmeticError('the secret text of a user')

    monkeypatch.setattr(PipelineRun, '__call__', fail)
    answer = client.post('/predict', json={'inputs': 'the cat'})
    assert answer.status_code == 424
    assert answer.json() == {'error': 'inference failed', 'error_type': 'Backend'}
    fields = [record.fields for record in caplog.records if record.levelname == 'ERROR']
    assert fields[0]['error'] == 'ArithmeticError' and fields[0]['places']
    assert 'secret' not in str(fields)


def test_scores_that_are_no_numbers_are_not_written(make_client, monkeypatch):
    client = make_client('stars')
    monkeypatch.setattr(
        PipelineRun, '__call__', lambda run, features, _: [np.array([np.nan], 'float32')]
    )
    answer = client.post('/predict', json={'inputs': 'the cat'})
    assert (answer.status_code, answer.json()['error']) == (500, 'internal error')


VALUES = [
    *(None, True, 1, -1, 1e9, 'a', '', [], {}, [[]], [{}], ['a'], ['a', 'b'], [['a', 'b']]),
    *([1, 2], {'a': 1}, '[MASK]', 'x' * 2000, [None], 0, [0], [[101, 102]], [-1], [2**40]),
]
NAMES = [
    *('truncate', 'normalize', 'dimensions', 'top_k', 'parameters', 'model', 'prompt_name'),
    *('raw_scores', 'top_n', 'return_text', 'outputs', 'encoding_format'),
]
PARTS = [
    *(b'null', b'[]', b'{}', b'"', b'\\', b'1e9', b'-1', b'\xc3', b'\x00', b'true', b',', b':'),
    *(b'[[[[', b'1e999', b'\\u0000', b'\\ud800'),
]


def altered(value, draw):
    """A value for JSON with one of its parts changed, added or left out."""
    if isinstance(value, dict):
        value, key = dict(value), draw.choice(list(value) or ['x'])
        way = draw.random()
        if way < 0.2:
            value.pop(key, None)
        elif way < 0.4:
            value[draw.choice(NAMES)] = draw.choice(VALUES)
        else:
            value[key] = altered(value.get(key), draw)
        return value
    if isinstance(value, list) and value and draw.random() < 0.7:
        value, number = list(value), draw.randrange(len(value))
        value[number] = altered(value[number], draw)
        return value
    return draw.choice(VALUES)


def altered_bytes(body, draw):
    """A body with some of its bytes changed."""
    body = bytearray(body)
    for _ in range(draw.randint(0, 2)):
        start = draw.randrange(len(body) + 1)
        body[start : start + draw.randint(0, 6)] = draw.choice(PARTS)
    return bytes(body)


@pytest.mark.weights
@pytest.mark.parametrize('seed', range(4))
def test_altered_bodies_never_crash_the_server(make_client, folders, real_folder, caplog, seed):
    folders['vectors'] = REAL
    client, draw = make_client(), random.Random(seed)
    caplog.set_level('INFO')
    examples = [(row.path, row.example) for row in ENDPOINTS if row.example]
    question = {'question': 'the cat', 'context': 'a dog barks'}
    examples += [('/', {'inputs': question, 'parameters': {'top_k': 2}})]
    examples += [('/', {'inputs': 'the [MASK] sleeps', 'parameters': {'top_k': 2}})]
    names, statuses = list(folders), collections.Counter()
    for number in range(2500):
        path, example = draw.choice(examples)
        if draw.random() < 0.15:
            path, _ = draw.choice(examples)
        if path == '/':
            path = '/models/{name}'
        path = path.replace('{name}', draw.choice(names))
        for _ in range(draw.randint(0, 2)):
            example = altered(example, draw)
        body = json.dumps(example).encode()
        body = altered_bytes(body, draw) if number % 2 else body
        answer = client.post(path, content=body, headers=JSON)
        statuses[answer.status_code] += 1
        assert answer.status_code in (200, 404, 413, 422, 424), (path, body, answer.text)
        assert answer.status_code == 200 or message_of(answer)
    assert statuses[200] > 300 and statuses[422] > 300
    rows = [getattr(record, 'fields', {}) for record in caplog.records]
    assert sum('status' in row for row in rows) == 2500
    assert not any('places' in row for row in rows)  # of an error that was not foreseen
    log = caplog.text + str(rows)
    assert not [text for text in ('Traceback', 'xxxx', 'A cat', 'MASK') if text in log]
