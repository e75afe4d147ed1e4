"""model_zoo/load counts what its servers answer, and runs ours."""

import asyncio
import csv
import itertools
import json
import os
import subprocess
import sys

import load
import load_client
import load_plot
import load_steady
import load_systems
import load_work
import numpy as np
import pytest

import gluon_bert as gb

TEXTS = [f'A cat sleeps on {number} mats.' for number in range(12)]


async def serve(answer):
    """Answer the requests of a small server by a function: their number, writer -> None."""
    numbers = itertools.count()

    async def handle(reader, writer):
        while head := await reader.readuntil(b'\r\n\r\n'):
            length = int(head.lower().partition(b'content-length: ')[2].partition(b'\r\n')[0])
            await reader.readexactly(length)
            await answer(next(numbers), writer)

    async def handle_until_closed(reader, writer):
        try:
            await handle(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(handle_until_closed, '127.0.0.1', 0)
    return server, server.sockets[0].getsockname()[1]


async def reply(writer, status, body=b'{}', pause=0.0):
    head = f'HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n'.encode()
    for part in (head[:9], head[9:30], head[30:] + body[:1], body[1:]):
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(pause)


def run(answer, call):
    """Run a loop of the client against a server: port -> coroutine."""

    async def both():
        server, port = await serve(answer)
        async with server:
            return await call(port)

    return asyncio.run(both())


REQUESTS = itertools.cycle([load_client.request_bytes(1, '/', b'{}')])


def test_a_closed_loop_sends_so_many_requests_and_reads_answers_in_parts():
    bodies = []

    async def answer(number, writer):
        await reply(writer, 429 if number % 4 == 3 else 200, f'{{"n":{number}}}'.encode(), 0.001)

    outcome = run(
        answer,
        lambda port: load_client.run_closed(
            port, REQUESTS, 3, count=20, on_answer=lambda *one: bodies.append(one)
        ),
    )
    assert outcome.statuses == {200: 15, 429: 5} and outcome.unanswered == 0
    assert sorted(json.loads(body)['n'] for _, body in bodies) == list(range(20))
    assert len(outcome.times(200)) == 15 and min(outcome.times(200)) > 0.003
    assert outcome.seconds >= 0.003 * 20 / 3


def test_a_connection_that_ends_leaves_its_request_unanswered():
    async def answer(number, writer):
        if number == 5:
            writer.close()
        else:
            await reply(writer, 200)

    outcome = run(answer, lambda port: load_client.run_closed(port, REQUESTS, 2, count=10))
    assert outcome.statuses == {200: 9} and outcome.unanswered == 1


def test_an_open_loop_keeps_its_rate_while_no_request_is_answered():
    async def answer(number, writer):
        await asyncio.sleep(0.3)
        await reply(writer, 200)

    outcome = run(answer, lambda port: load_client.run_open(port, REQUESTS, 200, 0.2))
    assert outcome.statuses[200] == 40 and not outcome.unanswered and not outcome.not_offered
    assert min(outcome.times()) >= 0.3


def test_an_open_loop_says_what_it_could_not_send(monkeypatch):
    monkeypatch.setattr(load_client, 'MOST_CONNECTIONS', 3)

    async def answer(number, writer):
        await asyncio.sleep(0.3)
        await reply(writer, 200)

    outcome = run(answer, lambda port: load_client.run_open(port, REQUESTS, 100, 0.2))
    assert outcome.statuses[200] + outcome.not_offered == 20
    assert outcome.statuses[200] >= 3 and outcome.not_offered > 0 and not outcome.unanswered


def test_percentiles_are_those_of_the_sorted_times():
    times = [float(number) for number in range(100)]
    assert [load_client.percentile(times, share) for share in (0, 0.5, 0.99, 1)] == [0, 50, 99, 99]
    assert np.isnan(load_client.percentile([], 0.5))


def test_time_and_memory_are_those_of_a_process_and_its_children():
    code = 'import os, time; os.fork(); x = bytearray(1 << 25); time.sleep(30)'
    with subprocess.Popen([sys.executable, '-c', code]) as process:
        try:
            while len(pids := load_systems.tree(process.pid)) < 2 or any(
                load_systems._memory(pid, 'VmRSS') < 1 << 25 for pid in pids
            ):
                assert process.poll() is None
            assert pids[0] == process.pid and load_systems._memory(10**8, 'VmRSS') == 0
        finally:
            for pid in load_systems.tree(process.pid):
                load_systems.send(pid, 9)
    assert load_systems._processor_seconds(os.getpid()) > 0


@pytest.fixture
def texts(monkeypatch):
    """A few texts in the place of the real data; the folder of the package for the servers."""
    pytest.importorskip('uvicorn', reason='needs uvicorn')
    pytest.importorskip('starlette', reason='needs starlette')
    try:
        gb.get_tokenizer(*load_work.MODEL.split('/'))
    except FileNotFoundError as error:
        pytest.skip(str(error))
    kinds = {'sentences': lambda: TEXTS, 'paragraphs': lambda: [' '.join(TEXTS)]}
    for module in (load, load_steady):
        monkeypatch.setattr(module, 'KINDS', kinds)


@pytest.mark.parametrize(
    'mode, options, fields',
    [
        ('compare', ['--concurrency', '1', '2', '--rounds', '2', '--turn_seconds', '0.3'], 6),
        ('memory', ['--requests', '300'], 101),
        ('overload', ['--seconds', '1', '--times', '2'], 2),
    ],
)
def test_our_server_is_measured(texts, tmp_path, mode, options, fields):
    output = tmp_path / 'rows.csv'
    words = [mode, '--systems', 'gluon_bert', *options, '--threads', '1', '--output', str(output)]
    assert load.main([*words, '--work_folder', str(tmp_path / 'work')]) == 0
    with open(output, newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == fields
    pictures = {'compare': ['rows_speed.png'], 'memory': ['rows.png'], 'overload': []}
    assert [path.name for path in tmp_path.glob('*.png')] == pictures[mode]
    if mode == 'compare':
        assert {row['system'] for row in rows} == {'library', 'gluon_bert'}
        for row in rows:
            assert int(row['requests']) > 0 and row['failed'] == '0'
            if row['system'] == 'gluon_bert':
                assert float(row['difference']) < 1e-5
                assert float(row['gluon_bert_times_as_many']) == 1
    elif mode == 'memory':
        assert [int(row['requests']) for row in rows[1:]] == list(range(3, 301, 3))
        assert rows[0]['failed_of_all'] == '0' and float(rows[-1]['memory_mb']) > 20
    else:
        for row in rows:
            assert int(row['status_200']) > 0 and row['other_statuses'] == ''
            assert row['unanswered'] == row['not_offered'] == '0'


def test_a_server_whose_vectors_differ_is_not_measured(texts, monkeypatch, tmp_path):
    monkeypatch.setattr(load, 'largest_difference', lambda *_: 2e-4)
    words = ['compare', '--systems', 'gluon_bert', '--work_folder', str(tmp_path / 'work')]
    with pytest.raises(ValueError, match='vectors of sentences differ by 0.0002 from the library'):
        load.main(words)


def test_a_server_that_does_not_start_is_named_with_its_last_words(texts, tmp_path):
    (tmp_path / 'model').mkdir()
    with pytest.raises(RuntimeError, match='gluon_bert is not ready: .*model'):
        load_systems.Server('gluon_bert', tmp_path, 1, tmp_path / 'log')


def test_onnxruntime_behind_the_same_code_gives_the_same_vectors(texts, tmp_path):
    for name in ('onnxruntime', 'onnx'):
        pytest.importorskip(name, reason=f'needs {name}')
    load_work.make_formats(tmp_path)
    library = load_work.Library(tmp_path / 'model', 1)
    mixed = [*TEXTS, ' '.join(TEXTS)]
    bodies, log = [], tmp_path / 'log'
    with load_systems.Server('onnxruntime', tmp_path, 1, log) as server:
        requests = [
            load_client.request_bytes(
                server.port, load_work.PATH, load_work.body_of(text, load_systems.NAME)
            )
            for text in mixed
        ]
        for part in (iter(requests), iter(requests)):
            asyncio.run(
                load_client.run_closed(
                    server.port, part, 1, on_answer=lambda status, body: bodies.append(body)
                )
            )
    expected = library.encoder.encode(mixed * 2)
    assert load_work.largest_difference(bodies, expected) < load_work.TOLERANCE


def test_the_comparison_is_plotted_for_servers_that_are_there(tmp_path):
    rows = [
        {
            'system': name,
            'texts': kind,
            'concurrency': count,
            'requests_per_second': 9 * count,
            'p99_ms': count,
        }
        for name in ('gluon_bert', 'infinity_torch', 'library')
        for kind in ('sentences', 'paragraphs')
        for count in (1, 16)
    ]
    load_plot.draw_comparison(rows, tmp_path / 'a.svg')
    text = (tmp_path / 'a.svg').read_text(encoding='utf-8')
    for label in ('gluon_bert', 'infinity, torch', 'requests/s', 'p99, ms', 'open requests'):
        assert f'<!-- {label} -->' in text
    assert 'onnxruntime' not in text
