"""Named tensors in a file, each in memory once it is touched."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, Sequence, Tuple

import numpy as np

from .._internal.types import PathLike
from .arrays import NamedEntries, mapped

# Name of a type in a file -> how it is stored; in the order in which the safetensors library puts
# types into a file, by which every tensor is aligned. BF16 is the upper half of an F32.
DTYPES = {
    name: np.dtype(stored)
    for name, stored in (
        ('I64', '<i8'),
        ('F64', '<f8'),
        ('F32', '<f4'),
        ('I32', '<i4'),
        ('BF16', '<u2'),
        ('F16', '<f2'),
        ('I16', '<i2'),
        ('I8', 'i1'),
        ('U8', 'u1'),
        ('BOOL', '?'),
    )
}
_MAX_DIMENSIONS = 32
_MAX_BYTES = 2**63 - 1


class TensorFile(NamedEntries):
    """Named tensors of a file: name -> numpy.ndarray, a new one read whenever it is asked for.

    Nothing is kept open; a file that was replaced in between is noticed and refused.
    """

    def __init__(self, path: PathLike) -> None:
        self.path = existing(path)
        self._entries: Dict[str, Any] = {}
        self._stamp = _stamp(self.path.stat())  # which file it was

    def shape(self, name: str) -> Tuple[int, ...]:
        """Shape of a tensor, as a tuple, without reading it."""
        return self._entry(name).shape

    def dtype(self, name: str) -> str:
        """Type of a tensor as safetensors calls it, such as 'F32', without reading it."""
        return self._entry(name).dtype

    def _entry(self, name):
        if name not in self._entries:
            raise KeyError(f'{self.path}: no tensor {abbreviate(name)}')
        return self._entries[name]

    def _read(self, name, position, dtype, count):
        """``count`` values at a byte of the file, as a flat array; BF16 as float32."""
        with open(self.path, 'rb', buffering=0) as file:
            if _stamp(os.fstat(file.fileno())) != self._stamp:
                raise ValueError(f'{self.path}: was changed after it had been opened')
            values = mapped(file, position, DTYPES[dtype], count)
        if dtype == 'BF16':
            return (values.astype('<u4') << np.uint32(16)).view('<f4')
        if dtype == 'BOOL' and (values.view(np.uint8) > 1).any():
            raise ValueError(f'{self.path}: tensor {abbreviate(name)} has a BOOL above 1')
        return values


def existing(path: PathLike) -> Path:
    """Make a Path of ``path``; FileNotFoundError if it is not a file."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such file')
    return path


def num_bytes(shape: Sequence[int], itemsize: int) -> int:
    """Count the bytes that a tensor takes; ValueError for a shape that no array can have."""
    if len(shape) > _MAX_DIMENSIONS:
        raise ValueError(f'it has {len(shape)} dimensions')
    product = itemsize
    for length in shape:
        # A length of 0 must not hide that NumPy cannot count the others.
        product *= max(length, 1)
        if not 0 <= length <= product <= _MAX_BYTES:
            raise ValueError('its shape is larger than an array can be')
    return 0 if 0 in shape else product


def abbreviate(name: object) -> str:
    """Shorten a name for a message; those out of a file may be of any length."""
    text = repr(name) if isinstance(name, str) else f'of type {type(name).__name__}'
    return text if len(text) <= 100 else text[:100] + '...'


def printable(name: str) -> str:
    """Give a name for a message, abbreviated where it is long or would not print."""
    return name if name.isprintable() and len(name) <= 100 else abbreviate(name)


def join_names(names: Sequence[str], limit: int = 4) -> str:
    """Join the first of several names for a message."""
    shown = ', '.join(map(printable, names[:limit]))
    return shown if len(names) <= limit else f'{shown} and {len(names) - limit} more'


def _stamp(status):
    return status.st_ino, status.st_size, status.st_mtime_ns
