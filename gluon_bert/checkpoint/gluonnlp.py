"""GluonNLP's .params files, and the step between their layout and the one in memory.

Arrays are float NumPy arrays by name. A .params file is a list of MXNet NDArrays with names.
"""
from __future__ import annotations

import struct
from pathlib import Path

import mxnet as mx
import numpy as np

from .._files import atomic_path

_LIST_MAGIC = 0x112
_ARRAY_MAGIC = 0xF993FAC9      # dense or sparse array, written by MXNet 1.x
_MAX_ARRAYS = 100_000
_MAX_DIMENSIONS = 32
_ITEM_SIZES = {0: 4, 1: 8, 2: 2, 3: 1, 4: 4, 5: 1, 6: 8}   # MXNet's type flags


def read_params(path):
    """Read a .params file.

    The sizes it claims are checked against the file before MXNet allocates anything.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    dict of str to numpy.ndarray
        An ``arg:`` or ``aux:`` in front of a name (exported models) is taken off.

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
        _check_params(path)
        arrays = mx.nd.load(str(path))
    except (ValueError, struct.error, UnicodeDecodeError) as error:
        raise ValueError(f'{path}: not a whole MXNet parameter file ({error})') from None
    except mx.MXNetError:
        raise ValueError(f'{path}: not a parameter file MXNet can read') from None
    if not isinstance(arrays, dict):
        raise ValueError(f'{path}: holds arrays without names')
    return {name[4:] if name[:4] in ('arg:', 'aux:') else name: array.asnumpy()
            for name, array in arrays.items()}


def write_params(path, arrays):
    """Write named arrays as a .params file, whole or not at all.

    Parameters
    ----------
    path : str or Path
    arrays : dict of str to numpy.ndarray
    """
    with atomic_path(path) as temporary:
        mx.nd.save(str(temporary), {name: mx.nd.array(array, dtype=array.dtype)
                                    for name, array in arrays.items()})


def fuse(arrays, names, num_heads):
    """GluonNLP's layout to the one in memory.

    Parameters
    ----------
    arrays : dict of str to numpy.ndarray
        By GluonNLP's names; those not listed in ``names`` are left out.
    names : iterable of (str, tuple of str)
        From :mod:`gluon_bert.checkpoint.names`.
    num_heads : int
        Number H of heads: query, key and value rows are interleaved as (H, 3, D).

    Returns
    -------
    dict of str to numpy.ndarray
        By our names; those of which a part is absent are left out.
    """
    fused = {}
    for ours, theirs in names:
        if any(name not in arrays for name in theirs):
            continue
        parts = [arrays[name] for name in theirs]
        if len(parts) == 1:
            fused[ours] = parts[0]
        else:
            shape = parts[0].shape
            split = [part.reshape((num_heads, shape[0] // num_heads) + shape[1:]) for part in parts]
            fused[ours] = np.stack(split, axis=1).reshape((-1,) + shape[1:])
    return fused


def split(arrays, names, num_heads):
    """The layout in memory to GluonNLP's: :func:`fuse` backwards, bit for bit."""
    result = {}
    for ours, theirs in names:
        if len(theirs) == 1:
            result[theirs[0]] = arrays[ours]
            continue
        shape = arrays[ours].shape
        parts = arrays[ours].reshape((num_heads, len(theirs), -1) + shape[1:])
        for position, name in enumerate(theirs):
            result[name] = np.ascontiguousarray(parts[:, position]).reshape((-1,) + shape[1:])
    return result


def _check_params(path):
    """Walk through the headers of a .params file; ValueError where sizes do not add up."""
    size = path.stat().st_size
    with open(path, 'rb') as file:
        magic, _, count = struct.unpack('<QQQ', file.read(24))
        if magic != _LIST_MAGIC:
            raise ValueError('it does not begin as one')
        if count > _MAX_ARRAYS:
            raise ValueError(f'it claims {count} arrays')
        for _ in range(count):
            _skip_array(file, size)
        names, = struct.unpack('<Q', file.read(8))
        if names not in (0, count):
            raise ValueError(f'{count} arrays but {names} names')
        for _ in range(names):
            length, = struct.unpack('<Q', file.read(8))
            if file.tell() + length > size:
                raise ValueError('it ends inside a name')
            file.read(length).decode('utf-8')


def _skip_array(file, size):
    magic, storage, num_dimensions = struct.unpack('<IiI', file.read(12))
    if magic != _ARRAY_MAGIC or storage != 0:
        raise ValueError('it holds an array that is not dense')
    if num_dimensions > _MAX_DIMENSIONS:
        raise ValueError(f'it claims an array of {num_dimensions} dimensions')
    shape = struct.unpack(f'<{num_dimensions}q', file.read(8 * num_dimensions))
    _, _, flag = struct.unpack('<iii', file.read(12))
    if flag not in _ITEM_SIZES or any(length < 0 for length in shape):
        raise ValueError('it claims an array of unknown type or shape')
    num_bytes = _ITEM_SIZES[flag]
    for length in shape:
        num_bytes *= length
    if file.tell() + num_bytes > size:
        raise ValueError('it is shorter than the arrays it claims')
    file.seek(num_bytes, 1)
