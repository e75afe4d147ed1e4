"""transformers' names for the common names, family by family, as data used in both directions."""

from __future__ import annotations

from typing import Mapping, NamedTuple, Optional, Tuple


class NameMap(NamedTuple):
    """The names of one family; all mappings are common name -> transformers' name.

    Parameters
    ----------
    prefix : str
        In front of the encoder's names, in networks with a head.
    encoder : mapping of str to str
        Embeddings and pooler.
    layers : str
        In front of a layer's number; the common names have ``encoder.transformer_cells.``.
    layer : mapping of str to str
        Of one layer, after its number.
    heads : mapping of str to mapping of str to str
        Head of :attr:`.Checkpoint.heads` -> its names, which go before the encoder's. The first
        tells that the head is there.
    decoder_weight, decoder_bias : str
        The word embedding and the decoder's bias, stored again by some writers.
    architectures : mapping of tuple of str to str
        Heads -> what the class of transformers with these heads has after the family's name. The
        first of which all heads are there is the one to write; '' is the encoder alone.
    """

    prefix: str
    encoder: Mapping[str, str]
    layers: str
    layer: Mapping[str, str]
    heads: Mapping[str, Mapping[str, str]]
    decoder_weight: str
    decoder_bias: Optional[str]
    architectures: Mapping[Tuple[str, ...], str]


def _dense(common, theirs):
    return {f'{common}.{kind}': f'{theirs}.{kind}' for kind in ('weight', 'bias')}


def _norm(common, theirs):
    return {f'{common}.gamma': f'{theirs}.weight', f'{common}.beta': f'{theirs}.bias'}


_EMBEDDINGS = {
    'word_embed.0.weight': 'embeddings.word_embeddings.weight',
    'token_type_embed.0.weight': 'embeddings.token_type_embeddings.weight',
    'encoder.position_weight': 'embeddings.position_embeddings.weight',
    **_norm('encoder.layer_norm', 'embeddings.LayerNorm'),
}
_LAYER = {
    **_dense('attention_cell.proj_query', 'attention.self.query'),
    **_dense('attention_cell.proj_key', 'attention.self.key'),
    **_dense('attention_cell.proj_value', 'attention.self.value'),
    **_dense('proj', 'attention.output.dense'),
    **_norm('layer_norm', 'attention.output.LayerNorm'),
    **_dense('ffn.ffn_1', 'intermediate.dense'),
    **_dense('ffn.ffn_2', 'output.dense'),
    **_norm('ffn.layer_norm', 'output.LayerNorm'),
}
_TASKS: Mapping[Tuple[str, ...], str] = {
    ('classifier',): 'ForSequenceClassification',
    ('choice',): 'ForMultipleChoice',
    ('span',): 'ForQuestionAnswering',
    ('tagger',): 'ForTokenClassification',
}
_CHOICE = _dense('choice_classifier', 'classifier')

_BERT = NameMap(
    prefix='bert.',
    encoder={**_EMBEDDINGS, **_dense('pooler', 'pooler.dense')},
    layers='encoder.layer.',
    layer=_LAYER,
    heads={
        'masked_lm': {
            **_dense('decoder.0', 'cls.predictions.transform.dense'),
            **_norm('decoder.2', 'cls.predictions.transform.LayerNorm'),
            'decoder.3.bias': 'cls.predictions.bias',
        },
        'next_sentence': _dense('classifier', 'cls.seq_relationship'),
        'classifier': _dense('classifier.1', 'classifier'),
        'choice': _CHOICE,
        'span': _dense('span_classifier', 'qa_outputs'),
        'tagger': _dense('tag_classifier', 'classifier'),
    },
    decoder_weight='cls.predictions.decoder.weight',
    decoder_bias='cls.predictions.decoder.bias',
    architectures={
        **_TASKS,
        ('masked_lm', 'next_sentence'): 'ForPreTraining',
        ('masked_lm',): 'ForMaskedLM',
        ('next_sentence',): 'ForNextSentencePrediction',
        (): 'Model',
    },
)

_ROBERTA = NameMap(
    prefix='roberta.',
    encoder=_BERT.encoder,
    layers='encoder.layer.',
    layer=_LAYER,
    heads={
        'masked_lm': {
            **_dense('decoder.0', 'lm_head.dense'),
            **_norm('decoder.2', 'lm_head.layer_norm'),
            'decoder.3.bias': 'lm_head.bias',
        },
        # Its first layer does what BERT's pooler does.
        'classifier': {
            **_dense('pooler', 'classifier.dense'),
            **_dense('classifier.1', 'classifier.out_proj'),
        },
        'choice': _CHOICE,
        'span': _dense('span_classifier', 'qa_outputs'),
        'tagger': _dense('tag_classifier', 'classifier'),
    },
    decoder_weight='lm_head.decoder.weight',
    decoder_bias='lm_head.decoder.bias',
    architectures={**_TASKS, ('masked_lm',): 'ForMaskedLM', (): 'Model'},
)

_DISTILBERT = NameMap(
    prefix='distilbert.',
    encoder={name: theirs for name, theirs in _EMBEDDINGS.items() if 'token_type' not in name},
    layers='transformer.layer.',
    layer={
        **_dense('attention_cell.proj_query', 'attention.q_lin'),
        **_dense('attention_cell.proj_key', 'attention.k_lin'),
        **_dense('attention_cell.proj_value', 'attention.v_lin'),
        **_dense('proj', 'attention.out_lin'),
        **_norm('layer_norm', 'sa_layer_norm'),
        **_dense('ffn.ffn_1', 'ffn.lin1'),
        **_dense('ffn.ffn_2', 'ffn.lin2'),
        **_norm('ffn.layer_norm', 'output_layer_norm'),
    },
    heads={
        'masked_lm': {
            **_dense('decoder.0', 'vocab_transform'),
            **_norm('decoder.2', 'vocab_layer_norm'),
            'decoder.3.bias': 'vocab_projector.bias',
        },
        'classifier': {
            **_dense('pooler', 'pre_classifier'),
            **_dense('classifier.1', 'classifier'),
        },
        'choice': {**_dense('pooler', 'pre_classifier'), **_CHOICE},
        'span': _dense('span_classifier', 'qa_outputs'),
        'tagger': _dense('tag_classifier', 'classifier'),
    },
    decoder_weight='vocab_projector.weight',
    decoder_bias=None,
    architectures={**_TASKS, ('masked_lm',): 'ForMaskedLM', (): 'Model'},
)

_ELECTRA = NameMap(
    prefix='electra.',
    encoder={**_EMBEDDINGS, **_dense('embed_project', 'embeddings_project')},
    layers='encoder.layer.',
    layer=_LAYER,
    heads={
        'masked_lm': {  # of the generator
            **_dense('decoder.0', 'generator_predictions.dense'),
            **_norm('decoder.2', 'generator_predictions.LayerNorm'),
            'decoder.3.bias': 'generator_lm_head.bias',
        },
        'classifier': {
            **_dense('pooler', 'classifier.dense'),
            **_dense('classifier.1', 'classifier.out_proj'),
        },
        'choice': {**_dense('pooler', 'sequence_summary.summary'), **_CHOICE},
        'span': _dense('span_classifier', 'qa_outputs'),
        'tagger': _dense('tag_classifier', 'classifier'),
    },
    decoder_weight='generator_lm_head.weight',
    decoder_bias=None,
    architectures={**_TASKS, ('masked_lm',): 'ForMaskedLM', (): 'Model'},
)

_ALBERT = NameMap(
    prefix='albert.',
    encoder={
        **_EMBEDDINGS,
        **_dense('embed_project', 'encoder.embedding_hidden_mapping_in'),
        **_dense('pooler', 'pooler'),
    },
    layers='encoder.albert_layer_groups.0.albert_layers.',
    layer={
        **_dense('attention_cell.proj_query', 'attention.query'),
        **_dense('attention_cell.proj_key', 'attention.key'),
        **_dense('attention_cell.proj_value', 'attention.value'),
        **_dense('proj', 'attention.dense'),
        **_norm('layer_norm', 'attention.LayerNorm'),
        **_dense('ffn.ffn_1', 'ffn'),
        **_dense('ffn.ffn_2', 'ffn_output'),
        **_norm('ffn.layer_norm', 'full_layer_layer_norm'),
    },
    heads={
        'masked_lm': {
            **_dense('decoder.0', 'predictions.dense'),
            **_norm('decoder.2', 'predictions.LayerNorm'),
            'decoder.3.bias': 'predictions.bias',
        },
        'next_sentence': _dense('classifier', 'sop_classifier.classifier'),  # of their order
        'classifier': _dense('classifier.1', 'classifier'),
        'choice': _CHOICE,
        'span': _dense('span_classifier', 'qa_outputs'),
        'tagger': _dense('tag_classifier', 'classifier'),
    },
    decoder_weight='predictions.decoder.weight',
    decoder_bias='predictions.decoder.bias',
    architectures={
        **_TASKS,
        ('masked_lm', 'next_sentence'): 'ForPreTraining',
        ('masked_lm',): 'ForMaskedLM',
        (): 'Model',
    },
)

NAME_MAPS = {
    'bert': _BERT,
    'roberta': _ROBERTA,
    'distilbert': _DISTILBERT,
    'ernie': _BERT._replace(prefix='ernie.'),
    'xlm-roberta': _ROBERTA,
    'electra': _ELECTRA,
    'albert': _ALBERT,
}

WORD_EMBEDDING = 'embeddings.word_embeddings.weight'
"""The end of its name, in every family."""

FAMILY_PREFIXES = tuple({name_map.prefix: None for name_map in NAME_MAPS.values()})
