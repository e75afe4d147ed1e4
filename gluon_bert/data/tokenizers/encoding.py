"""Texts as tokens with their positions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

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


def checked_text(text: str) -> str:
    """Replace unpaired surrogates, which no file or library can hold."""
    if not isinstance(text, str):
        raise TypeError(f'text must be str, got {type(text).__name__}')
    return _SURROGATE.sub('\ufffd', text)  # as long as before: offsets stay


def checked_texts(texts: Iterable[str]) -> list[str]:
    """Check an iterable of texts as :func:`checked_text` checks one."""
    if isinstance(texts, (str, bytes)):
        raise TypeError('texts must be a list of str, got one text')
    return [checked_text(text) for text in texts]


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
