"""Losses of a cross-encoder: of single pairs, and of lists of documents for one query.

N pairs of a batch with one score each. ``lists`` has the number of the list that a pair is of, the
same for all documents of a query.
"""

from __future__ import annotations

import math
from typing import Callable, Dict, Sequence

import mxnet as mx
import numpy as np

from .labels import FINITE, FLAGS, check_labels

_NEVER = -1e30  # the score of a document of another list


def binary_cross_entropy(scores: mx.nd.NDArray, labels: mx.nd.NDArray) -> mx.nd.NDArray:
    """Compute the cross-entropy of a sigmoid: scores (N, 1), relevances in [0, 1] (N,) -> (N,)."""
    check_labels(labels, FLAGS)
    scores = scores.reshape((-1,))
    # -y log s(x) - (1 - y) log(1 - s(x)), without overflow
    return mx.nd.relu(scores) - scores * labels + mx.nd.log1p(mx.nd.exp(-mx.nd.abs(scores)))


def listwise_loss(
    scores: mx.nd.NDArray, labels: mx.nd.NDArray, lists: mx.nd.NDArray
) -> mx.nd.NDArray:
    """Compute the cross-entropy of ListNet: top-one probabilities by scores and by relevance.

    Parameters
    ----------
    scores : NDArray, shape (N, 1)
    labels, lists : NDArray, shape (N,)

    Returns
    -------
    NDArray, shape (N,)
        The share of each document in the loss of its list (Cao et al., 2007, section 4.2).
    """
    check_labels(labels, FINITE)
    same = _same_list(lists)
    places = mx.nd.arange(len(labels), ctx=labels.context)
    by_relevance = mx.nd.softmax(_within(labels, same), axis=1)
    by_score = mx.nd.log_softmax(_within(scores.reshape((-1,)), same), axis=1)
    return -mx.nd.pick(by_relevance, places) * mx.nd.pick(by_score, places)


def ranknet_loss(
    scores: mx.nd.NDArray, labels: mx.nd.NDArray, lists: mx.nd.NDArray
) -> mx.nd.NDArray:
    """Compute RankNet's loss of all ordered pairs of documents, in bits.

    Of each two documents of a list, the more relevant should have the higher score (Burges et al.,
    2005, section 3). The shapes are those of :func:`listwise_loss`.
    """
    return _pair_losses(scores, labels, lists, lambda scores, labels, lists: 1.0)


def lambdarank_loss(
    scores: mx.nd.NDArray, labels: mx.nd.NDArray, lists: mx.nd.NDArray
) -> mx.nd.NDArray:
    """Compute RankNet's loss with LambdaRank's weights: what exchanging two documents changes.

    A pair weighs as much as nDCG would change (Burges, 2010, section 4; Wang et al., 2018). The
    shapes are those of :func:`listwise_loss`.
    """
    return _pair_losses(scores, labels, lists, _ndcg_changes)


def _pair_losses(scores, labels, lists, weigh: Callable):
    check_labels(labels, FINITE)
    scores = scores.reshape((-1,))
    ordered = _ordered(labels, lists)
    weights = weigh(*(array.asnumpy() for array in (scores, labels, lists)))
    if not isinstance(weights, float):
        ordered = ordered * mx.nd.array(weights, ctx=labels.context)
    gap = scores.expand_dims(1) - scores.expand_dims(0)  # (N, N)
    losses = mx.nd.relu(-gap) + mx.nd.log1p(mx.nd.exp(-mx.nd.abs(gap)))
    return (losses * ordered).sum(axis=1) / math.log(2)


def _ndcg_changes(scores, labels, lists):
    """By how much nDCG changes where two documents of a list are exchanged, (N, N)."""
    gains, discounts = np.zeros(len(scores)), np.ones(len(scores))
    for number in np.unique(lists):
        members = np.flatnonzero(lists == number)
        relevance = labels[members].clip(0)
        positions = np.log2(2.0 + np.arange(len(members)))
        ideal = ((2 ** -np.sort(-relevance) - 1) / positions).sum()
        gains[members] = (2**relevance - 1) / max(ideal, 1e-10)
        discounts[members[np.argsort(-scores[members], kind='stable')]] = positions
    inverse = 1 / discounts
    return np.abs(inverse[:, None] - inverse) * np.abs(gains[:, None] - gains)


def _same_list(lists):
    """1 where two sequences are of one list, else 0, (N, N)."""
    return mx.nd.broadcast_equal(lists.expand_dims(1), lists.expand_dims(0))


def _ordered(labels, lists):
    """1 where a pair of one list has a first document of more relevance, else 0, (N, N)."""
    greater = mx.nd.broadcast_greater(labels.expand_dims(1), labels.expand_dims(0))
    return greater * _same_list(lists)


def _within(values, same):
    """The values of a sequence's own list; those of others are never chosen, (N, N)."""
    return mx.nd.where(same, values.expand_dims(0) * mx.nd.ones_like(same), same * 0 + _NEVER)


def count_lists(inputs: Sequence[mx.nd.NDArray], labels: Sequence[mx.nd.NDArray]) -> float:
    """Count the lists of a batch, whose numbers are its second array of labels."""
    return float(len(np.unique(labels[1].asnumpy())))


def count_pairs(inputs: Sequence[mx.nd.NDArray], labels: Sequence[mx.nd.NDArray]) -> float:
    """Count the ordered pairs of documents of a batch, of different relevance in one list."""
    return float(_ordered(*labels).sum().asscalar())


#: Losses of lists -> what their mean is over.
LIST_LOSSES: Dict[str, tuple] = {
    'listwise': (listwise_loss, count_lists),
    'ranknet': (ranknet_loss, count_pairs),
    'lambdarank': (lambdarank_loss, count_pairs),
}
