"""Multi-label classification: texts with any number of labels, from tables of your own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Optional

import numpy as np

from ..config import BertConfig
from ..data.classification.label_sets import (
    DEFAULT_SEPARATOR,
    discover_label_sets,
    label_matrix,
    read_label_sets,
)
from ..metrics.multi_label import evaluate_label_sets, format_label_report, label_report
from .base import DevSet, DevSource
from .checkpoint_settings import THRESHOLD
from .options import TextData, option
from .text_files import inputs_of
from .texts import TextJob


@dataclass
class MultiLabelData(TextData):
    """The tables of a multi-label task; their label column holds several labels of a text."""

    separator: str = option('between the labels of a text', DEFAULT_SEPARATOR, str)


@dataclass
class MultiLabelJob(TextJob):
    """Any number of labels of a text; an empty label column means none of them."""

    Data: ClassVar[type] = MultiLabelData

    def _read_table(self, path, labels, label_column):
        data = self.data
        return read_label_sets(
            path,
            text=data.text_column,
            pair=data.pair_column,
            label=label_column,
            labels=labels,
            separator=data.separator,
            skip_malformed=data.skip_malformed,
        )

    def _discover(self):
        data = self.data
        return discover_label_sets(
            data.train_file,
            label=data.label_column,
            separator=data.separator,
            skip_malformed=data.skip_malformed,
        )

    def _read_glue(self):
        raise ValueError(
            f'{self.spec.name}: needs tables of your own (train_file); no task of GLUE has several '
            f'labels for a text'
        )

    def settings(self, config: BertConfig, base: Optional[list[str]]) -> dict[str, Any]:
        settings = super().settings(config, base)
        thresholds = [THRESHOLD] * len(self.task.labels)
        if self.saved is not None:
            thresholds = self.saved.settings['thresholds']
        return {**settings, 'thresholds': thresholds}

    def label_array(self, split: Any) -> Any:
        return label_matrix(split.examples, len(self.task.labels))

    def _predictions(self, results):
        numbers = {label: number for number, label in enumerate(self.task.labels)}
        return label_matrix(
            [[numbers[label] for label in result.labels] for result in results], len(numbers)
        )

    def _measure(self, split, results):
        return evaluate_label_sets(
            self.task.metrics, self.label_array(split), self._predictions(results)
        )

    def _class_report(self, folder: Path, name, split, results):
        rows = label_report(self.label_array(split), self._predictions(results), self.task.labels)
        return format_label_report(rows)

    def _prediction_text(self, result):
        return self.data.separator.join(result.labels)

    @staticmethod
    def dev_set(pipeline: Any, source: DevSource) -> DevSet:
        settings = pipeline.settings
        labels, columns = settings['labels'], settings.get('columns') or {}
        split = read_label_sets(
            str(source.path),
            text=source.text or columns.get('text'),
            pair=source.pair or columns.get('pair'),
            label=source.label,
            labels=labels,
        )
        right = label_matrix(split.examples, len(labels))
        if right is None:
            raise ValueError(f'{split.path}: has no labels')
        metric = settings.get('metrics', ['micro_f1'])[0]

        def measure(pipeline, inputs, answers):
            predicted = label_matrix(
                [[labels.index(label) for label in result.labels] for result in pipeline(inputs)],
                len(labels),
            )
            return evaluate_label_sets([metric], np.array(answers), predicted)[metric]

        return DevSet(split.path, inputs_of(split.examples), list(right), metric, measure)
