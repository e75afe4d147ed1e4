"""Hugging Face checkpoints (safetensors) of BERT."""
from __future__ import annotations

import re
from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load_file

from .names import HUGGINGFACE_HEADS, huggingface_names

# Written by older versions; a buffer of 0, 1, 2, ... and not a parameter.
_NOT_PARAMETERS = ('embeddings.position_ids',)
_OLD_NORM_NAMES = {'LayerNorm.gamma': 'LayerNorm.weight', 'LayerNorm.beta': 'LayerNorm.bias'}


def read_safetensors(path):
    """Read a BERT from a ``model.safetensors`` file.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    dict of str to numpy.ndarray
        By GluonNLP's names. Tensors of other heads keep the names they came with.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is truncated, altered or of another kind.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such safetensors file')
    try:
        tensors = load_file(path)
    except (SafetensorError, KeyError, TypeError, OSError) as error:
        raise ValueError(f'{path}: not a whole safetensors file ({error})') from None
    return to_gluonnlp(tensors)


def to_gluonnlp(tensors):
    """Rename Hugging Face tensors to GluonNLP's names; shapes are the same in both.

    Parameters
    ----------
    tensors : dict of str to numpy.ndarray

    Returns
    -------
    dict of str to numpy.ndarray
    """
    plain = {_plain_name(name): tensor for name, tensor in tensors.items()}
    layers = [int(match.group(1)) for match in
              (re.match(r'encoder\.layer\.(\d+)\.', name) for name in plain) if match]
    theirs = {hf: ours for ours, hf in huggingface_names(max(layers, default=-1) + 1).items()}
    renamed = {theirs.get(name, name): tensor for name, tensor in plain.items()
               if name not in _NOT_PARAMETERS}
    # Hugging Face saves the tied decoder weight at most once.
    if HUGGINGFACE_HEADS['decoder.3.bias'] in plain and 'decoder.3.weight' not in renamed:
        renamed['decoder.3.weight'] = renamed['word_embed.0.weight']
    return renamed


def _plain_name(name):
    name = name[len('bert.'):] if name.startswith('bert.') else name
    for old, new in _OLD_NORM_NAMES.items():
        if name.endswith(old):
            name = name[:-len(old)] + new
    return name
