"""Rows of numbers in a file, of which few are in memory at once.

A file has a header, a JSON object in one line padded with spaces, and the rows, float32.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ..._internal.files import atomic_path, portable_path

_HEADER = 1024  # bytes
_VERSION = 1


class WrongCache(ValueError):
    """A file holds the rows of something else."""


def write_rows(
    path: Path, key: str, shape: tuple[int, int], blocks: Iterable[tuple[int, np.ndarray]]
) -> None:
    """Write a file of rows; it is complete or not there.

    Parameters
    ----------
    path : Path
    key : str
        What the rows depend on.
    shape : (int, int)
        Number of rows, and of numbers in each.
    blocks : iterable of (int, numpy.ndarray)
        First row, and rows in a row, shape (rows, numbers); all rows together, in any order.
    """
    header = {'version': _VERSION, 'key': key, 'shape': list(shape)}
    with atomic_path(path) as temporary, open(temporary, 'wb') as file:
        file.write(json.dumps(header).encode().ljust(_HEADER - 1) + b'\n')
        for first, rows in blocks:
            file.seek(_HEADER + first * shape[1] * 4)
            file.write(np.ascontiguousarray(rows, '<f4').tobytes())
        file.truncate(_HEADER + shape[0] * shape[1] * 4)


def read_rows(path: Path, key: str, shape: tuple[int, int]) -> np.ndarray:
    """Map a file of rows into memory, read only.

    Parameters
    ----------
    path, key, shape
        As for :func:`write_rows`.

    Returns
    -------
    numpy.ndarray, shape (rows, numbers)

    Raises
    ------
    WrongCache
        If it is another file, or one of another key or shape.
    """
    try:
        with open(path, 'rb') as file:
            header: Any = json.loads(file.read(_HEADER))
    except ValueError:
        header = None
    expected = {'version': _VERSION, 'key': key, 'shape': list(shape)}
    size = _HEADER + shape[0] * shape[1] * 4
    if header != expected or path.stat().st_size != size:
        raise WrongCache(
            f'{portable_path(path)}: is not of this teacher and these data: overwrite it, or '
            f'choose another folder'
        )
    return np.memmap(path, '<f4', 'r', _HEADER, shape)
