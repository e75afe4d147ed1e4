"""Digests of trained networks and tokenizers: what the results of inference depend on."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from .predictor import Predictor


def digest_of_network(network: Any) -> str:
    """Compute a digest of the configuration and the parameters, as 32 hexadecimal digits.

    Parameters
    ----------
    network : TrainedNetwork or BertBlock
    """
    kind = getattr(network, 'kind', type(network).__name__)
    digest = hashlib.sha256(repr((kind, network.config)).encode())
    _add_arrays(digest, network.checkpoint_arrays())
    sentence = getattr(network, 'sentence', None)
    for module in () if sentence is None else sentence.modules:
        digest.update(repr((type(module).__name__, sorted(module.options().items()))).encode())
        _add_arrays(digest, module.arrays())
    return digest.hexdigest()[:32]


def digest_of_tokenizer(tokenizer: Any) -> str:
    """Compute a digest of the files that a tokenizer is saved as, as 32 hexadecimal digits."""
    digest = hashlib.sha256(type(tokenizer).__name__.encode())
    for name, content in sorted(tokenizer.contents().items()):
        digest.update(f'{name} {len(content)}\n'.encode() + content)
    return digest.hexdigest()[:32]


def digest_of_json(value: Any) -> str:
    """Compute a digest of a JSON value, as 32 hexadecimal digits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


def describe_precision(predictor: Predictor) -> str:
    """Name the precision of a predictor, in lower ones with a digest of their settings."""
    _, (_, _, precision, float32_layers, _) = predictor.__reduce__()
    if precision == 'float32':
        return precision
    settings = hashlib.sha256(repr((precision, sorted(float32_layers))).encode()).hexdigest()[:32]
    return f'{getattr(precision, "precision", precision)} {settings}'


def _add_arrays(digest, arrays):
    for name, array in sorted(arrays.items()):
        array = np.ascontiguousarray(array)
        digest.update(f'{name} {array.dtype.str} {array.shape}\n'.encode())
        digest.update(memoryview(array.reshape(-1)).cast('B') if array.size else b'')
