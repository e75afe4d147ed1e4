"""A dev set for a fine-tuned pipeline: its inputs, right answers, and the score of its task."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..data import (
    convert_tags,
    get_task,
    label_array,
    read_squad,
    read_table,
    read_tagged,
    read_task,
    task_folder,
)
from ..metrics.classification import evaluate_metrics
from ..metrics.entities import entity_report
from ..metrics.squad import evaluate_squad


class DevSet(NamedTuple):
    """Data with right answers.

    ``inputs`` are as the pipeline takes them, ``answers`` belong to them in order;
    ``measure(pipeline, inputs, answers)`` gives the figure ``metric``, 1 at best, the first of the
    task's metrics.
    """

    path: str
    inputs: list
    answers: list
    metric: str
    measure: Callable

    def score(self, pipeline):
        """The figure of a pipeline of the same task."""
        return self.measure(pipeline, self.inputs, self.answers)

    def part(self, indices):
        """A dev set of some of the examples."""
        return self._replace(
            inputs=[self.inputs[i] for i in indices], answers=[self.answers[i] for i in indices]
        )


def read_dev(pipeline, path=None, data_dir=None, text=None, pair=None, label='label'):
    """The dev set of a pipeline's task.

    Parameters
    ----------
    pipeline : TaskPipeline
    path : str or Path, optional
        A table of texts with labels or scores; for questions SQuAD's layout; for entities a file of
        :func:`.read_tagged`.
    data_dir : str or Path, optional
        Without ``path``, for a GLUE task: its folder; by default the one in $GLUE_DIR.
    text, pair, label : str, optional
        Columns of a table.

    Returns
    -------
    DevSet

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, it is malformed, or it has no right answers.
    """
    if pipeline.task in ('classification', 'regression'):
        return _texts(pipeline, path, data_dir, text, pair, label)
    if path is None:
        raise ValueError(f'for {pipeline.task} the file of the dev set must be named')
    return {'questions': _questions, 'entities': _entities}[pipeline.task](pipeline, path)


def features_of(pipeline, inputs, most=128):
    """The sequences of inputs of a pipeline, as the network reads them.

    Parameters
    ----------
    pipeline : TaskPipeline
    inputs : list
    most : int
        So many sequences, spread evenly over their lengths, if there are more.

    Returns
    -------
    list of Features
        By length.
    """
    features = sorted(pipeline.features(inputs), key=lambda feature: feature.valid_length)
    if len(features) <= most:
        return features
    return [features[i] for i in np.linspace(0, len(features) - 1, most).round().astype(int)]


def _texts(pipeline, path, data_dir, text, pair, label):
    """Of classes or scores."""
    settings, regression = pipeline.settings, pipeline.task == 'regression'
    labels = None if regression else settings['labels']
    if path is None:
        split = _glue_split(settings, data_dir)
    else:
        columns = settings.get('columns') or {'text': None, 'pair': None}
        if text is None and isinstance(columns['text'], str):
            text, pair = columns['text'], pair or columns['pair']
        split = read_table(
            path, text=text, pair=pair, label=label, labels=labels, regression=regression
        )
    right = label_array(split.examples)
    if right is None:
        raise ValueError(f'{split.path}: has no labels')
    metric = settings.get('metrics', ['pearson' if regression else 'accuracy'])[0]
    inputs = [row.text if row.pair is None else (row.text, row.pair) for row in split.examples]

    def measure(pipeline, inputs, answers):
        found = [
            result.value if regression else labels.index(result.label)
            for result in pipeline(inputs)
        ]
        return evaluate_metrics([metric], answers, found)[metric]

    return DevSet(split.path, inputs, list(right), metric, measure)


def _glue_split(settings, data_dir):
    name = settings.get('name')
    try:
        task = get_task(name)
    except ValueError:
        raise ValueError(
            f'the network was trained on {name!r}, which is no task of GLUE: the file '
            f'of the dev set must be named'
        ) from None
    if list(task.labels or ()) != settings.get('labels', []):
        raise ValueError(
            f'the network has other classes than {task.name}: the file of the dev set must be named'
        )
    split = next(split for split in task.files if split.startswith('dev'))
    return read_task(task, Path(data_dir) if data_dir else task_folder(task), split)


def _questions(pipeline, path):
    content, settings = read_squad(path), pipeline.settings
    questions = content.questions
    if not content.has_answers:
        raise ValueError(f'{path}: has no answers')

    def measure(pipeline, inputs, questions):
        found = {
            question.id: prediction.text
            for question, prediction in zip(questions, pipeline.predictions(questions))
        }
        return (
            evaluate_squad(
                questions,
                found,
                version_2=settings['version_2'],
                characters=bool(settings.get('character_f1')),
            )['f1']
            / 100
        )

    inputs = [(row.question, row.context) for row in questions]
    return DevSet(str(path), inputs, questions, 'f1', measure)


def _entities(pipeline, path):
    content, settings = read_tagged(path, repair=True), pipeline.settings
    if not content.has_tags:
        raise ValueError(f'{path}: has no tags')
    sentences = [row.words for row in content.sentences]
    gold = [convert_tags(row.tags, content.scheme, settings['scheme']) for row in content.sentences]

    def measure(pipeline, inputs, answers):
        return entity_report(
            answers,
            pipeline.raw_tags(inputs),
            settings['scheme'] if settings.get('strict') else None,
        ).overall.f1

    return DevSet(str(path), sentences, gold, 'f1', measure)
