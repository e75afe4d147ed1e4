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
SPAN = (('span.weight', ('span_classifier.weight',)), ('span.bias', ('span_classifier.bias',)))
TAGGER = (('tagger.weight', ('tag_classifier.weight',)), ('tagger.bias', ('tag_classifier.bias',)))
CRF = tuple((name, (name,)) for name in ('crf.transitions', 'crf.begin', 'crf.end'))


def encoder_names(config, use_pooler=True):
    """Pairs (name in memory, common names) of a whole encoder.

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
    layers = tuple(
        (f'layers.{i}.{ours}', tuple(f'encoder.transformer_cells.{i}.{name}' for name in common))
        for i in range(config.num_layers)
        for ours, common in LAYER
    )
    return embeddings + layers + (POOLER if use_pooler else ())


def with_prefix(names, prefix):
    """The same pairs with ``prefix`` in front of the names in memory."""
    return tuple((prefix + ours, common) for ours, common in names)
