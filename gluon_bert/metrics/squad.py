"""Evaluate answers to SQuAD's questions."""

from __future__ import annotations

import math
import re
import string
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from ..data.squad.files import Question


_PUNCTUATION = str.maketrans('', '', string.punctuation)
_ARTICLES = re.compile(r'\b(a|an|the)\b')
_HAN = re.compile('([\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])')


def normalize_answer(text: str) -> str:
    """Lower-case an answer and remove punctuation, articles and superfluous white space.

    Examples
    --------
    >>> normalize_answer('The  Beyoncé-Knowles Show!')
    'beyoncéknowles show'
    """
    return ' '.join(_ARTICLES.sub(' ', text.lower().translate(_PUNCTUATION)).split())


def evaluate_squad(
    questions: list[Question],
    predictions: dict[str, str],
    *,
    version_2: bool = False,
    null_odds: Optional[dict[str, float]] = None,
    null_threshold: float = 1.0,
    characters: bool = False,
) -> dict[str, float]:
    """Compute exact match and F1 in per cent, as the official evaluation does.

    Parameters
    ----------
    questions : list of Question
    predictions : dict of str to str
        The answer by the question's id, '' for none.
    version_2 : bool
        Evaluate as SQuAD 2.0, where having no answer can be right and a question without
        prediction does not count. In SQuAD 1.1 it counts as wrong.
    null_odds : dict of str to float, optional
        For SQuAD 2.0, the probability or odds by id that there is no answer.
    null_threshold : float
        If the odds exceed it, no answer counts as predicted.
    characters : bool
        For Chinese: each Chinese character is a word, all punctuation is removed, and F1 is
        computed from the longest common run of words, as in the evaluation of CMRC 2018.

    Returns
    -------
    dict of str to float
        SQuAD 1.1: 'f1', 'exact_match', 'total', 'missing'. SQuAD 2.0: 'f1', 'exact', 'total',
        'missing', the same three with HasAns\\_ and NoAns\\_ if there are such questions, and,
        with ``null_odds``, 'best_exact', 'best_exact_thresh', 'best_f1', 'best_f1_thresh'.

    Raises
    ------
    ValueError
        If there is nothing to evaluate, or ``null_odds`` lack a predicted question.

    Examples
    --------
    >>> from gluon_bert.data import Answer, Question
    >>> question = Question('q1', 'Who?', 'Ada Lovelace wrote it.', (Answer('Ada Lovelace', 0),),
    ...                     False)
    >>> round(evaluate_squad([question], {'q1': 'Lovelace'})['f1'], 2)
    66.67
    """
    if not questions:
        raise ValueError('questions: expected one or more')
    table = {
        question.id: _score(question, predictions[question.id], version_2, characters)
        for question in questions
        if question.id in predictions
    }
    missing = len(questions) - len(table)
    if not version_2:
        exact, f1 = _totals(table.values())
        return {
            'f1': 100.0 * f1 / len(questions),
            'exact_match': 100.0 * exact / len(questions),
            'total': len(questions),
            'missing': missing,
        }
    if not table:
        raise ValueError('predictions hold no answer to any of the questions')
    has_answer = {question.id: bool(question.answers) for question in questions}
    if null_odds is None:
        return {**_figures(table), 'missing': missing, **_by_kind(table, has_answer)}
    absent = next((key for key in table if key not in null_odds), None)
    if absent is not None:
        raise ValueError(f'null_odds lack the question {absent[:80]!r}')
    decided = {
        key: (float(not has_answer[key]),) * 2 if null_odds[key] > null_threshold else pair
        for key, pair in table.items()
    }
    metrics = {**_figures(decided), 'missing': missing, **_by_kind(decided, has_answer)}
    for position, name in enumerate(('exact', 'f1')):
        best, threshold = _best_threshold(
            {key: pair[position] for key, pair in table.items()}, predictions, null_odds, has_answer
        )
        metrics.update({f'best_{name}': best, f'best_{name}_thresh': threshold})
    return metrics


def _score(question, prediction, version_2, characters):
    """Compute exact match and F1, each the best over the right answers."""
    golds = [answer.text for answer in question.answers]
    if version_2:
        golds = [gold for gold in golds if normalize_answer(gold)]
    golds = golds or ['']
    if characters:
        return (
            float(max(_join(gold) == _join(prediction) for gold in golds)),
            max(_run_f1(_characters(gold), _characters(prediction)) for gold in golds),
        )
    right = normalize_answer(prediction)
    return (
        float(max(normalize_answer(gold) == right for gold in golds)),
        max(_f1(normalize_answer(gold).split(), right.split(), version_2) for gold in golds),
    )


def _f1(gold, prediction, version_2):
    if version_2 and not (gold and prediction):
        return float(gold == prediction)
    return _harmonic(sum((Counter(gold) & Counter(prediction)).values()), gold, prediction)


def _run_f1(gold, prediction):
    if not (gold and prediction):
        return float(gold == prediction)
    longest, lengths = 0, [0] * (len(prediction) + 1)
    for word in gold:
        # lengths[i + 1]: of the run that ends with this word and with prediction[i].
        lengths = [0] + [
            lengths[i] + 1 if other == word else 0 for i, other in enumerate(prediction)
        ]
        longest = max(longest, *lengths)
    return _harmonic(longest, gold, prediction)


def _harmonic(common, gold, prediction):
    if not common:
        return 0.0
    precision, recall = common / len(prediction), common / len(gold)
    return 2 * precision * recall / (precision + recall)


def _characters(text):
    """Split a text into Chinese characters and other words, without punctuation."""
    text_only = ''.join(
        char
        for char in text.lower()
        if char not in string.punctuation and unicodedata.category(char)[0] != 'P'
    )
    return _HAN.sub(r' \1 ', text_only).split()


def _join(text):
    return ''.join(_characters(text))


def _totals(pairs):
    pairs = list(pairs)
    return sum(exact for exact, _ in pairs), sum(f1 for _, f1 in pairs)


def _figures(table, prefix=''):
    exact, f1 = _totals(table.values())
    return {
        f'{prefix}f1': 100.0 * f1 / len(table),
        f'{prefix}exact': 100.0 * exact / len(table),
        f'{prefix}total': len(table),
    }


def _by_kind(table, has_answer):
    figures = {}
    for prefix, kind in (('HasAns_', True), ('NoAns_', False)):
        own = {key: pair for key, pair in table.items() if has_answer[key] == kind}
        if own:
            figures.update(_figures(own, prefix))
    return figures


def _best_threshold(scores, predictions, null_odds, has_answer):
    """Find the threshold with the best mean score in per cent; return that score and it."""
    score = best = sum(not has_answer[key] for key in scores)  # nothing answered
    threshold = 0.0
    for key in sorted(scores, key=null_odds.__getitem__):
        score += scores[key] if has_answer[key] else -bool(predictions[key])
        if score > best:
            best, threshold = score, null_odds[key]
    if not math.isfinite(threshold):
        raise ValueError(f'null_odds hold {threshold}')
    return 100.0 * best / len(scores), threshold
