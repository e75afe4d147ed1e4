"""Batches with what a student learns from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import numpy as np
from mxnet import nd

from ...data.wrapped import WrappedData
from ...training.distillation_objective import Lesson
from .outputs import TeacherOutputs


class LessonData(WrappedData):
    """Sequences with the outputs of a teacher; their labels are a :class:`.Lesson`.

    Parameters
    ----------
    data : SequenceData
        All sequences, those with labels first.
    num_labelled : int
    key : str
        What the outputs depend on.
    scores : TeacherOutputs, optional
        Of the teacher, unless they have no weight.
    states : TeacherOutputs, optional
        What the layers of the teacher give.
    tags : bool
        Whether the labels are numbers of tags, of which the negative ones are of tokens whose
        scores do not count.
    """

    def __init__(
        self,
        data: Any,
        num_labelled: int,
        key: str,
        scores: Optional[TeacherOutputs],
        states: Optional[TeacherOutputs] = None,
        tags: bool = False,
    ) -> None:
        super().__init__(data)
        self._num_labelled, self._key = num_labelled, key
        self._scores, self._states, self._tags = scores, states, tags

    def fingerprint(self) -> dict[str, Any]:
        """Describe what the batches depend on; see :meth:`.SequenceData.fingerprint`."""
        return {
            **self._data.fingerprint(),
            'labelled': self._num_labelled,
            'outputs of the teacher': self._key,
        }

    def load(self, indices: Sequence[int]) -> tuple[tuple, Lesson]:
        """Load one batch: inputs as those of :meth:`.SequenceData.load`, and the lesson."""
        inputs, labels = self._data.load(indices)
        ids, _, lengths = inputs
        size, length = ids.shape
        none = nd.zeros((size, 1), ctx=ids.context)
        valid = nd.broadcast_lesser(
            nd.arange(length, ctx=ids.context).reshape((1, -1)), lengths.reshape((-1, 1))
        )

        def load(outputs):
            return none if outputs is None else nd.array(outputs.load(indices, length), ids.context)

        return inputs, Lesson(
            none if labels is None else labels,
            nd.array(np.asarray(indices) < self._num_labelled, ids.context, 'float32'),
            labels >= 0 if self._tags else valid,
            valid,
            load(self._scores),
            load(self._states),
        )
