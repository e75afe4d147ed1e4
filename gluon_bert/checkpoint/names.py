"""Parameter names of the formats, as data used in both directions.

GluonNLP's names (version 0.6 to 0.10) are the common form: every reader gives them, every writer
takes them, and they are the names in the files this package saves. Only in memory the query, key
and value projections of a layer are one parameter.
"""
from __future__ import annotations

# (name in memory, GluonNLP's names); three GluonNLP names are fused into one parameter.
EMBEDDINGS = (
    ('embeddings.word.weight', ('word_embed.0.weight',)),
    ('embeddings.token_type.weight', ('token_type_embed.0.weight',)),
    ('embeddings.position.weight', ('encoder.position_weight',)),
    ('embeddings.norm.gamma', ('encoder.layer_norm.gamma',)),
    ('embeddings.norm.beta', ('encoder.layer_norm.beta',)),
)

# Of one layer: 'layers.<i>.' in memory, 'encoder.transformer_cells.<i>.' in GluonNLP.
LAYER = (
    ('attention.query_key_value.weight', ('attention_cell.proj_query.weight',
                                          'attention_cell.proj_key.weight',
                                          'attention_cell.proj_value.weight')),
    ('attention.query_key_value.bias', ('attention_cell.proj_query.bias',
                                        'attention_cell.proj_key.bias',
                                        'attention_cell.proj_value.bias')),
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

POOLER = (
    ('pooler.weight', ('pooler.weight',)),
    ('pooler.bias', ('pooler.bias',)),
)

# Heads of BertForPretraining; the decoder's weight is the word embedding, stored again.
MASKED_LM = (
    ('masked_lm.dense.weight', ('decoder.0.weight',)),
    ('masked_lm.dense.bias', ('decoder.0.bias',)),
    ('masked_lm.norm.gamma', ('decoder.2.gamma',)),
    ('masked_lm.norm.beta', ('decoder.2.beta',)),
    ('masked_lm.decoder.weight', ('decoder.3.weight',)),
    ('masked_lm.decoder.bias', ('decoder.3.bias',)),
)
NEXT_SENTENCE = (
    ('next_sentence.weight', ('classifier.weight',)),
    ('next_sentence.bias', ('classifier.bias',)),
)
TIED = (('word_embed.0.weight', 'decoder.3.weight'),)

# GluonNLP -> Hugging Face, without the 'bert.' that task models put in front of the encoder.
HUGGINGFACE = {
    'word_embed.0.weight': 'embeddings.word_embeddings.weight',
    'token_type_embed.0.weight': 'embeddings.token_type_embeddings.weight',
    'encoder.position_weight': 'embeddings.position_embeddings.weight',
    'encoder.layer_norm.gamma': 'embeddings.LayerNorm.weight',
    'encoder.layer_norm.beta': 'embeddings.LayerNorm.bias',
    'pooler.weight': 'pooler.dense.weight',
    'pooler.bias': 'pooler.dense.bias',
}

# Of one layer: 'encoder.transformer_cells.<i>.' -> 'encoder.layer.<i>.'.
HUGGINGFACE_LAYER = {
    'attention_cell.proj_query.weight': 'attention.self.query.weight',
    'attention_cell.proj_query.bias': 'attention.self.query.bias',
    'attention_cell.proj_key.weight': 'attention.self.key.weight',
    'attention_cell.proj_key.bias': 'attention.self.key.bias',
    'attention_cell.proj_value.weight': 'attention.self.value.weight',
    'attention_cell.proj_value.bias': 'attention.self.value.bias',
    'proj.weight': 'attention.output.dense.weight',
    'proj.bias': 'attention.output.dense.bias',
    'layer_norm.gamma': 'attention.output.LayerNorm.weight',
    'layer_norm.beta': 'attention.output.LayerNorm.bias',
    'ffn.ffn_1.weight': 'intermediate.dense.weight',
    'ffn.ffn_1.bias': 'intermediate.dense.bias',
    'ffn.ffn_2.weight': 'output.dense.weight',
    'ffn.ffn_2.bias': 'output.dense.bias',
    'ffn.layer_norm.gamma': 'output.LayerNorm.weight',
    'ffn.layer_norm.beta': 'output.LayerNorm.bias',
}

# Heads of BertForPreTraining, which has no 'bert.' in front of them.
HUGGINGFACE_HEADS = {
    'decoder.0.weight': 'cls.predictions.transform.dense.weight',
    'decoder.0.bias': 'cls.predictions.transform.dense.bias',
    'decoder.2.gamma': 'cls.predictions.transform.LayerNorm.weight',
    'decoder.2.beta': 'cls.predictions.transform.LayerNorm.bias',
    'decoder.3.weight': 'cls.predictions.decoder.weight',
    'decoder.3.bias': 'cls.predictions.bias',
    'classifier.weight': 'cls.seq_relationship.weight',
    'classifier.bias': 'cls.seq_relationship.bias',
}


def encoder_names(num_layers, use_pooler=True):
    """Pairs (name in memory, GluonNLP's names) of a whole encoder.

    Parameters
    ----------
    num_layers : int
    use_pooler : bool

    Returns
    -------
    tuple of (str, tuple of str)

    Examples
    --------
    >>> len(encoder_names(12))
    151
    """
    layers = tuple((f'layers.{i}.{ours}',
                    tuple(f'encoder.transformer_cells.{i}.{name}' for name in theirs))
                   for i in range(num_layers) for ours, theirs in LAYER)
    return EMBEDDINGS + layers + (POOLER if use_pooler else ())


def with_prefix(names, prefix):
    """The same pairs with ``prefix`` in front of every name on both sides."""
    return tuple((prefix + ours, tuple(prefix + name for name in theirs))
                 for ours, theirs in names)


def huggingface_names(num_layers):
    """GluonNLP -> Hugging Face names of a whole model; the encoder's without 'bert.'.

    Parameters
    ----------
    num_layers : int

    Returns
    -------
    dict of str to str
    """
    layers = {f'encoder.transformer_cells.{i}.{ours}': f'encoder.layer.{i}.{theirs}'
              for i in range(num_layers) for ours, theirs in HUGGINGFACE_LAYER.items()}
    return {**HUGGINGFACE, **layers, **HUGGINGFACE_HEADS}
