"""The modules of sentence-transformers that follow pooling, in and out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, Tuple

import numpy as np

from ..._internal.json import read_object
from ..sentence import Dense, LayerNorm, Normalize, SentenceModule
from ..tensor_file import printable
from .cross_encoder import ACTIVATION_CLASSES, parse_activation
from .safetensors_file import open_tensors

MODULES_WITH_ARRAYS = ('Dense', 'LayerNorm')


def _read_arrays(folder, names):
    """The arrays of a module as float32: those of ``names``, and no others."""
    file = next(
        (
            folder / name
            for name in ('model.safetensors', 'pytorch_model.bin')
            if (folder / name).is_file()
        ),
        None,
    )
    if file is None:
        raise FileNotFoundError(f'{folder}: has neither model.safetensors nor pytorch_model.bin')
    tensors = open_tensors(file)
    if set(tensors) != set(names):
        raise ValueError(
            f'{file}: has {", ".join(map(printable, sorted(tensors)))}; '
            f'expected {", ".join(sorted(names))}'
        )
    arrays = {name: np.asarray(tensors[name], 'float32') for name in names}
    for name, shape in names.items():
        if arrays[name].shape != shape:
            raise ValueError(f'{file}: {name} has shape {arrays[name].shape}, expected {shape}')
    return arrays


def _read_dense(folder, read_from='sentence_embedding') -> Dense:
    path = folder / 'config.json'
    values = read_object(path)
    read, made = (_size(path, values, key) for key in ('in_features', 'out_features'))
    place = values.get('module_input_name')
    if place not in (None, read_from):
        raise ValueError(f'{path}: module_input_name is {place!r}: expected {read_from}')
    if values.get('use_residual'):
        raise ValueError(f'{path}: use_residual is not supported')
    theirs = values.get('activation_function', ACTIVATION_CLASSES['tanh'])
    activation = parse_activation(theirs, path, 'activation_function')
    names: Dict[str, Tuple[int, ...]] = {'linear.weight': (made, read)}
    if read_flag(path, values, 'bias', True):
        names['linear.bias'] = (made,)
    arrays = _read_arrays(folder, names)
    return Dense(arrays['linear.weight'], arrays.get('linear.bias'), activation)


def read_token_dense(folder: Path) -> Dense:
    """Read a dense layer over the encodings of tokens."""
    return _read_dense(folder, 'token_embeddings')


def _read_layer_norm(folder) -> LayerNorm:
    path = folder / 'config.json'
    size = _size(path, read_object(path), 'dimension')
    arrays = _read_arrays(folder, {'norm.weight': (size,), 'norm.bias': (size,)})
    return LayerNorm(arrays['norm.weight'], arrays['norm.bias'])


MODULE_READERS: Dict[str, Callable[[Path], SentenceModule]] = {
    'Dense': _read_dense,
    'LayerNorm': _read_layer_norm,
    'Normalize': lambda folder: Normalize(),
}


def read_flag(path: Path, values: Dict[str, Any], key: str, default: bool) -> bool:
    """Return a value that is true or false; ValueError with the file and the key if it is not."""
    value = values.get(key, default)
    if type(value) is not bool:
        raise ValueError(f'{path}: {key} is {value!r}: expected true or false')
    return value


def _size(path, values, key) -> int:
    value = values.get(key)
    if type(value) is not int or not 1 <= value < 2**20:
        raise ValueError(f'{path}: {key} is {value!r}: expected a whole number from 1')
    return value


def module_config(module: SentenceModule) -> Dict[str, Any]:
    """Return the config.json of a module."""
    if isinstance(module, Dense):
        made, read = module.weight.shape
        return {
            'in_features': read,
            'out_features': made,
            'bias': module.bias is not None,
            'activation_function': ACTIVATION_CLASSES[module.activation],
        }
    return {'dimension': len(module.weight)} if isinstance(module, LayerNorm) else {}
