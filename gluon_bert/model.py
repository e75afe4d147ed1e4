"""GluonNLP's names for what this package has, so that a changed import is enough to switch."""

import functools
import sys
from typing import Any, Optional

from ._gluonnlp import forward
from .modeling.bert import BertModel
from .modeling.bert import BertModel as BERTModel
from .modeling.heads import BertClassifier, BertForQA
from .modeling.heads import BertClassifier as BERTClassifier
from .modeling.heads import BertClassifier as RoBERTaClassifier
from .modeling.heads import BertTagger as BERTTagger
from .zoo import ARCHITECTURES, get_model, list_models

__all__ = [
    'BERTClassifier',
    'BERTModel',
    'BERTRegression',
    'BERTTagger',
    'BertForQA',
    'RoBERTaClassifier',
    'get_bert_model',
    'get_model',
    'get_roberta_model',
    'list_models',
]


class BERTRegression(BertClassifier):
    """A score of a text or a pair: a :class:`.BertClassifier` of one class.

    Parameters
    ----------
    bert : BertModel
        With its pooler.
    dropout : float
        On the pooled vector, in [0, 1).
    """

    def __init__(self, bert: BertModel, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(bert, 1, dropout, **kwargs)


# GluonNLP's modules whose names are here.
_MODULES = ('bert',)


def get_bert_model(model_name: str, dataset_name: Optional[str] = None, **options: Any) -> Any:
    """Build a model as :func:`.get_model` does, under GluonNLP's name of its argument."""
    return get_model(model_name, dataset_name, **options)


get_roberta_model = get_bert_model


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return sys.modules[__name__]
    if name in ARCHITECTURES:
        return functools.partial(get_model, name)
    return forward('model', name)
