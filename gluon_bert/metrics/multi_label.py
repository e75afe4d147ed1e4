"""Compute metrics for texts with any number of labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .._internal.suggestions import unknown_name
from .classification import ClassScores, format_report
from .thresholds import best_threshold


def micro_f1(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Compute F1 over all pairs of text and label; 0.0 if there is no label at all."""
    from sklearn import metrics as sklearn_metrics

    return sklearn_metrics.f1_score(labels, predictions, average='micro', zero_division=0.0)


def macro_f1(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Compute the mean of the labels' F1; 0.0 for a label that never occurs."""
    from sklearn import metrics as sklearn_metrics

    return sklearn_metrics.f1_score(labels, predictions, average='macro', zero_division=0.0)


def subset_accuracy(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Compute the share of texts whose set of labels is exactly right."""
    from sklearn import metrics as sklearn_metrics

    return sklearn_metrics.accuracy_score(labels, predictions)


METRICS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    'micro_f1': micro_f1,
    'macro_f1': macro_f1,
    'subset_accuracy': subset_accuracy,
}


def evaluate_label_sets(
    names: Sequence[str], labels: np.ndarray, predictions: np.ndarray
) -> dict[str, float]:
    """Compute several metrics of the same predictions.

    Parameters
    ----------
    names : sequence of str
        Keys of ``METRICS``.
    labels, predictions : numpy.ndarray of 0 and 1, shape (N, K)

    Returns
    -------
    dict of str to float
        In the order of ``names``.

    Raises
    ------
    ValueError
        If a name is unknown, or the shapes differ.

    Examples
    --------
    >>> right, given = np.array([[1, 1], [0, 1]]), np.array([[1, 0], [0, 1]])
    >>> evaluate_label_sets(['micro_f1', 'subset_accuracy'], right, given)
    {'micro_f1': 0.8, 'subset_accuracy': 0.5}
    """
    for name in names:
        if name not in METRICS:
            raise unknown_name('metric', name, METRICS)
    labels, predictions = _checked(labels, predictions)
    return {name: float(METRICS[name](labels, predictions)) for name in names}


def best_thresholds(labels: np.ndarray, probabilities: np.ndarray) -> list[float]:
    """Choose for each label the threshold with the best F1.

    See :func:`.best_threshold`. A label that no text has gets 0.5.

    Parameters
    ----------
    labels : numpy.ndarray of 0 and 1, shape (N, K)
    probabilities : numpy.ndarray, shape (N, K)

    Returns
    -------
    list of float

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> best_thresholds(np.array([[1], [1], [0]]), np.array([[0.9], [0.25], [0.125]]))
    [0.1875]
    """
    labels, probabilities = _checked(labels, probabilities)
    return [best_threshold(*columns) for columns in zip(labels.T, probabilities.T)]


def label_report(
    labels: np.ndarray, predictions: np.ndarray, names: Sequence[str]
) -> list[ClassScores]:
    """Compute precision, recall and F1 of each label.

    Parameters
    ----------
    labels, predictions : numpy.ndarray of 0 and 1, shape (N, K)
    names : sequence of str
        Names of the labels, in the order of their numbers.

    Returns
    -------
    list of ClassScores
    """
    from sklearn import metrics as sklearn_metrics

    labels, predictions = _checked(labels, predictions)
    columns = sklearn_metrics.precision_recall_fscore_support(
        labels, predictions, average=None, zero_division=0.0
    )
    return [
        ClassScores(name, float(precision), float(recall), float(f1), int(support))
        for name, precision, recall, f1, support in zip(names, *columns)
    ]


format_label_report = format_report


def _checked(labels, predictions):
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.ndim != 2 or labels.shape != predictions.shape or not labels.size:
        raise ValueError(
            f'labels and predictions must both have shape (texts, labels), got {labels.shape} and '
            f'{predictions.shape}'
        )
    return labels, predictions
