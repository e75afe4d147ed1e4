"""Serve sequences with a weight for each as padded batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .dataset import SequenceData, digest_of


class WeightedData:
    """Sequences that count by weights, such as the windows of a text.

    Parameters
    ----------
    data : SequenceData
    weights : numpy.ndarray, shape (sequences,)
    """

    def __init__(self, data: SequenceData, weights: np.ndarray) -> None:
        self._data, self._weights = data, np.asarray(weights, 'float32')

    def __len__(self) -> int:
        return len(self._data)

    @property
    def labels(self) -> Any:
        """The labels in the order of the data set."""
        return self._data.labels

    def fingerprint(self) -> dict[str, Any]:
        """Describe what the training batches depend on; the weights, too."""
        return {**self._data.fingerprint(), 'weights': digest_of(self._weights)}

    def training_batches(self, epoch: int) -> list[np.ndarray]:
        """Shuffle batches of similar length; see :meth:`.SequenceData.training_batches`."""
        return self._data.training_batches(epoch)

    def load(self, indices: Sequence[int]) -> tuple[tuple, Any]:
        """Load one batch: inputs and labels of :meth:`.SequenceData.load`, and the weights (N,)."""
        from mxnet import nd

        inputs, labels = self._data.load(indices)
        return inputs, (labels, nd.array(self._weights[indices], labels.context))
