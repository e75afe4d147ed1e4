"""Compute metrics of rankings: where the relevant documents of each query stand.

A ranking is the relevance of each document of a query, in the order that a model put them: 0 for
one that is not relevant, and a positive number for one that is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from .._internal.suggestions import unknown_name

_NAME = re.compile(r'([a-z_]+)(?:@([1-9][0-9]{0,5}))?')


def rank_relevance(relevance: Sequence[float], scores: Sequence[float]) -> np.ndarray:
    """Put the relevance of documents in the order of their scores, the highest first.

    Of documents with one score the less relevant ones come first, so that a model that tells none
    apart gains nothing.

    Parameters
    ----------
    relevance, scores : sequence of float
        Of each document.

    Returns
    -------
    numpy.ndarray of float64

    Raises
    ------
    ValueError
        If there are not as many of both, or one is not finite.

    Examples
    --------
    >>> rank_relevance([1, 0, 0], [0.5, 0.9, 0.5]).tolist()
    [0.0, 0.0, 1.0]
    """
    values, order = np.asarray(relevance, 'float64'), np.asarray(scores, 'float64')
    if values.ndim != 1 or values.shape != order.shape:
        raise ValueError(f'{values.shape} relevances and {order.shape} scores: expected as many')
    if not (np.isfinite(values).all() and np.isfinite(order).all()):
        raise ValueError('expected finite relevances and scores')
    return values[np.lexsort((values, -order))]


def reciprocal_rank(ranking: np.ndarray, k: int) -> float:
    """Compute 1 / the position of the first relevant document; 0 if none is among the first k."""
    places = np.flatnonzero(ranking[:k] > 0)
    return 1 / (1 + int(places[0])) if len(places) else 0.0


def average_precision(ranking: np.ndarray, k: int) -> float:
    """Average the precision at the position of each relevant document among the first k.

    The sum is divided by the number of relevant documents, at most k.
    """
    hits = ranking[:k] > 0
    total = min(k, int((ranking > 0).sum()))
    precision = np.cumsum(hits) / np.arange(1, 1 + len(hits))
    return float(precision[hits].sum() / total) if total else 0.0


def ndcg(ranking: np.ndarray, k: int) -> float:
    """Compute the discounted cumulative gain, as a share of that of the ideal order.

    The gain of a document is its relevance, discounted by log2(1 + position) (Järvelin and
    Kekäläinen, 2002), as trec_eval has it.
    """
    discount = 1 / np.log2(np.arange(2, 2 + min(k, len(ranking))))
    ideal = float((np.sort(ranking)[::-1][:k] * discount).sum())
    return float((ranking[:k] * discount).sum()) / ideal if ideal > 0 else 0.0


def recall(ranking: np.ndarray, k: int) -> float:
    """Compute the share of the relevant documents that are among the first k."""
    total = int((ranking > 0).sum())
    return int((ranking[:k] > 0).sum()) / total if total else 0.0


def hit_rate(ranking: np.ndarray, k: int) -> float:
    """Compute 1 if any relevant document is among the first k, else 0: accuracy at k."""
    return float((ranking[:k] > 0).any())


METRICS: dict[str, Callable[[np.ndarray, int], float]] = {
    'mrr': reciprocal_rank,
    'map': average_precision,
    'ndcg': ndcg,
    'recall': recall,
    'hit_rate': hit_rate,
}


def evaluate_rankings(names: Sequence[str], rankings: Iterable[np.ndarray]) -> dict[str, float]:
    """Average metrics over the rankings of several queries.

    Parameters
    ----------
    names : sequence of str
        Keys of ``METRICS``, with the number of documents that count, such as 'mrr@10'; without a
        number, all.
    rankings : iterable of numpy.ndarray
        Of each query, see :func:`rank_relevance`. A query without a relevant document counts as 0.

    Returns
    -------
    dict of str to float
        In the order of ``names``.

    Raises
    ------
    ValueError
        If a name is unknown, or there is no ranking.

    Examples
    --------
    >>> evaluate_rankings(['mrr@10', 'recall@1'], [np.array([0, 1, 0]), np.array([1, 0, 0])])
    {'mrr@10': 0.75, 'recall@1': 0.5}
    """
    rankings = [np.asarray(ranking, 'float64') for ranking in rankings]
    if not rankings:
        raise ValueError('expected the ranking of one query or more, got none')
    results = {}
    for name in names:
        matched = _NAME.fullmatch(name)
        if matched is None or matched[1] not in METRICS:
            raise unknown_name('metric', name, [f'{metric}@10' for metric in METRICS])
        function, number = METRICS[matched[1]], matched[2]
        values = [function(ranking, int(number or len(ranking))) for ranking in rankings]
        results[name] = float(np.mean(values))
    return results
