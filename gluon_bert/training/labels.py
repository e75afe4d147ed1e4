"""Check the labels of batches: what is out of range would be clipped, and trained on, silently."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import mxnet as mx
import numpy as np


class Limits(NamedTuple):
    """The labels that a loss takes: numbers from ``least`` to ``most``, whole or not."""

    least: float
    most: float
    meaning: str
    is_whole: bool = True

    def refuse(self, values: np.ndarray) -> np.ndarray:
        """Tell for each value whether it is out of the limits; NaN always is."""
        fits = (values >= self.least) & (values <= self.most)
        return ~(fits & (values == np.floor(values)) if self.is_whole else fits)


class LabelError(ValueError):
    """A label that the loss cannot take.

    Parameters
    ----------
    value : float
    limits : Limits
    place : str
        Where it stands.
    """

    def __init__(self, value: float, limits: Limits, place: str) -> None:
        super().__init__(f'labels: {place} has {value:g}: expected {limits.meaning}')
        self.limits = limits

    def in_data(self, data: Any) -> LabelError:
        """Make the error that names the row of a data set, where its labels can be searched."""
        labels = getattr(data, 'labels', None)
        for row, label in enumerate(() if labels is None else labels):
            values = np.asarray(label, 'float64').ravel()
            refused = self.limits.refuse(values)
            if refused.any():
                return LabelError(values[refused][0], self.limits, f'row {row}')
        return self


@contextlib.contextmanager
def named_rows(data: Any) -> Iterator[None]:
    """Name the row of a data set in the error of a label in a batch of it."""
    try:
        yield
    except LabelError as error:
        raise error.in_data(data) from None


def check_labels(labels: mx.nd.NDArray, limits: Limits) -> None:
    """Check the labels of a batch.

    Raises
    ------
    LabelError
        If one is out of the limits; the message has the sequence of the batch.
    """
    values = labels.asnumpy().astype('float64')
    refused = limits.refuse(values)
    if refused.any():
        place = tuple(int(axis[0]) for axis in np.nonzero(refused))
        raise LabelError(values[place], limits, f'sequence {place[0]} of the batch')


def class_limits(num_classes: int) -> Limits:
    """Give the limits of the number of a class."""
    return Limits(0, num_classes - 1, f'the number of one of {num_classes} classes, from 0')


def tag_limits(num_tags: int) -> Limits:
    """Give the limits of the number of a tag; negative ones stand for tokens without a tag."""
    meaning = f'the number of one of {num_tags} tags, from 0, or a negative number for none'
    return Limits(-math.inf, num_tags - 1, meaning)


def position_limits(num_tokens: int) -> Limits:
    """Give the limits of the position of a token."""
    return Limits(0, num_tokens - 1, f'the position of one of {num_tokens} tokens, from 0')


FLAGS = Limits(0, 1, 'a number from 0 to 1', is_whole=False)
FINITE = Limits(-1.7e308, 1.7e308, 'a finite number', is_whole=False)
