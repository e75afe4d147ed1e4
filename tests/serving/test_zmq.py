# ruff: noqa: F811 (fixtures are imported)
"""bert-as-service's protocol: its published client on the server, and hostile messages."""

import contextlib
import json
import signal
import socket
import threading
import time
import urllib.request

import numpy as np
import pytest
from script_runs import tokenizer  # noqa: F401 (fixtures)
from served import REAL, words  # noqa: F401 (fixtures)
from test_processes import start  # noqa: F401 (fixtures)

import gluon_bert as gb

zmq = pytest.importorskip('zmq', reason='needs pyzmq')

FAILURES = 'te_request_failure{err="zmq"}'
TEXTS = ['the cat sleeps', 'a dog barks out loud !', 'the moon']


class Raw:
    """A client that sends what it is told."""

    def __init__(self, ports, name=b'raw', subscribes=True):
        self.context, self.name = zmq.Context(), name
        self.sender = self.context.socket(zmq.PUSH)
        self.sender.connect(f'tcp://127.0.0.1:{ports[0]}')
        self.receiver = self.context.socket(zmq.SUB)
        self.receiver.setsockopt(zmq.RCVTIMEO, 20_000)
        self.receiver.connect(f'tcp://127.0.0.1:{ports[1]}')
        if subscribes:
            self.receiver.setsockopt(zmq.SUBSCRIBE, name)

    def send(self, content, number=1):
        self.sender.send_multipart([self.name, content, b'%d' % number, b'1'])

    def ask(self, content, number=1):
        """The answer's description and its content."""
        self.send(content, number)
        name, about, *rest, answered = self.receiver.recv_multipart()
        assert (name, int(answered)) == (self.name, number)
        return json.loads(about), b''.join(rest)

    def vectors(self, texts, number=1):
        about, content = self.ask(json.dumps(texts).encode(), number)
        return np.frombuffer(content, about['dtype']).reshape(about['shape'])

    def close(self):
        self.context.destroy(linger=0)


@pytest.fixture
def serve(start, words):
    """Start a server of vectors with options; returns it and its two ports."""

    def make(*options):
        task = ('--task', 'feature-extraction')
        server = start(words, *task, '--zmq_port', '0', '--stop_seconds', '4', *options)
        row = server.wait('zmq ready')[0]
        return server, (row['port'], row['port_out'])

    return make


@pytest.fixture
def connect():
    """Connect published clients that are closed after the test."""
    package = pytest.importorskip('bert_serving.client', reason='needs bert-serving-client')
    with contextlib.ExitStack() as stack:
        yield lambda ports, **options: stack.enter_context(
            package.BertClient(port=ports[0], port_out=ports[1], timeout=60_000, **options)
        )


@pytest.fixture
def raw():
    """Connect raw clients that are closed after the test."""
    with contextlib.ExitStack() as stack:

        def make(*arguments, **options):
            client = Raw(*arguments, **options)
            stack.callback(client.close)
            return client

        yield make


@pytest.fixture
def encoder(words):
    return gb.SentenceEncoder(words)


def metric(server, name):
    with urllib.request.urlopen(server.url() + '/metrics') as answer:
        lines = answer.read().decode().splitlines()
    return sum(int(line.split()[-1]) for line in lines if line.startswith(f'{name} '))


def wait_until(is_so):
    end = time.monotonic() + 30
    while not is_so() and time.monotonic() < end:
        time.sleep(0.05)
    assert is_so()


def test_published_client(serve, connect, encoder):
    server, ports = serve()
    client = connect(ports)
    assert client.length_limit == encoder.max_length
    for size in (1, 100, 10_000):
        texts = [f'{TEXTS[i % 3]} {"cat " * (i % 7)}' for i in range(size)]
        vectors = client.encode(texts)
        assert vectors.dtype == 'float32' and vectors.flags.writeable is False
        np.testing.assert_allclose(vectors, encoder.encode(texts), atol=1e-5)
    tokens = [['the', 'cat', 'sleeps'], ['sun', 'The']]  # the last is no token
    expected = encoder.encode(['the cat sleeps', 'sun [UNK]'])
    np.testing.assert_allclose(client.encode(tokens, is_tokenized=True), expected, atol=1e-5)
    pair = client.encode(['the cat ||| a dog'])
    np.testing.assert_allclose(pair, encoder.encode([('the cat', 'a dog')]), atol=1e-5)
    assert np.abs(pair - encoder.encode(['the cat a dog'])).max() > 1e-3
    status = client.server_status
    assert status['client'] == client.identity.decode() and status['model'] == 'words'
    with pytest.warns(UserWarning, match='does not support showing tokenization'):
        client.encode(TEXTS, show_tokens=True)
    assert server.end() == 0


def test_texts_that_are_cut_are_counted(serve, connect, encoder):
    server, ports = serve()
    client = connect(ports)
    long = 'cat ' * (encoder.max_length + 5)
    expected = encoder.encode(['cat ' * (encoder.max_length - 2), 'the cat'])
    with pytest.warns(UserWarning, match='more tokens than "max_seq_len'):
        vectors = client.encode([long, 'the cat'])
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    assert server.wait('zmq request')[0]['truncated'] == 1
    assert server.end() == 0


def test_tokens_are_sent_where_asked_for(serve, connect, encoder):
    server, ports = serve('--show_tokens_to_client')
    vectors, tokens = connect(ports).encode(TEXTS[:1], show_tokens=True)
    np.testing.assert_allclose(vectors, encoder.encode(TEXTS[:1]), atol=1e-5)
    assert tokens == [['[CLS]', 'the', 'cat', 'sleeps', '[SEP]']]
    assert server.end() == 0


def test_requests_without_waiting(serve, connect, encoder):
    server, ports = serve()
    client = connect(ports)
    for text in TEXTS * 5:
        client.encode([text], blocking=False)
    every = client.fetch_all(concat=True)
    np.testing.assert_allclose(every, encoder.encode(TEXTS * 5), atol=1e-5)
    rows = {row.id: row.embedding for row in client.encode_async(iter([TEXTS, TEXTS[:1]]), delay=1)}
    first, second = (rows[number] for number in sorted(rows))
    np.testing.assert_allclose(first, encoder.encode(TEXTS), atol=1e-5)
    np.testing.assert_allclose(second, encoder.encode(TEXTS[:1]), atol=1e-5)
    assert server.end() == 0


def test_a_large_request_keeps_no_other_waiting(serve, connect, encoder):
    server, ports = serve()
    large, small = connect(ports), connect(ports)
    answers = {}

    def encode():
        answers['large'] = large.encode(TEXTS * 4000)

    thread = threading.Thread(target=encode)
    thread.start()
    done = 0
    while thread.is_alive():
        np.testing.assert_allclose(small.encode(TEXTS), encoder.encode(TEXTS), atol=1e-5)
        done += thread.is_alive()
    thread.join()
    assert done >= 3
    np.testing.assert_allclose(answers['large'][-3:], encoder.encode(TEXTS), atol=1e-5)
    assert server.end() == 0


def test_a_client_that_dies(serve, raw, connect, encoder):
    server, ports = serve('--max_batch_tokens', '60')
    lost = Raw(ports, b'lost')
    assert lost.vectors(['the cat']).shape == (1, encoder.units)
    lost.send(json.dumps(['the cat ' * 30] * 20_000).encode(), 2)
    time.sleep(0.3)
    lost.close()
    client = raw(ports, b'other')
    np.testing.assert_allclose(client.vectors(TEXTS), encoder.encode(TEXTS), atol=1e-5)
    wait_until(lambda: metric(server, 'te_disconnected_count') == 1)
    server.process.send_signal(signal.SIGHUP)
    server.wait('reloaded')
    np.testing.assert_allclose(client.vectors(TEXTS), encoder.encode(TEXTS), atol=1e-5)
    assert server.end() == 0
    texts = [row['texts'] for row in server.rows if row['event'] == 'zmq request']
    assert texts == [1, 3, 3]


def test_an_answer_waits_for_the_subscription(serve, raw, encoder):
    server, ports = serve()
    client = raw(ports, subscribes=False)
    client.send(json.dumps(TEXTS).encode())
    time.sleep(0.5)
    client.receiver.setsockopt(zmq.SUBSCRIBE, b'raw')
    about = json.loads(client.receiver.recv_multipart()[1])
    assert about == {'dtype': 'float32', 'shape': [3, encoder.units]}
    assert server.end() == 0


def test_clients_that_never_subscribe_give_way(serve, raw, encoder):
    server, ports = serve()
    silent = raw(ports, b'silent', subscribes=False)
    for number in range(300):
        silent.send(json.dumps(TEXTS).encode(), number)
    client = raw(ports)
    np.testing.assert_allclose(client.vectors(TEXTS), encoder.encode(TEXTS), atol=1e-5)
    wait_until(lambda: metric(server, FAILURES) == 300)
    reasons = [row['reason'] for row in server.rows if row['event'] == 'zmq refused']
    assert set(reasons) == {'its client did not subscribe'} and len(reasons) <= 3
    assert server.end() == 0


def test_hostile_messages(serve, raw, encoder):
    server, ports = serve()
    client, other = raw(ports), raw(ports, b'other')
    other.receiver.setsockopt(zmq.SUBSCRIBE, b'')  # is not obeyed: it would get all answers
    assert other.vectors(TEXTS).shape == (3, encoder.units)
    wrong = {
        b'': 'not JSON',
        b'{': 'not JSON',
        b'TERMINATION': 'not JSON',
        b'\xff\xfe': 'not UTF-8',
        b'[' * 100_000: 'nested too deeply',
        b'[]': 'a list of one text',
        b'{"a": 1}': 'a list of one text',
        b'["a", 1]': r'texts\[1\]',
        b'["a", ["b"]]': r'texts\[1\]',
        b'[["a"], "b"]': r'texts\[1\]',
        b'[["a", null]]': r'texts\[0\]',
        b'[NaN]': 'not JSON',
        b'["\\ud800"]': 'surrogate',
        json.dumps(['a'] * 20_001).encode(): '20001 texts',
        b'[' + b'"",' * 600_000 + b'""]': 'more than 500000 values',
    }
    for content, message in wrong.items():
        about, rest = client.ask(content)
        assert rest == b''
        # What the published client does with it.
        with pytest.raises(TypeError, match=message):
            np.frombuffer(rest, about['dtype'])
    for parts in (
        [b''],
        [b'raw', b'["a"]'],
        [b'raw', b'["a"]', b'x', b'1'],
        [b'raw', b'["a"]', b'9' * 50, b'1'],
        [b'', b'["a"]', b'1', b'1'],
        [b'r' * 256, b'["a"]', b'1', b'1'],
        [b'raw'] * 1000,
    ):
        client.sender.send_multipart(parts)
    np.testing.assert_allclose(client.vectors(TEXTS), encoder.encode(TEXTS), atol=1e-5)
    wait_until(lambda: metric(server, FAILURES) == len(wrong) + 7)
    with contextlib.suppress(OSError), socket.create_connection(('127.0.0.1', ports[0])) as plain:
        plain.sendall(b'GET / HTTP/1.1\r\n\r\n' * 100)
    huge = raw(ports, b'huge')
    huge.send(b' ' * (17 << 20))
    huge.receiver.setsockopt(zmq.RCVTIMEO, 500)
    with pytest.raises(zmq.Again):
        huge.receiver.recv_multipart()
    huge.close()
    np.testing.assert_allclose(client.vectors(TEXTS), encoder.encode(TEXTS), atol=1e-5)
    other.receiver.setsockopt(zmq.RCVTIMEO, 200)
    with pytest.raises(zmq.Again):
        other.receiver.recv_multipart()
    assert server.end() == 0
    lines = [row for row in server.rows if row['event'] == 'zmq refused']
    assert len(lines) < 15 and not any('Traceback' in str(row) for row in server.rows)
    assert not any(row['event'] == 'internal error' for row in server.rows)


def test_the_published_client_says_why(serve, connect):
    server, ports = serve()
    client = connect(ports, check_length=False)
    with pytest.raises(TypeError, match='20001 texts in one request'):
        client.encode(['a'] * 20_001)
    assert client.encode(['a']).shape[0] == 1
    assert server.end() == 0


def test_a_stop_answers_what_was_accepted(serve, raw, encoder):
    server, ports = serve()
    client = raw(ports)
    assert client.vectors(['the cat']).shape == (1, encoder.units)
    large = raw(ports, b'large')
    large.send(json.dumps(TEXTS * 1000).encode())
    large.send(json.dumps(TEXTS).encode(), 2)
    time.sleep(0.2)
    assert server.end(signal.SIGINT) == 0
    answers = {}
    for _ in range(2):
        _, about, _, number = large.receiver.recv_multipart()
        answers[int(number)] = json.loads(about)
    assert all('shape' in about for about in answers.values()) and set(answers) == {1, 2}
    assert answers[1]['shape'] in ([3000, encoder.units], [0])
    assert server.rows[-1]['event'] == 'stopped'


@pytest.mark.weights
def test_real_model(start, connect):
    try:
        encoder = gb.SentenceEncoder('all_minilm_l6_v2')
    except FileNotFoundError as error:
        pytest.skip(f'needs real weights: {error}')
    server = start(REAL, '--zmq_port', '0')
    row = server.wait('zmq ready')[0]
    client = connect((row['port'], row['port_out']))
    texts = ['A cat sleeps.', 'Shares fell.', 'Ünïcödé 中国 🙂']
    np.testing.assert_allclose(client.encode(texts), encoder.encode(texts), atol=1e-5)
    assert server.end() == 0


@pytest.mark.parametrize(
    'options, message',
    [
        (('--zmq_port', '70000'), '--zmq_port 70000: expected 0 to 65535'),
        (('--zmq_port', '65535'), '--zmq_port_out 65536: expected 0 to 65535'),
        (('--zmq_port', '5', '--zmq_port_out', '5'), '--zmq_port_out 5: is --zmq_port, too'),
        (('--zmq_port_out', '5556'), '--zmq_port_out needs --zmq_port'),
        (('--show_tokens_to_client',), '--show_tokens_to_client needs --zmq_port'),
        (('--zmq_port', '0', '--workers', '2'), '--workers must be 1'),
        (('--zmq_port', '0', '--zmq_host', 'nowhere.invalid'), '--zmq_host nowhere.invalid'),
        (('--zmq_port', '0', '--task', 'fill-mask'), 'none of the models gives sentence vectors'),
    ],
)
def test_wrong_arguments_are_one_line(words, options, message, monkeypatch, capsys):
    pytest.importorskip('uvicorn', reason='needs uvicorn')
    from gluon_bert.cli import main

    monkeypatch.delenv('GLUON_BERT_API_KEY', raising=False)
    assert main(['serve', str(words), '--port', '0', *options]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert message in lines[-1] and lines[-1].startswith('gluon-bert serve: error: ')


def test_a_port_that_is_taken_is_named(serve, words, capsys):
    server, (port, _) = serve()
    from gluon_bert.cli import main

    assert main(['serve', str(words), '--port', '0', '--zmq_port', str(port)]) == 2
    assert f'--zmq_port {port}: Address already in use' in capsys.readouterr().err
    assert server.end() == 0
