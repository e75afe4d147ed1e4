"""Metrics for classification, regression, question answering and entity recognition."""

from .classification import (
    METRICS,
    ClassScores,
    accuracy,
    class_report,
    confusion_matrix,
    evaluate_metrics,
    f1,
    format_report,
    macro_f1,
    mcc,
    pearson,
    spearman,
)
from .entities import entity_report, format_entity_report
from .squad import evaluate_squad

__all__ = [
    'METRICS',
    'ClassScores',
    'accuracy',
    'class_report',
    'confusion_matrix',
    'entity_report',
    'evaluate_metrics',
    'evaluate_squad',
    'f1',
    'format_entity_report',
    'format_report',
    'macro_f1',
    'mcc',
    'pearson',
    'spearman',
]
