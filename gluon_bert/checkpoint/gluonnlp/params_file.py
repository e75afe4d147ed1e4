"""MXNet's .params files: a list of arrays with names.

Read here and not by MXNet, so that a claim in the file is checked before memory is taken, and one
array at a time can be read: a model is then loaded with one copy of its weights in memory.
"""

from __future__ import annotations

import math
import os
import struct
from pathlib import Path
from typing import Mapping, NamedTuple, Tuple

import numpy as np

from ..._internal.files import atomic_path
from ..._internal.types import PathLike
from ..arrays import Arrays, mapped

_LIST_MAGIC = 0x112
_ARRAY_MAGICS = (0xF993FAC9, 0xF993FACA)  # dense or sparse arrays, written by MXNet 1.x
_MAX_ARRAYS = 100_000
_MAX_DIMENSIONS = 32
_MAX_NAME = 4096
_TYPES = {0: 'float32', 1: 'float64', 2: 'float16', 3: 'uint8', 4: 'int32', 5: 'int8', 6: 'int64'}
_FLAGS = {name: flag for flag, name in _TYPES.items()}
_CPU = (1, 0)


class _Place(NamedTuple):
    """Place of an array in the file."""

    offset: int
    shape: Tuple[int, ...]
    dtype: np.dtype


def read_params(path: PathLike) -> Arrays:
    """Read a .params file.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Arrays
        By the names in the file; an ``arg:`` or ``aux:`` in front of a name (exported models) is
        taken off. An array is read when it is asked for.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is truncated, altered or of another kind.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such parameter file')
    try:
        with open(path, 'rb') as file:
            places = _read_index(file, path.stat().st_size)
    except (ValueError, struct.error) as error:
        raise ValueError(f'{path}: not a whole MXNet parameter file ({error})') from None
    return Arrays(
        {
            name: (place.shape, lambda place=place: _read_array(path, place))
            for name, place in places.items()
        }
    )


def write_params(path: PathLike, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays as a .params file, whole or not at all.

    Parameters
    ----------
    path : str or Path
    arrays : mapping of str to numpy.ndarray
        Asked for one at a time.

    Raises
    ------
    ValueError
        If an array is of a type that MXNet does not have.
    """
    with atomic_path(path) as temporary, open(temporary, 'wb') as file:
        file.write(struct.pack('<QQQ', _LIST_MAGIC, 0, len(arrays)))
        for name in arrays:
            _write_array(file, name, arrays[name])
        file.write(struct.pack('<Q', len(arrays)))
        for name in arrays:
            encoded = name.encode('utf-8')
            file.write(struct.pack('<Q', len(encoded)) + encoded)


def _write_array(file, name, array):
    array = np.asarray(array)
    if array.dtype.name not in _FLAGS:
        raise ValueError(
            f'{name}: arrays of {array.dtype.name} cannot be written, only of {", ".join(_FLAGS)}'
        )
    if not array.ndim:
        raise ValueError(f'{name}: a number without dimensions cannot be written')
    file.write(
        struct.pack(
            f'<IiI{array.ndim}qiii',
            _ARRAY_MAGICS[0],
            0,
            array.ndim,
            *array.shape,
            *_CPU,
            _FLAGS[array.dtype.name],
        )
    )
    file.write(np.ascontiguousarray(array).data)


def _read_array(path, place):
    count = math.prod(place.shape)
    with open(path, 'rb', buffering=0) as file:
        if place.offset + count * place.dtype.itemsize > os.fstat(file.fileno()).st_size:
            raise ValueError(f'{path}: was cut short while it was read')
        return mapped(file, place.offset, place.dtype, count).reshape(place.shape)


def _read_index(file, size):
    """Name -> place; ValueError or struct.error where the file does not add up."""
    magic, _, count = struct.unpack('<QQQ', file.read(24))
    if magic != _LIST_MAGIC:
        raise ValueError('it does not begin as one')
    if count > _MAX_ARRAYS:
        raise ValueError(f'it claims {count} arrays')
    places = [_skip_array(file, size) for _ in range(count)]
    (num_names,) = struct.unpack('<Q', file.read(8))
    if num_names != count:
        raise ValueError(f'{count} arrays but {num_names} names')
    index = {}
    for place in places:
        name = _read_name(file)
        name = name[4:] if name[:4] in ('arg:', 'aux:') else name
        if name in index:
            raise ValueError(f'it has {name!r} twice')
        index[name] = place
    if file.tell() != size:
        raise ValueError(f'{size - file.tell()} bytes follow its end')
    return index


def _read_name(file):
    (length,) = struct.unpack('<Q', file.read(8))
    if length > _MAX_NAME:
        raise ValueError(f'it claims a name of {length} bytes')
    encoded = file.read(length)
    if len(encoded) < length:
        raise ValueError('it ends inside a name')
    try:
        return encoded.decode('utf-8')
    except UnicodeDecodeError:
        raise ValueError(f'it has a name that is not UTF-8: {encoded[:40]!r}') from None


def _skip_array(file, size):
    magic, storage, num_dimensions = struct.unpack('<IiI', file.read(12))
    if magic not in _ARRAY_MAGICS or storage != 0:
        raise ValueError('it holds an array that is not dense')
    if not 0 < num_dimensions <= _MAX_DIMENSIONS:
        raise ValueError(f'it claims an array of {num_dimensions} dimensions')
    shape = struct.unpack(f'<{num_dimensions}q', file.read(8 * num_dimensions))
    _, _, flag = struct.unpack('<iii', file.read(12))
    if flag not in _TYPES or any(length < 0 for length in shape):
        raise ValueError(f'it claims an array of shape {shape} and type {flag}')
    dtype = np.dtype(_TYPES[flag])
    num_bytes = dtype.itemsize * math.prod(shape)
    place = _Place(file.tell(), shape, dtype)
    if place.offset + num_bytes > size:
        raise ValueError('it is shorter than the arrays it claims')
    if num_bytes == 0 and max(shape) > size:
        raise ValueError(f'it claims an array of shape {shape}')
    file.seek(num_bytes, 1)
    return place
