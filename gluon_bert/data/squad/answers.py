"""Turn the scores of tokens into answers cut from the paragraph."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Optional

import numpy as np

from ..._internal.numerics import softmax

if TYPE_CHECKING:
    from .files import Question
    from .windows import Windows


class Candidate(NamedTuple):
    """A possible answer.

    Its text, its probability among the candidates, its two logits, its first character in the
    paragraph and the one after its last; both are 0 for no answer.
    """

    text: str
    probability: float
    start_logit: float
    end_logit: float
    start: int
    end: int


class Prediction(NamedTuple):
    """The prediction for one question.

    ``text`` is the answer, '' for none. ``best_text`` is the most probable answer other than '', if
    any; ``null_odds``, for SQuAD 2.0 only, is the score of no answer minus the score of that
    answer. ``candidates`` begin with the most probable.
    """

    text: str
    best_text: str
    null_odds: Optional[float]
    candidates: list[Candidate]


def find_answers(
    questions: list[Question],
    windows: Windows,
    scores: Sequence[np.ndarray],
    *,
    n_best_size: int = 20,
    max_answer_length: int = 30,
    version_2: bool = False,
    null_score_diff_threshold: float = 0.0,
) -> list[Prediction]:
    """Find the answers to questions.

    In each window the ``n_best_size`` best starts are combined with as many best ends. A pair is
    skipped if a token is outside the paragraph, if its start has more context in another window,
    if it ends before it starts, or if it is too long. The score of a pair is the sum of its
    logits. The score of no answer is that of [CLS] as start and end, in the window where it is
    lowest. Devlin et al. (2019), sections 4.2 and 4.3.

    Parameters
    ----------
    questions : list of Question
    windows : Windows
        Of these questions.
    scores : list of numpy.ndarray, each of shape (T, 2)
        For each window the logits of start and end; T is its length without padding.
    n_best_size : int
        Number of starts, of ends, and of candidates returned.
    max_answer_length : int
        Maximum length in tokens.
    version_2 : bool
        Allow questions without an answer.
    null_score_diff_threshold : float
        The answer is '' if ``null_odds`` exceed this.

    Returns
    -------
    list of Prediction
        One for each question. Without candidates the text is '', and, as in Google's code, the
        null odds are those against an answer with logits 0.

    Raises
    ------
    ValueError
        If scores and windows differ in number, or a number is below 1.
    """
    if len(scores) != len(windows):
        raise ValueError(f'scores holds {len(scores)} arrays for {len(windows)} windows')
    for name, value in (('n_best_size', n_best_size), ('max_answer_length', max_answer_length)):
        if value < 1:
            raise ValueError(f'{name}={value}: expected 1 or more')
    parts = zip(
        windows.question.tolist(),
        scores,
        windows.offsets(),
        windows.max_context(),
        windows.first_token.tolist(),
    )
    by_question = {}
    for number, group in itertools.groupby(parts, lambda part: part[0]):
        spans, nulls = [], []
        for _, logits, offsets, flags, first in group:
            logits = np.asarray(logits, 'float64')
            nulls.append(tuple(logits[0]))
            spans += _spans(logits, offsets, flags, first, n_best_size, max_answer_length)
        by_question[number] = spans, min(nulls, key=sum)
    return [
        _predict(
            question.context,
            *by_question[number],
            n_best_size,
            version_2,
            null_score_diff_threshold,
        )
        for number, question in enumerate(questions)
    ]


def _spans(logits, offsets, flags, first, n_best_size, max_answer_length):
    """List the allowed pairs: (score, start logit, end logit, first and last character)."""
    starts, ends = (np.argsort(-column, kind='stable')[:n_best_size] for column in logits.T)
    inside = [(places >= first) & (places < first + len(offsets)) for places in (starts, ends)]
    starts, ends = starts[inside[0]] - first, ends[inside[1]] - first
    starts = starts[flags[starts]]
    lengths = ends[None] - starts[:, None] + 1
    rows, columns = np.nonzero((lengths >= 1) & (lengths <= max_answer_length))
    starts, ends = starts[rows], ends[columns]
    start_logits, end_logits = logits[starts + first, 0], logits[ends + first, 1]
    return list(
        zip(
            (start_logits + end_logits).tolist(),
            start_logits.tolist(),
            end_logits.tolist(),
            offsets[starts, 0].tolist(),
            offsets[ends, 1].tolist(),
        )
    )


def _predict(context, spans, null, n_best_size, version_2, threshold):
    null_score = float(sum(null))
    if version_2:
        spans = [*spans, (null_score, *map(float, null), 0, 0)]
    best = {}  # by text, which is cut only when needed
    spans.sort(key=operator.itemgetter(0), reverse=True)  # stable: the earlier window first
    for score, start_logit, end_logit, start, end in spans:
        if len(best) == n_best_size:
            break
        best.setdefault(context[start:end], (score, start_logit, end_logit, start, end))
    if version_2:
        best.setdefault('', (null_score, *map(float, null), 0, 0))
    shares = softmax([score for score, *_ in best.values()]).tolist()
    candidates = [
        Candidate(text, share, *rest) for (text, (_, *rest)), share in zip(best.items(), shares)
    ]
    answer, score = next(
        ((context[start:end], score) for score, _, _, start, end in spans if start < end), ('', 0.0)
    )
    if not version_2:
        return Prediction(answer, answer, None, candidates)
    odds = null_score - score
    return Prediction('' if odds > threshold else answer, answer, odds, candidates)
