"""Settings of fine-tuned checkpoints of other makers, one function a task.

Each takes a checkpoint and the longest sequence in tokens, and returns the settings of its task and
the checkpoint with its arrays in the order that they want.
"""

from __future__ import annotations

from ..checkpoint import Checkpoint
from .checkpoint import check_unique, class_labels, count_outputs
from .options import LONGEST_WINDOW
from .registry import TASKS

THRESHOLD = 0.5  # of a label, until a dev set tells better


def text_settings(checkpoint: Checkpoint, longest: int) -> tuple[dict, Checkpoint]:
    """Derive the settings of a classifier of texts, or of a regression.

    Raises
    ------
    ValueError
        If the classes are not unique, or a regression has several outputs.
    """
    settings = {'max_len': longest, 'dropout': checkpoint.head_dropout}
    if checkpoint.problem_type != 'regression' and (
        count_outputs(checkpoint, TASKS['text-classification']) > 1
    ):
        labels = class_labels(checkpoint, TASKS['text-classification'])
        check_unique(labels)
        return {'labels': list(labels), **settings}, checkpoint
    count = count_outputs(checkpoint, TASKS['text-regression'])
    if count != 1:
        raise ValueError(f'a regression with {count} outputs: only one is supported')
    return settings, checkpoint


def ranking_settings(checkpoint: Checkpoint, longest: int) -> tuple[dict, Checkpoint]:
    """Derive the settings of a cross-encoder; one that does not say so gives probabilities."""
    return {
        'max_len': longest,
        'dropout': checkpoint.head_dropout,
        'activation': checkpoint.score_activation or 'sigmoid',
        'pair': True,
    }, checkpoint


def multi_label_settings(checkpoint: Checkpoint, longest: int) -> tuple[dict, Checkpoint]:
    """Derive the settings of a classifier with any number of labels a text.

    Raises
    ------
    ValueError
        If the labels are not unique.
    """
    labels = class_labels(checkpoint, TASKS['multi-label-classification'])
    check_unique(labels)
    return {
        'labels': list(labels),
        'thresholds': [THRESHOLD] * len(labels),
        'max_len': longest,
        'dropout': checkpoint.head_dropout,
    }, checkpoint


def choice_settings(checkpoint: Checkpoint, longest: int) -> tuple[dict, Checkpoint]:
    """Derive the settings of a network that scores choices."""
    return {'max_len': longest, 'dropout': checkpoint.head_dropout}, checkpoint


def question_settings(checkpoint: Checkpoint, longest: int) -> tuple[dict, Checkpoint]:
    """Derive the settings of a network that answers questions."""
    length = min(longest, LONGEST_WINDOW)
    return {
        'max_seq_length': length,
        'doc_stride': min(128, max(1, length // 3)),
        'max_query_length': min(64, max(1, length // 3)),
        'n_best_size': 20,
        'max_answer_length': 30,
        'version_2': False,
        'null_score_diff_threshold': 0.0,
    }, checkpoint
