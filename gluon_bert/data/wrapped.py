"""A data set around another one."""

from __future__ import annotations

from typing import Any

import numpy as np

from .dataset import SequenceData


class WrappedData:
    """The batches of another data set, to which a subclass adds something.

    Parameters
    ----------
    data : SequenceData
    """

    def __init__(self, data: SequenceData) -> None:
        self._data = data

    def __len__(self) -> int:
        return len(self._data)

    @property
    def labels(self) -> Any:
        """The labels in the order of the data set, or None."""
        return self._data.labels

    def training_batches(self, epoch: int) -> list[np.ndarray]:
        """Shuffle batches of similar length; see :meth:`.SequenceData.training_batches`."""
        return self._data.training_batches(epoch)
