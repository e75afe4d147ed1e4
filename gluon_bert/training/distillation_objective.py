"""The objective of a student: labels, the teacher's scores, and what its layers give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Optional

import mxnet as mx
import numpy as np

from .._internal.errors import ArgumentError
from ..modeling.layer_tap import LayerTap
from .distillation import SOFT_LOSSES
from .layer_losses import hidden_loss, relation_loss
from .terms import LossTerm, Objective, count_sequences


class Lesson(NamedTuple):
    """The labels of a batch of a student: all that it learns from.

    Parameters
    ----------
    labels : NDArray, shape (N, ...)
        Those of the task; for a sequence without a label any that the task's loss takes.
    labelled : NDArray, shape (N,)
        1 for the sequences with a label, else 0.
    counted : NDArray, shape (N, T)
        1 for the tokens whose scores count, else 0.
    valid : NDArray, shape (N, T)
        1 for the tokens of a sequence, 0 for its padding.
    scores : NDArray, shape (N, ...)
        Of the teacher.
    states : NDArray, shape (N, T, W)
        What the layers of the teacher give, side by side, see :class:`LayerPairs`.
    """

    labels: mx.nd.NDArray
    labelled: mx.nd.NDArray
    counted: mx.nd.NDArray
    valid: mx.nd.NDArray
    scores: mx.nd.NDArray
    states: mx.nd.NDArray


@dataclass(frozen=True)
class LayerPairs:
    """The layers of a student and of its teacher that are compared.

    In the states of the teacher there come first the encodings of ``hidden``, in their order, then
    the queries, keys and values of the layer of ``relations``.

    Parameters
    ----------
    units : int
        Width C of the teacher.
    hidden : tuple of (int, int)
        Layer of the student, layer of the teacher, whose encodings are compared; 0 stands for the
        embeddings.
    relations : (int, int), optional
        Layers, from 1, whose relations are compared.
    num_heads : int
        Number of relation heads.
    """

    units: int
    hidden: tuple[tuple[int, int], ...] = ()
    relations: Optional[tuple[int, int]] = None
    num_heads: int = 1

    @property
    def width(self) -> int:
        """The width W of the teacher's states."""
        return self.units * (len(self.hidden) + (3 if self.relations else 0))

    def student_tap(self, bert: Any) -> LayerTap:
        """Make what runs the student and keeps the values of its layers."""
        return LayerTap(bert, *self._chosen(0))

    def teacher_tap(self, bert: Any) -> LayerTap:
        """Make what runs the teacher and keeps the values of its layers."""
        return LayerTap(bert, *self._chosen(1))

    def _chosen(self, side):
        layers = tuple(pair[side] for pair in self.hidden)
        return layers, self.relations[side] if self.relations else None

    def hidden_losses(self, network: Any, tap: LayerTap, lesson: Lesson) -> mx.nd.NDArray:
        """Add up the losses of the encodings, (N,)."""
        losses = [
            hidden_loss(
                network.project(tap.hidden[layer]), self._part(lesson, number), lesson.valid
            )
            for number, (layer, _) in enumerate(self.hidden)
        ]
        return mx.nd.add_n(*losses)

    def relation_losses(self, tap: LayerTap, lesson: Lesson) -> mx.nd.NDArray:
        """Add up the losses of queries, keys and values, (N,)."""
        first = len(self.hidden)
        losses = [
            relation_loss(vectors, self._part(lesson, first + number), lesson.valid, self.num_heads)
            for number, vectors in enumerate(tap.query_key_value)
        ]
        return mx.nd.add_n(*losses)

    def _part(self, lesson, number):
        return lesson.states[:, :, number * self.units : (number + 1) * self.units]


class StudentOutputs(NamedTuple):
    """Outputs of a student: its ``scores``, the network, and the tap with its layers' values."""

    scores: Any
    network: Any
    tap: Optional[LayerTap]


@dataclass(frozen=True)
class DistillationObjective(Objective):
    """The objective of a student, whose labels are a :class:`Lesson`.

    Parameters
    ----------
    layers : LayerPairs, optional
        Compared, too; the network is a :class:`.DistilledNetwork` then, and MXNet's operators run
        it.
    """

    layers: Optional[LayerPairs] = None

    @property
    def takes_encoder(self) -> bool:
        """False if layers are compared, which the kernels do not give."""
        return self.layers is None

    def outputs(
        self, network: Any, inputs: Sequence[mx.nd.NDArray], encoder: Optional[object] = None
    ) -> Any:
        tap = None
        if self.layers is not None:
            encoder = tap = self.layers.student_tap(network.bert)
        return StudentOutputs(super().outputs(network, inputs, encoder), network, tap)


@dataclass(frozen=True)
class LossWeights:
    """The weights of the terms of a student's loss.

    Parameters
    ----------
    alpha : float
        Of the teacher's scores; the labels have what is left to 1.
    temperature : float
    relations, hidden : float
        Of the relations and of the hidden states.
    """

    alpha: float = 0.5
    temperature: float = 1.0
    relations: float = 0.0
    hidden: float = 0.0


def make_distillation_objective(
    form: str,
    weights: LossWeights,
    labels: Optional[Objective] = None,
    layers: Optional[LayerPairs] = None,
) -> Objective:
    """Make the objective of a student.

    Parameters
    ----------
    form : str
        Of its scores, a name of :data:`.SOFT_LOSSES`.
    weights : LossWeights
    labels : Objective, optional
        The task's own, of one term with a value for each sequence; None without labels.
    layers : LayerPairs, optional

    Returns
    -------
    Objective
        Its terms are 'teacher', 'labels', 'relations' and 'hidden', those with a weight; its
        ``name`` tells all weights.

    Raises
    ------
    ValueError
        If the task's loss has not one value for each sequence, or all weights are 0.
    """
    terms = {}
    if weights.alpha:
        terms['teacher'] = LossTerm(_teacher_loss(form, weights.temperature), weight=weights.alpha)
    if labels is not None and weights.alpha < 1:
        terms['labels'] = LossTerm(_label_loss(labels), _count_labelled, 1 - weights.alpha)
    if layers is not None and layers.relations:
        terms['relations'] = LossTerm(
            lambda outputs, *lesson: layers.relation_losses(outputs.tap, Lesson(*lesson)),
            weight=weights.relations,
        )
    if layers is not None and layers.hidden:
        terms['hidden'] = LossTerm(
            lambda outputs, *lesson: layers.hidden_losses(
                outputs.network, outputs.tap, Lesson(*lesson)
            ),
            weight=weights.hidden,
        )
    if not terms:
        raise ArgumentError('alpha', 'leaves nothing to learn from', weights.alpha)
    of = f'{labels.name}, ' if labels is not None else ''
    return DistillationObjective(
        f'distillation({of}{form}, {weights}, {layers})', terms, layers=layers
    )


def _teacher_loss(form, temperature):
    row = SOFT_LOSSES[form]

    def loss(outputs, *arrays):
        lesson = Lesson(*arrays)
        return row(outputs.scores, lesson.scores, temperature, lesson.counted)

    return loss


def _label_loss(objective):
    terms = list(objective.terms.values())
    if len(terms) != 1 or terms[0].count is not count_sequences:
        raise ArgumentError(
            'loss', 'is no mean over texts, which the teacher needs beside it', objective.name
        )

    def loss(outputs, *arrays):
        lesson = Lesson(*arrays)
        return terms[0].loss(outputs.scores, lesson.labels) * lesson.labelled

    return loss


def _count_labelled(inputs, labels):
    return float(np.sum(Lesson(*labels).labelled.asnumpy()))
