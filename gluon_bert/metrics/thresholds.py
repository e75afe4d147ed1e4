"""Choose the threshold of a probability by a metric."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

# Each takes the counts of true and false positives and of false and true negatives, by threshold.
Metric = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def _ratio(part, whole):
    """The quotient, 0 where the denominator is."""
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1), 0.0)


def _f1(hits, false_alarms, misses, rest):
    return _ratio(2 * hits, 2 * hits + false_alarms + misses)


def _macro_f1(hits, false_alarms, misses, rest):
    return (_f1(hits, false_alarms, misses, rest) + _f1(rest, misses, false_alarms, hits)) / 2


def _accuracy(hits, false_alarms, misses, rest):
    return (hits + rest) / (hits + false_alarms + misses + rest)


def _mcc(hits, false_alarms, misses, rest):
    product = (hits + false_alarms) * (hits + misses) * (rest + false_alarms) * (rest + misses)
    return _ratio(hits * rest - false_alarms * misses, np.sqrt(product))


#: Metrics by which a threshold can be chosen.
THRESHOLD_METRICS: Mapping[str, Metric] = {
    'f1': _f1,
    'macro_f1': _macro_f1,
    'accuracy': _accuracy,
    'mcc': _mcc,
}


def best_threshold(labels: np.ndarray, probabilities: np.ndarray, metric: str = 'f1') -> float:
    """Choose the threshold with the best metric.

    It is midway between two probabilities; of several equally good ones, the nearest to 0.5 is
    taken.

    Parameters
    ----------
    labels : numpy.ndarray of 0 and 1, shape (N,)
    probabilities : numpy.ndarray, shape (N,)
        Of label 1, which is given from the threshold on.
    metric : str
        Of :data:`THRESHOLD_METRICS`.

    Returns
    -------
    float
        0.5 if all labels are 0.

    Examples
    --------
    >>> best_threshold(np.array([1, 1, 0]), np.array([0.9, 0.25, 0.125]))
    0.1875
    """
    labels = np.asarray(labels, 'float64')
    total = labels.sum()
    if not total:
        return 0.5
    order = np.argsort(-probabilities, kind='stable')
    above = np.append(1.0, probabilities[order])  # the least one from the threshold on
    below = np.append(probabilities[order], -1.0)
    hits = np.append(0.0, labels[order].cumsum())
    false_alarms = np.arange(len(hits)) - hits
    counts = hits, false_alarms, total - hits, len(labels) - total - false_alarms
    # Between equal probabilities there is no threshold.
    scores = np.where(above > below, THRESHOLD_METRICS[metric](*counts), -np.inf)
    middles = (above + np.maximum(below, 0.0)) / 2
    middles = np.where(middles > below, middles, above)  # of neighbouring floats
    best = np.flatnonzero(scores >= scores.max() - 1e-12)
    return float(middles[best[np.abs(middles[best] - 0.5).argmin()]])
