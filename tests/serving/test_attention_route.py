# ruff: noqa: F811 (fixtures are imported)
"""Attention over HTTP: the library's numbers, bounds, refusals, and its place in the queue."""

import base64
import threading

import numpy as np
import pytest
from script_runs import tiny_pipeline, tokenizer  # noqa: F401 (fixtures)
from served import folders, make_client  # noqa: F401 (fixtures)
from test_refusals import Held, in_background, wait_for

import gluon_bert as gb
from gluon_bert.serving import attention as serving_attention
from gluon_bert.serving import service as service_module
from gluon_bert.serving.attention import AttentionRun

TEXT, PAIR = 'the cat sleeps here', ['the cat', 'a dog barks']
LONG = 'the cat sleeps here . ' * 30


def probabilities(answer):
    assert answer.status_code == 200, answer.text
    content = answer.json()
    values = content['attention']
    if isinstance(values, str):
        values = np.frombuffer(base64.b64decode(values), '<f4').reshape(content['shape'])
    assert np.shape(values) == tuple(content['shape'])
    assert content['shape'][2:] == [len(content['tokens'])] * 2
    return np.array(values, 'float32')


@pytest.mark.parametrize('form', ['float', 'base64', None])
def test_attention_is_that_of_the_library(make_client, folders, form):
    """Of every task, whatever it reads itself."""
    client = make_client()
    for name in folders:
        pipeline = gb.load_pipeline(folders[name])
        for inputs in (TEXT, PAIR, ['the cat', '']):
            body = {'inputs': inputs, **({'encoding_format': form} if form else {})}
            answer = client.post(f'/models/{name}/attention', json=body)
            texts = [inputs] if isinstance(inputs, str) else inputs
            expected = gb.attention_of(pipeline.trained, pipeline.tokenizer, *texts)
            np.testing.assert_allclose(probabilities(answer), expected.probabilities, atol=1e-6)
            assert answer.json()['tokens'] == expected.tokens
            assert answer.json()['num_first'] == expected.num_first
    np.testing.assert_allclose(
        probabilities(client.post('/attention', json={'inputs': TEXT})),
        probabilities(client.post('/models/mood/attention', json={'inputs': TEXT})),
    )


@pytest.mark.weights
def test_attention_of_a_sentence_model_in_a_lower_precision(real_folder, folders, make_client):
    from starlette import testclient

    from gluon_bert import kernels
    from gluon_bert.inference.trained import open_network
    from gluon_bert.serving.app import make_app
    from gluon_bert.serving.models import Source, open_models

    precision = 'int8' if kernels.is_available() else None
    app = make_app(open_models([Source('low', str(real_folder), precision=precision)]))
    network = open_network(real_folder)
    expected = gb.attention_of(network, network.checkpoint.tokenizer, 'Rain falls.')
    with testclient.TestClient(app) as client:
        answer = client.post('/attention', json={'inputs': 'Rain falls.'})
        np.testing.assert_allclose(probabilities(answer), expected.probabilities, atol=1e-6)
        most = client.post('/attention', json={'inputs': LONG * 9, 'truncate': True})
        assert most.json()['shape'] == [6, 12, 128, 128]
        assert most.headers['x-truncated'] == '1'
        refused = client.post('/attention', json={'inputs': 'a ' * 200})
        assert refused.status_code == 422 and refused.json()['error'] == (
            'inputs has 202 tokens, attention is computed of at most 128: truncate=true cuts it'
        )
        (row,) = client.get('/page/models').json()
        assert row['attention_length'] == 128


def test_texts_are_cut_or_refused(make_client):
    client = make_client('mood')
    for inputs, tokens in ((LONG, 152), ([TEXT, LONG], 157)):
        refused = client.post('/attention', json={'inputs': inputs})
        assert refused.status_code == 422
        assert f'inputs has {tokens} tokens, attention is computed of at most 16' in refused.text
        cut = client.post('/attention', json={'inputs': inputs, 'truncate': True})
        assert probabilities(cut).shape == (2, 3, 16, 16)
        assert cut.headers['x-truncated'] == '1'
    # A pair is cut at its longer text.
    assert cut.json()['tokens'][:6] == ['[CLS]', 'the', 'cat', 'sleeps', 'here', '[SEP]']
    metrics = client.get('/metrics').text
    assert 'te_truncated_count 2' in metrics


def test_an_answer_is_bounded(make_client, monkeypatch):
    monkeypatch.setattr(serving_attention, 'MAX_NUMBERS', 2 * 3 * 10**2 + 5)
    client = make_client('mood')
    answer = client.post('/attention', json={'inputs': LONG, 'truncate': True})
    assert answer.json()['shape'] == [2, 3, 10, 10]
    assert client.get('/page/models').json()[0]['attention_length'] == 10


@pytest.mark.parametrize(
    'body, reason',
    [
        ({}, 'inputs: is missing'),
        ({'inputs': 3}, 'inputs: expected a string or a list of two strings, got a number'),
        ({'inputs': ['a']}, 'inputs: expected a string or a list of two strings, got another list'),
        ({'inputs': ['a', 1]}, 'inputs: expected a string or a list of two strings'),
        ({'inputs': ['a', 'b', 'c']}, 'inputs: expected a string or a list of two strings'),
        ({'inputs': 'a', 'encoding_format': 'hex'}, 'encoding_format: expected one of float, bas'),
        ({'inputs': 'a', 'truncate': 1}, 'truncate: expected true or false'),
        ({'inputs': 'a', 'layer': 1}, "field 'layer' is unknown"),
    ],
)
def test_wrong_bodies_are_named(make_client, body, reason):
    refused = make_client('mood').post('/attention', json=body)
    assert refused.status_code == 422 and reason in refused.json()['error']


def test_a_network_that_is_not_supported_is_refused(make_client, monkeypatch):
    monkeypatch.setattr(serving_attention, 'supports', lambda config: False)
    refused = make_client('mood').post('/attention', json={'inputs': 'a'})
    assert refused.status_code == 422
    assert refused.json()['error'] == 'the attention of the model mood cannot be computed'


def test_numbers_that_are_none_are_a_fault(make_client, monkeypatch, caplog):
    monkeypatch.setattr(
        serving_attention, 'attention_probabilities', lambda *_: np.full((2, 3, 4, 4), np.nan)
    )
    answer = make_client('mood').post('/attention', json={'inputs': 'the cat'})
    assert (answer.status_code, answer.json()['error']) == (424, 'inference failed')


def test_it_waits_in_the_queue_of_all_requests(make_client, monkeypatch):
    """A token counts by the time that it takes, and the thread of the others computes it."""
    client, threads, results = make_client('mood', max_queue_tokens=40), [], []
    service, held = client.app.state.service, Held(monkeypatch)
    compute = AttentionRun.__call__

    def note(run, features, positions):
        threads.append(threading.current_thread().name)
        return compute(run, features, positions)

    monkeypatch.setattr(AttentionRun, '__call__', note)
    waiting = in_background(client, results)
    assert held.entered.wait(30)
    waiting.append(threading.Thread(target=lambda: results.append(ask(client).status_code)))
    waiting[-1].start()
    wait_for(lambda: service.batcher.size == 1)
    assert service.batcher.tokens == 6 * AttentionRun(None).weight
    refused = ask(client)
    assert refused.status_code == 429 and refused.json()['error_type'] == 'Overloaded'
    held.gate.set()
    for thread in waiting:
        thread.join(30)
    assert results == [200, 200] and threads == ['gluon-bert-compute']
    assert service.batcher.tokens == 0


def ask(client):
    return client.post('/attention', json={'inputs': TEXT})


def test_answers_that_wait_are_bounded(make_client, monkeypatch):
    monkeypatch.setattr(service_module, 'MAX_UNSENT', 4 * 2 * 3 * 6**2 + 10)
    client = make_client('mood')
    service = client.app.state.service
    assert ask(client).status_code == 200 and service.unsent == 0
    service.unsent = 11
    refused = ask(client)
    assert refused.status_code == 429 and refused.headers['retry-after'] == '1'
    assert service.unsent == 11
    assert client.post('/attention', json={'inputs': 'the cat'}).status_code == 200


def test_a_description(make_client):
    paths = make_client('mood').get('/openapi.json').json()['paths']
    for path in ('/attention', '/models/{name}/attention'):
        schema = paths[path]['post']['requestBody']['content']['application/json']['schema']
        assert set(schema['properties']) == {'inputs', 'truncate', 'encoding_format'}
        assert schema['required'] == ['inputs']
