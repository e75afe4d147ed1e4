# ruff: noqa: F811 (fixtures are imported)
"""The server with a model of multiple choice."""

import pytest
from script_runs import tiny_pipeline, tokenizer  # noqa: F401 (fixtures)
from served import make_client  # noqa: F401 (a fixture)

import gluon_bert as gb

ROW = {'context': 'the cat', 'question': 'a dog', 'choices': ['sleeps', 'barks loudly !', 'sun']}
OTHER = {'context': 'the sun', 'choices': ['barks', 'moon']}


@pytest.fixture
def folders(tiny_pipeline, tmp_path):
    tiny_pipeline('multiple-choice', folder=tmp_path / 'choose')
    return {'choose': tmp_path / 'choose'}


def test_answers_are_those_of_the_pipeline(make_client, folders):
    client, pipeline = make_client('choose'), gb.load_pipeline(folders['choose'])
    answer = client.post('/', json={'inputs': [ROW, OTHER]})
    assert answer.status_code == 200, answer.text
    for row, given, result in zip(answer.json(), (ROW, OTHER), pipeline([ROW, OTHER])):
        assert [choice['label'] for choice in row] == given['choices']
        shares = [choice['score'] for choice in row]
        assert shares == pytest.approx(result.probabilities, abs=1e-6)
    assert client.post('/models/choose', json={'inputs': OTHER}).json() == answer.json()[1]
    assert client.get('/page/models').json()[0]['task'] == 'multiple-choice'


def test_what_cannot_be_answered_is_refused(make_client):
    client = make_client('choose', max_client_batch_size=4)
    long = {**OTHER, 'context': 'sun ' * 60}
    for inputs, status, reason in (
        ({**OTHER, 'choices': ['a']}, 422, 'expected two choices or more, got one'),
        ({**OTHER, 'choices': ['a', ' ']}, 422, 'choice 1 is empty'),
        ({'context': 'a'}, 422, 'inputs.choices: is missing'),
        ('a', 422, 'expected a JSON object'),
        ([ROW, OTHER], 413, '5 texts in one request, at most 4'),
        (long, 422, 'inputs[0] has 64 tokens, the model reads 16'),
    ):
        answer = client.post('/', json={'inputs': inputs})
        assert answer.status_code == status and reason in answer.text, answer.text
    cut = client.post('/', json={'inputs': long, 'parameters': {'truncate': True}})
    assert cut.status_code == 200 and cut.headers['x-truncated'] == '1'
    tensor = {'name': 'context', 'datatype': 'BYTES', 'shape': [1], 'data': ['a']}
    answer = client.post('/v2/models/choose/infer', json={'inputs': [tensor]})
    assert answer.status_code == 424 and 'is for multiple-choice' in answer.text
    assert client.post('/predict', json={'inputs': 'a'}).status_code == 424
