"""Divide examples into folds for cross-validation."""

from __future__ import annotations

import logging
from typing import Any, Optional

import numpy as np

from .._internal.errors import ArgumentError

logger = logging.getLogger(__name__)


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


def take_fold(job: Any, number: int, count: int, seed: int) -> None:
    """Make one fold of the training examples of a job its dev set; the others are trained on.

    Parameters
    ----------
    job : Job
        Whose files are read.
    number : int
        Of the fold, from 0.
    count : int
        Of folds.
    seed : int

    Raises
    ------
    ValueError
        If the task is not one of texts, or there are fewer examples than folds.
    """
    if not job.spec.linear_head:
        raise ArgumentError('folds', f'is not for {job.spec.name}', count)
    train = job.splits['train']
    classes = [example.label for example in train.examples]
    has_classes = all(type(label) is int for label in classes)
    fold = fold_indices(len(classes), count, seed, np.array(classes) if has_classes else None)
    chosen, rest = {*fold[number].tolist()}, range(len(classes))
    others = [name for name in job.splits if name != 'train']
    if others:
        logger.info('left out for cross-validation: %s', ', '.join(others))
    job.splits = {
        'train': train._replace(examples=[train.examples[i] for i in rest if i not in chosen]),
        'dev': train._replace(examples=[train.examples[i] for i in rest if i in chosen]),
    }
