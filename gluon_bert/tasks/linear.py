"""Linear heads on vectors of texts: logistic regression and ridge, with their regularisation.

N texts, C units, K outputs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Optional

import numpy as np

from ..metrics.classification import evaluate_metrics
from ..metrics.multi_label import evaluate_label_sets
from .folds import fold_indices

logger = logging.getLogger(__name__)

C_GRID = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)
DEFAULT_C = 1.0  # of scikit-learn, and of SetFit
NUM_FOLDS = 5
MAX_SEARCHED = 10000  # texts by which the regularisation is chosen
_NEVER = -1e4  # logit of a class without examples
_MAX_ITERATIONS = 5000

Layer = tuple[np.ndarray, np.ndarray]


def fit_classes(vectors: np.ndarray, labels: np.ndarray, size: int, c: float) -> Layer:
    """Fit a multinomial logistic regression.

    Parameters
    ----------
    vectors : numpy.ndarray, shape (N, C)
    labels : numpy.ndarray of int, shape (N,)
    size : int
        Number K of classes.
    c : float
        Inverse strength of the regularisation, as scikit-learn's ``C``.

    Returns
    -------
    weight : numpy.ndarray, shape (K, C)
    bias : numpy.ndarray, shape (K,)
        Very low for a class without examples.
    """
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=c, max_iter=_MAX_ITERATIONS).fit(vectors, labels)
    weight, bias = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # a sigmoid's
        weight, bias = np.stack([-weight[0], weight[0]]) / 2, np.stack([-bias[0], bias[0]]) / 2
    full = np.zeros((size, vectors.shape[1]), 'float32'), np.full(size, _NEVER, 'float32')
    full[0][model.classes_], full[1][model.classes_] = weight, bias
    return full


def fit_labels(vectors: np.ndarray, labels: np.ndarray, size: int, c: float) -> Layer:
    """Fit a logistic regression for each label: labels (N, K) of 0 and 1, else as above."""
    parts = []
    for column in labels.T:
        if column.min() == column.max():  # all texts have it, or none
            sign = 1 if column.min() else -1
            parts.append((np.zeros(vectors.shape[1]), -sign * _NEVER))
            continue
        weight, bias = fit_classes(vectors, column.astype(int), 2, c)
        parts.append((weight[1] - weight[0], bias[1] - bias[0]))
    return (
        np.stack([weight for weight, _ in parts]).astype('float32'),
        np.array([bias for _, bias in parts], 'float32'),
    )


def fit_value(vectors: np.ndarray, labels: np.ndarray, size: int, c: float) -> Layer:
    """Fit a ridge regression: values (N,), penalty 1 / c, else as above."""
    from sklearn.linear_model import Ridge

    model = Ridge(alpha=1 / c).fit(vectors, labels)
    return model.coef_.reshape(1, -1).astype('float32'), np.array([model.intercept_], 'float32')


class LinearHead(NamedTuple):
    """A kind of linear head.

    Parameters
    ----------
    fit : callable
        ``fit(vectors, labels, size, c)`` gives weight and bias.
    predict : callable
        Outputs (N, K) -> what is compared with the labels.
    evaluate : callable
        ``evaluate(names of metrics, labels, predictions)``.
    has_classes : bool
        Whether each text has one class.
    """

    fit: Callable[[np.ndarray, np.ndarray, int, float], Layer]
    predict: Callable[[np.ndarray], np.ndarray]
    evaluate: Callable[[Any, Any, Any], Mapping[str, float]]
    has_classes: bool = False

    def score(self, layer: Layer, vectors: np.ndarray, labels: np.ndarray, metric: str) -> float:
        """Measure a layer on vectors with their labels."""
        weight, bias = layer
        predicted = self.predict(vectors @ weight.T + bias)
        return float(self.evaluate([metric], labels, predicted)[metric])


LINEAR_HEADS: Mapping[str, LinearHead] = {
    'classes': LinearHead(
        fit_classes, lambda outputs: outputs.argmax(axis=1), evaluate_metrics, True
    ),
    'labels': LinearHead(
        fit_labels, lambda outputs: (outputs > 0).astype('int64'), evaluate_label_sets
    ),
    'value': LinearHead(fit_value, lambda outputs: outputs[:, 0], evaluate_metrics),
}
"""Kinds of linear head by the ``linear_head`` of a task's row."""


class Regularization(NamedTuple):
    """Scores of a strength of regularisation: mean and standard deviation over folds."""

    c: float
    mean: float
    spread: float
    dev: Optional[float] = None


def search_regularization(
    head: LinearHead, vectors: np.ndarray, labels: np.ndarray, size: int, metric: str, seed: int
) -> list[Regularization]:
    """Measure each strength of ``C_GRID`` by cross-validation.

    Parameters
    ----------
    head : LinearHead
    vectors : numpy.ndarray, shape (N, C)
    labels : numpy.ndarray
    size : int
        Number K of outputs.
    metric : str
    seed : int
        Of the folds.

    Returns
    -------
    list of Regularization
        Empty if some class has too few examples for two folds.
    """
    if len(vectors) > MAX_SEARCHED:
        logger.info('regularisation: chosen on %d of %d texts', MAX_SEARCHED, len(vectors))
        chosen = np.random.default_rng(seed).permutation(len(vectors))[:MAX_SEARCHED]
        vectors, labels = vectors[chosen], labels[chosen]
    counts = np.unique(labels, return_counts=True)[1] if head.has_classes else [len(vectors)]
    num_folds = min(NUM_FOLDS, *counts, len(vectors)) if len(counts) else 0
    if num_folds < 2:
        return []
    folds = fold_indices(len(vectors), num_folds, seed, labels if head.has_classes else None)
    rows = []
    for c in C_GRID:
        scores = []
        for fold in folds:
            rest = np.setdiff1d(np.arange(len(vectors)), fold)
            layer = head.fit(vectors[rest], labels[rest], size, c)
            scores.append(head.score(layer, vectors[fold], labels[fold], metric))
        rows.append(Regularization(c, float(np.mean(scores)), float(np.std(scores))))
    return rows


def best_regularization(rows: list[Regularization]) -> float:
    """Return the strength with the best mean, the stronger regularisation of equal ones."""
    return max(rows, key=lambda row: (row.mean, -row.c)).c
