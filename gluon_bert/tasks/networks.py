"""The networks of tasks: a head around a BERT, as the settings say."""

from __future__ import annotations

from typing import Any

from ..modeling.bert import BertBlock, BertModel
from ..modeling.embedder import BertEmbedder
from ..modeling.heads import BertClassifier, BertForQA, BertTagger
from ..modeling.multiple_choice import BertForMultipleChoice
from ..modeling.tagging import BertCrfTagger
from ..modeling.vector_classifier import VectorClassifier, vector_options
from .settings import tag_transitions


def make_classifier(bert: BertModel, size: int, settings: dict[str, Any]) -> BertBlock:
    """Put a classifier, or the one output of a score, on a BERT."""
    if 'pooling' in settings:
        return VectorClassifier(bert, size, **vector_options(settings))
    return BertClassifier(bert, size, dropout=settings['dropout'])


def make_choice_scorer(bert: BertModel, size: int, settings: dict[str, Any]) -> BertBlock:
    """Put the score of a choice on a BERT."""
    return BertForMultipleChoice(bert, dropout=settings['dropout'])


def make_span_finder(bert: BertModel, size: int, settings: dict[str, Any]) -> BertBlock:
    """Put the scores of an answer's begin and end on a BERT."""
    return BertForQA(bert)


def make_tagger(bert: BertModel, size: int, settings: dict[str, Any]) -> BertBlock:
    """Put a tagger on a BERT, with a CRF where the settings ask for one."""
    if not settings['crf']:
        return BertTagger(bert, size, dropout=settings['dropout'])
    return BertCrfTagger(bert, size, tag_transitions(settings), dropout=settings['dropout'])


def make_embedder(bert: BertModel, size: int, settings: dict[str, Any]) -> BertBlock:
    """Pool the encodings of a BERT to a vector for each text."""
    return BertEmbedder(bert, settings['pooling'], settings['normalize'])
