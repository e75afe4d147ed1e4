"""Blocks read ahead: in a thread only where there are several, errors after earlier results."""

import threading

import pytest

from gluon_bert.data.streams import prefetch


def numbered(number):
    return number, threading.current_thread() is threading.main_thread()


def test_one_block_alone_starts_no_thread():
    assert list(prefetch(numbered, [])) == []
    assert list(prefetch(numbered, [(7,)])) == [(7, True)]
    assert list(prefetch(numbered, [(7,), (8,), (9,)])) == [(7, False), (8, False), (9, False)]


@pytest.mark.parametrize('count', [0, 1, 2, 3])
def test_an_error_of_reading_comes_after_the_earlier_results(count):
    def blocks():
        for number in range(count):
            yield (number,)
        raise OSError('no more')

    results = prefetch(numbered, blocks())
    assert [next(results)[0] for _ in range(count)] == [*range(count)]
    with pytest.raises(OSError, match='no more'):
        next(results)
