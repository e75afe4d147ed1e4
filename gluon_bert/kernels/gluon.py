"""Parameters of Gluon networks for the kernels, where they lie in memory."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from . import _pointer, supports_arrays
from .encoder import EncoderArrays

# In the list of parameters: place of the first layer, and number of each.
FIRST_LAYER, PER_LAYER = 5, 12


def is_native(bert: Any) -> bool:
    """Tell if all parameters of a BertModel have values, in float32 on the CPU."""
    parameters = list(bert.collect_params().values())
    return all(parameter._data is not None for parameter in parameters) and supports_arrays(
        [parameter.list_data()[0] for parameter in parameters]
    )


def encoder_arrays(bert: Any) -> EncoderArrays:
    """View the parameters of a BertModel of which :func:`is_native` is true.

    Parameters
    ----------
    bert : BertModel

    Returns
    -------
    EncoderArrays
        They share memory with the network.
    """
    arrays = [view(parameter) for parameter in encoder_parameters(bert)]
    pooler = [bert.pooler.weight, bert.pooler.bias] if bert.use_pooler else []
    layers = []
    for first in range(FIRST_LAYER, len(arrays), PER_LAYER):
        weight, bias, *others = arrays[first : first + PER_LAYER]
        # Rows of query, key and value are ordered as (H, 3, D), see checkpoint.layout.
        shape = bert.config.num_heads, 3, -1
        weight, bias = weight.reshape((*shape, weight.shape[1])), bias.reshape(shape)
        joint = [part[:, number] for number in range(3) for part in (weight, bias)]
        layers.append(joint + others)
    return EncoderArrays(arrays[:FIRST_LAYER], layers, [view(parameter) for parameter in pooler])


def view(parameter: Any) -> Any:
    """View a parameter's values as an array of NumPy that shares their memory; None for None."""
    if parameter is None:
        return None
    return view_array(parameter.list_data()[0])


def view_array(data: Any, waits: bool = True) -> np.ndarray:
    """View the values of an NDArray in float32 as an array of NumPy that shares their memory.

    Parameters
    ----------
    data : NDArray
        On the CPU.
    waits : bool
        Until MXNet has computed it.
    """
    if waits:
        data.wait_to_read()
    buffer = (ctypes.c_float * data.size).from_address(_pointer(data).value)
    buffer.owner = data  # which lives as long as the array
    return np.frombuffer(buffer, 'float32').reshape(data.shape)


def encoder_parameters(bert: Any) -> list:
    """List the parameters of a BertModel in the order in which the kernels read them.

    The pooler's are not among them; None stands for absent token types.
    """

    def dense(layer):
        return [layer.weight, layer.bias]

    def norm(layer):
        return [layer.gamma, layer.beta]

    embeddings = bert.embeddings
    found = [
        embeddings.word.weight,
        embeddings.token_type.weight if bert.config.num_token_types else None,
        embeddings.position.weight,
        *norm(embeddings.norm),
    ]
    for layer in bert.layers:
        found += [
            *dense(layer.attention.query_key_value),
            *dense(layer.attention.output),
            *norm(layer.attention_norm),
            *dense(layer.expand),
            *dense(layer.contract),
            *norm(layer.output_norm),
        ]
    return found
