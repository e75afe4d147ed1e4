"""The tasks that a network is fine-tuned for: one row each.

All that differs from task to task is a field of its row. Classes and functions are named by their
place, ``module:name``, and imported on use, so that reading the rows imports no MXNet.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .._internal.suggestions import unknown_name
from ..data.ner.transitions import tag_names
from .settings import ACTIVATION, COUNT, FLAG, LABELS, NUMBER, SHARE, SHARES, TEXT, TYPES, Setting


@dataclass(frozen=True)
class Head:
    """The head of a task's network.

    Parameters
    ----------
    checkpoint : str
        Its name in :attr:`.Checkpoint.heads`.
    weight : str
        The array of a checkpoint that has a row for each output.
    pooled : bool
        Whether it reads the pooled vector; without it the network has no pooler, which would get
        no gradient.
    make : str
        Place of a function ``(bert, size, settings)`` that gives the network.
    """

    checkpoint: str
    weight: str
    pooled: bool
    make: str


@dataclass(frozen=True)
class TaskSpec:
    """A task.

    Parameters
    ----------
    name : str
        In the field's terms, as Hugging Face tags it where it has a tag.
    aliases : tuple of str
        Other names that are read, such as those of gluon_bert 0.1.
    title : str
        For people.
    head : Head
    settings : mapping of str to Setting
        Those that there must be, in ``task.json`` and in memory; ``settings.OPTIONAL`` has more.
    size : callable
        Settings -> number of outputs for a text or token.
    is_trained_for : callable
        ``(checkpoint, size)`` of a :class:`.Checkpoint` with this head -> whether it is of this
        task.
    job : str
        Place of the :class:`.Job`: how data are read, become features and labels, and are
        evaluated.
    checkpoint_settings : str
        Place of a function of :mod:`gluon_bert.tasks.checkpoint_settings`.
    metrics : tuple of str
        By default; the first chooses the epoch.
    objective : str
        Its name in :data:`gluon_bert.training.objectives.OBJECTIVES`.
    pipeline : str
        Place of the pipeline.
    max_length : str
        The setting that bounds the tokens of a sequence.
    architecture, problem_type, tag : str
        transformers' class without the family, its problem type, and the hub's pipeline tag.
    example : tuple of str
        A call of the pipeline, an argument of ``gluon-bert predict``, and what comes back.
    listed : mapping of str to str
        Settings that a model card lists -> title.
    pictures : mapping of str to str
        Suffix of a split's picture -> what it shows.
    formats : mapping of str to str
        Suffix of a file of inputs -> its format; '' for other suffixes, if there is a default.
    columns : tuple of (str, str), optional
        Usual columns of a table of inputs.
    takes_pairs : bool
        Whether an input can be two texts.
    has_classes : bool
        Whether ``--top_k`` bounds its classes or candidates.
    per_output : tuple of str
        Settings that are lists with an entry for each output.
    reads_glue : bool
        Whether a dev set can be that of the GLUE task of the training.
    runs : tuple of str
        Names of other tasks whose checkpoints it can run, too, where it is asked for.
    linear_head : str
        Its name in :data:`gluon_bert.tasks.linear.LINEAR_HEADS`; '' if there is none.
    """

    name: str
    aliases: tuple[str, ...]
    title: str
    head: Head
    settings: Mapping[str, Setting]
    size: Callable[[Mapping[str, Any]], int]
    is_trained_for: Callable[[Any, int], bool]
    job: str
    checkpoint_settings: str
    metrics: tuple[str, ...]
    objective: str
    pipeline: str
    max_length: str
    architecture: str
    problem_type: str
    tag: str
    example: tuple[str, str, str]
    listed: Mapping[str, str] = field(default_factory=dict)
    pictures: Mapping[str, str] = field(default_factory=dict)
    formats: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[str, str] | None = None
    takes_pairs: bool = False
    has_classes: bool = False
    per_output: tuple[str, ...] = ()
    reads_glue: bool = False
    runs: tuple[str, ...] = ()
    linear_head: str = ''

    def load(self, name: str) -> Any:
        """Import the class or function that a field names by its place."""
        module, _, attribute = getattr(self, name).partition(':')
        return getattr(importlib.import_module(module), attribute)

    def make_network(self, bert: Any, settings: Mapping[str, Any]) -> Any:
        """Put the task's head on a BERT.

        Parameters
        ----------
        bert : BertModel
        settings : mapping of str to object

        Returns
        -------
        BertBlock
        """
        module, _, attribute = self.head.make.partition(':')
        make = getattr(importlib.import_module(module), attribute)
        return make(bert, self.size(settings), settings)


_CLASSIFIER = Head(
    'classifier', 'classifier.1.weight', True, 'gluon_bert.tasks.networks:make_classifier'
)
_PREDICT_FORMATS = {'.json': 'table'}

_ROWS = (
    TaskSpec(
        name='text-ranking',
        aliases=('cross-encoder',),
        title='Text ranking',
        head=_CLASSIFIER,
        settings={'max_len': COUNT, 'dropout': SHARE, 'activation': ACTIVATION},
        size=lambda settings: 1,
        is_trained_for=lambda checkpoint, size: (
            size == 1 and checkpoint.score_activation is not None
        ),
        job='gluon_bert.tasks.ranking:RankingJob',
        checkpoint_settings='gluon_bert.tasks.checkpoint_settings:ranking_settings',
        metrics=('mrr@10', 'ndcg@10', 'map'),
        objective='binary_cross_entropy',
        pipeline='gluon_bert.pipelines.ranking:RankingPipeline',
        max_length='max_len',
        architecture='ForSequenceClassification',
        problem_type='',
        tag='text-ranking',
        example=("pipeline(('A query.', 'A text.'))", 'A query. ||| A text.', 'score, value'),
        formats=_PREDICT_FORMATS,
        columns=('query', 'document'),
        takes_pairs=True,
        runs=('text-regression',),
    ),
    TaskSpec(
        name='text-regression',
        aliases=('regression',),
        title='Text regression',
        head=_CLASSIFIER,
        settings={'max_len': COUNT, 'dropout': SHARE},
        size=lambda settings: 1,
        is_trained_for=lambda checkpoint, size: (
            checkpoint.problem_type == 'regression'
            or (size == 1 and checkpoint.problem_type != 'multi_label_classification')
        ),
        job='gluon_bert.tasks.texts:TextJob',
        checkpoint_settings='gluon_bert.tasks.checkpoint_settings:text_settings',
        metrics=('pearson', 'spearman'),
        objective='squared_error',
        pipeline='gluon_bert.pipelines.classification:RegressionPipeline',
        max_length='max_len',
        architecture='ForSequenceClassification',
        problem_type='regression',
        tag='text-classification',
        example=("pipeline('A text.')", 'A text.', 'value'),
        formats=_PREDICT_FORMATS,
        takes_pairs=True,
        reads_glue=True,
        linear_head='value',
    ),
    TaskSpec(
        name='multi-label-classification',
        aliases=('multi-label',),
        title='Multi-label classification',
        head=_CLASSIFIER,
        settings={'labels': LABELS, 'max_len': COUNT, 'dropout': SHARE, 'thresholds': SHARES},
        size=lambda settings: len(settings['labels']),
        is_trained_for=lambda checkpoint, size: (
            checkpoint.problem_type == 'multi_label_classification'
        ),
        job='gluon_bert.tasks.multi_label:MultiLabelJob',
        checkpoint_settings='gluon_bert.tasks.checkpoint_settings:multi_label_settings',
        metrics=('micro_f1', 'macro_f1', 'subset_accuracy'),
        objective='multi_label',
        pipeline='gluon_bert.pipelines.multi_label:MultiLabelPipeline',
        max_length='max_len',
        architecture='ForSequenceClassification',
        problem_type='multi_label_classification',
        tag='text-classification',
        example=("pipeline('A text.')", 'A text.', 'labels, label, probability, probabilities'),
        listed={'labels': 'Classes'},
        formats=_PREDICT_FORMATS,
        takes_pairs=True,
        has_classes=True,
        per_output=('thresholds',),
        linear_head='labels',
    ),
    TaskSpec(
        name='text-classification',
        aliases=('classification',),
        title='Text classification',
        head=_CLASSIFIER,
        settings={'labels': LABELS, 'max_len': COUNT, 'dropout': SHARE},
        size=lambda settings: len(settings['labels']),
        is_trained_for=lambda checkpoint, size: True,
        job='gluon_bert.tasks.texts:TextJob',
        checkpoint_settings='gluon_bert.tasks.checkpoint_settings:text_settings',
        metrics=('accuracy', 'macro_f1'),
        objective='cross_entropy',
        pipeline='gluon_bert.pipelines.classification:ClassificationPipeline',
        max_length='max_len',
        architecture='ForSequenceClassification',
        problem_type='single_label_classification',
        tag='text-classification',
        example=("pipeline('A text.')", 'A text.', 'label, probability, probabilities'),
        listed={'labels': 'Classes'},
        pictures={'confusion': 'confusion matrix'},
        formats=_PREDICT_FORMATS,
        takes_pairs=True,
        has_classes=True,
        reads_glue=True,
        linear_head='classes',
    ),
    TaskSpec(
        name='question-answering',
        aliases=('questions',),
        title='Question answering',
        head=Head(
            'span', 'span_classifier.weight', False, 'gluon_bert.tasks.networks:make_span_finder'
        ),
        settings={
            'max_seq_length': COUNT,
            'doc_stride': COUNT,
            'max_query_length': COUNT,
            'n_best_size': COUNT,
            'max_answer_length': COUNT,
            'version_2': FLAG,
            'null_score_diff_threshold': NUMBER,
        },
        size=lambda settings: 2,
        is_trained_for=lambda checkpoint, size: True,
        job='gluon_bert.tasks.question_answering:QuestionAnsweringJob',
        checkpoint_settings='gluon_bert.tasks.checkpoint_settings:question_settings',
        metrics=('f1', 'exact_match'),
        objective='span',
        pipeline='gluon_bert.pipelines.questions:QuestionPipeline',
        max_length='max_seq_length',
        architecture='ForQuestionAnswering',
        problem_type='',
        tag='question-answering',
        example=(
            "pipeline('Who?', 'A text that tells it.')",
            'Who? ||| A text that tells it.',
            'text, probability, start, end',
        ),
        formats={'.json': 'squad'},
        columns=('question', 'context'),
        takes_pairs=True,
        has_classes=True,
    ),
    TaskSpec(
        name='token-classification',
        aliases=('entities',),
        title='Token classification',
        head=Head(
            'tagger', 'tag_classifier.weight', False, 'gluon_bert.tasks.networks:make_tagger'
        ),
        settings={
            'kinds': TYPES,
            'scheme': TEXT,
            'file_scheme': TEXT,
            'crf': FLAG,
            'dropout': SHARE,
            'max_len': COUNT,
            'characters': FLAG,
        },
        size=lambda settings: len(tag_names(settings['kinds'], settings['scheme'])),
        is_trained_for=lambda checkpoint, size: True,
        job='gluon_bert.tasks.token_classification:TokenClassificationJob',
        checkpoint_settings='gluon_bert.tasks.tag_checkpoint:tag_settings',
        metrics=('f1', 'precision', 'recall'),  # of entities; of tags in PLAIN accuracy, macro_f1
        objective='tags',
        pipeline='gluon_bert.pipelines.entities:EntityPipeline',
        max_length='max_len',
        architecture='ForTokenClassification',
        problem_type='',
        tag='token-classification',
        example=("pipeline('A text.')", 'A text.', 'a list of text, type, start, end, probability'),
        listed={'kinds': 'Types of entity or word'},
        formats={'.json': 'cluener', '': 'conll'},
    ),
)
TASKS: Mapping[str, TaskSpec] = {spec.name: spec for spec in _ROWS}


def get_spec(name: object) -> TaskSpec:
    """Look up a task.

    Parameters
    ----------
    name : str
        Its name, or an alias such as those of gluon_bert 0.1.

    Returns
    -------
    TaskSpec

    Raises
    ------
    ValueError
        If there is no such task; the message has the nearest name.

    Examples
    --------
    >>> get_spec('entities').name
    'token-classification'
    """
    for spec in _ROWS:
        if isinstance(name, str) and name in (spec.name, *spec.aliases):
            return spec
    raise unknown_name('task', name, TASKS)
