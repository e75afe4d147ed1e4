"""Divide examples into folds for cross-validation."""

from __future__ import annotations

from typing import Optional

import numpy as np

from .._internal.errors import ArgumentError


def fold_indices(
    count: int, num_folds: int, seed: int, classes: Optional[np.ndarray] = None
) -> list[np.ndarray]:
    """Divide examples into folds of about the same size, each with its share of each class.

    Parameters
    ----------
    count : int
        Of the examples.
    num_folds : int
    seed : int
        Of the order in which they are dealt.
    classes : numpy.ndarray, shape (count,), optional
        Their classes; without them they are dealt at random.

    Returns
    -------
    list of numpy.ndarray of int
        The numbers of the examples of each fold, sorted.

    Raises
    ------
    ValueError
        If there are fewer than two folds, or more than examples.

    Examples
    --------
    >>> [fold.tolist() for fold in fold_indices(5, 2, 0, np.array([0, 0, 1, 1, 1]))]
    [[0, 2, 3], [1, 4]]
    """
    if not 2 <= num_folds <= count:
        raise ArgumentError('folds', f'expected 2 to {count}, the number of examples', num_folds)
    order = np.random.default_rng(seed).permutation(count)
    if classes is not None:
        order = order[np.argsort(np.asarray(classes)[order], kind='stable')]
    return [np.sort(order[number::num_folds]) for number in range(num_folds)]
