"""The loss of a task with label smoothing and class weights."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import numpy as np

from .._internal.errors import ArgumentError
from .._internal.suggestions import did_you_mean
from ..training.class_losses import CLASS_LOSSES, make_class_objective
from .class_weights import read_weights

logger = logging.getLogger(__name__)


class ClassCounts(NamedTuple):
    """The classes of the training data.

    Parameters
    ----------
    names : list of str
        Each can have a weight.
    counts : numpy.ndarray of int, shape (names,)
        Their examples: texts, or words.
    total : int
        Examples of all.
    outputs : list of int
        For each output of the network the number of its name.
    """

    names: list[str]
    counts: np.ndarray
    total: int
    outputs: list[int]


def task_objective(job: Any, model: Any) -> Any:
    """Make the objective of a task with the label smoothing and class weights of its data options.

    Parameters
    ----------
    job : Job
    model : TaskModel

    Returns
    -------
    Objective

    Raises
    ------
    ValueError
        If a weight is for an unknown class.
    """
    smoothing = getattr(job.data, 'label_smoothing', 0.0)
    given = getattr(job.data, 'class_weights', None)
    weights = None
    if given is not None:
        weights = _weights(given, job.class_counts(model), CLASS_LOSSES[job.spec.objective].balance)
    has_windows = 'windows' in model.settings
    return make_class_objective(job.spec.objective, smoothing, weights, has_windows)


def _weights(given, classes, balance):
    """The weight of each output of the network."""
    named = read_weights(given)
    if named is None:
        weights = balance(classes.counts, classes.total)
        for name, count in zip(classes.names, classes.counts):
            if not count:
                logger.warning('class_weights: no example is of class %r: its weight is 1', name)
    else:
        unknown = next((name for name in named if name not in classes.names), None)
        if unknown is not None:
            raise ArgumentError(
                'class_weights',
                f'{unknown!r} is no class{did_you_mean(unknown, classes.names)} (there are: '
                f'{", ".join(classes.names)})',
            )
        weights = np.array([named.get(name, 1.0) for name in classes.names])
    logger.info(
        'class weights: %s',
        ', '.join(f'{name} {weight:.4g}' for name, weight in zip(classes.names, weights)),
    )
    return weights[classes.outputs]
