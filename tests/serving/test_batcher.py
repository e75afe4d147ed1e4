"""The queue: batches by tokens, in order, without those whose clients left."""

import threading
from concurrent.futures import CancelledError
from typing import NamedTuple

import numpy as np
import pytest

from gluon_bert.data.features import Features
from gluon_bert.serving.batcher import Batcher
from gluon_bert.serving.errors import ServiceError


def sequence(number, length=4):
    ids = np.full(length, number, 'int32')
    return Features(ids, np.zeros_like(ids), length)


class Recorder:
    """A network that gives the first id, notes its batches, and waits for a gate."""

    def __init__(self):
        self.batches, self.gate, self.entered = [], threading.Event(), threading.Event()
        self.gate.set()

    def run(self, features, bad):
        self.entered.set()
        assert self.gate.wait(20)
        numbers = [int(feature.inputs[0]) for feature in features]
        self.batches.append(numbers)
        if bad in numbers:
            raise ArithmeticError('bad')
        return numbers


class BatchRun(NamedTuple):
    recorder: Recorder
    name: str = 'a'
    bad: int = -1

    def __call__(self, features, positions):
        return self.recorder.run(features, self.bad)


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def make_batcher():
    """Make a batcher that is closed at the end."""
    made = []

    def make(*arguments):
        made.append(Batcher(*arguments))
        return made[-1]

    yield make
    for batcher in made:
        batcher.close(timeout=20)
        assert not batcher._thread.is_alive()


def hold(batcher, recorder):
    """Keep the thread busy with a sequence of its own, so that what follows waits."""
    recorder.gate.clear()
    job = batcher.submit(BatchRun(recorder), [sequence(0)])
    assert recorder.entered.wait(20)
    return job


def test_what_waits_is_one_batch_up_to_the_budget(make_batcher, recorder):
    batcher = make_batcher(12)
    first = hold(batcher, recorder)
    jobs = [batcher.submit(BatchRun(recorder), [sequence(i), sequence(10 + i)]) for i in (1, 2, 3)]
    assert (batcher.size, batcher.tokens) == (6, 24)
    recorder.gate.set()
    assert [job.future.result(20) for job in jobs] == [[1, 11], [2, 12], [3, 13]]
    assert first.future.result(20) == [0]
    assert recorder.batches == [[0], [1, 11, 2], [12, 3, 13]]
    assert (batcher.size, batcher.tokens) == (0, 0)


def test_a_sequence_beyond_the_budget_is_computed_alone(make_batcher, recorder):
    batcher = make_batcher(12)
    hold(batcher, recorder)
    jobs = [batcher.submit(BatchRun(recorder), [sequence(1), sequence(2, 50), sequence(3)])]
    recorder.gate.set()
    assert jobs[0].future.result(20) == [1, 2, 3]
    assert recorder.batches == [[0], [1], [2], [3]]


def test_networks_take_turns_by_the_oldest_request(make_batcher, recorder):
    batcher = make_batcher(100)
    hold(batcher, recorder)
    order = [('b', 1), ('a', 2), ('b', 3)]
    jobs = [batcher.submit(BatchRun(recorder, name), [sequence(i)]) for name, i in order]
    recorder.gate.set()
    assert [job.future.result(20) for job in jobs] == [[1], [2], [3]]
    assert recorder.batches == [[0], [1, 3], [2]]


def test_sequences_of_clients_that_left_are_dropped(make_batcher, recorder):
    batcher = make_batcher(100)
    hold(batcher, recorder)
    gone, here = (batcher.submit(BatchRun(recorder), [sequence(i)]) for i in (1, 2))
    assert gone.future.cancel()
    recorder.gate.set()
    assert here.future.result(20) == [2]
    with pytest.raises(CancelledError):
        gone.future.result(20)
    assert recorder.batches == [[0], [2]]


def test_a_failure_is_that_of_its_own_request(make_batcher, recorder):
    batcher = make_batcher(100)
    hold(batcher, recorder)
    jobs = [batcher.submit(BatchRun(recorder, bad=2), [sequence(i)]) for i in (1, 2, 3)]
    recorder.gate.set()
    assert [jobs[0].future.result(20), jobs[2].future.result(20)] == [[1], [3]]
    with pytest.raises(ArithmeticError):
        jobs[1].future.result(20)
    assert recorder.batches == [[0], [1, 2, 3], [1], [2], [3]]


def test_more_than_may_wait_is_refused_but_not_where_nothing_waits(make_batcher, recorder):
    batcher = make_batcher(100, 10)
    hold(batcher, recorder)
    large = batcher.submit(BatchRun(recorder), [sequence(1, 30)])
    with pytest.raises(ServiceError) as error:
        batcher.submit(BatchRun(recorder), [sequence(2)])
    assert (error.value.status, error.value.headers) == (429, {'retry-after': '1'})
    recorder.gate.set()
    assert large.future.result(20) == [1]


def test_masks_count_as_the_memory_of_their_scores(make_batcher, recorder):
    batcher = make_batcher(200)
    hold(batcher, recorder)
    features = [sequence(i) for i in (1, 2, 3, 4)]
    job = batcher.submit(BatchRun(recorder), features, [[1, 2], [1], [1], []])
    recorder.gate.set()
    assert job.future.result(20) == [1, 2, 3, 4]
    assert recorder.batches == [[0], [1, 2], [3, 4]]


def test_what_waits_is_computed_before_the_end(recorder):
    batcher = Batcher(4)
    hold(batcher, recorder)
    jobs = [batcher.submit(BatchRun(recorder), [sequence(i)]) for i in (1, 2)]
    closing = threading.Thread(target=batcher.close)
    closing.start()
    recorder.gate.set()
    assert [job.future.result(20) for job in jobs] == [[1], [2]]
    closing.join(20)
    assert not closing.is_alive()
    with pytest.raises(ServiceError) as error:
        batcher.submit(BatchRun(recorder), [sequence(3)])
    assert error.value.status == 503


def test_no_sequences_are_done_at_once(make_batcher, recorder):
    assert make_batcher().submit(BatchRun(recorder), []).future.result(0) == []
    assert recorder.batches == []


def test_what_may_wait_follows_the_speed_of_the_last_batches(make_batcher, recorder, monkeypatch):
    clock = iter(range(1000))
    batcher = make_batcher(100, None, None, 10.0, 50.0)
    assert (batcher.max_queue_tokens, batcher.tokens_per_second) == (500, 50.0)
    monkeypatch.setattr('time.monotonic', lambda: float(next(clock)) * 2)
    for _ in range(100):  # four tokens in two seconds or more
        batcher.submit(BatchRun(recorder), [sequence(1)]).future.result(20)
    monkeypatch.undo()
    assert 0 < batcher.tokens_per_second <= 2.5
    assert batcher.max_queue_tokens == int(10 * batcher.tokens_per_second)
    assert make_batcher(100, 7).max_queue_tokens == 7


def test_a_batch_takes_no_longer_than_about_half_a_second(make_batcher, recorder):
    batcher = make_batcher(16384, 10**6, None, 5.0, 100.0)
    hold(batcher, recorder)
    job = batcher.submit(BatchRun(recorder), [sequence(i, 1000) for i in range(1, 9)])
    recorder.gate.set()
    assert job.future.result(20) == list(range(1, 9))
    # At 100 tokens a second that is less than the 4096 that keep the threads busy.
    assert [len(batch) for batch in recorder.batches] == [1, 4, 4]


def test_a_full_queue_is_known_before_texts_are_read(make_batcher, recorder):
    batcher = make_batcher(4, 12)
    batcher.check_room()
    hold(batcher, recorder)
    jobs = [batcher.submit(BatchRun(recorder), [sequence(i)]) for i in (1, 2)]
    with pytest.raises(ServiceError, match='overloaded'):
        batcher.check_room()
    recorder.gate.set()
    assert [job.future.result(20) for job in jobs] == [[1], [2]]
    batcher.check_room()
    batcher.close(20)
    with pytest.raises(ServiceError, match='not ready'):
        batcher.check_room()
