"""Make sequences of the sentences of documents: pairs of segments, or packed full sentences."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Optional

from .records import FOLLOWS, RANDOM

_ATTEMPTS = 10  # to draw another document, as in Google's script

Documents = Sequence[Sequence[list[int]]]  # each a sequence of sentences


class Layout(NamedTuple):
    """Sizes and special tokens of a sequence."""

    max_length: int
    short_seq_prob: float
    cls_id: int
    sep_id: int


class Segments(NamedTuple):
    """A sequence before it is masked."""

    token_ids: list[int]
    token_types: list[int]
    next_sentence: Optional[int]
    rng: random.Random


def next_sentence_pairs(
    documents: Documents, numbers: Iterable[int], rng_of: Callable, layout: Layout
) -> Iterator[Segments]:
    """Pair segments with what follows them or, half of the time, with a random segment.

    Draw by draw as google-research/bert's create_pretraining_data.py.

    Parameters
    ----------
    documents : sequence of sequences of list of int
    numbers : iterable of int
        Of the documents to pair.
    rng_of : callable
        Gives the random.Random of a document's number.
    layout : Layout

    Yields
    ------
    Segments
        ``next_sentence`` is 1 if the second segment is random.
    """
    for number in numbers:
        document, rng = documents[number], rng_of(number)
        limit, target = _lengths(layout, rng)
        position, chunk, length = 0, [], 0
        while position < len(document):
            chunk.append(document[position])
            length += len(chunk[-1])
            position += 1
            if position < len(document) and length < target:
                continue
            end = rng.randint(1, len(chunk) - 1) if len(chunk) >= 2 else 1
            first = _joined(chunk[:end])
            label = FOLLOWS
            if len(chunk) == 1 or rng.random() < 0.5:
                label = RANDOM
                second = _random_segment(documents, number, rng, target - len(first))
                position -= len(chunk) - end  # what was not used comes again
            else:
                second = _joined(chunk[end:])
            pair = _truncated(first, second, limit, rng)
            yield _pair(pair, label, rng, layout)
            chunk, length = [], 0


def swapped_pairs(
    documents: Documents, numbers: Iterable[int], rng_of: Callable, layout: Layout
) -> Iterator[Segments]:
    """Pair segments that follow each other, half of them swapped (ALBERT's sentence order).

    A chunk of one sentence is cut into halves. Lan et al. (2020), section 3.1.

    Parameters
    ----------
    documents, numbers, rng_of, layout
        As for :func:`next_sentence_pairs`.

    Yields
    ------
    Segments
        ``next_sentence`` is 1 if the segments are swapped.
    """
    for number in numbers:
        document, rng = documents[number], rng_of(number)
        limit, target = _lengths(layout, rng)
        chunk: list[list[int]] = []
        length = 0
        for position, sentence in enumerate(document, 1):
            chunk.append(sentence)
            length += len(sentence)
            if position < len(document) and length < target:
                continue
            if len(chunk) == 1 and len(sentence) >= 2:
                middle = len(sentence) // 2
                chunk = [sentence[:middle], sentence[middle:]]
            if len(chunk) >= 2:
                end = rng.randint(1, len(chunk) - 1)
                pair = _truncated(_joined(chunk[:end]), _joined(chunk[end:]), limit, rng)
                is_swapped = rng.random() < 0.5
                yield _pair(pair[::-1] if is_swapped else pair, int(is_swapped), rng, layout)
            chunk, length = [], 0


def full_sentences(
    documents: Documents, numbers: Iterable[int], rng_of: Callable, layout: Layout
) -> Iterator[Segments]:
    """Pack full sentences up to the maximum length, across documents, in one segment.

    A separator stands between documents and at the end; a sentence that is longer than a sequence
    is cut. Liu et al. (2019), section 4.2. ``short_seq_prob`` has no influence.

    Parameters
    ----------
    documents, numbers, rng_of, layout
        As for :func:`next_sentence_pairs`.

    Yields
    ------
    Segments
        Without ``next_sentence``.
    """
    room = layout.max_length - 1  # for the separator at the end
    tokens, rng = [layout.cls_id], None
    for number in numbers:
        document, rng = documents[number], rng_of(number)
        for position in range(len(document)):
            sentence = document[position]
            for start in range(0, len(sentence), room - 1):
                piece = sentence[start : start + room - 1]
                is_new = position == 0 and start == 0 and len(tokens) > 1
                if len(tokens) + is_new + len(piece) > room:
                    yield _packed(tokens, rng, layout)
                    tokens, is_new = [layout.cls_id], False
                tokens += [layout.sep_id, *piece] if is_new else piece
    if len(tokens) > 1:
        yield _packed(tokens, rng, layout)


# Name -> function as above.
PAIRINGS: dict[str, Any] = {
    'next_sentence': next_sentence_pairs,
    'sentence_order': swapped_pairs,
    'full_sentences': full_sentences,
}


def _lengths(layout, rng):
    """Tokens of a pair at most, and those to aim at."""
    limit = layout.max_length - 3
    return limit, rng.randint(2, limit) if rng.random() < layout.short_seq_prob else limit


def _random_segment(documents, number, rng, length):
    """Sentences of another document from a random one on, up to a length."""
    for _ in range(_ATTEMPTS):
        other = rng.randint(0, len(documents) - 1)
        if other != number:
            break
    document, tokens = documents[other], []
    for position in range(rng.randint(0, len(document) - 1), len(document)):
        tokens += document[position]
        if len(tokens) >= length:
            break
    return tokens


def _truncated(first, second, limit, rng):
    """Cut tokens off the longer segment, each at its begin or its end."""
    bounds = [[0, len(first)], [0, len(second)]]
    sizes = [len(first), len(second)]
    for _ in range(sum(sizes) - limit):
        longer = 0 if sizes[0] > sizes[1] else 1
        sizes[longer] -= 1
        if rng.random() < 0.5:
            bounds[longer][0] += 1
        else:
            bounds[longer][1] -= 1
    return tuple(tokens[slice(*bound)] for tokens, bound in zip((first, second), bounds))


def _pair(pair, label, rng, layout):
    first, second = pair
    tokens = [layout.cls_id, *first, layout.sep_id, *second, layout.sep_id]
    types = [0] * (len(first) + 2) + [1] * (len(second) + 1)
    return Segments(tokens, types, label, rng)


def _packed(tokens, rng, layout):
    return Segments([*tokens, layout.sep_id], [0] * (len(tokens) + 1), None, rng)


def _joined(sentences):
    return [token for sentence in sentences for token in sentence]
