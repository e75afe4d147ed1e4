# ruff: noqa: F811 (fixtures are imported)
"""Clients that stall: what is closed, what waits, and what others get meanwhile."""

import asyncio
import collections
import contextlib
import json
import os
import random
import socket
import time
from types import SimpleNamespace

import pytest
from script_runs import tiny_pipeline, tokenizer  # noqa: F401 (fixtures)
from served import folders, http_client, make_client  # noqa: F401 (fixtures)
from test_processes import PAIR, ROOT, raw, start  # noqa: F401 (fixtures)

from gluon_bert.serving import gate
from gluon_bert.serving import service as service_module
from gluon_bert.serving.connections import Connections, most_connections
from gluon_bert.serving.replies import Reply

httpx = http_client()


class Protocol:
    """A connection as uvicorn has it."""

    def __init__(self, cycle=None, unsent=0):
        self.cycle, self.unsent, self.is_open, self.transport = cycle, unsent, True, self

    def get_write_buffer_size(self):
        return self.unsent

    def abort(self):
        self.is_open = False


def cycle(response_complete):
    return SimpleNamespace(response_complete=response_complete)


def test_connections_that_stall_are_closed():
    first, done, busy = Protocol(), Protocol(cycle(True)), Protocol(cycle(False))
    stuck, slow = Protocol(cycle(False), 5000), Protocol(cycle(True), 5000)
    rows = [first, done, busy, stuck, slow]
    watch = Connections(rows, 10, 100, unread_seconds=30)
    for second in range(0, 61):
        slow.unsent -= 1
        if second == 5:
            done.cycle = cycle(True)  # another request was answered meanwhile
        watch.look(second)
        assert first.is_open == (second <= 10)
        assert done.is_open == (second <= 15)
        assert stuck.is_open == (second <= 30)
    assert busy.is_open and slow.is_open


def test_connections_that_wait_give_way_to_more():
    rows = [Protocol(cycle(False)) for _ in range(3)]
    watch = Connections(rows, 10, 6)
    for second in range(3):
        rows.append(Protocol())
        watch.look(second)
    assert all(row.is_open for row in rows)
    rows.append(Protocol())
    watch.look(3)
    assert [row.is_open for row in rows] == [True] * 3 + [False] + [True] * 3


def test_files_may_be_opened_for_many_clients():
    resource = pytest.importorskip('resource', reason='needs POSIX')
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (400, before[1]))
        most = most_connections()
        assert most < resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        assert most >= min(before[1], 1 << 16) // 2
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_slow_heads_and_bodies_are_closed_and_keep_no_other_waiting(start, folders):
    server = start(folders['mood'], '--stop_seconds', '2')
    url = server.url()
    head = b'POST /predict HTTP/1.1\r\nhost: a\r\nx-filler: ' + b'a' * 300
    unread = b'POST /nothing HTTP/1.1\r\nhost: a\r\ncontent-length: 9999\r\n\r\n'
    drips = [raw(url, b'', False) for _ in range(200)]
    drips += [raw(url, unread, False) for _ in range(20)]  # whose 404 is there before the body
    silent = [raw(url, b'', False) for _ in range(50)]
    closed, end = set(), time.monotonic() + 60
    with httpx.Client() as client:
        for byte in head:
            for connection in set(drips) - closed:
                try:
                    connection.send(bytes([byte]))
                except OSError:
                    closed.add(connection)
            assert client.post(url + '/predict', json=PAIR).status_code == 200
            if len(closed) == len(drips) or time.monotonic() > end:
                break
            time.sleep(0.2)
    assert len(closed) == len(drips)
    for connection in silent:
        connection.settimeout(20)
        with connection:
            assert connection.recv(1) == b''
    for connection in drips:
        connection.close()
    assert server.end() == 0
    rows = [row for row in server.rows if row['event'] == 'connections closed']
    assert sum(row['reasons']['late'] for row in rows) == 270


def test_bodies_that_do_not_come_give_way_to_requests(start, folders):
    server = start(folders['mood'], '--max_concurrent_requests', '4')
    url, head = server.url(), b'POST /predict HTTP/1.1\r\nhost: a\r\ncontent-length: 99\r\n\r\n{'
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(raw(url, head, False)) for _ in range(4)]
        statuses, end = [], time.monotonic() + 30
        while statuses[-1:] != [200] and time.monotonic() < end:
            time.sleep(0.1)
            statuses.append(httpx.post(url + '/predict', json=PAIR).status_code)
        assert set(statuses) == {429, 200}
        slow[0].settimeout(20)
        assert slow[0].recv(1000).startswith(b'HTTP/1.1 408')
    assert server.end() == 0
    assert [row['status'] for row in server.wait('request') if row['status'] == 408] == [408]


PARTS = [
    *(b'\r\n', b'\r\n\r\n', b'\0', b'\xff', b' ', b':', b'0', b'999999999999', b'-1', b'HTTP/1.0'),
    *(b'transfer-encoding: chunked\r\n', b'expect: 100-continue\r\n', b'connection: close\r\n'),
    *(b'upgrade: websocket\r\nconnection: upgrade\r\n', b'content-encoding: gzip\r\n'),
    *(b'content-length: 5\r\n', b'GET ', b'HEAD ', b'PUT ', b'/models/', b'%00', b'%ff', b'../'),
]


def test_altered_bytes_of_requests(start, folders):
    server = start(folders['mood'], '--stop_seconds', '2')
    url, draw, statuses = server.url(), random.Random(3), collections.Counter()
    body = json.dumps(PAIR).encode()
    head = b'POST /predict HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n' % len(body)
    for _ in range(1000):
        content = bytearray(head + body)
        for _ in range(draw.randint(1, 3)):
            place = draw.randrange(len(content))
            content[place : place + draw.choice((0, 0, 1, 4))] = draw.choice(PARTS)
        with raw(url, bytes(content), False) as connection:
            connection.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                answer = b''.join(iter(lambda: connection.recv(65536), b''))
            statuses[answer[9:12]] += 1
            assert b'Traceback' not in answer and answer[9:10] in (b'', b'1', b'2', b'4'), content
    assert httpx.post(url + '/predict', json=PAIR).status_code == 200
    assert statuses[b'400'] > 100 and statuses[b'404'] > 10
    assert server.end() == 0
    assert not any('Traceback' in str(row) or 'sleeps' in str(row) for row in server.rows)
    assert {row['event'] for row in server.rows} <= {
        *('ready', 'request', 'stopping', 'stopped', 'Invalid HTTP request received.'),
        *('Unsupported upgrade request.', 'connections closed'),
    }


def test_answers_that_are_not_taken_are_bounded(make_client, monkeypatch):
    monkeypatch.setattr(service_module, 'MAX_UNSENT', 100_000)
    client = make_client('mood')
    service, content = client.app.state.service, bytes(range(256)) * 800
    took = []

    async def app(scope, receive, send):
        await gate.send_reply(Reply(content), receive, send)

    async def ask():
        taken = asyncio.Event()

        async def send(message):
            if message['type'] == 'http.response.body' and took:
                await taken.wait()
            took.append(message.get('body', b''))

        scope = {'type': 'http', 'method': 'POST', 'path': '/predict', 'headers': []}
        door = gate.Gate(app, service, [])
        task = asyncio.ensure_future(door(scope, None, send))
        await asyncio.sleep(0.05)
        assert service.unsent == len(content) and service.in_flight == 1
        statuses = []

        async def note(message):
            statuses.append(message.get('status'))

        await door(scope, None, note)
        taken.set()
        await task
        return statuses[0]

    assert asyncio.run(ask()) == 429
    assert service.unsent == 0 and service.in_flight == 0
    assert b''.join(took) == content and max(map(len, took)) == 1 << 16
    assert client.post('/predict', json=PAIR).status_code == 200


def _pieces(*parts, size=1 << 14):
    """Bytes of a request in pieces, as they may come."""
    content = b''.join(parts)
    return [content[i : i + size] for i in range(0, len(content), size)]


BEGIN = b'POST /predict HTTP/1.1\r\nhost: a\r\n'
CHUNKED = BEGIN + b'transfer-encoding: chunked\r\n\r\n'
ENDLESS = {
    'target': [b'GET /', b'a' * 400_000],
    'name': [BEGIN, b'x' * 400_000],
    'value': [BEGIN, b'x: ', b'a' * 400_000],
    'headers': [BEGIN, b'x: a\r\n' * 70_000],
    'chunk extension': [CHUNKED, b'1;', b'a' * 400_000],
    'trailer': [CHUNKED, b'1\r\na\r\n0\r\nx: ', b'a' * 400_000],
    'trailers': [CHUNKED, b'1\r\na\r\n0\r\n', b'x: a\r\n' * 70_000],
}


@pytest.mark.parametrize('reader', ['httptools', 'h11'])
def test_heads_without_an_end_are_refused(start, folders, reader, tmp_path):
    environment = None
    if reader == 'httptools':
        pytest.importorskip('httptools', reason='needs httptools')
    else:
        (tmp_path / 'httptools.py').write_text("raise ModuleNotFoundError('not here')\n")
        environment = {'PYTHONPATH': os.pathsep.join([str(tmp_path), str(ROOT)])}
    server = start(folders['mood'], environment=environment)
    url = server.url()
    for name, parts in ENDLESS.items():
        sent = 0
        with raw(url, b'', False) as connection:
            connection.settimeout(20)
            with contextlib.suppress(OSError):
                for piece in _pieces(*parts):
                    connection.sendall(piece)
                    sent += len(piece)
                    time.sleep(0.01)
        assert sent < 400_000, name
    body = json.dumps(PAIR).encode()
    long = b'x-filler: ' + b'a' * 30_000 + b'\r\n'
    plain = BEGIN + long + b'content-length: %d\r\n\r\n' % len(body) + body
    parts = b''.join(b'1\r\n' + body[i : i + 1] + b'\r\n' for i in range(len(body)))
    for request in (plain, CHUNKED + parts + b'0\r\nx-trailer: a\r\n\r\n', plain * 3):
        with raw(url, request, False) as connection:
            connection.settimeout(20)
            assert connection.recv(1 << 16).startswith(b'HTTP/1.1 200')
    assert server.end() == 0
