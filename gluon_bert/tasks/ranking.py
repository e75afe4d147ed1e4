"""Text ranking: a cross-encoder, trained on queries with documents and their relevance."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Optional

import numpy as np

from .._internal.errors import ArgumentError
from .._internal.suggestions import unknown_name
from ..config import BertConfig
from ..data import SequenceData, Split, label_array
from ..data.ranking.dataset import ListData
from ..data.ranking.files import list_numbers, read_ranking
from ..metrics.retrieval import evaluate_rankings, rank_relevance
from ..training import OBJECTIVES
from ..training.ranking import LIST_LOSSES
from .base import DevSet, DevSource
from .folder import TaskModel
from .options import TextData, option
from .text_files import inputs_of
from .texts import TextJob

logger = logging.getLogger(__name__)

PAIR_LOSS = 'binary_cross_entropy'
LOSSES = (PAIR_LOSS, *LIST_LOSSES)
PAIR_METRIC = 'average_precision'


@dataclass
class RankingData(TextData):
    """The files of queries and documents; the text is the query, its pair the document."""

    loss: str = option(
        f'{PAIR_LOSS} of each pair, or of all documents of a query: {", ".join(LIST_LOSSES)}',
        PAIR_LOSS,
        str,
    )
    activation: str = option('of the score: sigmoid or identity', 'sigmoid', str)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.loss not in LOSSES:
            raise unknown_name('loss', self.loss, LOSSES)


@dataclass
class RankingJob(TextJob):
    """Scores of pairs of a query and a document, evaluated by the order that they make."""

    Data: ClassVar[type] = RankingData

    @property
    def is_regression(self) -> bool:
        """True, for the labels are numbers."""
        return True

    def read(self) -> None:
        super().read()
        dev = next((split for name, split in self.splits.items() if name == 'dev'), None)
        if dev is not None and label_array(dev.examples) is not None:
            metrics = self.spec.metrics if _ranked_queries(dev.examples) else (PAIR_METRIC,)
            self.task = replace(self.task, metrics=metrics)

    def _read_glue(self):
        raise ValueError(
            f'{self.spec.name}: needs tables of your own (train_file): query, document and label'
        )

    def _read_table(self, path, labels, label_column) -> Split:
        data = self.data
        return read_ranking(
            path,
            query=data.text_column,
            document=data.pair_column,
            label=None if label_column == RankingData.label_column else label_column,
            skip_malformed=data.skip_malformed,
        )

    def settings(self, config: BertConfig, base: Optional[list[str]]) -> dict[str, Any]:
        return {**super().settings(config, base), 'activation': self.data.activation}

    def objective(self, model: TaskModel) -> Any:
        return OBJECTIVES[self.data.loss]

    def training_data(self, model: TaskModel, pipeline: Any, seed: int, ctx: Any) -> SequenceData:
        train = self.splits['train']
        if label_array(train.examples) is None:
            raise ValueError(
                f'{train.path}: has no labels: expected the relevance of each document'
            )
        if self.data.loss == PAIR_LOSS:
            _check_shares(train)
            return super().training_data(model, pipeline, seed, ctx)
        if isinstance(ctx, (list, tuple)) and len(ctx) > 1:
            raise ArgumentError(
                'loss', f'reads whole lists, which {len(ctx)} devices cannot share', self.data.loss
            )
        self.splits['train'] = train = _useful_lists(train)
        data = super().training_data(model, pipeline, seed, ctx)
        vocab = model.tokenizer.vocabulary
        return ListData(
            data.features,
            data.labels,
            list_numbers(train.examples),
            vocab[vocab.padding_token],
            batch_size=self.data.batch_size,
            seed=seed,
            round_to=self.data.round_to,
            fixed_length=self.data.max_len if self.data.pad else None,
            ctx=ctx,
        )

    def _measure(self, split, results):
        return _measure(self.task.metrics, split.examples, results)

    def _prediction_text(self, result):
        return f'{result.score:.6f}'

    @staticmethod
    def dev_set(pipeline: Any, source: DevSource) -> DevSet:
        columns = pipeline.settings.get('columns') or {}
        split = read_ranking(
            str(source.path),
            query=source.text or columns.get('text'),
            document=source.pair or columns.get('pair'),
            label=None if source.label == 'label' else source.label,
        )
        if label_array(split.examples) is None:
            raise ValueError(f'{split.path}: has no labels')
        first = pipeline.settings.get('metrics', [PAIR_METRIC])[0]
        metric = first if _ranked_queries(split.examples) else PAIR_METRIC

        def measure(pipeline, inputs, answers):
            return _measure([metric], answers, pipeline(inputs))[metric]

        return DevSet(split.path, inputs_of(split.examples), split.examples, metric, measure)


def _check_shares(split):
    for example in split.examples:
        if not 0 <= example.label <= 1:
            raise ValueError(
                f'{split.path}: row {example.index} has the label {example.label:g}: expected '
                f'numbers from 0 to 1 for the loss {PAIR_LOSS}'
            )


def _useful_lists(split: Split) -> Split:
    """Leave out lists whose documents are all as relevant: their order teaches nothing."""
    lists, labels = list_numbers(split.examples), np.array(label_array(split.examples))
    count = int(lists.max()) + 1
    lowest, highest = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(lowest, lists, labels)
    np.maximum.at(highest, lists, labels)
    useful = lowest < highest
    if not useful.any():
        raise ValueError(
            f'{split.path}: no query has documents of different relevance, which a loss of lists '
            f'needs; expected loss={PAIR_LOSS!r}'
        )
    if not useful.all():
        logger.warning(
            '%s: %d of %d queries left out, whose documents are all as relevant',
            split.path,
            int((~useful).sum()),
            count,
        )
    examples = [row for row, number in zip(split.examples, lists.tolist()) if useful[number]]
    return split._replace(examples=examples)


def _ranked_queries(examples) -> list[np.ndarray]:
    """The indices of the examples of each query with relevant documents and others."""
    labels, lists = np.array(label_array(examples)), list_numbers(examples)
    order = np.argsort(lists, kind='stable')
    members = np.split(order, np.flatnonzero(np.diff(lists[order])) + 1)
    return [rows for rows in members if (labels[rows] > 0).any() and (labels[rows] <= 0).any()]


def _measure(metrics, examples, results):
    """Metrics over the queries that have an order, or of all pairs where none has."""
    labels = np.array(label_array(examples)).clip(0)
    values = np.array([result.value for result in results])
    if list(metrics) == [PAIR_METRIC]:
        return {PAIR_METRIC: evaluate_rankings(['map'], [rank_relevance(labels, values)])['map']}
    queries = _ranked_queries(examples)
    if not queries:
        raise ValueError(
            'no query has relevant documents and others, of which the order could be measured'
        )
    rankings = [rank_relevance(labels[rows], values[rows]) for rows in queries]
    return evaluate_rankings(metrics, rankings)
