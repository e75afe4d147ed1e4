"""GluonNLP 0.10's names: forwarded to it, or refused with what to use here.

GluonNLP is imported when a name of it is used.
"""

from __future__ import annotations

import importlib
from typing import Any

from ._internal.suggestions import did_you_mean

# Modules that are GluonNLP's own.
MODULES = {
    'vocab': 'gluonnlp.vocab',
    'utils': 'gluonnlp.utils',
    'loss': 'gluonnlp.loss',
    'metric': 'gluonnlp.metric',
    'initializer': 'gluonnlp.initializer',
    'data.batchify': 'gluonnlp.data.batchify',
    'data.bert': 'gluonnlp.data.bert',
    'data.sampler': 'gluonnlp.data.sampler',
    'data.transforms': 'gluonnlp.data.transforms',
    'data.stream': 'gluonnlp.data.stream',
    'data.utils': 'gluonnlp.data.utils',
}

_DATASETS = 'its download has ended; read your copy with gluon_bert.data.read_task(TASK, SPLIT)'
_TASKS = "use gluon_bert.data.get_task('NAME')"

# Module -> name there -> what to use instead.
REPLACEMENTS = {
    'data': {
        'get_tokenizer': 'use gluon_bert.get_tokenizer(name, dataset_name)',
        'GPT2BPETokenizer': 'its download has ended; use gluon_bert.data.BytePairTokenizer, or '
        "gluon_bert.get_tokenizer('roberta-base')",
        'GPT2BPEDetokenizer': 'its download has ended; use the decoding of the tokenizer of '
        "gluon_bert.get_tokenizer('roberta-base')",
        'SQuAD': 'its download has ended; read your copy with gluon_bert.data.read_squad(path)',
        **dict.fromkeys(
            ('GlueCoLA', 'GlueMNLI', 'GlueMRPC', 'GlueQNLI', 'GlueQQP', 'GlueRTE', 'GlueSST2')
            + ('GlueSTSB', 'GlueWNLI', 'BaiduErnieChnSentiCorp', 'BaiduErnieLCQMC')
            + ('BaiduErnieXNLI',),
            _DATASETS,
        ),
        **dict.fromkeys(
            ('CoLATask', 'MNLITask', 'MRPCTask', 'QNLITask', 'QQPTask', 'RTETask', 'SSTTask')
            + ('STSBTask', 'WNLITask', 'XNLITask'),
            _TASKS,
        ),
    },
    'model': {
        'BERTEncoder': 'it is part of gluon_bert.BertModel; its layers are in '
        'gluon_bert.modeling.layers',
        'BERTEncoderCell': 'use gluon_bert.modeling.layers.EncoderLayer',
        'DotProductSelfAttentionCell': 'use the attention of gluon_bert.modeling.layers',
        'RoBERTaModel': 'use gluon_bert.BertModel(config) with num_token_types=0, or '
        "gluon_bert.get_model('roberta-base')",
        'DistilBERTModel': 'use gluon_bert.BertModel(config) with num_token_types=0, or '
        "gluon_bert.get_model('distilbert-base-uncased')",
        'BERTForPretrain': 'use gluon_bert.BertForPretraining, which has no loss inside',
        'BertForQALoss': "losses are no blocks here; use gluon_bert.training.OBJECTIVES['span']",
    },
}


def forward(room: str, name: str) -> Any:
    """Return what GluonNLP has under a name of one of its modules.

    Parameters
    ----------
    room : str
        'data' or 'model'.
    name : str

    Returns
    -------
    object

    Raises
    ------
    AttributeError
        If there is something else to use, which the message names, or no such name.
    """
    if name.startswith('__'):
        raise AttributeError(f'module gluon_bert.{room} has no attribute {name!r}')
    if name in REPLACEMENTS[room]:
        raise AttributeError(
            f"GluonNLP's {room}.{name} is not in gluon_bert.{room}: {REPLACEMENTS[room][name]}"
        )
    theirs = importlib.import_module(f'gluonnlp.{room}')
    ours = importlib.import_module(f'gluon_bert.{room}')
    if name not in theirs.__all__:
        hint = did_you_mean(name, [*ours.__all__, *theirs.__all__])
        raise AttributeError(f'module gluon_bert.{room} has no attribute {name!r}{hint}')
    return getattr(theirs, name)
