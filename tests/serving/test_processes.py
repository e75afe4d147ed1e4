# ruff: noqa: F811 (fixtures are imported)
"""The server as a process: signals, reload, workers, clients that leave or stall."""

import collections
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from script_runs import tiny_pipeline, tokenizer  # noqa: F401 (fixtures)
from served import folders, http_client  # noqa: F401 (fixtures)

import gluon_bert as gb

pytest.importorskip('starlette', reason='needs starlette')
pytest.importorskip('uvicorn', reason='needs uvicorn')
httpx = http_client()

ROOT = Path(gb.__file__).parents[1]
PAIR = {'inputs': 'the cat sleeps'}


class Server:
    """A process of ``gluon-bert serve`` on a free port, with its log."""

    def __init__(self, *arguments, environment=None):
        words = [sys.executable, '-m', 'gluon_bert', 'serve', *map(str, arguments), '--port', '0']
        env = {**os.environ, 'PYTHONPATH': str(ROOT), **(environment or {})}
        env.pop('GLUON_BERT_API_KEY', None) if environment is None else None
        self.process = subprocess.Popen(words, stderr=subprocess.PIPE, env=env)
        self.rows, self._known = [], threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stderr:
            with self._known:
                text = line.decode()
                row = json.loads(text) if text.startswith('{') else {'event': text.strip()}
                self.rows.append(row)
                self._known.notify_all()

    def wait(self, event, count=1):
        """Wait for lines of the log with an event."""
        with self._known:
            known = self._known.wait_for(
                lambda: sum(row['event'] == event for row in self.rows) >= count, 60
            )
        assert known, self.rows
        return [row for row in self.rows if row['event'] == event]

    def url(self):
        return self.wait('ready')[0]['url']

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        status = self.process.wait(30)
        self._reader.join(10)
        return status


@pytest.fixture
def start():
    """Start servers that are ended after the test."""
    started = []

    def make(*arguments, **options):
        started.append(Server(*arguments, **options))
        return started[-1]

    yield make
    for server in started:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()
        server.process.stderr.close()


class Load:
    """Clients that ask again and again, and what they were answered."""

    def __init__(self, url, size=4, path='/predict', body=PAIR):
        self.statuses, self.errors, self._stop = [], [], threading.Event()
        self.refused = []  # connections to a server that has ended
        self._threads = [
            threading.Thread(target=self._ask, args=(url + path, body)) for _ in range(size)
        ]
        for thread in self._threads:
            thread.start()

    def _ask(self, url, body):
        with httpx.Client(timeout=60) as client:
            while not self._stop.is_set():
                try:
                    answer = client.post(url, json=body)
                    self.statuses.append(answer.status_code)
                    if answer.headers.get('connection') == 'close':
                        return  # the server is about to stop
                except httpx.ConnectError as error:
                    self.refused.append(repr(error))
                    self._stop.wait(0.05)
                except httpx.TransportError as error:
                    self.errors.append(repr(error))

    def end(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(60)


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_stop_loses_no_request(start, folders, number):
    server = start(folders['mood'], '--stop_seconds', '3')
    load = Load(server.url())
    server_answered = len(server.wait('request', 20))
    status = server.end(number)
    load.end()
    assert status == 0 and server_answered >= 20
    assert set(load.statuses) == {200} and load.errors == []
    events = [row['event'] for row in server.rows]
    assert events[0] == 'ready' and 'stopping' in events and events[-1] == 'stopped'
    answered = sum(row['event'] == 'request' and row['status'] == 200 for row in server.rows)
    assert answered == len(load.statuses)


def test_a_stop_under_overload_answers_all_that_was_accepted(start, folders):
    server = start(
        folders['answers'],
        *('--max_queue_tokens', '600', '--max_batch_tokens', '600', '--stop_seconds', '8'),
    )
    question = {'question': 'a dog', 'context': 'the cat sleeps ' * 40}
    load = Load(server.url(), 24, '/', {'inputs': question})
    server.wait('request', 200)
    assert server.end(signal.SIGINT) == 0
    load.end()
    counts = collections.Counter(load.statuses)
    assert set(counts) == {200, 429} and load.errors == []
    rows = [row['status'] for row in server.rows if row['event'] == 'request']
    assert collections.Counter(rows) == counts


def test_a_stop_is_announced_before_the_door_closes(start, folders):
    server = start(folders['mood'], '--stop_seconds', '10')
    url = server.url()
    with httpx.Client() as client:
        assert client.get(url + '/health').status_code == 200
        server.process.send_signal(signal.SIGTERM)
        server.wait('stopping')
        late = client.get(url + '/health')
        assert late.status_code == 503 and late.headers['connection'] == 'close'
        assert client.get(url + '/v2/health/live').status_code == 200
        assert client.post(url + '/predict', json=PAIR).status_code == 200
    assert server.process.wait(30) == 0


def test_an_interrupt_stops_at_once(start, folders):
    server = start(folders['mood'], '--stop_seconds', '60')
    server.url()
    begun = time.monotonic()
    assert server.end(signal.SIGINT) == 0
    assert time.monotonic() - begun < 10


def test_models_are_opened_anew_without_a_lost_request(start, folders, tiny_pipeline, tmp_path):
    server = start(f'm={folders["mood"]}')
    url = server.url()
    before = httpx.post(url + '/predict', json=PAIR).json()
    tiny_pipeline('text-classification', folder=tmp_path / 'new')
    expected = gb.load_pipeline(tmp_path / 'new')('the cat sleeps').probabilities
    load = Load(url)
    server.wait('request', 10)
    os.rename(folders['mood'], tmp_path / 'old')
    os.rename(tmp_path / 'new', folders['mood'])
    server.process.send_signal(signal.SIGHUP)
    server.wait('reloaded')
    after = httpx.post(url + '/predict', json=PAIR).json()
    (folders['mood'] / 'task.json').write_text('{')
    server.process.send_signal(signal.SIGHUP)
    assert 'task.json' in server.wait('reload failed')[0]['reason']
    os.rename(folders['mood'], tmp_path / 'gone')
    server.process.send_signal(signal.SIGHUP)
    assert 'mood' in server.wait('reload failed', 2)[1]['reason']
    load.end()
    again = httpx.post(url + '/predict', json=PAIR).json()
    assert set(load.statuses) == {200} and load.errors == load.refused == []
    shares = {row['label']: row['score'] for row in after}
    assert shares == pytest.approx(expected, abs=1e-5) and after != before
    assert again == after
    assert server.end() == 0


def test_another_worker_answers_when_one_is_killed(start, folders):
    server = start(folders['mood'], '--workers', '2', '--stop_seconds', '3')
    processes = [row['process'] for row in server.wait('ready', 2)]
    url = server.url()
    os.kill(processes[0], signal.SIGKILL)
    statuses = []
    for _ in range(20):
        with contextlib.suppress(httpx.TransportError):  # what the killed one had accepted
            statuses.append(httpx.post(url + '/predict', json=PAIR).status_code)
    assert set(statuses) == {200} and len(statuses) >= 18
    assert len({row['process'] for row in server.wait('ready', 3)}) == 3
    assert server.wait('worker died')[0]['process'] == processes[0]
    server.process.send_signal(signal.SIGHUP)
    server.wait('reloaded', 2)
    assert server.end() == 0


def count_of(url, line):
    """A number of /metrics, by the line that it ends."""
    found = re.search(rf'^{re.escape(line)} (\d+)$', httpx.get(url + '/metrics').text, re.M)
    return int(found[1]) if found else 0


def test_metrics_are_the_sum_of_all_workers(start, folders):
    server = start(folders['mood'], '--workers', '2', '--stop_seconds', '3')
    processes = [row['process'] for row in server.wait('ready', 2)]
    url, line = server.url(), 'te_request_success{method="/predict"}'
    load = Load(url, 8)
    server.wait('request', 100)
    load.end()
    assert set(load.statuses) == {200} and load.errors == load.refused == []
    for _ in range(6):  # whichever answers
        assert count_of(url, line) == len(load.statuses)
    os.kill(processes[0], signal.SIGKILL)
    assert count_of(url, line) == len(load.statuses)
    server.wait('ready', 3)
    more = Load(url, 8)
    server.wait('request', len(server.rows) + 50)
    more.end()
    for _ in range(6):
        assert count_of(url, line) == len(load.statuses) + len(more.statuses)
    text = httpx.get(url + '/metrics').text
    assert '\nte_queue_size 0\n' in text
    assert 1 <= count_of(url, 'te_requests_in_flight') <= 2
    assert server.end() == 0


def test_signals_reach_workers_that_are_not_ready(start, folders):
    server = start(folders['mood'], '--workers', '2', '--stop_seconds', '3')
    processes = [row['process'] for row in server.wait('ready', 2)]
    load = Load(server.url())
    server.wait('request', 10)
    os.kill(processes[0], signal.SIGKILL)
    server.wait('worker died')
    for _ in range(5):
        server.process.send_signal(signal.SIGHUP)
        time.sleep(0.05)
    (ready,) = {row['process'] for row in server.wait('ready', 3)} - set(processes)
    server.wait('reloaded', 2)  # signals of one kind that wait are one
    os.kill(ready, signal.SIGKILL)
    server.wait('worker died', 2)
    assert server.end() == 0
    load.end()
    assert set(load.statuses) == {200} and not any('failed' in row['event'] for row in server.rows)
    assert server.rows[-1]['event'] == 'stopped'


def test_a_reload_before_the_server_is_ready_waits(start, folders):
    server = start(folders['mood'])
    end = time.monotonic() + 30
    while 'SigBlk' not in (status := status_of(server.process.pid)) or not (
        int(re.search(r'SigBlk:\s+(\w+)', status)[1], 16) >> (signal.SIGHUP - 1) & 1
    ):
        assert time.monotonic() < end and server.process.poll() is None
        time.sleep(0.001)
    server.process.send_signal(signal.SIGHUP)
    server.wait('ready')
    server.wait('reloaded')
    assert server.end() == 0


def status_of(process):
    return Path(f'/proc/{process}/status').read_text()


def raw(url, content, wait=True):
    """Send bytes; with ``wait`` return what comes back until the server closes."""
    host, port = re.match(r'http://(.*):(\d+)', url).groups()
    connection = socket.create_connection((host, int(port)), 30)
    connection.sendall(content)
    if not wait:
        return connection
    with connection:
        return b''.join(iter(lambda: connection.recv(65536), b''))


def test_bytes_that_are_no_requests_and_clients_that_stall_or_leave(start, folders):
    server = start(folders['mood'], '--payload_limit', '5000', '--stop_seconds', '2')
    url = server.url()
    post = b'POST /predict HTTP/1.1\r\nhost: a\r\n'
    half = [raw(url, b'POST /pred', False), raw(url, b'', False)]
    half.append(raw(url, post + b'content-length: 100\r\n\r\n{"inp', False))
    gone = raw(url, post + b'content-length: 100\r\n\r\n{"inp', False)
    gone.close()
    assert raw(url, b'\x16\x03\x01\x02\x00\x01\xff\r\n\r\n').startswith(b'HTTP/1.1 400')
    slow = raw(url, post + b'connection: close\r\ncontent-length: 100\r\n\r\n{"inp')
    assert slow.startswith(b'HTTP/1.1 408')
    huge = post + b'content-length: 1000000000\r\n\r\n' + b' ' * 100_000
    refused = raw(url, huge)
    assert refused.startswith(b'HTTP/1.1 413') and b'more than the 5000 bytes' in refused
    chunk = b'3e8\r\n' + b' ' * 1000 + b'\r\n'
    refused = raw(url, post + b'transfer-encoding: chunked\r\n\r\n' + chunk * 3000)
    assert refused.startswith(b'HTTP/1.1 413')
    assert httpx.post(url + '/predict', json=PAIR).status_code == 200
    for connection in half:
        connection.close()
    assert server.end() == 0
    statuses = {row['status'] for row in server.rows if row['event'] == 'request'}
    assert statuses <= {200, 408, 413, 499} and not any(
        'Traceback' in str(row) for row in server.rows
    )


def test_what_a_client_that_left_asked_is_dropped(start, folders):
    server = start(folders['answers'], '--max_batch_tokens', '200', '--max_queue_tokens', '300000')
    url = server.url()
    context = ' '.join(['the cat sleeps'] * 12000)
    body = json.dumps({'inputs': {'question': 'a dog', 'context': context}}).encode()
    head = f'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {len(body)}\r\n\r\n'.encode()
    connection = raw(url, head + body, False)

    def count(name):
        return int(re.search(rf'^{name} (\d+)$', httpx.get(url + '/metrics').text, re.M)[1])

    deadline = time.monotonic() + 60
    while not count('te_queue_size') and time.monotonic() < deadline:
        time.sleep(0.02)
    assert count('te_queue_size') > 0
    connection.close()
    while count('te_queue_size') and time.monotonic() < deadline:
        time.sleep(0.02)
    assert count('te_disconnected_count') == 1
    assert count('te_tokens_count') < 100_000
    assert server.end() == 0


def test_small_packets_are_sent_at_once():
    from gluon_bert.serving.server import _bound

    with _bound('127.0.0.1', 0) as listener:
        # asyncio sets TCP_NODELAY for connections of this protocol alone.
        assert listener.proto == socket.IPPROTO_TCP


@pytest.mark.parametrize(
    'arguments, message',
    [
        (('nowhere',), 'nowhere: no such file or folder'),
        (('a=mood', 'a=stars'), 'a: is the name of two models'),
        (('mood', '--port', '70000'), '--port 70000: expected 0 to 65535'),
        (('mood', '--workers', '0'), '--workers 0: expected 1 or more'),
        (('mood', '--max_batch_tokens', '0'), 'max_batch_tokens=0'),
        (('mood', '--api_key_file', 'missing'), 'missing: No such file'),
        (('mood', '--task', 'fill-mask'), "task='fill-mask': none of the models is for it"),
        (('mood', '--host', 'nowhere.invalid'), '--host nowhere.invalid'),
    ],
)
def test_wrong_arguments_are_one_line(folders, arguments, message, monkeypatch, capsys):
    from gluon_bert.cli import main

    monkeypatch.chdir(folders['mood'].parent)
    monkeypatch.delenv('GLUON_BERT_API_KEY', raising=False)
    assert main(['serve', *arguments, *([] if '--port' in arguments else ['--port', '0'])]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert message in lines[-1] and lines[-1].startswith('gluon-bert serve: error: ')


def test_what_is_not_installed_is_named(folders, monkeypatch, capsys):
    from gluon_bert.cli import main

    for name in ('uvicorn', 'starlette.applications'):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, name, None)
            assert main(['serve', str(folders['mood']), '--port', '0']) == 2
        error = "the server needs starlette and uvicorn: pip install 'gluon_bert[serve]'"
        assert error in capsys.readouterr().err


def test_a_port_that_is_taken_is_named(start, folders):
    server = start(folders['mood'])
    port = server.url().rpartition(':')[2]
    words = [sys.executable, '-m', 'gluon_bert', 'serve', str(folders['mood']), '--port', port]
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ})
    assert done.returncode == 2
    assert f'--host 127.0.0.1 --port {port}: Address already in use' in done.stderr
    assert server.end() == 0


def test_the_server_imports_no_mxnet(start, folders):
    server = start(*folders.values(), environment={'PYTHONPROFILEIMPORTTIME': '1'})
    server.url()
    assert server.end() == 0
    modules = {row['event'].rpartition('|')[2].strip() for row in server.rows}
    assert {'gluon_bert.serving.server', 'starlette.applications', 'uvicorn'} <= modules
    assert not modules & {'mxnet', 'gluonnlp', 'torch', 'sklearn', 'scipy', 'pandas', 'matplotlib'}
