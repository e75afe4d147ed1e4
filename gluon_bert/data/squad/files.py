"""Read questions about paragraphs in the layout of SQuAD's files.

Rajpurkar et al. (2016), SQuAD 1.1; Rajpurkar et al. (2018), SQuAD 2.0; Cui et al. (2019), the
Chinese CMRC 2018, and others in the same layout.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from ..._internal.json import parse_json
from ..._internal.types import PathLike

MAX_BYTES = 64 << 20  # the largest official file, SQuAD 2.0's for training, has 42 million
MAX_VALUES = 3_000_000  # twice what that file has

_KINDS = {
    str: 'a string',
    list: 'a list',
    dict: 'an object',
    bool: 'true or false',
    int: 'a whole number',
}


class Answer(NamedTuple):
    """An answer and the character of the paragraph at which it starts, -1 if not given."""

    text: str
    start: int


class Question(NamedTuple):
    """A question with the paragraph it is about.

    ``answers`` holds the annotators' answers; it is empty for an impossible question or a test
    file.
    """

    id: str
    question: str
    context: str
    answers: tuple[Answer, ...]
    is_impossible: bool


class QuestionSet(NamedTuple):
    """The questions of one file; ``num_skipped`` counts the questions left out."""

    questions: list[Question]
    num_skipped: int
    path: str

    @property
    def has_answers(self) -> bool:
        """True if the file has the right answers, so that predictions can be evaluated."""
        return any(question.answers or question.is_impossible for question in self.questions)


def read_squad(
    path: PathLike, *, training: bool = False, skip_bad: bool = False, max_bytes: int = MAX_BYTES
) -> QuestionSet:
    """Read the questions of a file in SQuAD's layout.

    Parameters
    ----------
    path : str or Path
    training : bool
        Check that the answers can be learned: each must be in the paragraph at its stated
        position, and a question without one must be marked as impossible.
    skip_bad : bool
        Skip questions that fail this check instead of raising.
    max_bytes : int
        The largest file accepted.

    Returns
    -------
    QuestionSet

    Raises
    ------
    FileNotFoundError
    ValueError
        If the file is empty, too large, not JSON or not in this layout, an id occurs twice, or,
        for training, an answer is not at its position. The message names the position in the
        file.
    """
    content = _read_object(path, max_bytes)
    questions: list[Question] = []
    places: dict[str, str] = {}
    skipped: list[str] = []
    try:
        for place, entry, context in _entries(content):
            question = _question(entry, context, place)
            if question.id in places:
                raise ValueError(
                    f'{place}: the id {question.id[:80]!r} occurs twice, first at '
                    f'{places[question.id]}'
                )
            places[question.id] = place
            problem = _problem(question, place) if training else None
            if problem and not skip_bad:
                raise ValueError(problem)
            if problem:
                skipped.append(problem)
            else:
                questions.append(question)
        if not questions:
            raise ValueError(
                f'no questions remain, the first of {len(skipped)} skipped: {skipped[0]}'
                if skipped
                else 'the file has no questions'
            )
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None
    return QuestionSet(questions, len(skipped), str(path))


def _read_object(path, max_bytes):
    with open(path, 'rb') as file:
        raw = file.read(max_bytes + 1)
    if len(raw) > max_bytes:
        raise ValueError(f'{path}: the file is larger than {max_bytes} bytes')
    if not raw.strip():
        raise ValueError(f'{path}: the file is empty')
    try:
        return parse_json(raw, MAX_VALUES)
    except ValueError as error:
        raise ValueError(f'{path}: {_at_byte(raw)}{error}') from None


def _at_byte(raw):
    """Locate the byte at which the JSON breaks off, if it does."""
    try:
        text = raw.decode('utf-8-sig')
        json.loads(text)
    except json.JSONDecodeError as error:
        mark = len(raw) - len(text.encode())
        return f'byte {mark + len(text[: error.pos].encode())}: '
    except (ValueError, RecursionError):
        pass
    return ''


def _entries(content):
    """Yield each question's position in the file, its object, and the paragraph."""
    articles = _get(content, 'data', list, 'the file')
    for i, article in enumerate(articles):
        place = f'data[{i}]'
        for j, paragraph in enumerate(_get(article, 'paragraphs', list, place)):
            inner = f'{place}.paragraphs[{j}]'
            context = _get(paragraph, 'context', str, inner)
            for k, entry in enumerate(_get(paragraph, 'qas', list, inner)):
                yield f'{inner}.qas[{k}]', entry, context


def _question(entry, context, place):
    text = _get(entry, 'question', str, place)
    # Some tools that make such files number the questions.
    number = entry.get('id')
    identity = str(number) if type(number) is int else _get(entry, 'id', str, place)
    is_impossible = _get(entry, 'is_impossible', bool, place, False)
    answers = []
    for i, answer in enumerate(_get(entry, 'answers', list, place, ())):
        inner = f'{place}.answers[{i}]'
        answers.append(
            Answer(_get(answer, 'text', str, inner), _get(answer, 'answer_start', int, inner, -1))
        )
    return Question(identity, text, context, tuple(answers), is_impossible)


def _get(value, key, kind, place, *default):
    if not isinstance(value, dict):
        raise ValueError(f'{place}: expected an object, got {type(value).__name__}')
    if key not in value:
        if default:
            return default[0]
        raise ValueError(f'{place}: has no {key!r}')
    item = value[key]
    if type(item) is not kind:
        raise ValueError(f'{place}.{key}: expected {_KINDS[kind]}, got {type(item).__name__}')
    return item


def _problem(question, place):
    """Explain why a question cannot be learned, or return None."""
    if question.is_impossible:
        return None
    if not question.answers:
        return (
            f'{place}: the question {question.id[:80]!r} has no answer and is not marked '
            f'"is_impossible"'
        )
    for i, (text, start) in enumerate(question.answers):
        end = start + len(text)
        if not text.strip():
            return f'{place}.answers[{i}]: the answer is blank'
        if start < 0 or question.context[start:end] != text:
            actual = question.context[start:end][:80] if start >= 0 else ''
            return (
                f'{place}.answers[{i}]: {text[:80]!r} is not at answer_start {start} '
                f'of the context, {actual!r} is'
            )
    return None
