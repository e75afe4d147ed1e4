"""Turn questions and their paragraphs into windows of tokens.

Q questions, P paragraphs, W windows, L tokens of a paragraph.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional

import numpy as np

from ..._internal.types import Integers, Progress
from ..features import Features

if TYPE_CHECKING:
    from ..tokenizers.base import SubwordTokenizer
    from .files import Question


_CHUNK = 512  # texts tokenized at once, on all cores


@dataclass(frozen=True, eq=False)
class Windows:
    """Sequences ``[CLS] question [SEP] part of the paragraph [SEP]``.

    Devlin et al. (2019), section 4.2; the parts overlap as in their code. Windows of a question
    are consecutive, the questions in order. All arrays are int32.

    Parameters
    ----------
    question : numpy.ndarray, shape (W,)
        Number of each window's question.
    start, length : numpy.ndarray, shape (W,)
        First token of the part in the paragraph, and number of its tokens.
    span : numpy.ndarray, shape (W, 2)
        Positions in the sequence of the answer's first and last token; (0, 0), which is [CLS],
        if the window does not contain all of it or the question is impossible.
    paragraph : numpy.ndarray, shape (Q,)
        Number of each question's paragraph.
    query_ids, query_bounds : numpy.ndarray, shapes (tokens,) and (questions + 1,)
        The token ids of all questions, and the bounds of each question's ids.
    token_ids, token_bounds : numpy.ndarray, shapes (tokens,) and (paragraphs + 1,)
        The same for the paragraphs.
    token_offsets : numpy.ndarray, shape (tokens, 2)
        Characters that each token of the paragraphs was made from.
    special : numpy.ndarray, shape (4,)
        Ids of [CLS] and [SEP], the number of separators in the middle, the second token type.
    """

    question: np.ndarray
    start: np.ndarray
    length: np.ndarray
    span: np.ndarray
    paragraph: np.ndarray
    query_ids: np.ndarray
    query_bounds: np.ndarray
    token_ids: np.ndarray
    token_bounds: np.ndarray
    token_offsets: np.ndarray
    special: np.ndarray

    def __len__(self) -> int:
        return len(self.question)

    @property
    def first_token(self) -> np.ndarray:
        """Position in each sequence at which the paragraph's part begins, (W,)."""
        return 1 + np.diff(self.query_bounds)[self.question] + self.special[2]

    def features(self) -> list[Features]:
        """Build the sequences, as a list of :class:`.Features`."""
        cls_id, sep_id, num_separators, pair_type = self.special.tolist()
        begin, separators, end = [cls_id], [sep_id] * num_separators, [sep_id]
        sequences = []
        for number, first, tokens in zip(self.question, self.first_token, self._rows()):
            query = self.query_ids[self.query_bounds[number] : self.query_bounds[number + 1]]
            ids = np.concatenate([begin, query, separators, self.token_ids[tokens], end])
            token_types = np.zeros(len(ids), 'int32')
            token_types[first:] = pair_type
            sequences.append(Features(ids.astype('int32'), token_types, len(ids)))
        return sequences

    def offsets(self) -> Iterator[np.ndarray]:
        """Yield for each window the characters of the paragraph its tokens were made from.

        Yields
        ------
        numpy.ndarray, shape (length, 2)
        """
        for tokens in self._rows():
            yield self.token_offsets[tokens]

    def max_context(self) -> Iterator[np.ndarray]:
        """Yield for each window a mask of the tokens that have most context in it.

        A token in several windows of a question belongs to the one where it has most context on
        its poorer side, by the rule of Google's code.

        Yields
        ------
        numpy.ndarray, bool, shape (length,)
        """
        for number, group in itertools.groupby(range(len(self)), self.question.__getitem__):
            rows = list(group)
            bounds = self.token_bounds[self.paragraph[number] :][:2]
            yield from max_context(self.start[rows], self.length[rows], int(np.diff(bounds)[0]))

    def _rows(self):
        """Yield each window's tokens, as a slice of those of all paragraphs."""
        begins = self.token_bounds[self.paragraph[self.question]] + self.start
        for begin, length in zip(begins.tolist(), self.length.tolist()):
            yield slice(begin, begin + length)


def max_context(starts: Integers, lengths: Integers, num_tokens: int) -> list[np.ndarray]:
    """Compute which tokens have most context in each of overlapping windows.

    Parameters
    ----------
    starts, lengths : sequence of int
        The windows, in order.
    num_tokens : int
        Tokens of the paragraph.

    Returns
    -------
    list of numpy.ndarray, bool
        For each window a mask of its length; every covered token is True in exactly one.

    Examples
    --------
    >>> [flags.tolist() for flags in max_context([0, 2], [4, 4], 6)]
    [[True, True, True, False], [False, True, True, True]]
    """
    best, owner = np.full(num_tokens, -np.inf), np.zeros(num_tokens, int)
    for number, (start, length) in enumerate(zip(starts, lengths)):
        place = np.arange(length)
        # The length decides between windows whose poorer sides are equal.
        score = np.minimum(place, length - 1 - place) + 0.01 * length
        tokens = slice(start, start + length)
        better = score > best[tokens]
        best[tokens][better], owner[tokens][better] = score[better], number
    return [
        owner[start : start + length] == number
        for number, (start, length) in enumerate(zip(starts, lengths))
    ]


def window_starts(num_tokens: int, room: int, stride: int) -> list[int]:
    """Compute the first token of each window of a paragraph.

    Parameters
    ----------
    num_tokens : int
    room : int
        Tokens in a window.
    stride : int
        Distance from one window to the next, at most ``room``.

    Returns
    -------
    list of int

    Examples
    --------
    >>> window_starts(10, room=4, stride=3)
    [0, 3, 6]
    """
    stride = min(stride, room)
    return [number * stride for number in range(-(-max(0, num_tokens - room) // stride) + 1)]


def token_span(offsets: np.ndarray, start: int, end: int) -> Optional[tuple[int, int]]:
    """Find the first and the last token made from the characters ``start`` to ``end``.

    Parameters
    ----------
    offsets : numpy.ndarray, shape (L, 2)
    start, end : int

    Returns
    -------
    tuple of (int, int), or None
        None if no token was made from them.

    Examples
    --------
    >>> token_span(np.array([[0, 3], [4, 6], [6, 9]]), 5, 9)
    (1, 2)
    """
    touching = np.flatnonzero((offsets[:, 1] > start) & (offsets[:, 0] < end))
    return (int(touching[0]), int(touching[-1])) if len(touching) else None


class AnswersWithoutTokens(ValueError):
    """Answers of which no token was made.

    Parameters
    ----------
    questions : list of Question
    positions : list of int
        Of the questions with such answers.
    """

    def __init__(self, questions: list[Question], positions: list[int]) -> None:
        self.positions = positions
        question = questions[positions[0]]
        others = f', nor have those of {len(positions) - 1} others' * (len(positions) > 1)
        super().__init__(
            f'question {question.id[:80]!r}: its answer {question.answers[0].text[:80]!r} has no '
            f'tokens{others}'
        )


def build_windows(
    questions: list[Question],
    tokenizer: SubwordTokenizer,
    max_seq_length: int = 384,
    doc_stride: int = 128,
    max_query_length: int = 64,
    with_spans: bool = False,
    progress: Optional[Progress] = None,
) -> Windows:
    """Build the windows of questions.

    Parameters
    ----------
    questions : list of Question
    tokenizer : SubwordTokenizer
    max_seq_length : int
        The longest sequence in tokens, special tokens included.
    doc_stride : int
        Tokens from the start of one window to that of the next.
    max_query_length : int
        Longer questions are cut to this number of tokens.
    with_spans : bool
        Locate the first answer of each question, whose position must be right; see
        :func:`.read_squad`.
    progress : callable, optional
        Called with the number of texts done since its last call, such as ``tqdm.update``. Each
        question and each different paragraph is a text.

    Returns
    -------
    Windows

    Raises
    ------
    ValueError
        If a setting is below 1, or a question leaves no room for its paragraph.
    AnswersWithoutTokens
        If answers have no tokens, such as those of characters that the tokenizer drops.
    """
    for name, value in (
        ('max_seq_length', max_seq_length),
        ('doc_stride', doc_stride),
        ('max_query_length', max_query_length),
    ):
        if value < 1:
            raise ValueError(f'{name}={value}: expected 1 or more')
    numbers: dict[str, int] = {}
    paragraph = [numbers.setdefault(question.context, len(numbers)) for question in questions]
    queries = [
        ids[:max_query_length]
        for ids, _ in _encoded(tokenizer, [question.question for question in questions], progress)
    ]
    documents = list(_encoded(tokenizer, list(numbers), progress))
    rows, without = [], []
    for number, question in enumerate(questions):
        before = len(queries[number]) + 1 + tokenizer.pair_separators
        room = max_seq_length - before - 1
        if room < 1:
            raise ValueError(
                f'max_seq_length={max_seq_length}: too small for question {question.id[:80]!r}, '
                f'which takes {before + 1} tokens with the special ones and leaves no room for '
                f'its paragraph; expected {before + 2} or more, or a smaller max_query_length'
            )
        offsets = documents[paragraph[number]][1]
        span = _answer_span(question, offsets) if with_spans else None
        if span is None and with_spans and question.answers and not question.is_impossible:
            without.append(number)
        for start in window_starts(len(offsets), room, doc_stride):
            length = min(room, len(offsets) - start)
            rows.append((number, start, length, *_place(span, start, length, before)))
    if without:
        raise AnswersWithoutTokens(questions, without)
    table = np.array(rows, 'int32').reshape(-1, 5)
    token_ids, token_bounds = _joined([ids for ids, _ in documents])
    return Windows(
        *np.ascontiguousarray(table[:, :3].T),  # type: ignore[call-arg]
        np.ascontiguousarray(table[:, 3:]),
        np.array(paragraph, 'int32'),
        *_joined(queries),
        token_ids,
        token_bounds,
        np.concatenate([offsets for _, offsets in documents]),
        special_numbers(tokenizer),
    )


def special_numbers(tokenizer: SubwordTokenizer) -> np.ndarray:
    """Return the value of :attr:`Windows.special` for a tokenizer."""
    vocab = tokenizer.vocabulary
    return np.array(
        [
            vocab[vocab.cls_token],
            vocab[vocab.sep_token],
            tokenizer.pair_separators,
            tokenizer.uses_token_types,
        ],
        'int32',
    )


def _encoded(tokenizer, texts, progress):
    """Yield the ids (L,) and offsets (L, 2) of each text."""
    for begin in range(0, len(texts), _CHUNK):
        chunk = tokenizer.encode_batch(texts[begin : begin + _CHUNK])
        for encoded in chunk:
            yield (
                np.array(encoded.ids, 'int32'),
                np.array(encoded.offsets, 'int32').reshape(-1, 2),
            )
        if progress is not None:
            progress(len(chunk))


def _answer_span(question, offsets):
    """Find the first answer's first and last token in the paragraph; None if it has none."""
    if question.is_impossible or not question.answers:
        return None
    text, start = question.answers[0]
    return token_span(offsets, start, start + len(text))


def _place(span, start, length, before):
    """Convert a span of the paragraph to positions in the sequence of a window."""
    if span is None or span[0] < start or span[1] >= start + length:
        return 0, 0
    return span[0] - start + before, span[1] - start + before


def _joined(parts):
    """Concatenate arrays; return the bounds of each, too."""
    bounds = np.cumsum([0, *map(len, parts)])
    return np.concatenate(parts), bounds.astype('int32')
