"""Calibration of probabilities: its error, and the temperature that lowers it.

N examples, K classes, M bins. Guo et al. (2017), sections 2 and 4.2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from .._internal.numerics import sigmoid, softmax

NUM_BINS = 15
LEAST_TEMPERATURE, MOST_TEMPERATURE = 0.01, 100.0


class Bin(NamedTuple):
    """The examples whose confidence is above ``low`` and at most ``high``.

    ``confidence`` is the mean of theirs, ``accuracy`` the share of them that are right; both are 0
    if there are none.
    """

    low: float
    high: float
    count: int  # type: ignore[assignment]
    confidence: float
    accuracy: float


class Calibration(NamedTuple):
    """Expected calibration error, mean negative log-likelihood, and the bins of the former."""

    ece: float
    nll: float
    bins: list[Bin]


class Likelihood(NamedTuple):
    """Probabilities of scores (N, K), and how well they tell the labels.

    Parameters
    ----------
    probabilities : callable
        Scores -> probabilities (N, K).
    nll : callable
        Scores and labels -> mean negative log-likelihood.
    slope : callable
        Scores, labels and the inverse of a temperature -> derivative of ``nll`` by that inverse.
    decisions : callable
        Scores and labels -> confidence of each decision, and whether it is right.
    """

    probabilities: Callable[[np.ndarray], np.ndarray]
    nll: Callable[[np.ndarray, np.ndarray], float]
    slope: Callable[[np.ndarray, np.ndarray, float], float]
    decisions: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def _of_label(scores, labels):
    return np.take_along_axis(scores, labels[:, None], axis=1)[:, 0]


def _softmax_nll(scores, labels):
    top = scores.max(axis=1, keepdims=True)
    logs = np.log(np.exp(scores - top).sum(axis=1)) + top[:, 0]
    return float((logs - _of_label(scores, labels)).mean())


def _softmax_slope(scores, labels, inverse):
    expected = (softmax(inverse * scores) * scores).sum(axis=1)
    return float((expected - _of_label(scores, labels)).mean())


def _softmax_decisions(scores, labels):
    return softmax(scores).max(axis=1), scores.argmax(axis=1) == labels


def _sigmoid_nll(scores, labels):
    return float((np.logaddexp(0, scores) - labels * scores).mean())


def _sigmoid_slope(scores, labels, inverse):
    return float(((sigmoid(inverse * scores) - labels) * scores).mean())


def _sigmoid_decisions(scores, labels):
    """Each label of each text is a decision of its own."""
    return sigmoid(np.abs(scores)).ravel(), ((scores >= 0) == (labels > 0)).ravel()


#: Likelihoods by name; 'softmax' takes class numbers (N,), 'sigmoid' labels (N, K) of 0 and 1.
LIKELIHOODS: Mapping[str, Likelihood] = {
    'softmax': Likelihood(softmax, _softmax_nll, _softmax_slope, _softmax_decisions),
    'sigmoid': Likelihood(sigmoid, _sigmoid_nll, _sigmoid_slope, _sigmoid_decisions),
}


def reliability_bins(
    confidences: np.ndarray, correct: np.ndarray, num_bins: int = NUM_BINS
) -> list[Bin]:
    """Sort decisions into bins of equal width by their confidence.

    Parameters
    ----------
    confidences : numpy.ndarray, shape (N,)
        From 0 to 1.
    correct : numpy.ndarray of bool, shape (N,)
    num_bins : int

    Returns
    -------
    list of Bin
    """
    edges = np.linspace(0, 1, num_bins + 1)
    numbers = np.searchsorted(edges[1:-1], confidences, side='left')
    rows = []
    for number, (low, high) in enumerate(zip(edges.tolist(), edges[1:].tolist())):
        chosen = numbers == number
        count = int(chosen.sum())
        means = (values[chosen].sum() / max(count, 1) for values in (confidences, correct))
        rows.append(Bin(low, high, count, *map(float, means)))
    return rows


def expected_calibration_error(bins: list[Bin]) -> float:
    """Average the distance of accuracy and confidence over the bins, weighted by their counts.

    Examples
    --------
    >>> bins = reliability_bins(np.array([0.9, 0.9, 0.6]), np.array([True, False, True]))
    >>> round(expected_calibration_error(bins), 4)  # (2 * 0.4 + 1 * 0.4) / 3
    0.4
    """
    total = sum(row.count for row in bins)
    return sum(row.count * abs(row.accuracy - row.confidence) for row in bins) / max(total, 1)


def measure_calibration(
    kind: str, scores: np.ndarray, labels: np.ndarray, temperature: float = 1.0
) -> Calibration:
    """Measure how far the probabilities of scores can be trusted.

    Parameters
    ----------
    kind : str
        Of :data:`LIKELIHOODS`.
    scores : numpy.ndarray, shape (N, K)
        The network's outputs.
    labels : numpy.ndarray
        Shape (N,), or (N, K) for 'sigmoid'.
    temperature : float
        By which the scores are divided.

    Returns
    -------
    Calibration
    """
    likelihood, scores = LIKELIHOODS[kind], np.asarray(scores, 'float64') / temperature
    bins = reliability_bins(*likelihood.decisions(scores, labels))
    return Calibration(expected_calibration_error(bins), likelihood.nll(scores, labels), bins)


def fit_temperature(kind: str, scores: np.ndarray, labels: np.ndarray) -> float:
    """Find the temperature with the least negative log-likelihood.

    It is a convex function of the inverse temperature, so that the root of its derivative is the
    only minimum.

    Parameters
    ----------
    kind, scores, labels
        As for :func:`measure_calibration`.

    Returns
    -------
    float
        From 0.01 to 100; a bound where the minimum lies beyond, as when all decisions are right.

    Raises
    ------
    ValueError
        If a score is not finite.
    """
    from scipy.optimize import brentq

    slope, scores = LIKELIHOODS[kind].slope, np.asarray(scores, 'float64')
    if not np.isfinite(scores).all():
        raise ValueError('scores that are not finite have no temperature')

    def slope_at(log_temperature):
        return slope(scores, labels, np.exp(-log_temperature))

    low, high = np.log(LEAST_TEMPERATURE), np.log(MOST_TEMPERATURE)
    if slope_at(low) <= 0:
        return LEAST_TEMPERATURE
    if slope_at(high) >= 0:
        return MOST_TEMPERATURE
    return float(np.exp(brentq(slope_at, low, high, xtol=1e-10)))


def move_threshold(threshold: float, factor: float) -> float:
    """Move a threshold of a probability with its temperature, so that no decision changes.

    Parameters
    ----------
    threshold : float
    factor : float
        The former temperature divided by the new one.

    Returns
    -------
    float

    Examples
    --------
    >>> round(move_threshold(0.8, 0.5), 4)  # the score log 4 becomes log 2
    0.6667
    """
    with np.errstate(divide='ignore'):
        score = np.log(threshold) - np.log1p(-threshold)
    return float(sigmoid(score * factor))
