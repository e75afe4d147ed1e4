"""Texts, or pairs of texts, to classes and to scores."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, NamedTuple, Optional

import numpy as np

from .._internal.numerics import sigmoid, softmax  # noqa: F401 (sigmoid: its place in 0.1)
from ..data import SentenceTransform
from ..data.streams import ResultStream
from ..data.windows import NoRoomError, WindowTransform, join_scores
from ..tasks.folder import TaskModel
from .base import TaskPipeline
from .steps import Progress


class Classification(NamedTuple):
    """The most probable class, its probability, and the probability of every class by name.

    The probabilities sum to 1. Of two classes with a threshold, the second is given from that
    probability on, and else the first.
    """

    label: str
    probability: float
    probabilities: dict[str, float]


class Regression(NamedTuple):
    """The score of a text, within the range of those it was trained on, if that is known."""

    value: float


class SequencePipeline(TaskPipeline):
    """One row of scores for each text or pair.

    Parameters
    ----------
    model : TaskModel
    batch_size : int, optional
        Texts computed at once; by default as in the evaluations of the training, else 32.
    """

    def __init__(self, model: TaskModel, batch_size: Optional[int] = None) -> None:
        super().__init__(model, batch_size)
        reader = model.tokenizer, self.settings['max_len']
        self._windows: Optional[str] = self.settings.get('windows')
        self._transform: Any = SentenceTransform(*reader)
        if self._windows is not None:
            self._transform = WindowTransform(*reader, self.settings['window_stride'])

    def _prepare(self, texts, pairs):
        self._check(texts, pairs)
        if self._windows is None:
            return self._transform.transform_batch(texts, pairs)
        try:
            features, counts = self._transform.windows(texts, pairs)
        except NoRoomError as error:
            self._fail(error.number, error.reason)
        return features, 0, counts

    def _features(self, features, num_cut, counts=None):
        return features

    def _sequences(self, features, num_cut, counts=None):
        return features, None, num_cut

    def _scores(self, call, features, num_cut, counts=None):
        """The scores of a block, (N, K); those of windows are joined."""
        self._count_cut(call, num_cut)
        if counts is None:
            return np.stack(self._outputs(call, features, advance=True))
        scores = join_scores(np.stack(self._outputs(call, features)), counts, self._windows)
        call.advance(len(counts))
        return scores

    def _check(self, texts, pairs):
        """Check that there are pairs if and only if the network was trained on pairs."""
        wanted = self.settings.get('pair')
        for number in range(len(texts) if wanted is not None else 0):
            if wanted != (pairs is not None and pairs[number] is not None):
                self._fail(
                    number,
                    'the network reads pairs of texts, this is one text'
                    if wanted
                    else 'the network reads single texts, this is a pair',
                )


class LabelsPipeline(SequencePipeline):
    """Results with the probability of every label, by name.

    Parameters
    ----------
    model : TaskModel
    batch_size : int, optional
        Texts computed at once; by default as in the evaluations of the training, else 32.
    """

    @property
    def labels(self) -> list[str]:
        """The names of the labels, in the order of their numbers."""
        return self.settings['labels']

    @property
    def temperature(self) -> float:
        """The number that scores are divided by; see :func:`.fit_temperature`."""
        return self.settings.get('temperature', 1.0)

    def logits(self, inputs: Iterable, progress: Progress = None) -> ResultStream:
        """Compute the network's scores of any number of inputs, one by one, in bounded memory.

        Parameters
        ----------
        inputs, progress
            As for :meth:`.Pipeline.stream`.

        Returns
        -------
        ResultStream
            Of arrays (K,).
        """
        call = self._new_call(progress)
        items = (self._as_input(item, number) for number, item in enumerate(inputs))
        return ResultStream(self._computed(items, call, self._scores), call)

    @abstractmethod
    def decide(self, logits: np.ndarray) -> list:
        """Make the results of the network's scores, (N, K)."""

    def _results(self, call, *prepared):
        return self.decide(self._scores(call, *prepared))

    def as_json(
        self, result: Any, top_k: Optional[int] = None, words: Optional[list] = None
    ) -> dict[str, Any]:
        row = super().as_json(result)
        if top_k is not None:
            best = sorted(row['probabilities'].items(), key=lambda pair: -pair[1])
            row['probabilities'] = dict(best[:top_k])
        return row


class ClassificationPipeline(LabelsPipeline):
    """The classes of texts or of pairs of texts.

    Called on a text, or on a pair as a tuple of two, it returns a :class:`Classification`; see
    :class:`Pipeline` for lists and iterators. Longer texts are cut, and ``num_cut`` counts them,
    unless the settings have ``windows``.

    Parameters
    ----------
    model : TaskModel
        Of the task 'text-classification'.
    batch_size : int, optional
        Texts computed at once; by default as in the evaluations of the training, else 32.
    """

    task = 'text-classification'

    @property
    def threshold(self) -> Optional[float]:
        """The least probability at which the second of two classes is given, if there is one."""
        return self.settings.get('threshold')

    def decide(self, logits: np.ndarray) -> list[Classification]:
        shares = softmax(np.asarray(logits, 'float64') / self.temperature)
        best = logits.argmax(axis=1)
        if self.threshold is not None:
            best = (shares[:, 1] >= self.threshold).astype(int)
        return [
            Classification(self.labels[number], row[number], dict(zip(self.labels, row)))
            for number, row in zip(best.tolist(), shares.tolist())
        ]


class RegressionPipeline(SequencePipeline):
    """The scores of texts or of pairs of texts.

    Called on a text, or on a pair as a tuple of two, it returns a :class:`Regression`; see
    :class:`Pipeline` for lists and iterators. Longer texts are cut, and ``num_cut`` counts them,
    unless the settings have ``windows``.

    Parameters
    ----------
    model : TaskModel
        Of the task 'text-regression'.
    batch_size : int, optional
        Texts computed at once; by default as in the evaluations of the training, else 32.
    """

    task = 'text-regression'

    def _results(self, call, *prepared):
        low, high = self.settings.get('range', (-np.inf, np.inf))
        values = self._scores(call, *prepared)[:, 0].clip(low, high)
        return [Regression(value) for value in values.tolist()]
