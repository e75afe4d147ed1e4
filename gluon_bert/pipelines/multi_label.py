"""Texts, or pairs of texts, to any number of labels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._internal.numerics import sigmoid
from .classification import LabelsPipeline


class LabelSet(NamedTuple):
    """The labels of a text.

    ``labels`` are those whose probability reaches their threshold, in the order of the network's
    labels; ``label`` is the most probable one with its ``probability``, whether it is among them or
    not; ``probabilities`` has that of every label by name, each on its own.
    """

    labels: list[str]
    label: str
    probability: float
    probabilities: dict[str, float]


class MultiLabelPipeline(LabelsPipeline):
    """The labels of texts or of pairs of texts.

    Called on a text, or on a pair as a tuple of two, it gives a :class:`LabelSet`; see
    :class:`Pipeline` for lists and iterators. Longer texts are cut, and ``num_cut`` counts them,
    unless the settings have ``windows``.

    Parameters
    ----------
    model : TaskModel
        Of the task 'multi-label-classification'.
    batch_size : int, optional
        Texts computed at once; by default as in the evaluations of the training, else 32.
    """

    task = 'multi-label-classification'

    @property
    def thresholds(self) -> list[float]:
        """The least probability at which each label is given."""
        return self.settings['thresholds']

    def decide(self, logits: np.ndarray) -> list[LabelSet]:
        shares = sigmoid(np.asarray(logits, 'float64') / self.temperature)
        return [
            LabelSet(
                self._chosen(row), self.labels[number], row[number], dict(zip(self.labels, row))
            )
            for number, row in zip(logits.argmax(axis=1).tolist(), shares.tolist())
        ]

    def _chosen(self, shares):
        rows = zip(self.labels, shares, self.thresholds)
        return [label for label, share, least in rows if share >= least]
