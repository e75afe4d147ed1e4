"""Convert scores to probabilities; the error function."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def softmax(scores: ArrayLike, axis: int = -1) -> np.ndarray:
    """Compute probabilities along an axis, in double precision.

    Parameters
    ----------
    scores : array_like of float
        The axis may be empty.
    axis : int

    Returns
    -------
    numpy.ndarray of float64
        Of the same shape; NaN where a score is NaN or infinite, without a warning.
    """
    scores = np.asarray(scores, 'float64')
    with np.errstate(invalid='ignore'):
        exponentials = np.exp(scores - scores.max(axis=axis, keepdims=True, initial=-np.inf))
        return exponentials / exponentials.sum(axis=axis, keepdims=True)


def sigmoid(scores: ArrayLike) -> np.ndarray:
    """Compute the probability of each of independent classes, in double precision.

    Parameters
    ----------
    scores : array_like of float

    Returns
    -------
    numpy.ndarray of float64
        Of the same shape.
    """
    # tanh neither overflows nor warns if a damaged network returns NaN.
    return (1 + np.tanh(np.asarray(scores, 'float64') / 2)) / 2


def erf(x: np.ndarray) -> np.ndarray:
    """Compute the error function to an error of 5e-7 at most.

    Abramowitz and Stegun (1964), formula 7.1.26.

    Parameters
    ----------
    x : numpy.ndarray of float

    Returns
    -------
    numpy.ndarray
        Of the same shape and type.
    """
    size = np.abs(x)
    t = 1 / (1 + 0.3275911 * size)
    factor = t * 1.061405429 - 1.453152027
    for term in (1.421413741, -0.284496736, 0.254829592):
        factor = factor * t + term
    return np.copysign(1 - factor * t * np.exp(-size * size), x)
