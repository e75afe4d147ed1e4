"""The arrays of a checkpoint as the native encoder reads them."""

from __future__ import annotations

from typing import Iterable, List, Mapping, Tuple

import numpy as np

from ..config import BertConfig
from ..kernels.encoder import EncoderArrays
from .arrays import shape_of
from .names import LAYER, encoder_shapes, head_shapes
from .tensor_file import join_names

_CELL = 'encoder.transformer_cells.'
_EMBEDDINGS = (
    'word_embed.0.weight',
    'token_type_embed.0.weight',
    'encoder.position_weight',
    'encoder.layer_norm.gamma',
    'encoder.layer_norm.beta',
)
# Weights and biases in turn, by part; as they stand in LAYER they are by kind.
_QUERY_KEY_VALUE = tuple(name for pair in zip(LAYER[0][1], LAYER[1][1]) for name in pair)
_OTHERS = tuple(common[0] for _, common in LAYER[2:])


def encoder_arrays(
    arrays: Mapping[str, np.ndarray], config: BertConfig, use_pooler: bool
) -> EncoderArrays:
    """Read the arrays of an encoder, without a copy where they are stored in float32.

    Parameters
    ----------
    arrays : mapping of str to numpy.ndarray
        By the common names of :mod:`gluon_bert.checkpoint.names`.
    config : BertConfig
    use_pooler : bool

    Returns
    -------
    EncoderArrays

    Raises
    ------
    ValueError
        If an array is missing or has another shape than the configuration says.
    """
    shapes = encoder_shapes(config)
    if use_pooler:
        shapes.update(head_shapes(config, 'pooler'))
    check_arrays(arrays, shapes)

    def read(names: Iterable[str]) -> List:
        return [float32(arrays[name]) for name in names]

    def by_head(array):
        return array.reshape((config.num_heads, -1) + array.shape[1:])

    embeddings = [float32(arrays[name]) if name in shapes else None for name in _EMBEDDINGS]
    layers = []
    for number in range(config.num_layers):
        cell = f'{_CELL}{number}.'
        joint = read(cell + name for name in _QUERY_KEY_VALUE)
        layers.append([*map(by_head, joint), *read(cell + name for name in _OTHERS)])
    return EncoderArrays(
        embeddings, layers, read(('pooler.weight', 'pooler.bias')) if use_pooler else []
    )


def check_arrays(arrays: Mapping[str, np.ndarray], shapes: Mapping[str, Tuple[int, ...]]) -> None:
    """Raise ValueError if an array is missing or has another shape."""
    missing = [name for name in shapes if name not in arrays]
    if missing:
        raise ValueError(f'has no {join_names(missing)}')
    for name, shape in shapes.items():
        if shape_of(arrays, name) != shape:
            raise ValueError(f'{name} has shape {shape_of(arrays, name)}, the model needs {shape}')


def float32(array: np.ndarray) -> np.ndarray:
    """Return an array in float32, contiguous; itself if it is."""
    return np.ascontiguousarray(array, 'float32')
