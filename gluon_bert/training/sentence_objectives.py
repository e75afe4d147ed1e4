"""Objectives of sentence vectors: one row a loss, and Matryoshka and gradient caching around it.

A batch has the vectors of all its texts below each other: N anchors, then their N positives or
second texts, then the hard negatives of each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

import mxnet as mx

from .._internal.checks import check_choice, check_positive, check_positive_number, check_range
from .._internal.errors import ArgumentError
from .._internal.suggestions import unknown_name
from .gradient_cache import CachedObjective
from .sentence_losses import (
    DISTANCES,
    cosent_loss,
    cosine_loss,
    multiple_negatives_ranking_loss,
    shorten,
    triplet_loss,
)
from .terms import LossTerm, Objective

Arrays = Sequence[mx.nd.NDArray]


@dataclass(frozen=True)
class SentenceLoss:
    """A loss of sentence vectors.

    Parameters
    ----------
    name, title : str
        In code, and for people.
    loss : callable
        ``loss(*columns, *labels, **options)`` with a matrix of vectors (N, C) for each text of an
        example.
    columns : tuple of int
        The least and the most texts of an example.
    options : mapping of str to object
        Its options, with their defaults.
    is_scored : bool
        Whether examples have a score.
    by_example : bool
        Whether there is a value for each example, of which the mean is taken; else there is one for
        the batch.
    in_batch : bool
        Whether the texts of the other examples of a batch are negatives.
    repeats : bool
        Whether an example is one text, which is read twice, with two draws of dropout.
    """

    name: str
    title: str
    loss: Callable[..., mx.nd.NDArray]
    columns: tuple[int, int]
    options: Mapping[str, Any] = field(default_factory=dict)
    is_scored: bool = False
    by_example: bool = True
    in_batch: bool = False
    repeats: bool = False

    @property
    def compares(self) -> bool:
        """True if the loss compares the examples of a batch with each other."""
        return self.in_batch or not self.by_example


MAX_COLUMNS = 64
_RANKING = {'scale': 20.0, 'symmetric': False}

#: Losses of sentence vectors by name.
SENTENCE_LOSSES: Mapping[str, SentenceLoss] = {
    row.name: row
    for row in (
        SentenceLoss(
            'multiple_negatives_ranking',
            'multiple negatives ranking (Henderson et al., 2017)',
            multiple_negatives_ranking_loss,
            (2, MAX_COLUMNS),
            _RANKING,
            in_batch=True,
        ),
        SentenceLoss(
            'cosent',
            'CoSENT (Su, 2022)',
            cosent_loss,
            (2, 2),
            {'scale': 20.0},
            is_scored=True,
            by_example=False,
        ),
        SentenceLoss(
            'cosine',
            'squared difference of cosine and score (Reimers and Gurevych, 2019)',
            cosine_loss,
            (2, 2),
            is_scored=True,
        ),
        SentenceLoss(
            'triplet',
            'triplet (Reimers and Gurevych, 2019)',
            triplet_loss,
            (3, 3),
            {'distance': 'euclidean', 'margin': 5.0},
        ),
        SentenceLoss(
            'simcse',
            'unsupervised SimCSE (Gao et al., 2021)',
            multiple_negatives_ranking_loss,
            (1, 1),
            _RANKING,
            in_batch=True,
            repeats=True,
        ),
    )
}


def make_sentence_objective(
    name: str,
    columns: int = 2,
    matryoshka: Sequence[int] = (),
    cache_size: Optional[int] = None,
    **options: Any,
) -> Objective:
    """Make the objective of a network that gives one vector for each text.

    Parameters
    ----------
    name : str
        Of :data:`SENTENCE_LOSSES`.
    columns : int
        Sequences of an example: 2 for pairs, and for SimCSE; 3 for triplets; more with several hard
        negatives.
    matryoshka : sequence of int
        Add up the loss on so many first units of the vectors, for each of these numbers
        (Kusupati et al., 2022); the width of the vectors should be one of them.
    cache_size : int, optional
        Compute so many sequences at once, see :class:`.CachedObjective`; by default all.
    **options
        Those of the row: ``scale`` and ``symmetric``, ``distance`` and ``margin``.

    Returns
    -------
    Objective
        Its ``name`` tells the options, too.

    Raises
    ------
    ValueError
        If the name is unknown, or an option is not one of the row or is out of range.

    Examples
    --------
    >>> make_sentence_objective('cosent', scale=10.0).name
    'cosent(scale=10.0)'
    >>> list(make_sentence_objective('cosine', matryoshka=(32, 64)).terms)
    ['loss_64', 'loss_32']
    """
    row = _row(name)
    least, most = (2, 2) if row.repeats else row.columns
    check_range(least, most, columns=columns)
    options = {**row.options, **_checked(row, options)}
    check_positive(cache_size=cache_size)
    if len(set(matryoshka)) < len(matryoshka):
        raise ArgumentError('matryoshka', 'expected different numbers of units', list(matryoshka))
    units = sorted(matryoshka, reverse=True)
    for number in units:
        check_positive(matryoshka=number)
    terms = {f'loss_{number}': _term(row, columns, options, number) for number in units} or {
        'loss': _term(row, columns, options)
    }
    shown = {**options, **({'matryoshka': units} if units else {})}
    text = ', '.join(f'{key}={value!r}' for key, value in shown.items())
    title = f'{name}({text})' if text else name
    if cache_size is None:
        return Objective(title, terms, compares=row.compares)
    return CachedObjective(title, terms, compares=row.compares, cache_size=cache_size)


def divide_columns(vectors: mx.nd.NDArray, columns: int) -> list[mx.nd.NDArray]:
    """Divide the vectors of a batch into those of the first texts, of the second, and so on."""
    size = len(vectors) // columns
    return [vectors[size * part : size * (part + 1)] for part in range(columns)]


def _row(name):
    if name not in SENTENCE_LOSSES:
        raise unknown_name('loss', name, SENTENCE_LOSSES)
    return SENTENCE_LOSSES[name]


def _checked(row, options):
    """The options that were given; those of the other rows are refused."""
    given = {name: value for name, value in options.items() if value is not None}
    for name, value in given.items():
        if name not in row.options:
            goes = [other.name for other in SENTENCE_LOSSES.values() if name in other.options]
            if not goes:
                raise unknown_name('option', name, row.options)
            raise ArgumentError(name, f'goes with the loss {" or ".join(goes)}', value)
    if 'distance' in given:
        check_choice(tuple(DISTANCES), distance=given['distance'])
    for name in ('scale', 'margin'):
        if name in given:
            check_positive_number(**{name: given[name]})
    return given


def _term(row, columns, options, units=None):
    """The term of a loss, on the first units of the vectors."""

    def loss(vectors, *labels):
        if len(labels) != row.is_scored:
            raise ValueError(
                f'labels: {row.name} reads {"a score of each example" if row.is_scored else "none"}'
            )
        if units is not None:
            if units > vectors.shape[1]:
                raise ArgumentError(
                    'matryoshka', f'the vectors have {vectors.shape[1]} units', units
                )
            vectors = shorten(vectors, units)
        return row.loss(*divide_columns(vectors, columns), *labels, **options)

    if not row.by_example:
        return LossTerm(loss, lambda inputs, labels: 1)
    return LossTerm(loss, lambda inputs, labels: len(inputs[0]) // columns)
