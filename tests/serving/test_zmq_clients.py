# ruff: noqa: F811 (fixtures are imported)
"""Who listens to the answers of bert-as-service's protocol, and what is on the way to them."""

import asyncio
import types

import pytest
from script_runs import tokenizer  # noqa: F401 (fixtures)
from served import words  # noqa: F401 (fixtures)

from gluon_bert.serving import zmq_clients, zmq_front
from gluon_bert.serving.limits import ServerLimits, ZmqSettings
from gluon_bert.serving.models import Source, open_models
from gluon_bert.serving.service import Service


def test_subscriptions_are_counted_and_bounded(monkeypatch):
    topics = zmq_clients.Subscriptions()
    assert topics.take(b'\x01a') is True and topics.take(b'\x01a') is True
    assert topics.take(b'\x00a') is False and b'a' in topics
    assert topics.take(b'\x00a') is False and b'a' not in topics
    for message in (b'\x00a', b'\x00b', b'\x01', b'', b'\x02a', b'\x01' + b'a' * 256):
        assert topics.take(message) is None
    monkeypatch.setattr(zmq_clients, '_MAX_TOPICS', 2)
    assert [topics.take(b'\x01' + name) for name in (b'a', b'b', b'c')] == [True, True, None]


def test_waiting_for_a_subscription():
    async def run():
        topics = zmq_clients.Subscriptions()
        assert not await topics.until(b'a', True, 0.01)
        there = asyncio.ensure_future(topics.until(b'a', True, 20))
        gone = asyncio.ensure_future(topics.until_gone(b'a'))
        await asyncio.sleep(0)
        topics.take(b'\x01b')
        topics.take(b'\x01a')
        assert await there
        topics.take(b'\x00a')
        await asyncio.sleep(0.01)
        topics.take(b'\x01a')  # it is back
        await asyncio.sleep(1.2 * zmq_clients._GRACE)
        is_gone = gone.done()
        gone.cancel()
        return is_gone

    # It was not there when the wait began, and came within the time that a client may be away.
    assert asyncio.run(run()) is False


def test_answers_on_the_way_are_bounded(monkeypatch):
    monkeypatch.setattr(zmq_clients, '_MAX_CLIENT_BYTES', 100)
    monkeypatch.setattr(zmq_clients, '_MAX_BYTES', 150)
    monkeypatch.setattr(zmq_clients, '_MAX_ANSWERS', 3)
    outgoing, trackers = zmq_clients.Outgoing(), []

    def send(client, size):
        if not outgoing.has_room(client, size):
            return False
        trackers.append(types.SimpleNamespace(done=False))
        outgoing.add(client, size, trackers[-1])
        return True

    assert send(b'a', 500)  # alone
    assert not send(b'a', 1) and not send(b'b', 1)
    trackers[0].done = True
    assert send(b'a', 60) and not send(b'a', 50) and send(b'a', 40)
    assert not send(b'b', 60) and send(b'b', 1) and send(b'b', 1) and send(b'b', 1)
    assert not send(b'b', 1)
    trackers[3].done = True
    assert send(b'b', 1)


def test_a_client_that_does_not_read_holds_little_memory(words, monkeypatch):
    zmq = pytest.importorskip('zmq', reason='needs pyzmq')
    monkeypatch.setattr(zmq_clients, '_MAX_CLIENT_BYTES', 8 << 20)
    monkeypatch.setattr(zmq_front, '_SLOW', 0.2)
    service = Service(
        open_models([Source('words', str(words), 'feature-extraction')]), ServerLimits()
    )
    sent, dropped = [], []
    with zmq.Context() as context, context.socket(zmq.SUB) as client:
        client.setsockopt(zmq.RCVHWM, 1)
        client.setsockopt(zmq.LINGER, 0)
        client.setsockopt(zmq.RCVTIMEO, 20_000)
        client.setsockopt(zmq.SUBSCRIBE, b'a')

        async def run():
            front = zmq_front.ZmqFront(ZmqSettings(0, 0))
            front.serve(service)
            client.connect(f'tcp://127.0.0.1:{front.port_out}')
            front.start()
            front._note = lambda reason, **fields: dropped.append(reason)
            assert await front.subscriptions.until(b'a', True, 20)
            for number in range(60):
                await front._send(b'a', [b'a', b'', bytes([number]) * (1 << 20), b'%d' % number])
                if dropped:
                    break
                sent.append(number)
            # What was sent before comes when it reads again.
            loop = asyncio.get_running_loop()
            for number in sent:
                parts = await loop.run_in_executor(None, client.recv_multipart)
                assert parts[-1] == b'%d' % number and parts[2] == bytes([number]) * (1 << 20)
            await front._send(b'a', [b'a', b'', b'', b'60'])
            last = await loop.run_in_executor(None, client.recv_multipart)
            await front.stop(5)
            return last

        assert asyncio.run(run())[-1] == b'60'
    service.close()
    assert dropped == ['its client does not read'] and 8 <= len(sent) < 60
