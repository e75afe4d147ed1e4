"""The families of networks: all that differs between them, one row each.

A family has a name of its own in transformers (``model_type``), names of its arrays and values in
files, and a way to put a pair of texts together. The arrays' names are in
:mod:`gluon_bert.checkpoint.huggingface.name_maps`, by the same keys.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Iterable, Mapping, NamedTuple, Optional, Tuple

from .config import BertConfig


class Key(NamedTuple):
    """The names of a value in config.json, and what transformers takes where it is absent.

    The first name is the one that is written.
    """

    names: Tuple[str, ...]
    default: object


_HEAD_DROPOUT = Key(('classifier_dropout',), None)


class Requirement(NamedTuple):
    """A key of config.json, the values that a network here can have, and why not others.

    Absent and null are always allowed.
    """

    key: str
    allowed: Tuple[Any, ...]
    reason: str


@dataclass(frozen=True)
class Family:
    """The properties of one family of networks.

    Parameters
    ----------
    class_prefix : str
        In front of the names of transformers' classes, such as 'Roberta'.
    keys : mapping of str to Key
        Field of :class:`.BertConfig` -> its key in config.json.
    attention_dropout : str
        Key of the attention weights' dropout, which is that of the other layers here.
    fixed : mapping of str to object
        Fields that every network of the family has, and config.json does not say.
    requirements : tuple of Requirement
        Besides those of every family.
    pooler_activation : str
        Of transformers' pooler, or of the classifier's first layer where that does its work.
    masked_lm_activation : str, optional
        Of transformers' masked-LM head, if it is not that of the feed-forward layers.
    has_pooler : bool
        Whether the published networks have a trained pooler.
    always_projects : bool
        Whether embeddings as wide as the model are projected too.
    padding_id : int
        Where config.json does not say it.
    positions_follow_padding : bool
        Whether the rows of the position embedding up to the padding id are never used.
    needs_token_types : bool
        Whether transformers has a token type table of one row at least.
    special_ids : mapping of str to str
        Key of config.json -> the special token of the vocabulary whose id it repeats.
    gluonnlp_prefix : str, optional
        In front of the encoder's names in GluonNLP's classes; with it a file tells its family.
    gluonnlp_classifier : str
        Layout of GluonNLP's classifier, see :mod:`gluon_bert.checkpoint.gluonnlp.names`.
    gluonnlp_token_types : bool
        Whether GluonNLP's class has token types.
    gluonnlp_eps : float
        Epsilon of the layer normalisation, which GluonNLP's files do not say.
    tokenizer : str, optional
        transformers' class of its tokenizer, where the name of the vocabulary's file does not tell
        which it is.
    tokenizer_kind : str
        Class of this package's tokenizer that the published networks have.
    head_dropout : Key
        Of the dropout in front of a classifier; None is that of the other layers.
    formats : tuple of str
        Formats that can hold a network of the family.
    """

    class_prefix: str
    keys: Mapping[str, Key]
    attention_dropout: str = 'attention_probs_dropout_prob'
    fixed: Mapping[str, object] = field(default_factory=dict)
    requirements: Tuple[Requirement, ...] = ()
    pooler_activation: str = 'tanh'
    masked_lm_activation: Optional[str] = None
    has_pooler: bool = True
    always_projects: bool = False
    padding_id: int = 0
    positions_follow_padding: bool = False
    needs_token_types: bool = True
    special_ids: Mapping[str, str] = field(
        default_factory=lambda: {'pad_token_id': 'padding_token'}
    )
    gluonnlp_prefix: Optional[str] = None
    gluonnlp_classifier: str = 'classifier'
    gluonnlp_token_types: bool = True
    gluonnlp_eps: float = 1e-12
    tokenizer: Optional[str] = None
    tokenizer_kind: str = 'BertTokenizer'
    head_dropout: Key = _HEAD_DROPOUT
    formats: Tuple[str, ...] = ('gluonnlp', 'huggingface')


# Of transformers' configuration classes, read from their source.
_BERT_KEYS = {
    'vocab_size': Key(('vocab_size',), 30522),
    'units': Key(('hidden_size',), 768),
    'hidden_size': Key(('intermediate_size',), 3072),
    'num_layers': Key(('num_hidden_layers',), 12),
    'num_heads': Key(('num_attention_heads',), 12),
    'max_length': Key(('max_position_embeddings',), 512),
    'num_token_types': Key(('type_vocab_size',), 2),
    'dropout': Key(('hidden_dropout_prob',), 0.1),
    'layer_norm_eps': Key(('layer_norm_eps',), 1e-12),
    'activation': Key(('hidden_act',), 'gelu'),
}
_DISTILBERT_KEYS = {
    'vocab_size': Key(('vocab_size',), 30522),
    'units': Key(('dim', 'hidden_size'), 768),
    'hidden_size': Key(('hidden_dim',), 3072),
    'num_layers': Key(('n_layers', 'num_hidden_layers'), 6),
    'num_heads': Key(('n_heads', 'num_attention_heads'), 12),
    'max_length': Key(('max_position_embeddings',), 512),
    'dropout': Key(('dropout',), 0.1),
    'activation': Key(('activation',), 'gelu'),
}

_BERT = Family(
    class_prefix='Bert', keys=_BERT_KEYS, formats=('gluonnlp', 'huggingface', 'tensorflow')
)
_ROBERTA = Family(
    class_prefix='Roberta',
    keys={**_BERT_KEYS, 'vocab_size': Key(('vocab_size',), 50265)},
    masked_lm_activation='gelu',
    has_pooler=False,
    padding_id=1,
    positions_follow_padding=True,
    special_ids={
        'pad_token_id': 'padding_token',
        'bos_token_id': 'cls_token',
        'eos_token_id': 'sep_token',
    },
    gluonnlp_prefix='roberta.',
    gluonnlp_classifier='roberta_classifier',
    gluonnlp_token_types=False,
    gluonnlp_eps=1e-5,
    tokenizer_kind='BytePairTokenizer',
)
_DISTILBERT = Family(
    class_prefix='DistilBert',
    keys=_DISTILBERT_KEYS,
    attention_dropout='attention_dropout',
    fixed={'num_token_types': 0, 'layer_norm_eps': 1e-12},
    pooler_activation='relu',
    has_pooler=False,
    needs_token_types=False,
    gluonnlp_token_types=False,
    head_dropout=Key(('seq_classif_dropout',), 0.2),
)
_ERNIE = Family(class_prefix='Ernie', keys=_BERT_KEYS)

_XLM_ROBERTA = replace(
    _ROBERTA,
    class_prefix='XLMRoberta',
    keys=_BERT_KEYS,
    tokenizer='XLMRobertaTokenizer',
    tokenizer_kind='SentencePieceTokenizer',
)

_ELECTRA = Family(
    class_prefix='Electra',
    keys={
        **_BERT_KEYS,
        'units': Key(('hidden_size',), 256),
        'hidden_size': Key(('intermediate_size',), 1024),
        'num_heads': Key(('num_attention_heads',), 4),
        'embedding_units': Key(('embedding_size',), 128),
    },
    requirements=(
        Requirement('summary_type', ('first',), "only the first token's encoding is supported"),
        Requirement('summary_use_proj', (True,), 'only a summary with a dense layer is supported'),
        Requirement('summary_activation', ('gelu',), 'only a summary with GELU is supported'),
    ),
    pooler_activation='gelu',
    masked_lm_activation='gelu',
    has_pooler=False,
)

_ALBERT = Family(
    class_prefix='Albert',
    keys={
        **_BERT_KEYS,
        'vocab_size': Key(('vocab_size',), 30000),
        'units': Key(('hidden_size',), 4096),
        'hidden_size': Key(('intermediate_size',), 16384),
        'num_heads': Key(('num_attention_heads',), 64),
        'dropout': Key(('hidden_dropout_prob',), 0.0),
        'activation': Key(('hidden_act',), 'gelu_new'),
        'embedding_units': Key(('embedding_size',), 128),
    },
    fixed={'share_layers': True},
    requirements=(
        Requirement('num_hidden_groups', (1,), 'only layers that are all one are supported'),
        Requirement('inner_group_num', (1,), 'only layers that are all one are supported'),
    ),
    always_projects=True,
    special_ids=_ROBERTA.special_ids,
    tokenizer='AlbertTokenizer',
    tokenizer_kind='SentencePieceTokenizer',
    head_dropout=Key(('classifier_dropout_prob',), 0.1),
)

FAMILIES = {
    'bert': _BERT,
    'roberta': _ROBERTA,
    'distilbert': _DISTILBERT,
    'ernie': _ERNIE,
    'xlm-roberta': _XLM_ROBERTA,
    'electra': _ELECTRA,
    'albert': _ALBERT,
}
"""Family, by the ``model_type`` of transformers, -> its row."""

DEFAULT_FAMILY = 'bert'


def family_by_prefix(names: Iterable[str]) -> str:
    """Tell the family of a GluonNLP file from the names of its arrays.

    Parameters
    ----------
    names : iterable of str

    Returns
    -------
    str
        The default family where no name tells another.
    """
    names = list(names)
    for family, row in FAMILIES.items():
        prefix = row.gluonnlp_prefix
        if prefix is not None and any(name.startswith(prefix) for name in names):
            return family
    return DEFAULT_FAMILY


def family_like(config: BertConfig) -> Family:
    """Find the first family whose networks have a configuration's token types and pooler.

    For networks that were built without a checkpoint, and so belong to no family.
    """
    for row in FAMILIES.values():
        if (
            row.gluonnlp_token_types == bool(config.num_token_types)
            and row.pooler_activation == config.pooler_activation
        ):
            return row
    return FAMILIES[DEFAULT_FAMILY]
