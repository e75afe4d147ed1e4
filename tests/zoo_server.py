"""A real HTTP server on loopback, laid out as GluonNLP's store and as the Hugging Face hub.

Its files can be scripted to fail; it counts what it was asked for and what it sent.
"""

import contextlib
import hashlib
import http.server
import io
import re
import threading
import zipfile
from collections import defaultdict
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from gluon_bert.zoo.fetch import errors as failures
from gluon_bert.zoo.fetch import sources

COMMIT = '0123456789abcdef0123456789abcdef01234567'
BREAKS_AT = 0.3  # of the body

# What is served: a vocabulary, and the files of a network.
WORDS = b'[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nword\n'
WORDS_SHA256 = hashlib.sha256(WORDS).hexdigest()
KEY = 'bert_2_24_3_tiny_cased'


@dataclass
class Request:
    method: str
    path: str
    range: str
    sent: int = 0  # bytes of the body


class ZooServer(http.server.ThreadingHTTPServer):
    """Files by path, with faults.

    A fault is a status (404, 500, 401), ``(429, seconds)``, ``('redirect', address)``, or one of
    'break', 'wrong', 'hang', 'hold' (until ``gate`` is set), 'no range', 'wrong range', 'long' (a
    Content-Length that is more than comes) and 'endless' (no length, no end). Each is for one
    request, a lasting one for all that follow.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self):
        super().__init__(('127.0.0.1', 0), _Handler)
        self.url = f'http://127.0.0.1:{self.server_port}/'
        self.files, self.hub, self.requests = {}, {}, []
        self.faults, self.lasting = defaultdict(list), {}
        self.closing, self.gate = threading.Event(), threading.Event()

    def handle_error(self, request, client_address):
        """Clients that hang up are what is tested."""

    def reset(self, monkeypatch):
        """Forget everything; the network is open, no proxy between, and nobody waits."""
        for table in (self.requests, self.faults, self.lasting, self.files, self.hub):
            table.clear()
        self.gate.clear()
        for name in ('HF_HUB_OFFLINE', 'TRANSFORMERS_OFFLINE', sources.MIRROR):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv('NO_PROXY', '*')
        monkeypatch.setattr(sources, 'STORE', self.url + 'original/')
        monkeypatch.setattr(failures, '_sleep', lambda seconds: None)
        return self

    def put(self, path, data):
        self.files['/' + path] = data
        return self.url + path

    def put_zip(self, path, members):
        return self.put(path, zipped(members))

    def put_hub(self, repository, path, data, large=True):
        """A file of a repository; a large one is redirected to another host, as the hub does."""
        self.hub[f'/{repository}/resolve', path] = (data, large)
        if large:
            self.files['/cdn/' + hashlib.sha256(data).hexdigest()] = data

    def fail(self, path, *faults, lasting=None):
        self.faults['/' + path] = list(faults)
        self.lasting['/' + path] = lasting

    def sent(self, path):
        return [
            request.sent
            for request in self.requests
            if request.path == '/' + path and request.method == 'GET'
        ]

    def asked(self, method='GET'):
        return [request.path[1:] for request in self.requests if request.method == method]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = urlsplit(self.path).path
        script = self.server.faults[path]
        fault = script.pop(0) if script else self.server.lasting.get(path)
        self.request_made = Request(self.command, path, self.headers.get('Range', ''))
        self.server.requests.append(self.request_made)
        self.answer(path, fault)

    def answer(self, path, fault):
        hub = re.fullmatch(r'(/.+/resolve)/([^/]+)/(.+)', path)
        if isinstance(fault, int):
            self.head(fault, {'Content-Length': 0})
        elif fault == 'hang':
            self.server.closing.wait(20)
            self.close_connection = True
        elif fault == 'hold':
            self.server.gate.wait(60)
            self.answer(path, None)
        elif fault == 'endless':
            self.head(200, {'Connection': 'close'})
            with contextlib.suppress(OSError):
                while not self.server.closing.is_set():
                    self.write(bytes(1 << 16))
        elif isinstance(fault, tuple) and fault[0] == 'redirect':
            self.head(302, {'Location': fault[1], 'Content-Length': 0})
        elif isinstance(fault, tuple):
            self.head(fault[0], {'Retry-After': fault[1], 'Content-Length': 0})
        elif hub:
            self.hub_file(hub)
        elif path in self.server.files:
            self.file(self.server.files[path], fault)
        else:
            self.head(404, {'Content-Length': 0})

    def hub_file(self, match):
        repository, revision, name = match.groups()
        if (repository, name) not in self.server.hub or revision not in ('main', COMMIT):
            known = any(repository == other for other, _ in self.server.hub)
            code = 'EntryNotFound' if known else 'RepoNotFound'
            self.head(404, {'X-Repo-Commit': COMMIT, 'X-Error-Code': code, 'Content-Length': 0})
            return
        data, large = self.server.hub[repository, name]
        if not large:
            self.file(data, None, {'X-Repo-Commit': COMMIT})
            return
        digest = hashlib.sha256(data).hexdigest()
        self.head(
            302,
            {
                'X-Repo-Commit': COMMIT,
                'X-Linked-Etag': f'"{digest}"',
                'X-Linked-Size': len(data),
                'ETag': f'"{digest}"',
                'Content-Length': 0,
                'Location': f'http://localhost:{self.server.server_port}/cdn/{digest}',
            },
        )

    def file(self, data, fault, headers=None):
        if fault == 'wrong':
            data = bytes(byte ^ 1 for byte in data[:100]) + data[100:]
        tag = f'"{hashlib.sha1(data).hexdigest()}"'
        headers = {'ETag': tag, **(headers or {})}
        match = re.fullmatch(r'bytes=(\d+)-', self.headers.get('Range', ''))
        if match and fault != 'no range' and self.headers.get('If-Range', tag) == tag:
            start = 0 if fault == 'wrong range' else int(match.group(1))
            headers['Content-Range'] = f'bytes {start}-{len(data) - 1}/{len(data)}'
            status, data = 206, data[start:]
        else:
            status = 200
        headers['Content-Length'] = len(data) + 1000 * (fault == 'long')
        self.head(status, headers)
        if fault == 'break':
            data = data[: int(BREAKS_AT * len(data))]
        if self.command == 'GET':
            self.write(data)
        if fault in ('break', 'long'):
            self.close_connection = True

    def head(self, status, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()

    def write(self, data):
        self.request_made.sent += len(data)
        self.wfile.write(data)


def zipped(members):
    """A zip as bytes, of data by name."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


@contextlib.contextmanager
def serve():
    """A server that runs while the block does."""
    with ZooServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.closing.set()
            server.shutdown()
            thread.join()


@pytest.fixture(scope='module')
def running():
    with serve() as server:
        yield server


@pytest.fixture
def server(running, monkeypatch):
    """The server, as the original store too."""
    return running.reset(monkeypatch)


@pytest.fixture
def root(tmp_path):
    return tmp_path / 'models'
