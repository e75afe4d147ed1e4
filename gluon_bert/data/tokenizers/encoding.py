"""Texts as tokens with their positions."""

from __future__ import annotations

import operator
import re
import reprlib
from collections.abc import Iterable, Mapping, Set
from typing import Any, NamedTuple

import numpy as np

_SURROGATE = re.compile('[\ud800-\udfff]')  # unpaired, from JSON escapes or file names


class Encoded(NamedTuple):
    """The tokens of a text, their ids, and their positions in the text.

    ``text[start:end]`` with (start, end) of ``offsets`` is the text that the token was made from,
    without the space before a word. Characters that the tokenizer removes, such as combining
    accents, belong to the token before them, or at the start of a word to its first token, so that
    the tokens of a word together cover all of it.
    """

    tokens: list[str]
    ids: list[int]
    offsets: list[tuple[int, int]]


def checked_text(text: str, name: str = 'text') -> str:
    """Replace unpaired surrogates, which no file or library can hold."""
    if not isinstance(text, str):
        raise TypeError(f'{name} must be str, got {type(text).__name__}')
    return _SURROGATE.sub('\ufffd', text)  # as long as before: offsets stay


def checked_texts(texts: Iterable[str], name: str = 'texts') -> list[str]:
    """Check an iterable of texts as :func:`checked_text` checks one."""
    if isinstance(texts, (str, bytes)):
        raise TypeError(f'{name} must be a list of str, got one text: write [text]')
    return [
        checked_text(text, f'{name}[{number}]')
        for number, text in enumerate(checked_list(texts, name, 'str'))
    ]


def checked_list(values: Any, name: str, kind: str) -> list:
    """List an iterable whose order means something; TypeError for anything else."""
    is_ordered = not isinstance(values, (str, bytes, bytearray, Mapping, Set))
    if not is_ordered or not hasattr(values, '__iter__') or getattr(values, 'ndim', 1) != 1:
        raise TypeError(f'{name} must be a list of {kind}, got {type(values).__name__}')
    return list(values)


def checked_ids(ids: Any, size: int, name: str = 'ids') -> list[int]:
    """List the ids of one sequence, which may be an array of NumPy or MXNet.

    Raises
    ------
    TypeError, ValueError
        If it is no list or array of whole numbers, or one is not from 0 to ``size - 1``.
    """
    ids = ids.asnumpy() if hasattr(ids, 'asnumpy') else ids
    is_array = isinstance(ids, np.ndarray)
    if is_array and ids.ndim != 1:
        raise ValueError(
            f'{name} must be the ids of one sequence, got an array of shape {ids.shape}'
        )
    numbers = ids.tolist() if is_array else checked_list(ids, name, 'ids')
    if is_array and ids.dtype.kind == 'f':  # MXNet's networks take ids as float32
        numbers = [int(number) if number.is_integer() else number for number in numbers]
    return [_checked_id(number, size, f'{name}[{i}]') for i, number in enumerate(numbers)]


def _checked_id(number, size, name):
    try:
        if isinstance(number, (bool, np.bool_)):
            raise TypeError
        number = operator.index(number)
    except TypeError:
        raise TypeError(
            f'{name} must be a whole number, got {type(number).__name__} {reprlib.repr(number)}'
        ) from None
    if not 0 <= number < size:
        raise ValueError(
            f'{name}: id {number} is not in the vocabulary, which has ids from 0 to {size - 1}'
        )
    return number


def cover_removed(text: str, offsets: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Extend tokens over the characters beside them that no token covers, up to white space.

    Parameters
    ----------
    text : str
    offsets : list of (int, int)
        In order; tokens made from no character are left as they are.

    Returns
    -------
    list of (int, int)

    Examples
    --------
    >>> cover_removed('caf\u0065\u0301 \u200bau', [(0, 3), (3, 4), (7, 9)])
    [(0, 3), (3, 5), (6, 9)]
    """
    covered, last, reached = list(offsets), None, 0
    for number, (start, end) in enumerate([*offsets, (len(text), len(text) + 1)]):
        gap = text[reached:start]
        if gap and not gap.isspace() and start < end:
            before, *between = re.split(r'\s+', gap)
            if not between and last is None:  # no token precedes the removed characters
                before, between = '', [before]
            if before and last is not None:
                covered[last] = covered[last][0], reached + len(before)
            if between and number < len(covered):
                covered[number] = start - len(between[-1]), end
        if start < end:
            last, reached = number, max(reached, end)
    return covered
