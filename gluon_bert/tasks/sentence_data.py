"""Examples of sentence vectors: read, checked against the loss, and measured."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np

from .._internal.errors import ArgumentError
from ..data import TextGroups, get_task, glue_folder, read_task, read_text_groups
from ..inference.search import cosine, similarity_matrix
from ..metrics.classification import evaluate_metrics
from ..metrics.retrieval import evaluate_rankings, rank_relevance
from ..training.sentence_objectives import SENTENCE_LOSSES, SentenceLoss
from .sentence_options import SentenceData

logger = logging.getLogger(__name__)

ORDER_METRICS = ('spearman', 'pearson')
RETRIEVAL_METRICS = ('mrr@10', 'ndcg@10', 'recall@1', 'recall@10')


def read_splits(data: SentenceData, needs_train: bool = True) -> dict[str, TextGroups]:
    """Read the files that the options name, by split.

    Parameters
    ----------
    data : SentenceData
    needs_train : bool
        Whether there must be a training file.

    Raises
    ------
    FileNotFoundError, ValueError
        If a file is not there or malformed, or the options do not go together.
    """
    if data.train_file is None and data.task_name is None and needs_train:
        raise ArgumentError('train_file', 'is needed, or {task_name} of GLUE')
    if data.train_file is None and data.task_name is not None:
        return _read_glue(data)
    row = None if data.loss is None else SENTENCE_LOSSES.get(data.loss)
    scored = None if row is None else row.is_scored
    score = None if scored is False else data.score_column
    splits = {}
    if data.train_file is not None:
        splits['train'] = _read(data, data.train_file, data.columns, score, scored)
    wide = data.columns if data.columns is not None and len(data.columns) > 1 else None
    for name, path in (('dev', data.dev_file), ('test', data.test_file)):
        if path is not None:
            columns = data.dev_columns or wide
            splits[name] = _read(data, path, columns, data.score_column, None)
    return splits


def _read(data, path, columns, score, scored):
    if Path(path).suffix.lower() == '.txt':
        return read_text_groups(path, columns=columns, skip_malformed=data.skip_malformed)
    return read_text_groups(
        path,
        columns=columns,
        score=score,
        scored=scored,
        score_range=data.score_range or (-math.inf, math.inf),
        skip_malformed=data.skip_malformed,
    )


def _read_glue(data):
    """The splits of a GLUE task, but a test set without scores."""
    task = get_task(data.task_name)
    if not task.is_pair or not task.is_regression:
        raise ArgumentError(
            'task_name', 'expected a task of pairs with scores, such as STS-B', task.name
        )
    if data.score_range is None:
        data.score_range = task.label_range
    folder, splits = Path(data.data_dir or glue_folder(task)), {}
    for name in ('train', 'dev'):
        split = read_task(task, folder, name, skip_malformed=data.skip_malformed or None)
        splits[name] = TextGroups(
            [(example.text, example.pair or '') for example in split.examples],
            [example.label for example in split.examples],
            split.path,
            split.num_skipped,
        )
    return splits


def choose_loss(name: Optional[str], groups: TextGroups) -> SentenceLoss:
    """Choose the loss by its name, else by what an example is."""
    if name is None:
        scored = groups.scores is not None
        name = 'cosent' if scored else 'multiple_negatives_ranking'
        name = 'simcse' if len(groups.texts[0]) == 1 else name
    row = SENTENCE_LOSSES[name]
    logger.info('loss: %s', row.title)
    return row


def scaled(groups: TextGroups, score_range: Optional[Sequence[float]]) -> TextGroups:
    """Scale the scores so that a range becomes 0 to 1; None leaves them as they are."""
    if groups.scores is None or score_range is None:
        return groups
    low, high = score_range
    return groups._replace(scores=[(score - low) / (high - low) for score in groups.scores])


def check_training(groups: TextGroups, row: SentenceLoss) -> None:
    """Refuse examples that a loss cannot read, or cannot learn from.

    Raises
    ------
    ValueError
        With the file.
    """
    path, texts, (least, most) = groups.path, groups.texts, row.columns
    width = len(texts[0])
    if not least <= width <= most:
        allowed = f'{least}' if least == most else f'{least} or more'
        raise ValueError(
            f'{path}: has {width} text{"s" * (width > 1)} in each example; the loss {row.name} '
            f'reads {allowed}'
        )
    equal = sum(example[0].strip() == example[1].strip() for example in texts if width > 1)
    if equal == len(texts):
        raise ValueError(f'{path}: the first two texts are equal in every example')
    if equal:
        logger.warning('%s: the first two texts are equal in %d examples', path, equal)
    needs_others = row.compares
    if needs_others and len({example[0] for example in texts}) < 2:
        raise ValueError(
            f'{path}: the loss {row.name} compares examples: expected two or more with different '
            f'texts'
        )
    scores = groups.scores
    if row.is_scored and not row.by_example and len(set(scores or ())) < 2:
        raise ValueError(f'{path}: all scores are equal: there is no order to learn')
    if row.is_scored and row.by_example:
        _check_cosines(path, scores)


def _check_cosines(path, scores):
    outside = next((score for score in scores if not -1 <= score <= 1), None)
    if outside is not None:
        raise ArgumentError(
            'score_range', f'is needed: {path} has the score {outside:g}, and cosines are -1 to 1'
        )


def check_evaluation(groups: TextGroups) -> None:
    """Refuse examples by which vectors cannot be measured.

    Raises
    ------
    ValueError
        With the file.
    """
    if len(groups.texts[0]) < 2:
        raise ValueError(f'{groups.path}: expected pairs to evaluate on, got single texts')
    if groups.scores is not None:
        if len(set(groups.scores)) < 2:
            raise ValueError(f'{groups.path}: all scores are equal: no order can be measured')
    elif len({text for example in groups.texts for text in example[1:]}) < 2:
        raise ValueError(f'{groups.path}: there is one text to search in: expected two or more')


def metrics_of(groups: TextGroups) -> tuple[str, ...]:
    """Name the metrics of a file, the first of which chooses the epoch."""
    return ORDER_METRICS if groups.scores is not None else RETRIEVAL_METRICS


def measure(groups: TextGroups, encode: Any) -> tuple[dict[str, float], np.ndarray]:
    """Measure vectors on a file.

    Parameters
    ----------
    groups : TextGroups
        Of two texts or more.
    encode : callable
        List of texts -> vectors.

    Returns
    -------
    metrics : dict of str to float
        Of scored pairs the correlation of score and cosine. Otherwise each first text is a query,
        all others are searched, and its second texts are right.
    cosines : numpy.ndarray, shape (examples,)
        Of the first two texts.
    """
    numbers, texts = number_texts(groups.texts)
    vectors = encode(texts)
    first, second = numbers[:, 0], numbers[:, 1]
    cosines = cosine(vectors[first], vectors[second])
    if groups.scores is not None:
        return evaluate_metrics(ORDER_METRICS, groups.scores, cosines), cosines
    queries, documents = np.unique(first), np.unique(numbers[:, 1:])
    rankings = []
    for query in queries:
        relevant: Any = np.isin(documents, second[first == query])
        scores = similarity_matrix(vectors[query : query + 1], vectors[documents])[0]
        rankings.append(rank_relevance(relevant, scores))
    return evaluate_rankings(RETRIEVAL_METRICS, rankings), cosines


def number_texts(groups: Sequence[tuple[str, ...]]) -> tuple[np.ndarray, list[str]]:
    """Number the texts of examples, each once: (examples, columns) and the texts."""
    numbers: dict[str, int] = {}
    rows = [[numbers.setdefault(text, len(numbers)) for text in example] for example in groups]
    return np.array(rows), list(numbers)
