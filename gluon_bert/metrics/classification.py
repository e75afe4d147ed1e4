"""Compute classification and regression metrics by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .._internal.suggestions import unknown_name

if TYPE_CHECKING:
    from .._internal.types import Numbers


def accuracy(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Compute the fraction of correct predictions."""
    from sklearn import metrics as sklearn_metrics

    return sklearn_metrics.accuracy_score(labels, predictions)


def f1(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Compute the F1 score of class 1; 0.0 if class 1 never occurs."""
    from sklearn import metrics as sklearn_metrics

    return sklearn_metrics.f1_score(labels == 1, predictions == 1, zero_division=0.0)


def macro_f1(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Average the F1 scores of the classes that occur in labels or predictions."""
    from sklearn import metrics as sklearn_metrics

    return sklearn_metrics.f1_score(labels, predictions, average='macro', zero_division=0.0)


def mcc(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Compute Matthews' correlation, -1 to 1; 0.0 if labels or predictions are constant."""
    from sklearn import metrics as sklearn_metrics

    if _is_constant(labels) or _is_constant(predictions):
        return 0.0
    return sklearn_metrics.matthews_corrcoef(labels, predictions)


def pearson(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Compute Pearson's correlation, -1 to 1; 0.0 if labels or predictions are constant."""
    from scipy import stats

    if _is_constant(labels) or _is_constant(predictions):
        return 0.0
    return stats.pearsonr(labels, predictions)[0]


def spearman(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Compute Spearman's correlation, -1 to 1; 0.0 if labels or predictions are constant."""
    from scipy import stats

    if _is_constant(labels) or _is_constant(predictions):
        return 0.0
    return stats.spearmanr(labels, predictions)[0]


METRICS = {
    'accuracy': accuracy,
    'f1': f1,
    'macro_f1': macro_f1,
    'mcc': mcc,
    'pearson': pearson,
    'spearman': spearman,
}


def evaluate_metrics(
    names: Sequence[str], labels: Numbers, predictions: Numbers
) -> dict[str, float]:
    """Compute several metrics of the same predictions.

    Parameters
    ----------
    names : sequence of str
        Keys of ``METRICS``.
    labels, predictions : sequence of int or float, of the same length
        Numbers of classes, or scores for 'pearson' and 'spearman'.

    Returns
    -------
    dict of str to float
        In the order of ``names``.

    Raises
    ------
    ValueError
        If a name is unknown, or labels and predictions differ in number or are not finite.

    Examples
    --------
    >>> evaluate_metrics(['accuracy', 'f1'], [1, 0, 1, 0], [1, 0, 0, 0])
    {'accuracy': 0.75, 'f1': 0.6666666666666666}
    """
    for name in names:
        if name not in METRICS:
            raise unknown_name('metric', name, METRICS)
    arrays = _checked(labels, predictions)
    return {name: float(METRICS[name](*arrays)) for name in names}


class ClassScores(NamedTuple):
    """Scores of one class; ``support`` is the number of examples labelled with it."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int


def confusion_matrix(labels: Numbers, predictions: Numbers, num_classes: int) -> np.ndarray:
    """Count how often each class was predicted for each label.

    Parameters
    ----------
    labels, predictions : sequence of int, of the same length
        From 0 to ``num_classes`` - 1.
    num_classes : int

    Returns
    -------
    numpy.ndarray, int64, shape (num_classes, num_classes)
        A row for each label, a column for each prediction.

    Raises
    ------
    ValueError
        If labels and predictions differ in number, or one is out of range.

    Examples
    --------
    >>> confusion_matrix([0, 0, 1], [0, 1, 1], 2).tolist()
    [[1, 1], [0, 1]]
    """
    from sklearn import metrics as sklearn_metrics

    arrays = _checked_classes(labels, predictions, num_classes)
    return sklearn_metrics.confusion_matrix(*arrays, labels=range(num_classes))


def class_report(labels: Numbers, predictions: Numbers, names: Sequence[str]) -> list[ClassScores]:
    """Compute precision, recall and F1 of each class.

    Parameters
    ----------
    labels, predictions : sequence of int, of the same length
    names : sequence of str
        Of the classes, in the order of their numbers.

    Returns
    -------
    list of ClassScores

    Examples
    --------
    >>> class_report([0, 0, 1], [0, 1, 1], ['no', 'yes'])[1]
    ClassScores(name='yes', precision=0.5, recall=1.0, f1=0.6666666666666666, support=1)
    """
    from sklearn import metrics as sklearn_metrics

    arrays = _checked_classes(labels, predictions, len(names))
    columns = sklearn_metrics.precision_recall_fscore_support(
        *arrays, labels=range(len(names)), zero_division=0.0
    )
    *scores, support = (column.tolist() for column in columns)
    # Where no prediction is right, scikit-learn counts in floats.
    return [ClassScores(*row) for row in zip(names, *scores, map(int, support))]


def format_report(rows: Sequence[ClassScores]) -> str:
    """Format the rows of :func:`class_report` as a text table.

    Examples
    --------
    >>> print(format_report([ClassScores('yes', 0.5, 1.0, 2 / 3, 1)]))
    class  precision  recall      f1  support
    yes       0.5000  1.0000  0.6667        1
    """
    width = max([len('class'), *(len(row.name) for row in rows)])
    lines = [f'{"class":<{width}}  precision  recall      f1  support']
    lines += [
        f'{row.name:<{width}}  {row.precision:9.4f}  {row.recall:.4f}  {row.f1:.4f}  '
        f'{row.support:7d}'
        for row in rows
    ]
    return '\n'.join(lines)


def _checked(labels, predictions):
    labels, predictions = _wide(labels), _wide(predictions)
    if labels.ndim != 1 or labels.shape != predictions.shape or not len(labels):
        raise ValueError(
            f'labels and predictions must be two lists of the same length, 1 or more, '
            f'got shapes {labels.shape} and {predictions.shape}'
        )
    for name, values in (('labels', labels), ('predictions', predictions)):
        num_wrong = int(np.sum(~np.isfinite(values)))
        if num_wrong:
            raise ValueError(f'{name} must be finite, {num_wrong} of {len(values)} are not')
    return labels, predictions


def _checked_classes(labels, predictions, num_classes):
    arrays = _checked(labels, predictions)
    for name, values in zip(('labels', 'predictions'), arrays):
        wrong = values[(values < 0) | (values >= num_classes) | (values != np.floor(values))]
        if len(wrong):
            raise ValueError(f'{name} must be integers from 0 to {num_classes - 1}, got {wrong[0]}')
    return arrays


def _wide(values):
    values = np.asarray(values)
    return values.astype('int64' if values.dtype.kind in 'biu' else 'float64')


def _is_constant(values):
    # To within rounding: below this scipy warns that the correlation is noise.
    return np.ptp(values) <= 3e-12 * np.max(np.abs(values))
