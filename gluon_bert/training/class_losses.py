"""Losses of classes with label smoothing, class weights and weights of sequences.

N sequences, T tokens, K classes. The values are those of PyTorch's ``CrossEntropyLoss`` and
``BCEWithLogitsLoss``.
"""

from __future__ import annotations

from typing import Callable, Mapping, NamedTuple, Optional

import mxnet as mx
import numpy as np

from .labels import FLAGS, check_labels, class_limits, tag_limits
from .objectives import OBJECTIVES
from .terms import LossTerm, Objective, count_sequences

Weights = Optional[np.ndarray]


def smoothed_cross_entropy(
    scores: mx.nd.NDArray,
    labels: mx.nd.NDArray,
    label_smoothing: float = 0.0,
    class_weights: Weights = None,
) -> mx.nd.NDArray:
    """Compute the weighted softmax cross-entropy with smoothed labels.

    Parameters
    ----------
    scores : NDArray, shape (..., K)
    labels : NDArray, shape (...)
        Numbers of classes.
    label_smoothing : float
        The share of a label that all classes get in equal parts (Szegedy et al., 2016, section 7).
    class_weights : numpy.ndarray, shape (K,), optional

    Returns
    -------
    NDArray, shape (...)
        Each loss is multiplied by the weight of its class. A mean is over the sum of these weights.
    """
    log_probabilities = mx.nd.log_softmax(scores)
    losses = -mx.nd.pick(log_probabilities, labels)
    weights = None
    if class_weights is not None:
        weights = mx.nd.array(class_weights, ctx=scores.context)
        losses = losses * mx.nd.take(weights, labels)
    if label_smoothing:
        if weights is not None:
            log_probabilities = mx.nd.broadcast_mul(
                log_probabilities, weights.reshape((1,) * (scores.ndim - 1) + (-1,))
            )
        losses = (1 - label_smoothing) * losses - label_smoothing * log_probabilities.mean(axis=-1)
    return losses


def weighted_multi_label_loss(
    scores: mx.nd.NDArray, labels: mx.nd.NDArray, positive_weights: np.ndarray
) -> mx.nd.NDArray:
    """Average the binary cross-entropy over the classes, with a weight where a class applies.

    Parameters
    ----------
    scores, labels : NDArray, shape (N, K)
        As for :func:`.multi_label_loss`.
    positive_weights : numpy.ndarray, shape (K,)

    Returns
    -------
    NDArray, shape (N,)
    """
    check_labels(labels, FLAGS)
    weights = mx.nd.array(positive_weights, ctx=scores.context).reshape((1, -1))
    factors = 1 + mx.nd.broadcast_mul(labels, weights - 1)
    minus_log = mx.nd.relu(-scores) + mx.nd.log1p(mx.nd.exp(-mx.nd.abs(scores)))  # of s(x)
    return ((1 - labels) * scores + factors * minus_log).mean(axis=1)


def balanced_weights(counts: np.ndarray, total: int) -> np.ndarray:
    """Compute scikit-learn's balanced weights: n / (K n_k), with the K classes that occur.

    Parameters
    ----------
    counts : numpy.ndarray of int, shape (K,)
        Examples n_k of each class.
    total : int
        Examples n of all.

    Returns
    -------
    numpy.ndarray, shape (K,)
        1 for a class without examples.

    Examples
    --------
    >>> balanced_weights(np.array([6, 2, 0]), 8).round(3).tolist()
    [0.667, 2.0, 1.0]
    """
    occurring = counts > 0
    return np.where(occurring, total / (occurring.sum() * np.maximum(counts, 1)), 1.0)


def balanced_positive_weights(counts: np.ndarray, total: int) -> np.ndarray:
    """Compute for each label the texts without it for one with it.

    It is the ratio of scikit-learn's balanced weights of the two. The parameters are those of
    :func:`balanced_weights`.

    Returns
    -------
    numpy.ndarray, shape (K,)
        1 for a label that all texts have, or none.

    Examples
    --------
    >>> balanced_positive_weights(np.array([6, 2, 0]), 8).round(3).tolist()
    [0.333, 3.0, 1.0]
    """
    mixed = (counts > 0) & (counts < total)
    return np.where(mixed, (total - counts) / np.maximum(counts, 1), 1.0)


class ClassLoss(NamedTuple):
    """A loss of classes by its options.

    Parameters
    ----------
    make : callable
        ``make(label_smoothing, class_weights)`` gives the loss of a batch, (N,), and what the mean
        is over: a function of the labels that gives numbers of shape (N,), or None for sequences.
    balance : callable
        Counts of each class, and of all examples -> balanced weights.
    """

    make: Callable[[float, Weights], tuple]
    balance: Callable[[np.ndarray, int], np.ndarray] = balanced_weights


def _make_cross_entropy(smoothing, weights):
    def loss(scores, labels):
        check_labels(labels, class_limits(scores.shape[1]))
        return smoothed_cross_entropy(scores, labels, smoothing, weights)

    def weigh(labels):
        check_labels(labels, class_limits(len(weights)))
        return weights[labels.asnumpy().astype(int)]

    return loss, None if weights is None else weigh


def _make_tag_loss(smoothing, weights):
    """As :func:`.tag_loss`; with weights the mean is over those of all words."""

    def loss(scores, tags):
        check_labels(tags, tag_limits(scores.shape[2]))
        counted = tags >= 0  # (N, T)
        losses = smoothed_cross_entropy(scores, mx.nd.maximum(tags, 0), smoothing, weights)
        sums = (losses * counted).sum(axis=1)
        return sums if weights is not None else sums / mx.nd.maximum(counted.sum(axis=1), 1)

    def weigh(tags):
        check_labels(tags, tag_limits(len(weights)))
        numbers = tags.asnumpy().astype(int)
        return np.where(numbers >= 0, weights[np.maximum(numbers, 0)], 0.0).sum(axis=1)

    return loss, None if weights is None else weigh


def _make_multi_label(smoothing, weights):
    return lambda scores, labels: weighted_multi_label_loss(scores, labels, weights), None


#: Objective -> its form with label smoothing and class weights.
CLASS_LOSSES: Mapping[str, ClassLoss] = {
    'cross_entropy': ClassLoss(_make_cross_entropy),
    'tags': ClassLoss(_make_tag_loss),
    'multi_label': ClassLoss(_make_multi_label, balanced_positive_weights),
}


def make_class_objective(
    name: str,
    label_smoothing: float = 0.0,
    class_weights: Weights = None,
    weighted_sequences: bool = False,
) -> Objective:
    """Make an objective of classes with label smoothing and class weights.

    Parameters
    ----------
    name : str
        Of :data:`CLASS_LOSSES`; any name of :data:`.OBJECTIVES` without these options.
    label_smoothing : float
        From 0 to 1; of 'multi_label' 0.
    class_weights : numpy.ndarray, shape (K,), optional
        Of 'multi_label' those of the texts that have the label.
    weighted_sequences : bool
        The second array of labels has a weight for each sequence, (N,): its loss is multiplied by
        it, and the mean is over the weights. Of an objective with a value for each sequence.

    Returns
    -------
    Objective
    """
    weights = None if class_weights is None else np.asarray(class_weights, 'float64')
    options = [f'label_smoothing={label_smoothing:g}'] * bool(label_smoothing)
    if weights is not None:
        options.append(f'class_weights={" ".join(f"{weight:g}" for weight in weights)}')
    if options:
        loss, weigh = CLASS_LOSSES[name].make(label_smoothing, weights)
    elif weighted_sequences:
        (term,) = OBJECTIVES[name].terms.values()
        loss, weigh = term.loss, None
    else:
        return OBJECTIVES[name]
    options += ['weighted_sequences'] * weighted_sequences
    term = _weighted_term(loss, weigh) if weighted_sequences else LossTerm(loss, _counter(weigh))
    return Objective(f'{name}({", ".join(options)})', {'loss': term})


def _counter(weigh):
    """What the mean is over: the weights of labels, or sequences."""
    if weigh is None:
        return count_sequences
    return lambda inputs, labels: float(weigh(labels[0]).sum())


def _weighted_term(loss, weigh):
    """A loss whose sequences have weights."""

    def count(inputs, labels):
        weights = labels[1].asnumpy().astype('float64')
        return float((weights if weigh is None else weights * weigh(labels[0])).sum())

    return LossTerm(lambda scores, labels, weights: loss(scores, labels) * weights, count)
