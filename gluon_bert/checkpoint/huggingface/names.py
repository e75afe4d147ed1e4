"""How transformers spells the common names, family by family, as data used in both directions."""

from __future__ import annotations

import re
from typing import Mapping, NamedTuple, Optional, Tuple


class Spelling(NamedTuple):
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
_TASKS = {
    ('classifier',): 'ForSequenceClassification',
    ('span',): 'ForQuestionAnswering',
    ('tagger',): 'ForTokenClassification',
}

_BERT = Spelling(
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

_ROBERTA = Spelling(
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
        'span': _dense('span_classifier', 'qa_outputs'),
        'tagger': _dense('tag_classifier', 'classifier'),
    },
    decoder_weight='lm_head.decoder.weight',
    decoder_bias='lm_head.decoder.bias',
    architectures={**_TASKS, ('masked_lm',): 'ForMaskedLM', (): 'Model'},
)

_DISTILBERT = Spelling(
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
        'span': _dense('span_classifier', 'qa_outputs'),
        'tagger': _dense('tag_classifier', 'classifier'),
    },
    decoder_weight='vocab_projector.weight',
    decoder_bias=None,
    architectures={**_TASKS, ('masked_lm',): 'ForMaskedLM', (): 'Model'},
)

SPELLINGS = {
    'bert': _BERT,
    'roberta': _ROBERTA,
    'distilbert': _DISTILBERT,
    'ernie': _BERT._replace(prefix='ernie.'),
}

# What stands in front of the names of transformers' classes.
CLASS_NAMES = {'bert': 'Bert', 'roberta': 'Roberta', 'distilbert': 'DistilBert', 'ernie': 'Ernie'}

# Buffers of 0, 1, 2, ... or 0, 0, 0, ... that older versions wrote.
_BUFFERS = ('embeddings.position_ids', 'embeddings.token_type_ids')

_OLD_NORM = re.compile(r'(LayerNorm)\.(gamma|beta)$')
_NORM_KINDS = {'gamma': 'weight', 'beta': 'bias'}
_CELLS = 'encoder.transformer_cells.'


def huggingface_names(family, num_layers, heads=(), prefix=None):
    """Common names -> transformers' names.

    Parameters
    ----------
    family : str
        'bert', 'roberta', 'distilbert' or 'ernie'.
    num_layers : int
    heads : iterable of str
        Of 'masked_lm', 'next_sentence', 'classifier', 'span', 'tagger'.
    prefix : str, optional
        In front of the encoder's names; by default the family's if there is a head, else none.

    Returns
    -------
    dict of str to str
        The decoder's weight, being the word embedding, is left out.

    Examples
    --------
    >>> names = huggingface_names('roberta', 12, ['masked_lm'])
    >>> names['decoder.2.gamma'], names['encoder.position_weight']
    ('lm_head.layer_norm.weight', 'roberta.embeddings.position_embeddings.weight')
    """
    spelling = SPELLINGS[family]
    heads = tuple(heads)
    if prefix is None:
        prefix = spelling.prefix if heads else ''
    names = {common: prefix + theirs for common, theirs in spelling.encoder.items()}
    names.update(
        {
            f'{_CELLS}{i}.{common}': f'{prefix}{spelling.layers}{i}.{theirs}'
            for i in range(num_layers)
            for common, theirs in spelling.layer.items()
        }
    )
    for head in heads:
        names.update(spelling.heads[head])
    return names


def find_heads(names, family, architecture=''):
    """The heads that a set of arrays has.

    Parameters
    ----------
    names : collection of str
        transformers' names.
    family : str
    architecture : str
        transformers' class, such as 'BertForTokenClassification', if known. BERT's and ERNIE's
        classifier of texts has the same names as that of tokens; if this does not tell, it is of
        texts where there is a pooler.

    Returns
    -------
    list of str
    """
    spelling = SPELLINGS[family]
    heads = [
        head for head, spelled in spelling.heads.items() if next(iter(spelled.values())) in names
    ]
    if {'classifier', 'tagger'} <= set(heads):
        heads.remove('classifier' if _is_of_tokens(names, spelling, architecture) else 'tagger')
    return heads


def _is_of_tokens(names, spelling, architecture):
    if 'pooler.weight' in spelling.heads['classifier']:
        return False
    if architecture.endswith(('Classification', 'MultipleChoice')):
        return architecture.endswith('ForTokenClassification')
    pooler = spelling.encoder['pooler.weight']
    return pooler not in names and spelling.prefix + pooler not in names


def find_names(names, family, heads):
    """Common names -> transformers' names as they are spelled in a file.

    Parameters
    ----------
    names : iterable of str
        With the family's prefix or without.
    family : str
    heads : iterable of str
        From :func:`find_heads`.

    Returns
    -------
    dict of str to str
        Names that the family does not have, copies of the decoder's weight and bias, and buffers
        are left out.

    Raises
    ------
    ValueError
        If two names would become one.
    """
    spelling = SPELLINGS[family]
    ours = {theirs: common for head in heads for common, theirs in spelling.heads[head].items()}
    taken = set(ours.values())
    encoder = {theirs: common for common, theirs in spelling.encoder.items() if common not in taken}
    layer = {theirs: common for common, theirs in spelling.layer.items()}
    found = {}
    for name in names:
        common = ours.get(_new_spelling(name))
        if common is None:
            common = _encoder_name(_new_spelling(name), spelling, encoder, layer)
        if common is None:
            continue
        if common in found:
            raise ValueError(f'{found[common]} and {name} are the same array')
        found[common] = name
    return found


def is_buffer(name, family):
    """Whether a name is that of a buffer, which holds nothing learnt."""
    return _bare(name, SPELLINGS[family]) in _BUFFERS


def _encoder_name(name, spelling, encoder, layer):
    name = _bare(name, spelling)
    if name.startswith(spelling.layers):
        number, _, rest = name[len(spelling.layers) :].partition('.')
        if rest in layer and re.fullmatch('0|[1-9][0-9]{0,5}', number):
            return f'{_CELLS}{number}.{layer[rest]}'
    return encoder.get(name)


def _bare(name, spelling):
    return name[len(spelling.prefix) :] if name.startswith(spelling.prefix) else name


def _new_spelling(name):
    return _OLD_NORM.sub(lambda match: f'{match[1]}.{_NORM_KINDS[match[2]]}', name)
