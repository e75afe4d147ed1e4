"""Embedding tables as transformers stores them, where a family has rows that are not used."""

from __future__ import annotations

from typing import Mapping

import numpy as np

from ..arrays import Arrays, shape_of, with_arrays

TOKEN_TYPES, POSITIONS = 'token_type_embed.0.weight', 'encoder.position_weight'


def without_rows(arrays: Mapping[str, np.ndarray], name: str, count: int) -> Arrays:
    """Leave out the first rows of an array."""
    first, *others = shape_of(arrays, name) or (0,)
    return with_arrays(
        arrays, {name: ((max(0, first - count), *others), lambda: arrays[name][count:])}
    )


def with_zeros(arrays: Mapping[str, np.ndarray], name: str, count: int) -> Arrays:
    """Put rows of zeros in front of an array."""
    first, *others = shape_of(arrays, name)

    def read():
        array = arrays[name]
        return np.concatenate([np.zeros((count, *others), array.dtype), array])

    return with_arrays(arrays, {name: ((first + count, *others), read)})


def with_token_type(arrays: Mapping[str, np.ndarray]) -> Arrays:
    """Add a token type embedding of one row of zeros."""
    shape = (1, *shape_of(arrays, POSITIONS)[1:])
    return with_arrays(
        arrays, {TOKEN_TYPES: (shape, lambda: np.zeros(shape, arrays[POSITIONS].dtype))}
    )
