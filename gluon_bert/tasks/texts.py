"""Texts and pairs of texts: classes and scores, from GLUE folders or tables of your own."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Optional

import numpy as np

from .._internal.errors import ArgumentError
from .._internal.files import write_text
from .._internal.progress import progress_bar
from ..config import BertConfig
from ..data import (
    Columns,
    SentenceTransform,
    Split,
    Task,
    discover_labels,
    get_task,
    glue_folder,
    label_array,
    read_table,
    read_task,
)
from ..metrics.classification import class_report, confusion_matrix, evaluate_metrics, format_report
from ..plots import plot_confusion
from . import decisions, model_card, text_files
from .base import DevSet, DevSource, Job
from .distillation.texts import read_unlabelled
from .folder import TASK_FILE, TaskModel
from .loss import ClassCounts
from .options import DEBUG_ROWS, MAX_LEN, TextData
from .registry import TASKS
from .windows import check_splits, window_data, window_settings

logger = logging.getLogger(__name__)


@dataclass
class TextJob(Job):
    """Classes or scores of texts.

    A GLUE task with scores makes it a regression, whatever was asked for.
    """

    Data: ClassVar[type] = TextData
    task: Any = None
    predicted: Any = None  # scores of the dev split by the final parameters, and how many were cut

    @property
    def stem(self) -> str:
        """The stem of the parameter files."""
        return f'model_bert_{self.task.name}'

    @property
    def log_file(self) -> str:
        """The name of the log."""
        return f'log_{self.task.name}.txt'

    @property
    def is_regression(self) -> bool:
        """True if the labels are scores."""
        return self.spec.name == 'text-regression'

    # --- reading

    def read(self) -> None:
        data = self.data
        files = data.train_file, data.dev_file, data.test_file
        if any(files) or (self.teacher is not None and data.task_name is None):
            self._read_tables()
        else:
            self._read_glue()
        for name, split in self.splits.items():
            skipped = f', {split.num_skipped} malformed rows left out' * bool(split.num_skipped)
            logger.info('%s: %d examples from %s%s', name, len(split.examples), split.path, skipped)
        if data.debug:
            self.splits = {
                name: split._replace(examples=split.examples[:DEBUG_ROWS])
                for name, split in self.splits.items()
            }
        if data.max_train_examples and 'train' in self.splits:
            train = self.splits['train']
            self.splits['train'] = train._replace(
                examples=train.examples[: data.max_train_examples]
            )
        text_files.check_classes(self)

    def _read_glue(self):
        """Read the splits of a task; a test file that is not there is left out."""
        data = self.data
        if data.task_name is None:
            raise ArgumentError('train_file', 'is needed, or {task_name} of GLUE')
        for name in ('labels', 'score_range'):
            if getattr(data, name) is not None:
                raise ArgumentError(name, 'goes with {train_file}', getattr(data, name))
        self.task = task = get_task(data.task_name)
        self.spec = TASKS['text-regression' if task.is_regression else 'text-classification']
        folder = Path(data.data_dir or glue_folder(task))
        if 'train' not in task.files and self.trains:
            raise ArgumentError(
                'task_name',
                'has no training data; train on MNLI and use {only_inference} {model_parameters}',
                task.name,
            )
        names = [name for name in task.files if self.trains or name != 'train']
        if len(names) > 1:
            names = [
                name
                for name in names
                if not name.startswith('test') or (folder / task.files[name]).is_file()
            ]
        self.splits = {
            name: read_task(task, folder, name, skip_malformed=data.skip_malformed or None)
            for name in names
        }

    def _read_tables(self):
        """Read the user's own tables, and make the task that they are."""
        data = self.data
        files = text_files.input_files(data, self.trains)
        labels = self._table_labels()
        with text_files.labels_of(self.teacher):
            self.splits = {
                name: self._read_table(path, labels, None if name == 'test' else data.label_column)
                for name, path in files.items()
            }
        parameters = self.saved and self.saved.parameters
        self.task = Task(
            name=Path(data.train_file or parameters or next(iter(files.values()), 'texts')).stem,
            folder='',
            labels=labels,
            columns=Columns(data.text_column, data.pair_column, data.label_column),
            metrics=self.spec.metrics,
            label_range=self._range(),
        )

    def _range(self):
        known = self.known.settings.get('range') if self.known else None
        return self.data.score_range or known

    def _read_table(self, path, labels, label_column) -> Split:
        data = self.data
        return read_table(
            path,
            text=data.text_column,
            pair=data.pair_column,
            label=label_column,
            labels=labels,
            regression=self.is_regression,
            score_range=self._range(),
            skip_malformed=data.skip_malformed,
        )

    def _table_labels(self):
        """The classes of tables: those that were learned, else those of the training file."""
        known = text_files.known_labels(self.data.labels, self.is_regression, self.known)
        if known or self.is_regression:
            return known
        if not self.trains or self.data.train_file is None:
            raise ArgumentError(
                'model_parameters', f'its classes are not known, there is no {TASK_FILE} beside it'
            )
        return self._discover()

    def _discover(self):
        return discover_labels(
            self.data.train_file,
            label=self.data.label_column,
            skip_malformed=self.data.skip_malformed,
        )

    def examples(self, split: Any) -> list:
        return split.examples

    def inputs(self, split: Any) -> list:
        return text_files.inputs_of(split.examples)

    def settings(self, config: BertConfig, base: Optional[list[str]]) -> dict[str, Any]:
        decisions.check_decisions(self)
        data, task = self.data, self.task
        if data.max_len is None:
            data.max_len = min(MAX_LEN, config.max_length)
        if not 5 <= data.max_len <= config.max_length:
            raise ArgumentError(
                'max_len',
                f'expected 5 to {config.max_length}, the longest sequence of '
                f'{base[0] if base else "the model"}',
                data.max_len,
            )
        columns = task.columns if isinstance(task.columns.text, int) or task.columns.text else None
        return {
            'name': task.name,
            'labels': task.labels and list(task.labels),
            'metrics': list(task.metrics),
            'range': task.label_range and list(task.label_range),
            'pair': text_files.reads_pairs(self.splits, self.teacher),
            'columns': columns and {'text': columns.text, 'pair': columns.pair},
            'max_len': data.max_len,
            'dropout': 0.1,
            'batch_size': data.dev_batch_size,
            'base': base,
            **decisions.saved_decisions(self),
            **window_settings(self),
        }

    def unlabelled_data(
        self, paths: list[Path], model: TaskModel, pipeline: Any
    ) -> tuple[list, Optional[list]]:
        columns = self.data.text_column, self.data.pair_column
        texts = read_unlabelled(paths, *columns, model.settings['pair'], self.spec.columns)
        return pipeline.features(texts), None

    def prepare(self, pipeline: Any, folder: Path) -> None:
        check_splits(self, pipeline)

    def training_data(self, model: TaskModel, pipeline: Any, seed: int, ctx: Any) -> Any:
        if 'windows' in model.settings:
            return window_data(self, model, seed, ctx)
        data, examples = self.data, self.splits['train'].examples
        transform = SentenceTransform(model.tokenizer, data.max_len)
        pairs = [example.pair for example in examples] if model.settings['pair'] else None
        with progress_bar('train: tokens', len(examples)) as bar:
            features, num_cut = transform.transform_batch(
                [example.text for example in examples], pairs, progress=bar.update
            )
        text_files.tell_cut('train', num_cut, len(features), data.max_len)
        labels = self.label_array(self.splits['train'])
        return self.sequence_data(model, features, labels, seed, ctx)

    def class_counts(self, model: TaskModel) -> ClassCounts:
        labels, names = self.label_array(self.splits['train']), list(self.task.labels)
        if labels.ndim == 1:
            labels = labels[:, None] == np.arange(len(names))  # (N, K)
        return ClassCounts(names, labels.sum(axis=0), len(labels), list(range(len(names))))

    def label_array(self, split: Any) -> Any:
        return label_array(split.examples)

    # --- evaluation

    def evaluate(self, pipeline: Any) -> dict[str, float]:
        metrics = {}
        for name, split in self.splits.items():
            if name.startswith('dev'):
                prefix = '' if name in ('dev', 'dev_matched') else f'{name}_'
                results, _, _ = self._predict(pipeline, name, split)
                scores = self._measure(split, results)
                metrics.update({prefix + metric: value for metric, value in scores.items()})
        return metrics

    def _predict(self, pipeline, name, split):
        """The results of the examples, how many were cut, and their scores if those are needed."""
        if self.spec.likelihood:
            logits, num_cut = self.logits(pipeline, name, split)
            return pipeline.decide(logits), num_cut, logits
        with progress_bar(name, len(split.examples)) as bar:
            stream = pipeline.stream(self.inputs(split), progress=bar.update)
            return list(stream), stream.num_cut, None

    def logits(self, pipeline: Any, name: str, split: Any) -> tuple[np.ndarray, int]:
        """Compute the network's scores of a split, (N, K); count the examples that were cut."""
        if self.predicted is not None and name == decisions.dev_of(self):
            predicted, self.predicted = self.predicted, None
            return predicted
        with progress_bar(name, len(split.examples)) as bar:
            stream = pipeline.logits(self.inputs(split), progress=bar.update)
            return np.stack(list(stream)), stream.num_cut

    def after_training(self, pipeline: Any) -> dict[str, Any]:
        return decisions.choose_decisions(self, pipeline)

    def _predictions(self, results):
        """The classes' numbers, or the scores."""
        if self.is_regression:
            return np.array([result.value for result in results])
        numbers = {label: number for number, label in enumerate(self.task.labels)}
        return np.array([numbers[result.label] for result in results])

    def _measure(self, split, results):
        return evaluate_metrics(
            self.task.metrics, self.label_array(split), self._predictions(results)
        )

    # --- reports

    def write(self, pipeline: Any, folder: Path) -> list[model_card.SplitReport]:
        rows = []
        for name, split in self.splits.items():
            metrics = report = None
            if name != 'train':
                results, num_cut, logits = self._predict(pipeline, name, split)
                text_files.tell_cut(name, num_cut, len(results), self.data.max_len)
                labels = self.label_array(split)
                if labels is not None:
                    metrics, report = self._report(folder, name, split, results)
                    metrics.update(
                        decisions.report_calibration(folder, name, pipeline, logits, labels)
                    )
                file = self.task.submissions.get(name, f'{self.task.name}_{name}.tsv')
                self._write_predictions(folder / file, split.examples, results)
            rows.append(
                model_card.SplitReport(name, split.path, len(split.examples), metrics, report)
            )
        return rows

    def _report(self, folder, name, split, results):
        """Log the metrics; for classes write the report and draw the confusion matrix."""
        metrics = self._measure(split, results)
        logger.info(
            '%s: %s', name, ' '.join(f'{key}={value:.4f}' for key, value in metrics.items())
        )
        report = self._class_report(folder, name, split, results)
        if report is not None:
            write_text(folder / f'{name}_report.txt', report + '\n')
            logger.info('%s by class:\n%s', name, report)
        return metrics, report

    def _class_report(self, folder, name, split, results):
        if self.is_regression:
            return None
        labels, predicted = self.label_array(split), self._predictions(results)
        names = list(self.task.labels)
        matrix = confusion_matrix(labels, predicted, len(names))
        plot_confusion(matrix, names, folder / f'{name}_confusion.png')
        return format_report(class_report(labels, predicted, names))

    def _write_predictions(self, path, examples, results):
        texts = [self._prediction_text(result) for result in results]
        text_files.write_predictions(path, examples, texts)
        if not self.is_regression:
            text_files.write_probabilities(path, examples, texts, results, self.task.labels)

    def _prediction_text(self, result):
        return f'{result.value:.3f}' if self.is_regression else result.label

    # --- other makers' checkpoints, dev sets

    @staticmethod
    def dev_set(pipeline: Any, source: DevSource) -> DevSet:
        settings, labels = pipeline.settings, pipeline.settings.get('labels')
        split, right = text_files.labelled_dev(settings, source)
        metric = settings.get('metrics', ['accuracy' if labels else 'pearson'])[0]

        def measure(pipeline, inputs, answers):
            predicted = [
                labels.index(result.label) if labels else result.value
                for result in pipeline(inputs)
            ]
            return evaluate_metrics([metric], answers, predicted)[metric]

        inputs = text_files.inputs_of(split.examples)
        return DevSet(split.path, inputs, right, metric, measure)
