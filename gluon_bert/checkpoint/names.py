"""Parameter names of the formats, as data used in both directions.

GluonNLP's names (version 0.6 to 0.10) are the common form: every reader gives them, every writer
takes them, and they are the names in the files this package saves. Only in memory the query, key
and value projections of a layer are one parameter.
"""

from __future__ import annotations

from typing import Dict, Mapping, Optional, Tuple

import numpy as np

from ..config import BertConfig
from .arrays import shape_of

Names = Tuple[Tuple[str, Tuple[str, ...]], ...]  # pairs (name in memory, common names)

# (name in memory, GluonNLP's names); three GluonNLP names are fused into one parameter.
EMBEDDINGS = (
    ('embeddings.word.weight', ('word_embed.0.weight',)),
    ('embeddings.token_type.weight', ('token_type_embed.0.weight',)),
    ('embeddings.position.weight', ('encoder.position_weight',)),
    ('embeddings.norm.gamma', ('encoder.layer_norm.gamma',)),
    ('embeddings.norm.beta', ('encoder.layer_norm.beta',)),
)

# Where the embeddings have a width of their own; GluonNLP has no name for it.
EMBEDDING_PROJECTION = (
    ('embeddings.project.weight', ('embed_project.weight',)),
    ('embeddings.project.bias', ('embed_project.bias',)),
)

# Of one layer: 'layers.<i>.' in memory, 'encoder.transformer_cells.<i>.' in GluonNLP.
LAYER = (
    (
        'attention.query_key_value.weight',
        (
            'attention_cell.proj_query.weight',
            'attention_cell.proj_key.weight',
            'attention_cell.proj_value.weight',
        ),
    ),
    (
        'attention.query_key_value.bias',
        (
            'attention_cell.proj_query.bias',
            'attention_cell.proj_key.bias',
            'attention_cell.proj_value.bias',
        ),
    ),
    ('attention.output.weight', ('proj.weight',)),
    ('attention.output.bias', ('proj.bias',)),
    ('attention_norm.gamma', ('layer_norm.gamma',)),
    ('attention_norm.beta', ('layer_norm.beta',)),
    ('expand.weight', ('ffn.ffn_1.weight',)),
    ('expand.bias', ('ffn.ffn_1.bias',)),
    ('contract.weight', ('ffn.ffn_2.weight',)),
    ('contract.bias', ('ffn.ffn_2.bias',)),
    ('output_norm.gamma', ('ffn.layer_norm.gamma',)),
    ('output_norm.beta', ('ffn.layer_norm.beta',)),
)

POOLER = (('pooler.weight', ('pooler.weight',)), ('pooler.bias', ('pooler.bias',)))

# Heads of BertForPretraining; the decoder's weight is the word embedding.
MASKED_LM = (
    ('masked_lm.dense.weight', ('decoder.0.weight',)),
    ('masked_lm.dense.bias', ('decoder.0.bias',)),
    ('masked_lm.norm.gamma', ('decoder.2.gamma',)),
    ('masked_lm.norm.beta', ('decoder.2.beta',)),
    ('masked_lm.decoder.bias', ('decoder.3.bias',)),
)
NEXT_SENTENCE = (
    ('next_sentence.weight', ('classifier.weight',)),
    ('next_sentence.bias', ('classifier.bias',)),
)

# Heads of fine-tuned networks.
CLASSIFIER = (
    ('classifier.weight', ('classifier.1.weight',)),
    ('classifier.bias', ('classifier.1.bias',)),
)
CHOICE = (
    ('choice.weight', ('choice_classifier.weight',)),
    ('choice.bias', ('choice_classifier.bias',)),
)
SPAN = (('span.weight', ('span_classifier.weight',)), ('span.bias', ('span_classifier.bias',)))
TAGGER = (('tagger.weight', ('tag_classifier.weight',)), ('tagger.bias', ('tag_classifier.bias',)))
CRF = tuple((name, (name,)) for name in ('crf.transitions', 'crf.begin', 'crf.end'))


# Shapes by common names, a letter a dimension: V words, S token types, P positions, E
# width of the embeddings, C units, F hidden size of the feed-forward layers, K classes, or the
# number itself.
_EMBEDDING_SHAPES = {
    'word_embed.0.weight': 'VE',
    'token_type_embed.0.weight': 'SE',
    'encoder.position_weight': 'PE',
    'encoder.layer_norm.gamma': 'E',
    'encoder.layer_norm.beta': 'E',
}
_PROJECTION_SHAPES = {'embed_project.weight': 'CE', 'embed_project.bias': 'C'}
_LAYER_SHAPES = {
    'attention_cell.proj_query.weight': 'CC',
    'attention_cell.proj_query.bias': 'C',
    'attention_cell.proj_key.weight': 'CC',
    'attention_cell.proj_key.bias': 'C',
    'attention_cell.proj_value.weight': 'CC',
    'attention_cell.proj_value.bias': 'C',
    'proj.weight': 'CC',
    'proj.bias': 'C',
    'layer_norm.gamma': 'C',
    'layer_norm.beta': 'C',
    'ffn.ffn_1.weight': 'FC',
    'ffn.ffn_1.bias': 'F',
    'ffn.ffn_2.weight': 'CF',
    'ffn.ffn_2.bias': 'C',
    'ffn.layer_norm.gamma': 'C',
    'ffn.layer_norm.beta': 'C',
}
_HEAD_SHAPES = {
    'pooler': {'pooler.weight': 'CC', 'pooler.bias': 'C'},
    'next_sentence': {'classifier.weight': '2C', 'classifier.bias': '2'},
    'masked_lm': {
        'decoder.0.weight': 'EC',
        'decoder.0.bias': 'E',
        'decoder.2.gamma': 'E',
        'decoder.2.beta': 'E',
        'decoder.3.bias': 'V',
    },
    'classifier': {'classifier.1.weight': 'KC', 'classifier.1.bias': 'K'},
    'choice': {'choice_classifier.weight': '1C', 'choice_classifier.bias': '1'},
    'span': {'span_classifier.weight': '2C', 'span_classifier.bias': '2'},
    'tagger': {'tag_classifier.weight': 'KC', 'tag_classifier.bias': 'K'},
}
HEADS = {head: next(iter(shapes)) for head, shapes in _HEAD_SHAPES.items()}
"""Head that a checkpoint can have -> the array whose presence tells that it is there."""


_CELLS = 'encoder.transformer_cells.'


def encoder_names(config: BertConfig, use_pooler: bool = True) -> Names:
    """List the pairs (name in memory, common names) of an encoder.

    Parameters
    ----------
    config : BertConfig
    use_pooler : bool

    Returns
    -------
    tuple of (str, tuple of str)
    """
    embeddings = (
        EMBEDDINGS
        if config.num_token_types
        else tuple(pair for pair in EMBEDDINGS if not pair[0].startswith('embeddings.token_type'))
    )
    if config.embedding_units is not None:
        embeddings += EMBEDDING_PROJECTION
    layers = tuple(
        (f'layers.{i}.{ours}', tuple(f'{_CELLS}{i}.{name}' for name in common))
        for i in layer_numbers(config)
        for ours, common in LAYER
    )
    return embeddings + layers + (POOLER if use_pooler else ())


def with_prefix(names: Names, prefix: str) -> Names:
    """Put ``prefix`` in front of the names in memory of such pairs."""
    return tuple((prefix + ours, common) for ours, common in names)


def layer_numbers(config: BertConfig) -> range:
    """Number the layers that have parameters of their own."""
    return range(1 if config.share_layers else config.num_layers)


def encoder_shapes(config: BertConfig) -> Dict[str, Tuple[int, ...]]:
    """Give the shape of each array of an encoder without its pooler, by common names."""
    letters = dict(_EMBEDDING_SHAPES)
    if not config.num_token_types:
        del letters['token_type_embed.0.weight']
    if config.embedding_units is not None:
        letters.update(_PROJECTION_SHAPES)
    for i in layer_numbers(config):
        letters.update((f'{_CELLS}{i}.{name}', shape) for name, shape in _LAYER_SHAPES.items())
    return _shapes(letters, config)


def head_shapes(
    config: BertConfig, head: str, num_classes: Optional[int] = None
) -> Dict[str, Tuple[int, ...]]:
    """Give the shape of each array of a head of ``HEADS``, by common names.

    ``num_classes`` is of a classifier or tagger.
    """
    return _shapes(_HEAD_SHAPES[head], config, num_classes)


def check_count(arrays: Mapping[str, np.ndarray], config: BertConfig) -> None:
    """Raise ValueError if there are fewer arrays than layers, before a name is made for each."""
    if layer_numbers(config).stop > len(arrays):
        raise ValueError(f'has {len(arrays)} arrays, too few for {config.num_layers} layers')


def check_shapes(arrays: Mapping[str, np.ndarray], config: BertConfig) -> None:
    """Raise ValueError unless an encoder's arrays are those that its configuration needs."""
    check_count(arrays, config)
    for name, shape in encoder_shapes(config).items():
        if name not in arrays:
            raise ValueError(f'has no {name}')
        if shape_of(arrays, name) != shape:
            raise ValueError(
                f'{name} has shape {shape_of(arrays, name)}, a network with {config} needs {shape}'
            )


def _shapes(letters, config, num_classes=None):
    sizes = {
        'V': config.vocab_size,
        'S': config.num_token_types,
        'P': config.max_length,
        'E': config.embedding_width,
        'C': config.units,
        'F': config.hidden_size,
        'K': num_classes,
        '1': 1,
        '2': 2,
    }
    return {name: tuple(sizes[letter] for letter in shape) for name, shape in letters.items()}
