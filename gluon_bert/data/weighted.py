"""Serve sequences with a weight for each as padded batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .dataset import SequenceData, digest_of
from .wrapped import WrappedData


class WeightedData(WrappedData):
    """Sequences that count by weights, such as the windows of a text.

    Parameters
    ----------
    data : SequenceData
    weights : numpy.ndarray, shape (sequences,)
    """

    def __init__(self, data: SequenceData, weights: np.ndarray) -> None:
        super().__init__(data)
        self._weights = np.asarray(weights, 'float32')

    def fingerprint(self) -> dict[str, Any]:
        """Describe what the training batches depend on; the weights, too."""
        return {**self._data.fingerprint(), 'weights': digest_of(self._weights)}

    def load(self, indices: Sequence[int]) -> tuple[tuple, Any]:
        """Load one batch: inputs and labels of :meth:`.SequenceData.load`, and the weights (N,)."""
        from mxnet import nd

        inputs, labels = self._data.load(indices)
        return inputs, (labels, nd.array(self._weights[indices], labels.context))
