"""Share a batch among the processes of a training run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Arrays = Sequence[Any]
"""NDArrays whose first axis is the same."""


def rows_of(rank: int, size: int, count: int) -> slice:
    """Choose the rows of one process, as equal in number as can be.

    Parameters
    ----------
    rank, size : int
        Number of the process, and of all.
    count : int
        Rows of the batch.

    Returns
    -------
    slice
        Empty for the last processes, if there are more of them than rows.

    Examples
    --------
    >>> [rows_of(rank, 3, 7) for rank in range(3)]
    [slice(0, 3, None), slice(3, 5, None), slice(5, 7, None)]
    """
    least, more = divmod(count, size)
    start = rank * least + min(rank, more)
    return slice(start, start + least + (rank < more))


def take_rows(arrays: Arrays, rows: np.ndarray) -> tuple[Any, ...]:
    """Take rows of each of some NDArrays.

    Parameters
    ----------
    arrays : sequence of NDArray
    rows : numpy.ndarray of int
    """
    return tuple(array[rows] for array in arrays)
