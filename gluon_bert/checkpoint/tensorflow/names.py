"""The variables of Google's BERT in TensorFlow, as data used in both directions.

Each row is the common name, the variable, and its shape in TensorFlow, a letter a dimension: V
words, S token types, P positions, C units, F hidden size of the feed-forward layers, K classes, or
the number itself. A ``kernel`` is stored as (in, out), every other matrix as (out, in).
"""

from __future__ import annotations

from typing import List, NamedTuple, Tuple

from ...config import BertConfig

EMBEDDINGS = (
    ('word_embed.0.weight', 'bert/embeddings/word_embeddings', 'VC'),
    ('token_type_embed.0.weight', 'bert/embeddings/token_type_embeddings', 'SC'),
    ('encoder.position_weight', 'bert/embeddings/position_embeddings', 'PC'),
    ('encoder.layer_norm.gamma', 'bert/embeddings/LayerNorm/gamma', 'C'),
    ('encoder.layer_norm.beta', 'bert/embeddings/LayerNorm/beta', 'C'),
)

# Of one layer: 'encoder.transformer_cells.<i>.' in front, 'bert/encoder/layer_<i>/' in TensorFlow.
LAYER = (
    ('attention_cell.proj_query.weight', 'attention/self/query/kernel', 'CC'),
    ('attention_cell.proj_query.bias', 'attention/self/query/bias', 'C'),
    ('attention_cell.proj_key.weight', 'attention/self/key/kernel', 'CC'),
    ('attention_cell.proj_key.bias', 'attention/self/key/bias', 'C'),
    ('attention_cell.proj_value.weight', 'attention/self/value/kernel', 'CC'),
    ('attention_cell.proj_value.bias', 'attention/self/value/bias', 'C'),
    ('proj.weight', 'attention/output/dense/kernel', 'CC'),
    ('proj.bias', 'attention/output/dense/bias', 'C'),
    ('layer_norm.gamma', 'attention/output/LayerNorm/gamma', 'C'),
    ('layer_norm.beta', 'attention/output/LayerNorm/beta', 'C'),
    ('ffn.ffn_1.weight', 'intermediate/dense/kernel', 'CF'),
    ('ffn.ffn_1.bias', 'intermediate/dense/bias', 'F'),
    ('ffn.ffn_2.weight', 'output/dense/kernel', 'FC'),
    ('ffn.ffn_2.bias', 'output/dense/bias', 'C'),
    ('ffn.layer_norm.gamma', 'output/LayerNorm/gamma', 'C'),
    ('ffn.layer_norm.beta', 'output/LayerNorm/beta', 'C'),
)

# A checkpoint has all variables of a head or none. Google's classifier and the usual scripts for
# entities name theirs alike: read as a classifier, either is written so.
HEADS = {
    'pooler': (
        ('pooler.weight', 'bert/pooler/dense/kernel', 'CC'),
        ('pooler.bias', 'bert/pooler/dense/bias', 'C'),
    ),
    'next_sentence': (
        ('classifier.weight', 'cls/seq_relationship/output_weights', '2C'),
        ('classifier.bias', 'cls/seq_relationship/output_bias', '2'),
    ),
    'masked_lm': (
        ('decoder.0.weight', 'cls/predictions/transform/dense/kernel', 'CC'),
        ('decoder.0.bias', 'cls/predictions/transform/dense/bias', 'C'),
        ('decoder.2.gamma', 'cls/predictions/transform/LayerNorm/gamma', 'C'),
        ('decoder.2.beta', 'cls/predictions/transform/LayerNorm/beta', 'C'),
        ('decoder.3.bias', 'cls/predictions/output_bias', 'V'),
    ),
    'classifier': (
        ('classifier.1.weight', 'output_weights', 'KC'),
        ('classifier.1.bias', 'output_bias', 'K'),
    ),
    'span': (
        ('span_classifier.weight', 'cls/squad/output_weights', '2C'),
        ('span_classifier.bias', 'cls/squad/output_bias', '2'),
    ),
}
# Heads that are written under the names of a classifier.
WRITTEN_AS_CLASSIFIER = {
    'tagger': (
        ('tag_classifier.weight', 'output_weights', 'KC'),
        ('tag_classifier.bias', 'output_bias', 'K'),
    ),
    'choice': (
        ('choice_classifier.weight', 'output_weights', 'KC'),
        ('choice_classifier.bias', 'output_bias', 'K'),
    ),
}


class Variable(NamedTuple):
    """One variable of a BERT.

    Parameters
    ----------
    common : str
        Common name, see :mod:`gluon_bert.checkpoint.names`.
    name : str
        In TensorFlow.
    shape : tuple of int
        In TensorFlow.
    """

    common: str
    name: str
    shape: Tuple[int, ...]

    @property
    def transposed(self) -> bool:
        """True if the common array is the variable transposed."""
        return self.name.endswith('/kernel')

    @property
    def common_shape(self) -> Tuple[int, ...]:
        """The shape of the common array."""
        return self.shape[::-1] if self.transposed else self.shape


def encoder_variables(config: BertConfig) -> List[Variable]:
    """List the variables of an encoder without its pooler.

    Parameters
    ----------
    config : BertConfig

    Returns
    -------
    list of Variable
    """
    embeddings = [row for row in EMBEDDINGS if config.num_token_types or 'S' not in row[2]]
    layers = [
        (f'encoder.transformer_cells.{i}.{common}', f'bert/encoder/layer_{i}/{name}', shape)
        for i in range(config.num_layers)
        for common, name, shape in LAYER
    ]
    return _variables([*embeddings, *layers], config)


def head_variables(config: BertConfig, head: str, num_classes: int = 1) -> List[Variable]:
    """List the variables of a head.

    Parameters
    ----------
    config : BertConfig
    head : str
        Of ``HEADS``, or of ``WRITTEN_AS_CLASSIFIER``, which can be written only.
    num_classes : int
        Of a head that has any number.

    Returns
    -------
    list of Variable
    """
    return _variables({**HEADS, **WRITTEN_AS_CLASSIFIER}[head], config, num_classes)


def _variables(rows, config, num_classes=None):
    sizes = {
        'V': config.vocab_size,
        'S': config.num_token_types,
        'P': config.max_length,
        'C': config.units,
        'F': config.hidden_size,
        'K': num_classes,
        '2': 2,
    }
    return [
        Variable(common, name, tuple(sizes[letter] for letter in shape))
        for common, name, shape in rows
    ]
