"""Streams of inputs and results: blocks of bounded size, read ahead, memory given back."""

from __future__ import annotations

import ctypes
import functools
import itertools
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, Optional, Union

_MAX_CHARACTERS = 4 << 20  # of the texts of a block

Texts = Iterable[Union[str, tuple[str, Optional[str]]]]


class Call:
    """The counts of one call; ``num_cut`` is the number of its inputs cut so far."""

    num_cut = 0


class ResultStream(Iterator):
    """The results of one call, computed as they are taken; ``num_cut`` counts its cut inputs.

    Parameters
    ----------
    results : generator
    call : Call
        With the counts that the generator keeps.
    """

    def __init__(self, results: Generator, call: Call) -> None:
        self._results, self._call = results, call

    @property
    def num_cut(self) -> int:
        """Number of inputs that were cut so far, for being too long."""
        return self._call.num_cut

    def __next__(self):
        return next(self._results)

    def close(self) -> None:
        """Stop reading inputs; there are no further results."""
        self._results.close()


def chunk(items: Iterable, size: int, num_characters: Callable[[Any], int]) -> Iterator[list]:
    """Cut a stream of items into blocks of bounded size.

    Parameters
    ----------
    items : iterable
    size : int
        Items in a block; fewer if they are very long.
    num_characters : callable
        The length of an item.

    Yields
    ------
    list
        The next items, one or more.
    """
    block, total = [], 0
    for item in items:
        block.append(item)
        total += num_characters(item)
        if len(block) == size or total > _MAX_CHARACTERS:
            yield block
            block, total = [], 0
    if block:
        yield block


def chunk_texts(texts: Texts, size: int) -> Iterator[tuple[list[str], Optional[list]]]:
    """Cut a stream of texts or pairs into blocks of bounded size.

    Parameters
    ----------
    texts : iterable of str or of (str, str)
    size : int
        Texts in a block; fewer if they are very long.

    Yields
    ------
    texts : list of str
    pairs : list of str, or None
        None if the block has no pairs, and among them for a single text.

    Raises
    ------
    TypeError
        If one is neither a text nor a pair.
    """
    if isinstance(texts, (str, bytes)):
        raise TypeError('texts must be a list of str, got one text')
    pairs = (_pair(item, number) for number, item in enumerate(texts))
    for block in chunk(pairs, size, lambda pair: len(pair[0]) + len(pair[1] or '')):
        first, second = map(list, zip(*block))
        yield first, None if all(text is None for text in second) else second


def _pair(item, number):
    """A text with None, or the two parts of a pair, of which the second may be None."""
    if isinstance(item, str):
        return item, None
    parts = tuple(item) if isinstance(item, (tuple, list)) else ()
    if len(parts) != 2 or not all(
        isinstance(part, str) for part in parts[: 1 + (parts[1] is not None)]
    ):
        raise TypeError(
            f'texts[{number}] must be a str or a pair of str, got {type(item).__name__}'
        )
    return parts


def prefetch(function: Callable, blocks: Iterable[tuple]) -> Iterator:
    """Apply a function to each block, to the next one in a thread meanwhile.

    A block alone is done by the caller: a thread takes longer to start than a short text to read.

    Parameters
    ----------
    function : callable
        Takes the parts of a block. It must leave MXNet alone.
    blocks : iterable of tuple
        Read in the caller's thread.

    Yields
    ------
    object
        What ``function`` returns, in the order of the blocks.

    Raises
    ------
    Exception
        As ``function`` and ``blocks`` do, after the results of the blocks before.
    """
    blocks = iter(blocks)
    ahead = list(itertools.islice(blocks, 1))
    try:
        ahead += itertools.islice(blocks, 1)
    except Exception as error:  # raised after the result
        yield function(*ahead[0])
        raise error
    if len(ahead) < 2:
        yield from itertools.starmap(function, ahead)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as worker:
        pending = None
        for future in _submitted(worker, function, itertools.chain(ahead, blocks)):
            done, pending = pending, future
            if done:
                yield done.result()
        if pending:
            yield pending.result()


def _submitted(worker, function, blocks):
    """A future for each block, and for an error that reading them ends with."""
    blocks = iter(blocks)
    while True:
        try:
            block = next(blocks)
        except StopIteration:
            return
        except Exception as error:  # raised after the earlier results
            from concurrent.futures import Future

            failed = Future()
            failed.set_exception(error)
            yield failed
            return
        yield worker.submit(function, *block)


@functools.cache
def _malloc_trim():
    """The function of the C library, None without one."""
    return getattr(ctypes.CDLL(None), 'malloc_trim', None) if sys.platform == 'linux' else None


def heap_trimmer(seconds: float = 1.0) -> Callable[[], None]:
    """Make a function to call now and then that gives freed memory back to the system.

    Batches of many sizes leave the heap of the C library in pieces, and it would grow for hours.

    Parameters
    ----------
    seconds : float
        Minimum seconds between two trims.

    Returns
    -------
    callable
        Without arguments; does nothing where the C library cannot trim.
    """
    trim = _malloc_trim()
    last = time.monotonic()

    def call() -> None:
        nonlocal last
        if trim is not None and time.monotonic() - last >= seconds:
            trim(0)
            last = time.monotonic()

    return call
