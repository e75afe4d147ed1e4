"""Token classification: tagged files, windows of long sentences, scores by type or tag."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Optional

import numpy as np

from .._internal.errors import ArgumentError
from .._internal.files import write_text
from .._internal.progress import progress_bar
from ..config import BertConfig
from ..data import (
    SequenceData,
    TaggedFile,
    check_entity_types,
    convert_tags,
    get_scheme,
    read_tagged,
    reading_of,
    repair_tags,
    split_tag,
    tag_names,
    window_labels,
    write_tagged,
)
from ..data.ner.schemes import OUTSIDE
from ..metrics.entities import EntityReport, entity_report, format_entity_report
from . import model_card
from .base import DevSet, DevSource, Job
from .distillation.texts import read_unlabelled
from .folder import TaskModel
from .loss import ClassCounts
from .options import DEBUG_SENTENCES, MAX_WINDOW, TaggedData

logger = logging.getLogger(__name__)


class TaggedSplit(NamedTuple):
    """A file as the network reads it; ``gold`` are its tags in the scheme of the network."""

    file: TaggedFile
    windows: list
    gold: Optional[list]


@dataclass
class TokenClassificationJob(Job):
    """Entities in sentences, or a tag for each word."""

    Data: ClassVar[type] = TaggedData

    @property
    def stem(self) -> str:
        return 'model_ner'

    @property
    def log_file(self) -> str:
        return 'log_ner.txt'

    # --- reading

    def read(self) -> None:
        data = self.data
        paths = {'train': data.train_file, 'dev': data.dev_file, 'test': data.test_file}
        if not self.trains:
            paths['train'] = None
        scheme, entity_types, source = data.scheme, None, None
        if self.known is not None:
            scheme = scheme or self.known.settings['file_scheme']
            source = 'training' if self.saved is not None else 'the teacher'
            entity_types = self.known.settings['kinds']
        for name, path in paths.items():
            if path is None:
                continue
            file = self._read(name, path, scheme)
            if entity_types is None:
                entity_types, source, scheme = file.entity_types(), path, file.scheme
                _check_types(entity_types, scheme, path)
            _check_options(data, str(scheme))
            check_entity_types(file, entity_types, str(source))
            _tell(name, file)
            if data.debug:
                file = file._replace(sentences=file.sentences[:DEBUG_SENTENCES])
            self.splits[name] = file

    def _read(self, name, path, scheme):
        data = self.data
        file = read_tagged(
            path,
            scheme=scheme,
            repair=data.repair,
            word_column=data.word_column,
            tag_column=None if name == 'test' and data.untagged_test else data.tag_column,
        )
        if name != 'test' and not file.has_tags:
            raise ArgumentError(f'{name}_file', 'has no tags', path)
        return file

    # --- the network

    def settings(self, config: BertConfig, base: Optional[list[str]]) -> dict[str, Any]:
        data = self.data
        if self.known is not None:
            settings = {**self.known.settings, 'base': base}
        else:
            settings = {**self._learned(self.splits['train']), 'base': base}
        settings.update(
            max_len=data.max_len or min(MAX_WINDOW, config.max_length),
            overlap=data.overlap,
            batch_size=data.dev_batch_size,
        )
        if not 3 <= settings['max_len'] <= config.max_length:
            raise ArgumentError(
                'max_len',
                f'expected 3 to {config.max_length}, the longest sequence of the model',
                settings['max_len'],
            )
        return settings

    def _learned(self, file):
        """The settings of a new tagger, by its training file."""
        data = self.data
        scheme = data.model_scheme or ('IOB2' if file.scheme == 'IOB1' else file.scheme)
        lengths = [len(word) for sentence in file.sentences for word in sentence.words]
        return {
            'name': file.path.rsplit('/', 1)[-1],
            'kinds': file.entity_types(),
            'scheme': get_scheme(scheme).name,
            'file_scheme': file.scheme,
            'crf': data.crf,
            'strict': data.strict,
            'dropout': data.dropout,
            # Where nearly all words are of one character, the characters are the words.
            'characters': lengths.count(1) > 0.99 * len(lengths),
        }

    def prepare(self, pipeline: Any, folder: Path) -> None:
        self.splits = {
            name: self._prepare(pipeline, name, file) for name, file in self.splits.items()
        }

    def _prepare(self, pipeline, name, file):
        windows = pipeline.windows([row.words for row in file.sentences])
        if not windows:
            raise ValueError(f'{file.path}: has no words')
        num_long = len({window.sentence for window in windows if window.begin})
        if num_long:
            logger.info(
                '%s: %d of %d sentences have more than %d tokens and are read in windows',
                name,
                num_long,
                len(file.sentences),
                pipeline.settings['max_len'],
            )
        gold = None
        if file.has_tags:
            gold = [
                convert_tags(row.tags, file.scheme, pipeline.settings['scheme'])
                for row in file.sentences
            ]
        return TaggedSplit(file, windows, gold)

    def examples(self, split: Any) -> list:
        return split.file.sentences

    def training_data(self, model: TaskModel, pipeline: Any, seed: int, ctx: Any) -> SequenceData:
        split = self.splits['train']
        numbers = {tag: number for number, tag in enumerate(pipeline.tags)}
        labels = window_labels(split.windows, [[numbers[tag] for tag in row] for row in split.gold])
        features = [window.features for window in split.windows]
        return self.sequence_data(model, features, labels, seed, ctx)

    def unlabelled_data(
        self, paths: list[Path], model: TaskModel, pipeline: Any
    ) -> tuple[list, Optional[list]]:
        sentences = [str(text).split() for text in read_unlabelled(paths, pairs=False)]
        windows = pipeline.windows(sentences)
        labels = window_labels(windows, [[0] * len(words) for words in sentences])
        return [window.features for window in windows], labels

    def objective(self, model: TaskModel) -> Any:
        if not model.settings['crf']:
            return super().objective(model)
        for name in ('label_smoothing', 'class_weights'):
            if getattr(self.data, name):
                raise ArgumentError(name, 'is not for {crf}', getattr(self.data, name))
        return model.network.loss

    def class_counts(self, model: TaskModel) -> ClassCounts:
        return count_types(self.splits['train'].gold, model.settings)

    def before_training(self, model: TaskModel, learning_rate: float) -> None:
        if model.settings['crf']:
            for parameter in model.network.crf.collect_params().values():
                parameter.lr_mult = self.data.crf_lr / learning_rate

    # --- evaluation

    def evaluate(self, pipeline: Any) -> dict[str, float]:
        split = self.splits['dev']
        report = self._measure(pipeline, split, self._predict(pipeline, split))
        return figures_of(report, pipeline.settings['scheme'])

    def _predict(self, pipeline, split):
        """The tags of each sentence, in the network's scheme."""
        sentences = [row.words for row in split.file.sentences]
        with progress_bar('sentences', len(sentences)) as bar:
            return pipeline.raw_tags(sentences, progress=bar.update)

    def _measure(self, pipeline, split, predicted):
        scheme = pipeline.settings['scheme']
        return entity_report(split.gold, predicted, reading_of(scheme, self.data.strict))

    # --- reports

    def write(self, pipeline: Any, folder: Path) -> list[model_card.SplitReport]:
        return [self._write(pipeline, folder, name, split) for name, split in self.splits.items()]

    def _write(self, pipeline, folder, name, split):
        file = split.file
        row = model_card.SplitReport(name, file.path, len(file.sentences))
        if name == 'train':
            return row
        predicted = self._predict(pipeline, split)
        if file.has_tags:
            row = self._report(pipeline, folder, split, predicted, row)
        # The entities that conlleval sees in the predictions, as valid tags of the file's scheme.
        scheme = file.scheme or pipeline.settings['file_scheme']
        written = [repair_tags(tags, scheme) for tags in predicted]
        path = folder / f'{name}_predictions{".json" if file.layout == "json" else ".conll"}'
        write_tagged(path, file, written)
        logger.info('%s: predictions: %s', name, path)
        return row

    def _report(self, pipeline, folder, split, predicted, row):
        report = self._measure(pipeline, split, predicted)
        scheme = pipeline.settings['scheme']
        has_spans, figures = get_scheme(scheme).has_spans, figures_of(report, scheme)
        text = format_entity_report(report, 'entities' if has_spans else 'words')
        write_text(folder / f'{row.name}_report.txt', text + '\n')
        scores = {
            **figures,
            'macro_f1': report.macro_f1,
            'accuracy': report.accuracy,
            **({'strict': self.data.strict} if has_spans else {}),
            'by_type': {
                kind.name: {**kind._asdict(), **scores_of(kind)} for kind in report.by_type
            },
        }
        write_text(
            folder / f'{row.name}_metrics.json',
            json.dumps(scores, indent=1, ensure_ascii=False) + '\n',
        )
        metric = next(iter(figures))
        logger.info('%s: %s=%.4f\n%s', row.name, metric, figures[metric], text)
        return row._replace(metrics=figures, report=text)

    # --- other makers' checkpoints, dev sets

    @staticmethod
    def dev_set(pipeline: Any, source: DevSource) -> DevSet:
        settings = pipeline.settings
        scheme = settings['scheme']
        # A file of entities may be in another scheme than the network's.
        known = None if get_scheme(scheme).has_spans else scheme
        content = read_tagged(str(source.path), repair=True, scheme=known)
        if not content.has_tags:
            raise ValueError(f'{source.path}: has no tags')
        sentences = [row.words for row in content.sentences]
        gold = [
            convert_tags(row.tags or (), str(content.scheme), scheme) for row in content.sentences
        ]
        reading = reading_of(scheme, bool(settings.get('strict')))
        metric = 'accuracy' if known else 'f1'

        def measure(pipeline, inputs, answers):
            report = entity_report(answers, pipeline.raw_tags(inputs), reading)
            return figures_of(report, scheme)[metric]

        return DevSet(str(source.path), sentences, gold, metric, measure)


def scores_of(row: Any) -> dict[str, float]:
    """Take F1, precision and recall from a row of a report."""
    return {'f1': row.f1, 'precision': row.precision, 'recall': row.recall}


def figures_of(report: EntityReport, scheme: str) -> dict[str, float]:
    """Choose the figures of a report by its tags' scheme; the first chooses the epoch."""
    if get_scheme(scheme).has_spans:
        return scores_of(report.overall)
    return {'accuracy': report.accuracy, 'macro_f1': report.macro_f1}


def count_types(sentences: list, settings: dict[str, Any]) -> ClassCounts:
    """Count the words of each type, and of none, in tags of a network's scheme."""
    tags = tag_names(settings['kinds'], settings['scheme'])
    types = tags
    if get_scheme(settings['scheme']).has_spans:
        types = [tag if tag == OUTSIDE else split_tag(tag)[1] for tag in tags]
    names = list(dict.fromkeys(types))
    numbers = {tag: names.index(type) for tag, type in zip(tags, types)}
    words = [numbers[tag] for row in sentences for tag in row]
    counts = np.bincount(words, minlength=len(names))
    return ClassCounts(names, counts, len(words), [numbers[tag] for tag in tags])


def _check_types(entity_types, scheme, path):
    """Check that there is something to learn."""
    if not entity_types:
        raise ArgumentError('train_file', 'has no entities', path)
    if not get_scheme(scheme).has_spans and len(entity_types) == 1:
        raise ArgumentError('train_file', f'each word has the tag {entity_types[0][:80]!r}', path)


def _check_options(data, scheme):
    """Refuse what has no meaning for the tags of a file."""
    if not get_scheme(scheme).has_spans and data.strict:
        raise ArgumentError('strict', f'is for entities, but the scheme {scheme} has none')
    if data.model_scheme is not None:
        model_scheme = get_scheme(data.model_scheme)
        if model_scheme.has_spans != get_scheme(scheme).has_spans:
            raise ArgumentError(
                'model_scheme',
                f'tags of the scheme {scheme} cannot be learnt in it',
                model_scheme.name,
            )


def _tell(name, file):
    """Log what a file holds and what was mended in it."""
    tags = ', no tags'
    if file.has_tags and get_scheme(file.scheme).has_spans:
        tags = f', {file.num_entities()} entities in {file.scheme}'
    elif file.has_tags:
        tags = f', {len(file.entity_types())} tags in {file.scheme}'
    logger.info(
        '%s: %d sentences, %d words%s from %s',
        name,
        len(file.sentences),
        sum(len(sentence.words) for sentence in file.sentences),
        tags,
        file.path,
    )
    if file.repairs:
        logger.warning(
            '%s: %d places repaired, the first: %s', name, len(file.repairs), file.repairs[0]
        )
