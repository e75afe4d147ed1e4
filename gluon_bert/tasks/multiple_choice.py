"""Multiple choice: a context with choices, of which one is right."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Optional

from .._internal.checks import check_positive
from .._internal.errors import ArgumentError
from .._internal.progress import progress_bar
from ..config import BertConfig
from ..data import Columns, SentenceTransform, Task, label_array
from ..data.choices.dataset import ChoiceData
from ..data.choices.examples import choice_features
from ..data.choices.files import read_choices
from ..metrics.classification import evaluate_metrics
from . import text_files
from .base import DevSet, DevSource
from .folder import TaskModel
from .options import DEBUG_ROWS, MAX_LEN, Checked, option
from .texts import TextJob

logger = logging.getLogger(__name__)


@dataclass
class MultipleChoiceData(Checked):
    """The files of multiple choice, and how they are read."""

    train_file: Optional[Path] = option(
        'train on this: .csv or .tsv in the layout of SWAG, or .jsonl with lists of choices',
        type=Path,
    )
    dev_file: Optional[Path] = option('evaluate on this after each epoch', type=Path)
    test_file: Optional[Path] = option(
        'predict for this in the end; evaluate if it has labels', type=Path
    )
    label_column: Optional[str] = option(
        'of the number of the right choice, from 0 (default: label)', type=str
    )
    skip_malformed: bool = option('leave bad rows out and say how many, instead of stopping', False)
    max_len: Optional[int] = option(
        'tokens of a context with a choice, special tokens included; longer ones are cut (default: '
        f'{MAX_LEN}, or what the model takes)',
        type=int,
        check=check_positive,
    )
    batch_size: int = option(
        'examples in a batch, each with all of its choices, on all devices together',
        16,
        int,
        check=check_positive,
    )
    dev_batch_size: int = option('sequences in a batch of evaluation', 8, int, check=check_positive)
    max_train_examples: Optional[int] = option(
        'train on the first rows only', type=int, check=check_positive
    )
    round_to: Optional[int] = option(
        'pad lengths to a multiple of this', type=int, check=check_positive
    )
    pad: bool = option('pad all sequences to max_len', False)
    debug: bool = option(f'use {DEBUG_ROWS} rows of each split, to try out', False)


@dataclass
class MultipleChoiceJob(TextJob):
    """Contexts with choices, evaluated by the share of right ones."""

    Data: ClassVar[type] = MultipleChoiceData

    def _read_glue(self):
        raise ArgumentError('train_file', f'is needed for {self.spec.name}')

    def _read_tables(self):
        data = self.data
        if self.trains and data.train_file is None:
            self._read_glue()
        files = text_files.input_files(data, self.trains)
        self.splits = {
            name: read_choices(
                path,
                label=None if name == 'test' else data.label_column,
                skip_malformed=data.skip_malformed,
            )
            for name, path in files.items()
        }
        for name, split in self.splits.items():
            if name != 'test':
                check_labelled(split)
        parameters = self.saved and self.saved.parameters
        stem = Path(data.train_file or parameters or next(iter(files.values()))).stem
        self.task = Task(stem, '', Columns(None), None, self.spec.metrics)

    @property
    def is_regression(self) -> bool:
        """Always False, for a label is the number of a choice."""
        return False

    def settings(self, config: BertConfig, base: Optional[list[str]]) -> dict[str, Any]:
        return {**super().settings(config, base), 'pair': None}

    def unlabelled_data(self, paths: list[Path], model: TaskModel, pipeline: Any) -> Any:
        raise ArgumentError('unlabelled', f'is not for {self.spec.name}')

    def inputs(self, split: Any) -> list:
        return split.examples

    def training_data(self, model: TaskModel, pipeline: Any, seed: int, ctx: Any) -> Any:
        data, examples = self.data, self.splits['train'].examples
        transform = SentenceTransform(model.tokenizer, data.max_len)
        features, num_cut = [], 0
        with progress_bar('train: tokens', len(examples)) as bar:
            for example in examples:
                sequences, is_cut = choice_features(transform, example)
                features.append(sequences)
                num_cut += is_cut
                bar.update(1)
        text_files.tell_cut('train', num_cut, len(features), self.data.max_len)
        vocab = model.tokenizer.vocabulary
        return ChoiceData(
            features,
            [example.label for example in examples],
            vocab[vocab.padding_token],
            batch_size=data.batch_size,
            seed=seed,
            round_to=data.round_to,
            fixed_length=data.max_len if data.pad else None,
            ctx=ctx,
        )

    def _measure(self, split, results):
        return measure(self.task.metrics, label_array(split.examples), results)

    def _class_report(self, folder, name, split, results):
        return None  # the number of a choice is no class

    def _write_predictions(self, path, examples, results):
        numbers = [str(result.number) for result in results]
        text_files.write_predictions(path, examples, numbers)
        count = max(len(result.probabilities) for result in results)
        rows = [
            (example.index, number, *(f'{share:.6f}' for share in result.probabilities))
            for example, number, result in zip(examples, numbers, results)
        ]
        rows = [(*row, *[''] * (count + 2 - len(row))) for row in rows]
        header = ('index', 'prediction', *(f'choice{number}' for number in range(count)))
        text_files.write_rows(path.with_name(f'{path.stem}_probabilities.tsv'), header, rows)

    @staticmethod
    def dev_set(pipeline: Any, source: DevSource) -> DevSet:
        if source.text is not None or source.pair is not None:
            raise ValueError(
                f'{source.path}: the columns of choices have fixed names, which cannot be chosen'
            )
        label = None if source.label == 'label' else source.label
        split = read_choices(str(source.path), label=label)
        check_labelled(split)
        metric = pipeline.settings.get('metrics', ['accuracy'])[0]

        def score(pipeline, inputs, answers):
            return measure([metric], answers, pipeline(inputs))[metric]

        labels = [example.label for example in split.examples]
        return DevSet(split.path, split.examples, labels, metric, score)


def check_labelled(split: Any) -> None:
    """Raise ValueError unless each example has a label."""
    for example in split.examples:
        if example.label is None:
            raise ValueError(
                f'{split.path}: row {example.index} has no label: expected the number of the right '
                f'choice, from 0, in each'
            )


def measure(metrics: Any, labels: Any, results: list) -> dict[str, float]:
    """Compute metrics of the numbers of choices."""
    return evaluate_metrics(metrics, labels, [result.number for result in results])
