# ruff: noqa: F811 (fixtures are imported)
"""The application under a local Ray Serve: replicas that are killed, replaced, updated, ended."""

import importlib.util
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from ray_cluster import Cluster
from script_runs import tiny_pipeline, tokenizer  # noqa: F401 (fixtures)
from served import folders, http_client, make_client  # noqa: F401 (fixtures)
from test_processes import PAIR, Load

import gluon_bert as gb
from gluon_bert.serving import ray

httpx = http_client()
QUESTION = 'a dog'
SHORT = {'inputs': {'question': QUESTION, 'context': 'the cat'}}
LONG = {'max_queue_tokens': 10**6}


@pytest.fixture(scope='module')
def cluster():
    """A local Ray, of which no process is left behind."""
    if importlib.util.find_spec('ray') is None:
        pytest.skip('needs ray: python3 dev.py setup --peers')
    cluster = Cluster()
    try:
        yield cluster
    finally:
        left = cluster.end()
    assert left == set()


def wait_for(condition, seconds=60):
    """Wait until a condition holds; return its value."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return value


def seconds_of(process):
    """The processor time that a process has used."""
    with open(f'/proc/{process}/stat') as file:
        user, system = file.read().rpartition(')')[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf('SC_CLK_TCK')


def ask_long(url, size, **headers):
    """Ask what takes seconds: of 12000 about two."""
    body = {'inputs': {'question': QUESTION, 'context': 'the cat sleeps ' * size}}
    return httpx.post(url + '/models/answers', json=body, headers=headers, timeout=120)


def is_right(folder, rows):
    """True if the answer of /predict is that of the library."""
    shares = gb.load_pipeline(folder)(PAIR['inputs']).probabilities
    return {row['label']: row['score'] for row in rows} == pytest.approx(shares, abs=1e-5)


def test_replicas_answer_as_the_library(cluster, folders):
    replicas = cluster.deploy(folders['mood'], f'a={folders["answers"]}')
    for process in replicas:
        with open(f'/proc/{process}/environ') as file:
            words = file.read().split('\0')
        assert 'OMP_NUM_THREADS=1' in words and 'RAYON_NUM_THREADS=1' in words
    with ThreadPoolExecutor(8) as pool:
        ask = [pool.submit(httpx.post, cluster.url + '/predict', json=PAIR) for _ in range(40)]
        answers = [future.result() for future in ask]
    assert {answer.status_code for answer in answers} == {200}
    assert all(is_right(folders['mood'], answer.json()) for answer in answers[:2])
    assert len({answer.content for answer in answers}) == 1
    answer = gb.load_pipeline(folders['answers'])(QUESTION, 'the cat')
    row = httpx.post(cluster.url + '/models/a', json=SHORT).json()
    assert row['answer'] == answer.text
    assert row['score'] == pytest.approx(answer.probability, abs=1e-5)
    given = httpx.get(cluster.url + '/health', headers={'x-request-id': 'an-id'})
    assert given.status_code == 200 and given.headers.get_list('x-request-id') == ['an-id']
    assert httpx.post(cluster.url + '/predict', json={'inputs': 1}).status_code == 422


def ask_on(url, stop):
    """Ask until an event is set; return when each request began, and the status of its answer."""
    rows = []
    with httpx.Client(timeout=60) as client:
        while not stop.is_set():
            begun = time.monotonic()
            rows.append((begun, client.post(url, json=SHORT).status_code))
    return rows


def test_a_killed_replica_is_replaced_and_loses_what_it_held_alone(cluster, folders):
    old, stop = cluster.deploy(folders['answers'], bounds=LONG), threading.Event()
    used = {process: seconds_of(process) for process in old}
    with ThreadPoolExecutor(5) as pool:
        held = pool.submit(ask_long, cluster.url, 30000)
        (victim,) = wait_for(lambda: [n for n in old if seconds_of(n) > used[n] + 0.5])
        others = [pool.submit(ask_on, cluster.url + '/', stop) for _ in range(4)]
        time.sleep(0.5)
        assert not held.done()
        os.kill(victim, signal.SIGKILL)
        killed = time.monotonic()
        assert held.result(30).status_code == 500  # at once: the client would wait for longer
        try:
            wait_for(lambda: len(cluster.replicas()) == 2)
            wait_for(lambda: cluster.ask('states') == {'RUNNING': 2})
            time.sleep(0.5)
        finally:
            stop.set()
    rows = [row for future in others for row in future.result()]
    assert sum(begun > killed and status == 200 for begun, status in rows) > 50
    assert {status for begun, status in rows if begun > killed} == {200}
    assert {status for _, status in rows} <= {200, 500}
    assert old - {victim} < cluster.replicas()
    row = httpx.post(cluster.url + '/', json=SHORT).json()
    answer = gb.load_pipeline(folders['answers'])(QUESTION, 'the cat')
    assert row['answer'] == answer.text
    assert row['score'] == pytest.approx(answer.probability, abs=1e-5)


def test_an_update_loses_no_request(cluster, folders, tiny_pipeline, tmp_path):
    cluster.deploy(f'm={folders["mood"]}')
    before = httpx.post(cluster.url + '/predict', json=PAIR).json()
    tiny_pipeline('text-classification', folder=tmp_path / 'new')
    load = Load(cluster.url)
    wait_for(lambda: len(load.statuses) > 20)
    cluster.deploy(f'm={tmp_path / "new"}', updates=True)
    count = len(load.statuses)
    wait_for(lambda: len(load.statuses) > count + 20)
    load.end()
    assert set(load.statuses) == {200} and load.errors == load.refused == []
    after = httpx.post(cluster.url + '/predict', json=PAIR).json()
    assert is_right(folders['mood'], before) and is_right(tmp_path / 'new', after)
    assert before != after


def test_a_deployment_that_ends_answers_what_it_accepted(cluster, folders):
    bounds = {**LONG, 'api_keys': ['a-key']}
    (replica,) = cluster.deploy(
        folders['answers'], num_replicas=1, bounds=bounds, route_prefix='/texts'
    )
    url = cluster.url + '/texts'
    assert httpx.get(url + '/health').status_code == 200
    assert httpx.get(url + '/info').status_code == 401
    used = seconds_of(replica)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask_long, url, 12000, authorization='Bearer a-key')
        wait_for(lambda: seconds_of(replica) > used + 0.2)
        assert not asked.done()
        cluster.ask('delete')
        assert asked.result().status_code == 200
    assert cluster.replicas() == set()
    assert httpx.get(url + '/health').status_code == 404


def test_a_replica_is_healthy_until_it_stops_or_cannot_compute(make_client):
    client, replica = make_client('mood'), ray.Replica()
    replica.app = client.app
    service = client.app.state.service
    replica.check_health()
    service.is_ready = False
    with pytest.raises(RuntimeError, match='not ready'):
        replica.check_health()
    service.is_ready = True
    replica.check_health()
    service.batcher.close(10)
    with pytest.raises(RuntimeError, match='not ready'):
        replica.check_health()


@pytest.mark.parametrize(
    'arguments, message',
    [
        ({'models': 'nowhere'}, 'nowhere: no such file or folder, and no model of the zoo'),
        ({'models': ['a=x', 'a=y']}, 'a: is the name of two models'),
        ({'models': ['a b']}, 'a b: write NAME=MODEL'),
        ({'models': []}, 'expected one model or more, got none'),
        ({'models': 'x', 'num_replicas': 0}, 'num_replicas=0'),
        ({'models': 'x', 'num_cpus': 0.5}, 'num_cpus=0.5'),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        ray.deployment(**arguments)


def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'ray', None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'gluon_bert\[ray\]'"):
        ray.deployment('all_minilm_l6_v2')
