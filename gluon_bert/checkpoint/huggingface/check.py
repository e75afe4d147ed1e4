"""What must hold of a network that is in a folder of transformers, or will be."""

from __future__ import annotations

from ...families import FAMILIES
from ..arrays import shape_of
from ..gluonnlp.files import encoder_shapes
from .name_maps import NAME_MAPS
from .names import huggingface_names

_TASKS = {'classifier': 'classifier.1.weight', 'tagger': 'tag_classifier.weight'}


def check_network(checkpoint, num_classes):
    """Whether a checkpoint is a network that transformers has, with all arrays in their shapes.

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
    if config.num_layers > len(arrays):  # and no list of a billion names is made
        raise ValueError(f'has {len(arrays)} arrays, too few for {config.num_layers} layers')
    _check_family(config, checkpoint.family, heads)
    names = all_names(checkpoint.family, config, heads)
    if not {'pooler', 'classifier', 'next_sentence'} & set(heads):
        names = {name: theirs for name, theirs in names.items() if not name.startswith('pooler.')}
    if not config.num_token_types:
        names.pop('token_type_embed.0.weight', None)
    shapes = {**encoder_shapes(config), **_head_shapes(config, num_classes)}
    for name, theirs in names.items():
        if name not in arrays:
            raise ValueError(f'has no {theirs}')
        if shape_of(arrays, name) != shapes[name]:
            raise ValueError(
                f'{theirs} has shape {shape_of(arrays, name)}, the configuration '
                f'needs {shapes[name]}'
            )
    return names


def count_classes(checkpoint):
    """Classes of a checkpoint's classifier or tagger; None if it has neither."""
    for head in checkpoint.heads:
        if head in _TASKS:
            return max(1, (*shape_of(checkpoint.arrays, _TASKS[head]), 1)[0])
    return None


def all_names(family, config, heads):
    """Common names -> transformers' of the encoder, its pooler too, and the heads."""
    return huggingface_names(
        family, config.num_layers, [head for head in heads if head in NAME_MAPS[family].heads]
    )


def _head_shapes(config, num_classes):
    units = config.units
    shapes = {
        'decoder.2.gamma': (units,),
        'decoder.2.beta': (units,),
        'decoder.3.bias': (config.vocab_size,),
    }
    for name, rows in (
        ('pooler', units),
        ('decoder.0', units),
        ('classifier', 2),
        ('span_classifier', 2),
        ('classifier.1', num_classes),
        ('tag_classifier', num_classes),
    ):
        shapes.update({f'{name}.weight': (rows, units), f'{name}.bias': (rows,)})
    return shapes


def _check_family(config, family, heads):
    """ValueError if transformers has no network of a family with this configuration."""
    if {'classifier', 'tagger'} <= set(heads):
        raise ValueError(
            "has a classifier of texts and one of tokens, transformers' networks have one of them"
        )
    row = FAMILIES[family]
    for field, value in row.fixed.items():
        if getattr(config, field) != value:
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
