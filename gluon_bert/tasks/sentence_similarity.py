"""Sentence vectors: pairs, triplets, scored pairs or lines to a folder of sentence-transformers."""

from __future__ import annotations

import dataclasses
import logging
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Optional

from .._internal.errors import ArgumentError
from .._internal.files import remove_leftovers, staging_folder
from .._internal.progress import progress_bar
from .._internal.suggestions import unknown_name
from ..checkpoint import Checkpoint, write_checkpoint
from ..checkpoint.huggingface.folder import describe_huggingface
from ..checkpoint.sentence import Normalize, SentenceSettings
from ..checkpoint.task_file import likely_family
from ..config import BertConfig
from ..data import GroupData, SentenceTransform, TextGroups
from ..inference.checks import inner_bert
from ..inference.pooling import SEPARATOR
from ..modeling.embedder import TRAINED_POOLINGS
from ..training.files import CURVE_FILE, RunFiles
from ..training.sentence_objectives import SENTENCE_LOSSES, SentenceLoss, make_sentence_objective
from . import sentence_data
from .base import DevSet, DevSource, Job
from .folder import TaskModel
from .model_card import SplitReport
from .options import DEBUG_ROWS, MAX_LEN
from .sentence_options import SentenceData
from .text_files import write_rows

logger = logging.getLogger(__name__)

MODEL_FOLDER = 'model'
_LOSS_OPTIONS = ('scale', 'symmetric', 'distance', 'margin')


@dataclass
class SentenceJob(Job):
    """Vectors of texts, trained by how similar texts are."""

    Data: ClassVar[type] = SentenceData
    loss: Any = None  # the SentenceLoss
    sentence: Any = None  # SentenceSettings of the model that training starts from
    width: int = 0  # of the vectors

    @property
    def stem(self) -> str:
        return 'model_bert_sentences'

    @property
    def log_file(self) -> str:
        return 'log_sentences.txt'

    # --- reading

    def read(self) -> None:
        data = self.data
        if data.loss is not None and data.loss not in SENTENCE_LOSSES:
            raise unknown_name('loss', data.loss, SENTENCE_LOSSES)
        self.splits = sentence_data.read_splits(data)
        limits = dict.fromkeys(self.splits, DEBUG_ROWS if data.debug else None)
        if data.max_train_examples:
            limits['train'] = min(
                data.max_train_examples, limits['train'] or data.max_train_examples
            )
        for name, groups in self.splits.items():
            groups = sentence_data.scaled(groups, data.score_range)
            self.splits[name] = groups = _first(groups, limits[name])
            columns = f', columns {", ".join(groups.columns)}' if groups.columns else ''
            logger.info('%s: %d examples from %s%s', name, len(groups.texts), groups.path, columns)
        self.loss: SentenceLoss = sentence_data.choose_loss(data.loss, self.splits['train'])
        sentence_data.check_training(self.splits['train'], self.loss)
        for name, groups in self.splits.items():
            if name != 'train':
                sentence_data.check_evaluation(groups)
        self._make_objective()

    def examples(self, split: TextGroups) -> list:
        scores: list = split.scores or [None] * len(split.texts)
        return [(*texts, score) for texts, score in zip(split.texts, scores)]

    def start_from(self, bert: Any) -> None:
        self.sentence = bert.sentence or SentenceSettings(modules=(Normalize(),))
        for module in self.sentence.modules:
            if not isinstance(module, Normalize):
                raise ValueError(
                    f'the model has the module {type(module).__name__} after its pooling: only '
                    f'models without such layers can be trained'
                )
        if self.sentence.default_prompt is not None:
            logger.warning(
                'the model puts the prompt %r before texts; it is trained without',
                self.sentence.default_prompt,
            )
        lower = self.sentence.lower
        for name, groups in self.splits.items():
            texts = [
                tuple((text.lower() if lower else text).strip() for text in example)
                for example in groups.texts
            ]
            self.splits[name] = groups._replace(texts=texts)

    def settings(self, config: BertConfig, base: Optional[list[str]]) -> dict[str, Any]:
        data, sentence = self.data, self.sentence
        pooling = [*sentence.modes] if data.pooling is None else data.pooling.split(SEPARATOR)
        if not pooling or not {*pooling} <= {*TRAINED_POOLINGS} or len({*pooling}) < len(pooling):
            raise ArgumentError(
                'pooling',
                f'expected one of {", ".join(TRAINED_POOLINGS)}, or several, such as cls+mean',
                SEPARATOR.join(pooling),
            )
        longest = config.max_length
        if data.max_len is None:
            data.max_len = min(sentence.max_length or MAX_LEN, longest)
        if not 3 <= data.max_len <= longest:
            raise ArgumentError(
                'max_len',
                f'expected 3 to {longest}, the longest that the model takes',
                data.max_len,
            )
        self.width = config.units * len(pooling)
        if data.matryoshka and max(data.matryoshka) > self.width:
            reason = f'the vectors have {self.width} units'
            raise ArgumentError('matryoshka', reason, max(data.matryoshka))
        normalize = bool(sentence.modules) if data.normalize is None else data.normalize
        return {
            'name': Path(data.train_file).stem if data.train_file else data.task_name,
            'pooling': pooling,
            'normalize': normalize,
            'metrics': list(self._metrics()) or None,
            'max_len': data.max_len,
            'batch_size': data.dev_batch_size,
            'base': base,
        }

    def _metrics(self):
        return sentence_data.metrics_of(self.splits['dev']) if 'dev' in self.splits else ()

    def training_data(self, model: TaskModel, pipeline: Any, seed: int, ctx: Any) -> GroupData:
        data, row, groups = self.data, self.loss, self.splits['train']
        if isinstance(ctx, (list, tuple)) and len(ctx) > 1:
            raise ValueError(
                f'{len(ctx)} devices would share each batch, whose texts are compared with each '
                f'other: expected one device'
            )
        numbers, texts = sentence_data.number_texts(groups.texts)
        transform = SentenceTransform(model.tokenizer, data.max_len)
        with progress_bar('train: tokens', len(texts)) as bar:
            features, num_cut = transform.transform_batch(texts, None, progress=bar.update)
        if num_cut:
            logger.warning(
                'train: %d of %d texts were longer than --max_len %d tokens and were cut',
                num_cut,
                len(texts),
                data.max_len,
            )
        vocab = model.tokenizer.vocabulary
        return GroupData(
            features,
            numbers,
            groups.scores if row.is_scored else None,
            vocab[vocab.padding_token],
            data.batch_size,
            seed,
            distinct=row.in_batch,
            repeats=2 if row.repeats else 1,
            least=2 if row.compares else 1,
            round_to=data.round_to,
            ctx=ctx,
        )

    def objective(self, model: TaskModel) -> Any:
        return self._make_objective()

    def _make_objective(self):
        data, row = self.data, self.loss
        given = {name: getattr(data, name) for name in _LOSS_OPTIONS}
        columns = 2 if row.repeats else len(self.splits['train'].texts[0])
        options = {name: value for name, value in given.items() if value not in (None, False)}
        return make_sentence_objective(
            row.name, columns, tuple(data.matryoshka), data.cache_size, **options
        )

    # --- evaluation and reports

    def evaluate(self, pipeline: Any) -> dict[str, float]:
        return sentence_data.measure(self.splits['dev'], pipeline.vectors)[0]

    def write(self, pipeline: Any, folder: Path) -> list[SplitReport]:
        reports = []
        for name, groups in self.splits.items():
            metrics = None
            if name != 'train':
                metrics, cosines = sentence_data.measure(groups, pipeline.vectors)
                shown = ' '.join(f'{key}={value:.4f}' for key, value in metrics.items())
                logger.info('%s: %s', name, shown)
                rows = [(number, f'{value:.6f}') for number, value in enumerate(cosines)]
                write_rows(folder / f'{name}_cosines.tsv', ('index', 'cosine'), rows)
            reports.append(SplitReport(name, groups.path, len(groups.texts), metrics))
        return reports

    @staticmethod
    def dev_set(pipeline: Any, source: DevSource) -> DevSet:
        raise ValueError('sentence vectors have no dev set with right answers')

    # --- the folder

    def result_folder(self, folder: Path) -> Path:
        return folder / MODEL_FOLDER

    def clear(self, folder: Path) -> None:
        super().clear(folder)
        target = folder / MODEL_FOLDER
        remove_leftovers(folder, MODEL_FOLDER)
        if target.is_dir():
            shutil.rmtree(target)

    def save_first(self, folder: Path, model: TaskModel) -> None:
        with tempfile.TemporaryDirectory() as temporary:
            describe_huggingface(self._checkpoint(model), temporary)

    def refuse_unasked(self, folder: Path, overwrite: bool) -> None:
        target = folder / MODEL_FOLDER
        if target.exists() and not RunFiles(folder).has_run:
            raise ValueError(f'{target}: is there, and is not of a run; choose another folder')

    def save(self, folder: Path, model: TaskModel, parameters: str) -> None:
        target = folder / MODEL_FOLDER
        with staging_folder(target) as temporary:
            write_checkpoint(self._checkpoint(model), temporary / MODEL_FOLDER, 'huggingface')
            if (folder / CURVE_FILE).is_file():
                shutil.copy(folder / CURVE_FILE, temporary / MODEL_FOLDER)
            if target.is_dir():
                shutil.rmtree(target)
            (temporary / MODEL_FOLDER).rename(target)

    def _checkpoint(self, model):
        bert, settings = inner_bert(model.network), model.settings
        sentence = dataclasses.replace(
            self.sentence,
            modes=tuple(settings['pooling']),
            modules=(Normalize(),) if settings['normalize'] else (),
            max_length=settings['max_len'],
            similarity='cosine',
        )
        return Checkpoint(
            bert.checkpoint_arrays(),
            bert.config,
            likely_family(bert.config, model.tokenizer),
            model.tokenizer,
            source='the network',
            sentence=sentence,
        )


def _first(groups, count):
    if count is None:
        return groups
    scores = None if groups.scores is None else groups.scores[:count]
    return groups._replace(texts=groups.texts[:count], scores=scores)
