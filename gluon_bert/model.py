"""GluonNLP's names for what this package has, so that a changed import is enough to switch."""

from .modeling.bert import BertModel as BERTModel
from .modeling.heads import BertClassifier as BERTClassifier
from .modeling.heads import BertForQA
from .modeling.heads import BertTagger as BERTTagger
from .zoo import get_model, list_models

__all__ = ['BERTClassifier', 'BERTModel', 'BERTTagger', 'BertForQA', 'get_model', 'list_models']
