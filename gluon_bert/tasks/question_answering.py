"""Question answering: SQuAD's files, windows of long paragraphs, the official evaluation."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Optional

from .._internal.errors import ArgumentError
from .._internal.files import write_text
from .._internal.progress import progress_bar
from ..config import BertConfig
from ..data import SequenceData, cached_windows, read_squad
from ..data.squad.windows import AnswersWithoutTokens
from ..metrics.squad import evaluate_squad
from ..zoo.fetch.store import default_root
from . import model_card
from .base import DevSet, DevSource, Job
from .folder import TaskModel
from .options import DEBUG_QUESTIONS, LONGEST_WINDOW, QUESTION_SETTINGS, SquadData

logger = logging.getLogger(__name__)

_CANDIDATE = ('text', 'probability', 'start_logit', 'end_logit')  # of nbest_predictions.json


@dataclass
class QuestionAnsweringJob(Job):
    """Questions about paragraphs."""

    Data: ClassVar[type] = SquadData
    windows: dict[str, Any] = field(default_factory=dict)
    unsaved: list = field(default_factory=list)

    @property
    def stem(self) -> str:
        return 'model_bert_squad'

    @property
    def log_file(self) -> str:
        return 'log_squad.txt'

    # --- reading

    def read(self) -> None:
        data = self.data
        version = '2.0' if data.version_2 else '1.1'
        # A file of one's own goes with another of one's own.
        default = None if data.train_file or data.dev_file else squad_folder()
        files = {
            'train': data.train_file or (default and default / f'train-v{version}.json'),
            'dev': data.dev_file or (default and default / f'dev-v{version}.json'),
        }
        if not self.trains:
            del files['train']
        elif not files['train']:
            raise ArgumentError('dev_file', 'goes with {train_file} or {only_predict}')
        for name, path in files.items():
            if path is not None:
                self.splits[name] = self._read(name, Path(path))
        self._check_answers(files.get('train'))

    def _read(self, name, path):
        if not path.is_file():
            raise FileNotFoundError(
                f'{path}: there is no such file; give --train_file and '
                f'--predict_file, or set SQUAD_DIR to their folder'
            )
        content = read_squad(path, training=name == 'train', skip_bad=self.data.skip_bad)
        skipped = f', {content.num_skipped} bad ones left out' * bool(content.num_skipped)
        logger.info('%s: %d questions from %s%s', name, len(content.questions), path, skipped)
        if self.data.debug:
            content = content._replace(questions=content.questions[:DEBUG_QUESTIONS])
        return content

    def _check_answers(self, path):
        """Refuse to learn from questions without an answer, but for SQuAD 2.0."""
        if not self.trains or self.data.version_2:
            return
        impossible = [
            question.id for question in self.splits['train'].questions if question.is_impossible
        ]
        if impossible:
            raise ValueError(
                f'{path}: {len(impossible)} questions have no answer, the '
                f'first is {impossible[0]!r}; use --version_2'
            )

    # --- the network

    def settings(self, config: BertConfig, base: Optional[list[str]]) -> dict[str, Any]:
        data = self.data
        if data.max_seq_length is None:
            data.max_seq_length = min(LONGEST_WINDOW, config.max_length)
        if not data.max_seq_length <= config.max_length:
            raise ArgumentError(
                'max_seq_length',
                f'expected at most {config.max_length}, the longest sequence of '
                f'{base[0] if base else "the model"}',
                data.max_seq_length,
            )
        return {
            'name': 'SQuAD 2.0' if data.version_2 else 'SQuAD 1.1',
            **{name: getattr(data, name) for name in QUESTION_SETTINGS},
            'batch_size': data.dev_batch_size,
            'base': base,
        }

    def prepare(self, pipeline: Any, folder: Path) -> None:
        folder = Path(self.data.feature_cache or folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name in self.splits:
            try:
                self.windows[name] = self._windows(pipeline, folder, name)
            except AnswersWithoutTokens as error:
                if not self.data.skip_bad:
                    raise ValueError(f'{self.splits[name].path}: {error}') from None
                self._leave_out(name, error)
                self.windows[name] = self._windows(pipeline, folder, name)
            logger.info('%s: %d windows', name, len(self.windows[name]))

    def _windows(self, pipeline, folder, name):
        questions = self.splits[name].questions
        texts = len(questions) + len({question.context for question in questions})
        with progress_bar(f'{name}: tokens', texts) as bar:
            return pipeline.windows(
                questions,
                partial(cached_windows, folder, later=self.unsaved),
                progress=bar.update,
                with_spans=name == 'train',
            )

    def _leave_out(self, name, error):
        """Leave out the questions whose answers have no tokens."""
        split, bad = self.splits[name], set(error.positions)
        kept = [row for number, row in enumerate(split.questions) if number not in bad]
        if not kept:
            raise ValueError(f'{split.path}: no questions remain; {error}')
        logger.warning('%s: %d bad ones left out: %s', name, len(bad), error)
        self.splits[name] = split._replace(questions=kept, num_skipped=split.num_skipped + len(bad))

    def keep_prepared(self) -> None:
        for write in self.unsaved:
            write()
        self.unsaved.clear()

    def examples(self, split: Any) -> list:
        return split.questions

    def training_data(self, model: TaskModel, pipeline: Any, seed: int, ctx: Any) -> SequenceData:
        windows = self.windows['train']
        return self.sequence_data(model, windows.features(), windows.span, seed, ctx)

    # --- evaluation

    @property
    def can_evaluate(self) -> bool:
        return 'dev' in self.splits and self.splits['dev'].has_answers

    def evaluate(self, pipeline: Any) -> dict[str, float]:
        metrics = self._measure(self.splits['dev'].questions, self._predict(pipeline, 'dev'))
        # The figures of which more is better, to choose an epoch and to draw.
        return {
            name: value
            for name, value in metrics.items()
            if name.endswith(('f1', 'exact', 'exact_match'))
        }

    def _predict(self, pipeline, name):
        questions = self.splits[name].questions
        with progress_bar('answers', len(questions)) as bar:
            return pipeline.predictions(questions, self.windows[name], progress=bar.update)

    def _measure(self, questions, answers):
        """All figures of the official evaluation, thresholds included."""
        data = self.data
        if not data.version_2:
            texts = {question.id: answer.text for question, answer in zip(questions, answers)}
            return evaluate_squad(questions, texts, characters=data.character_f1)
        # With the threshold applied here, the best one can be found among all: a question that was
        # given up already could not be answered again.
        return evaluate_squad(
            questions,
            {question.id: answer.best_text for question, answer in zip(questions, answers)},
            version_2=True,
            characters=data.character_f1,
            null_odds={
                question.id: answer.null_odds for question, answer in zip(questions, answers)
            },
            null_threshold=data.null_score_diff_threshold,
        )

    # --- reports

    def write(self, pipeline: Any, folder: Path) -> list[model_card.SplitReport]:
        return [self._write(pipeline, folder, name) for name in self.splits]

    def _write(self, pipeline, folder, name):
        split = self.splits[name]
        row = model_card.SplitReport(name, split.path, len(split.questions))
        if name == 'train':
            return row
        questions, answers = split.questions, self._predict(pipeline, name)
        files = prediction_files(questions, answers, self.data.version_2)
        if split.has_answers:
            metrics = self._measure(questions, answers)
            files['evaluation.json'] = metrics
            row = row._replace(metrics=metrics)
            logger.info(
                '%s: %s',
                name,
                ' '.join(
                    f'{metric}={value:.4f}' if isinstance(value, float) else f'{metric}={value}'
                    for metric, value in metrics.items()
                ),
            )
        else:
            logger.info('%s has no answers: predicted, not evaluated', split.path)
        for file, content in files.items():
            # Half a character, from an escape in the file, becomes that escape again.
            text = json.dumps(content, indent=1, ensure_ascii=False) + '\n'
            write_text(folder / file, text, errors='backslashreplace')
        logger.info('answers: %s', folder / 'predictions.json')
        return row

    # --- other makers' checkpoints, dev sets

    @staticmethod
    def dev_set(pipeline: Any, source: DevSource) -> DevSet:
        content, settings = read_squad(str(source.path)), pipeline.settings
        if not content.has_answers:
            raise ValueError(f'{source.path}: has no answers')

        def measure(pipeline, inputs, questions):
            predicted = {
                question.id: prediction.text
                for question, prediction in zip(questions, pipeline.predictions(questions))
            }
            return (
                evaluate_squad(
                    questions,
                    predicted,
                    version_2=settings['version_2'],
                    characters=bool(settings.get('character_f1')),
                )['f1']
                / 100
            )

        inputs = [(row.question, row.context) for row in content.questions]
        return DevSet(str(source.path), inputs, content.questions, 'f1', measure)


def squad_folder() -> Path:
    """Name the folder where the official files are looked for."""
    folder = os.environ.get('SQUAD_DIR')
    return Path(folder) if folder else default_root().parent / 'datasets' / 'squad'


def prediction_files(questions: list, answers: list, version_2: bool) -> dict[str, Any]:
    """Lay answers out as the official evaluation reads them.

    Returns
    -------
    dict of str to dict
        Name of a file -> its content by the ids of the questions.
    """
    pairs = list(zip(questions, answers))
    files: dict[str, Any] = {
        'predictions.json': {question.id: answer.text for question, answer in pairs},
        'nbest_predictions.json': {
            question.id: [
                {key: getattr(candidate, key) for key in _CANDIDATE}
                for candidate in answer.candidates
            ]
            for question, answer in pairs
        },
    }
    if version_2:
        files['null_odds.json'] = {question.id: answer.null_odds for question, answer in pairs}
    return files
