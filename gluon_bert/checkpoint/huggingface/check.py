"""Checks of a network that is in a folder of transformers, or will be."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from typing import Collection, Dict, Iterable, Optional

from ...config import BertConfig
from ...families import FAMILIES
from ..arrays import shape_of
from ..names import check_count, encoder_shapes, head_shapes, layer_numbers
from ..schema import Checkpoint, check_pooler
from ..tensor_file import join_names, printable
from .name_maps import FAMILY_PREFIXES, NAME_MAPS, WORD_EMBEDDING
from .names import huggingface_names

_LAYER = re.compile(r'encoder\.transformer_cells\.(\d+)\.')
_ADAPTER = re.compile(r'\.(lora_[A-Za-z_]+|base_layer|adapter_[a-z]+|ia3_l)\b')
_TASKS = {'classifier': 'classifier.1.weight', 'tagger': 'tag_classifier.weight'}


def check_network(checkpoint: Checkpoint, num_classes: Optional[int]) -> Dict[str, str]:
    """Check that a checkpoint is a network that transformers has, with all arrays in their shapes.

    Parameters
    ----------
    checkpoint : Checkpoint
    num_classes : int or None
        Of its classifier or tagger.

    Returns
    -------
    dict of str to str
        Common names -> transformers' of the arrays that there must be.

    Raises
    ------
    ValueError
        If it is not.
    """
    config, arrays, heads = checkpoint.config, checkpoint.arrays, checkpoint.heads
    check_pooler(checkpoint)
    check_count(arrays, config)
    _check_family(config, checkpoint.family, heads)
    shapes = encoder_shapes(config)
    for head in heads:
        shapes.update(head_shapes(config, head, num_classes))
    needed = {*shapes}
    if {'classifier', 'choice', 'next_sentence'} & set(heads):
        needed.update(head_shapes(config, 'pooler'))
    names = {
        name: theirs
        for name, theirs in all_names(checkpoint.family, config, heads).items()
        if name in needed
    }
    for name, theirs in names.items():
        if name not in arrays:
            raise ValueError(f'has no {theirs}')
        if shape_of(arrays, name) != shapes[name]:
            raise ValueError(
                f'{theirs} has shape {shape_of(arrays, name)}, the configuration '
                f'needs {shapes[name]}'
            )
    return names


def check_names(tensors: Collection[str], family: str) -> None:
    """Raise ValueError if the names of arrays are not those of a network of a family."""
    adapters = [name for name in tensors if _ADAPTER.search(name)]
    if adapters:
        raise ValueError(
            f'has adapters, such as {printable(adapters[0])}: merge them into the network first '
            '(merge_and_unload of peft)'
        )
    prefix = NAME_MAPS[family].prefix
    if any(name in tensors for name in (WORD_EMBEDDING, prefix + WORD_EMBEDDING)):
        return
    others = [other for other in FAMILY_PREFIXES if other + WORD_EMBEDDING in tensors]
    if others:
        raise ValueError(
            f'its arrays are those of another family: their names begin with {others[0]}, for '
            f'model_type {family} with {prefix}'
        )
    raise ValueError(
        f'has no {prefix}{WORD_EMBEDDING}, nor another word embedding; it has '
        f'{len(tensors)} arrays: {join_names(sorted(tensors)[:5]) or "none"}'
    )


def layer_of(name: str) -> int:
    """The number of the layer that a common name belongs to; -1 if to none."""
    match = _LAYER.match(name)
    return int(match[1]) if match else -1


def count_classes(checkpoint: Checkpoint) -> Optional[int]:
    """Count the classes of a checkpoint's classifier or tagger; None if it has neither."""
    for head in checkpoint.heads:
        if head in _TASKS:
            return max(1, (*shape_of(checkpoint.arrays, _TASKS[head]), 1)[0])
    return None


def all_names(family: str, config: BertConfig, heads: Iterable[str]) -> Dict[str, str]:
    """Map the common names of the encoder, its pooler too, and the heads to transformers'."""
    known = [head for head in heads if head in NAME_MAPS[family].heads]
    return huggingface_names(family, len(layer_numbers(config)), known)


def _check_family(config, family, heads):
    """Raise ValueError if transformers has no network of a family with this configuration."""
    if {'classifier', 'tagger'} <= set(heads):
        raise ValueError(
            "has a classifier of texts and one of tokens, transformers' networks have one of them"
        )
    row = FAMILIES[family]
    # A field that config.json cannot say must be what it is in every network of the family.
    defaults = {
        field.name: field.default for field in fields(config) if field.default is not MISSING
    }
    for field, value in {**defaults, **row.fixed}.items():
        if field not in row.keys and getattr(config, field) != value:
            raise ValueError(
                f'{field} is {getattr(config, field)}, every {row.class_prefix} has {value}'
            )
    if 'pooler' in heads and config.pooler_activation != row.pooler_activation:
        raise ValueError(
            f"pooler_activation is {config.pooler_activation!r}, transformers' "
            f'{family} has {row.pooler_activation}'
        )
    activation = row.masked_lm_activation or config.activation
    if 'masked_lm' in heads and config.activation != activation:
        raise ValueError(
            f"activation is {config.activation!r}, the masked-LM head of transformers' "
            f'{row.class_prefix} has {activation!r}'
        )
