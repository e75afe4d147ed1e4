"""The step between the layout of files and the one in memory.

In files query, key and value have a projection each; in memory they are one, its rows interleaved
as MXNet's fused attention reads them.
"""

from __future__ import annotations

from typing import Dict, Iterable, Mapping, Sequence, Tuple

import numpy as np

from .arrays import shape_of


def fuse(parts: Sequence[np.ndarray], num_heads: int) -> np.ndarray:
    """Make the parameter in memory from its arrays in a file.

    Parameters
    ----------
    parts : list of numpy.ndarray, shape (H * D, ...)
        One array, or query, key and value.
    num_heads : int
        Number H of heads.

    Returns
    -------
    numpy.ndarray
        Rows of query, key and value ordered as (H, 3, D).
    """
    if len(parts) == 1:
        return parts[0]
    shape = parts[0].shape
    heads = [part.reshape((num_heads, shape[0] // num_heads) + shape[1:]) for part in parts]
    return np.stack(heads, axis=1).reshape((-1,) + shape[1:])


def split(
    arrays: Mapping[str, np.ndarray], names: Iterable[Tuple[str, Tuple[str, ...]]], num_heads: int
) -> Dict[str, np.ndarray]:
    """Make the arrays of a file from the parameters in memory: :func:`fuse` backwards, bit for bit.

    Parameters
    ----------
    arrays : dict of str to numpy.ndarray
        By names in memory.
    names : iterable of (str, tuple of str)
        From :mod:`gluon_bert.checkpoint.names`.
    num_heads : int

    Returns
    -------
    dict of str to numpy.ndarray
        By common names.
    """
    result = {}
    for ours, common in names:
        if len(common) == 1:
            result[common[0]] = arrays[ours]
            continue
        shape = arrays[ours].shape
        parts = arrays[ours].reshape((num_heads, len(common), -1) + shape[1:])
        for position, name in enumerate(common):
            result[name] = np.ascontiguousarray(parts[:, position]).reshape((-1,) + shape[1:])
    return result


def fused_shape(arrays: Mapping[str, np.ndarray], common: Sequence[str]) -> Tuple[int, ...]:
    """Tell the shape that :func:`fuse` will give, from the shapes of its parts.

    Raises
    ------
    ValueError
        If the parts differ in shape.
    """
    shapes = [shape_of(arrays, name) for name in common]
    for name, shape in zip(common, shapes):
        if shape != shapes[0]:
            raise ValueError(f'{name} has shape {shape}, {common[0]} has {shapes[0]}')
    return (len(shapes) * shapes[0][0],) + shapes[0][1:] if len(shapes) > 1 else shapes[0]
