"""The tasks that a network is fine-tuned for: one row each.

All that differs from task to task is a field of its row. Classes and functions are named by their
place, ``module:name``, and imported on use, so that reading the rows imports no MXNet.
"""

from __future__ import annotations

from collections.abc import Mapping

from .._internal.suggestions import unknown_name
from ..data.ner.transitions import tag_names
from .settings import (
    ACTIVATION,
    COUNT,
    FLAG,
    JOINED,
    LABELS,
    NAMES,
    NUMBER,
    POSITIVE,
    PROBABILITY,
    SHARE,
    SHARES,
    TEXT,
    TYPES,
)
from .spec import Head, TaskSpec

_CLASSIFIER = Head(
    'classifier', 'classifier.1.weight', True, 'gluon_bert.tasks.networks:make_classifier'
)
_PREDICT_FORMATS = {'.json': 'table'}
_WINDOWS = {'windows': JOINED, 'window_stride': COUNT}
_RELIABILITY = {'reliability': 'reliability diagram'}

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
        soft_loss='score',
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
        soft_loss='score',
        pipeline='gluon_bert.pipelines.classification:RegressionPipeline',
        max_length='max_len',
        architecture='ForSequenceClassification',
        problem_type='regression',
        tag='text-classification',
        example=("pipeline('A text.')", 'A text.', 'value'),
        formats=_PREDICT_FORMATS,
        takes_pairs=True,
        reads_glue=True,
        optional=_WINDOWS,
        linear_head='value',
        takes=('score_range', *_WINDOWS),
        listed={'range': 'Range of the scores'},
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
        soft_loss='labels',
        pipeline='gluon_bert.pipelines.multi_label:MultiLabelPipeline',
        max_length='max_len',
        architecture='ForSequenceClassification',
        problem_type='multi_label_classification',
        tag='text-classification',
        example=("pipeline('A text.')", 'A text.', 'labels, label, probability, probabilities'),
        listed={'labels': 'Classes'},
        pictures=_RELIABILITY,
        formats=_PREDICT_FORMATS,
        takes_pairs=True,
        has_classes=True,
        per_output=('thresholds',),
        takes=('class_weights', 'calibrate', *_WINDOWS),
        optional={'temperature': POSITIVE, **_WINDOWS},
        likelihood='sigmoid',
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
        soft_loss='classes',
        pipeline='gluon_bert.pipelines.classification:ClassificationPipeline',
        max_length='max_len',
        architecture='ForSequenceClassification',
        problem_type='single_label_classification',
        tag='text-classification',
        example=("pipeline('A text.')", 'A text.', 'label, probability, probabilities'),
        listed={'labels': 'Classes'},
        pictures={'confusion': 'confusion matrix', **_RELIABILITY},
        formats=_PREDICT_FORMATS,
        takes_pairs=True,
        has_classes=True,
        reads_glue=True,
        takes=('label_smoothing', 'class_weights', 'threshold_metric', 'calibrate', *_WINDOWS),
        optional={'temperature': POSITIVE, 'threshold': PROBABILITY, **_WINDOWS},
        likelihood='softmax',
        linear_head='classes',
    ),
    TaskSpec(
        name='multiple-choice',
        aliases=(),
        title='Multiple choice',
        head=Head(
            'choice',
            'choice_classifier.weight',
            True,
            'gluon_bert.tasks.networks:make_choice_scorer',
        ),
        settings={'max_len': COUNT, 'dropout': SHARE},
        size=lambda settings: 1,
        is_trained_for=lambda checkpoint, size: True,
        job='gluon_bert.tasks.multiple_choice:MultipleChoiceJob',
        checkpoint_settings='gluon_bert.tasks.checkpoint_settings:choice_settings',
        metrics=('accuracy',),
        objective='cross_entropy',
        soft_loss='',
        pipeline='gluon_bert.pipelines.multiple_choice:MultipleChoicePipeline',
        max_length='max_len',
        architecture='ForMultipleChoice',
        problem_type='',
        tag='multiple-choice',
        example=(
            "pipeline(('A context.', ['A choice.', 'Another.']))",
            'A context. ||| A choice. ||| Another.',
            'choice, number, probability, probabilities',
        ),
        formats=dict.fromkeys(('.csv', '.tsv', '.jsonl', '.json'), 'choices'),
        takes_choices=True,
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
        soft_loss='span',
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
        soft_loss='tags',
        pipeline='gluon_bert.pipelines.entities:EntityPipeline',
        max_length='max_len',
        architecture='ForTokenClassification',
        problem_type='',
        tag='token-classification',
        example=("pipeline('A text.')", 'A text.', 'a list of text, type, start, end, probability'),
        listed={'kinds': 'Types of entity or word'},
        takes=('label_smoothing', 'class_weights'),
        formats={'.json': 'cluener', '': 'conll'},
    ),
    TaskSpec(
        name='sentence-similarity',
        aliases=('sentence-vectors',),
        title='Sentence vectors',
        head=Head('', '', False, 'gluon_bert.tasks.networks:make_embedder'),
        settings={'pooling': NAMES, 'normalize': FLAG, 'max_len': COUNT},
        size=lambda settings: 0,
        # Its folder is one of sentence-transformers, which has no head and no task.json.
        is_trained_for=lambda problem, size: False,
        job='gluon_bert.tasks.sentence_similarity:SentenceJob',
        checkpoint_settings='',
        metrics=('spearman', 'pearson'),
        objective='multiple_negatives_ranking',
        soft_loss='vector',
        pipeline='gluon_bert.pipelines.similarity:SimilarityPipeline',
        max_length='max_len',
        architecture='Model',
        problem_type='',
        tag='sentence-similarity',
        example=("pipeline(('A text.', 'Another.'))", 'A text. ||| Another.', 'value'),
        listed={'pooling': 'Pooling'},
        takes_pairs=True,
        student='gluon_bert.tasks.distillation.vectors:StudentVectorsJob',
        usage=(
            'import gluon_bert as gb\n'
            'encoder = gb.SentenceEncoder({folder!r})\n'
            "encoder.similarity(['A text.'], ['Another.'])    # cosines\n"
            "encoder.encode(['A text.'])                      # vectors\n\n"
            'from sentence_transformers import SentenceTransformer\n'
            "SentenceTransformer({folder!r}).encode(['A text.'])",
            'gluon-bert embed {folder} --input FILE --output FILE.npy\ngluon-bert serve {folder}',
        ),
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
