"""The folder of a fine-tuned network: parameters with all that is needed to use them.

``task.json`` beside the parameter file says what the network does and how texts are read for it;
``tokenizer/`` has its vocabulary. Nothing outside the folder is needed.
"""

from __future__ import annotations

import json
import math
import reprlib
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from .._internal.files import write_text
from .._internal.json import read_object
from ..checkpoint.arrays import shape_of
from ..checkpoint.gluonnlp.files import check_shapes, config_of
from ..checkpoint.gluonnlp.names import common_arrays
from ..checkpoint.gluonnlp.params_file import read_params
from ..data import get_scheme, read_tokenizer, tag_names, valid_transitions
from ..inference.batches import bert_of
from ..inference.precision_file import forget_precision
from ..modeling.bert import BertModel
from ..modeling.heads import BertClassifier, BertForQA, BertTagger
from ..modeling.tagging import BertCrfTagger

TASK_FILE = 'task.json'
TOKENIZER_FOLDER = 'tokenizer'
MAX_BATCH = 4096


class TaskModel(NamedTuple):
    """A fine-tuned network with what it takes to use it.

    ``task`` is one of ``TASKS``; ``settings`` has the entries of ``TASKS[task]``, and may have
    those of ``OPTIONAL``.
    """

    task: str
    network: object
    tokenizer: object
    settings: dict


class TaskFolder(NamedTuple):
    """What a folder says: ``parameters`` is the path of the file, ``settings`` are checked."""

    task: str
    settings: dict
    config: object
    tokenizer: object
    parameters: Path


def _is_count(value):
    return type(value) is int and 1 <= value < 2**31


def _is_number(value):
    return type(value) in (int, float) and math.isfinite(value)


def _are_names(value):
    return (
        isinstance(value, list)
        and all(isinstance(name, str) and name for name in value)
        and 0 < len(value) == len(set(value))
    )


_COUNT = 'a whole number from 1', _is_count
_FLAG = 'true or false', lambda value: type(value) is bool
_NAMES = 'different names', _are_names
_NUMBER = 'a number', _is_number
_SHARE = 'a number in [0, 1)', lambda value: _is_number(value) and 0 <= value < 1
_TEXT = 'text', lambda value: isinstance(value, str)

TASKS = {
    'classification': {'labels': _NAMES, 'max_len': _COUNT, 'dropout': _SHARE},
    'regression': {'max_len': _COUNT, 'dropout': _SHARE},
    'questions': {
        'max_seq_length': _COUNT,
        'doc_stride': _COUNT,
        'max_query_length': _COUNT,
        'n_best_size': _COUNT,
        'max_answer_length': _COUNT,
        'version_2': _FLAG,
        'null_score_diff_threshold': _NUMBER,
    },
    'entities': {
        'kinds': _NAMES,
        'scheme': _TEXT,
        'file_scheme': _TEXT,
        'crf': _FLAG,
        'dropout': _SHARE,
        'max_len': _COUNT,
        'characters': _FLAG,
    },
}
"""Task -> the settings it must have, each with what is allowed and a check."""

OPTIONAL = {
    'name': _TEXT,
    'metrics': _NAMES,
    'batch_size': (
        f'a whole number from 1 to {MAX_BATCH}',
        lambda value: _is_count(value) and value <= MAX_BATCH,
    ),
    'pair': _FLAG,
    'range': (
        '[lowest, highest]',
        lambda value: (
            isinstance(value, list)
            and len(value) == 2
            and all(map(_is_number, value))
            and value[0] < value[1]
        ),
    ),
    'columns': (
        '{"text": ..., "pair": ...}, names or positions of columns',
        lambda value: (
            isinstance(value, dict)
            and {*value} == {'text', 'pair'}
            and value['text'] is not None
            and all(
                column is None
                or isinstance(column, str)
                or (type(column) is int and 0 <= column < 1000)
                for column in value.values()
            )
        ),
    ),
    'overlap': ('a whole number from 0', lambda value: type(value) is int and value >= 0),
    'character_f1': _FLAG,
    'strict': _FLAG,
    'multi_label': _FLAG,
    'base': (
        '[model, data set]',
        lambda value: (
            isinstance(value, list)
            and len(value) == 2
            and all(isinstance(name, str) for name in value)
        ),
    ),
}
"""Settings that any task may have, as in ``TASKS``; null is as absent.

``name`` of the data; ``metrics``, the first chose the epoch; ``batch_size`` of the evaluation;
``pair``, whether texts come in pairs; ``range`` of a score; ``columns`` of the training tables;
``overlap`` of windows; how figures count; ``multi_label``, whether a text may have several of the
classes, each with a probability of its own; ``base``, the model of the zoo that it was made from.
"""

_HEADS = {
    'classification': 'classifier.1.weight',
    'regression': 'classifier.1.weight',
    'questions': 'span_classifier.weight',
    'entities': 'tag_classifier.weight',
}


def task_model(task, network, tokenizer, settings):
    """A network in training, with what it takes to use it.

    Parameters
    ----------
    task : str
        One of ``TASKS``.
    network : BertBlock
    tokenizer : BertTokenizer, BytePairTokenizer or SentencePieceTokenizer
    settings : dict
        Those that are None are left out.

    Returns
    -------
    TaskModel

    Raises
    ------
    ValueError
        If a setting is not as it must be.
    """
    settings = {name: value for name, value in settings.items() if value is not None}
    _check_settings(task, settings, 'settings')
    return TaskModel(task, network, tokenizer, settings)


def num_outputs(task, settings):
    """How many scores the network of a task gives, for a text or for a token."""
    if task == 'entities':
        return len(tag_names(settings['kinds'], settings['scheme']))
    return {'classification': len(settings.get('labels', ())), 'regression': 1, 'questions': 2}[
        task
    ]


def make_network(task, config, settings):
    """The network of a task, without parameters.

    Parameters
    ----------
    task : str
        One of ``TASKS``.
    config : BertConfig
    settings : dict
        See :class:`TaskModel`.

    Returns
    -------
    BertClassifier, BertForQA, BertTagger or BertCrfTagger
    """
    # Without the pooler where it is not needed: it would get no gradient.
    bert = BertModel(config, use_pooler=task in ('classification', 'regression'))
    size = num_outputs(task, settings)
    if task == 'questions':
        return BertForQA(bert)
    if task != 'entities':
        return BertClassifier(bert, size, dropout=settings['dropout'])
    if not settings['crf']:
        return BertTagger(bert, size, dropout=settings['dropout'])
    names = tag_names(settings['kinds'], settings['scheme'])
    return BertCrfTagger(
        bert, size, valid_transitions(names, settings['scheme']), dropout=settings['dropout']
    )


def save_tokenizer(folder, tokenizer):
    """Write the tokenizer of a folder, before a training that would else be in vain.

    Parameters
    ----------
    folder : str or Path
    tokenizer : BertTokenizer, BytePairTokenizer or SentencePieceTokenizer

    Raises
    ------
    ValueError
        If its files cannot hold it.
    """
    folder = Path(folder) / TOKENIZER_FOLDER
    tokenizer.save(folder)
    kept = read_tokenizer(folder)
    if kept.vocab.idx_to_token != tokenizer.vocab.idx_to_token or kept.lower != tokenizer.lower:
        raise ValueError(
            f'{folder}: another vocabulary would be read from there: this tokenizer cannot be kept'
        )


def save_task(folder, model, parameters):
    """Write what belongs to a parameter file; whole or not at all.

    What was found about the precision of other parameters there, ``precision.json``, is removed.

    Parameters
    ----------
    folder : str or Path
        That of the parameter file, where :func:`save_tokenizer` has been.
    model : TaskModel
    parameters : str
        The file's name.

    Raises
    ------
    ValueError
        If a setting is not as it must be.
    """
    path = Path(folder) / TASK_FILE
    _check_settings(model.task, model.settings, path)
    description = {
        'task': model.task,
        'parameters': parameters,
        **model.settings,
        'config': asdict(model.network.config),
    }
    forget_precision(folder)
    write_text(path, json.dumps(description, indent=1, ensure_ascii=False) + '\n')


def has_task(source):
    """Whether :func:`read_task` has something to read there."""
    return _task_file(source).is_file()


def read_task(source):
    """What a folder of :func:`save_task` says, checked; its arrays are not read yet.

    Parameters
    ----------
    source : str or Path
        The folder; or a parameter file in it, or any other name there, for which the parameter
        file of the description is taken.

    Returns
    -------
    TaskFolder

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such folder, or it is damaged.
    """
    source, path = Path(source), _task_file(source)
    if not path.is_file():
        raise FileNotFoundError(f'{path}: there is no fine-tuned network in this folder')
    settings = read_object(path)
    task, name = settings.pop('task', None), settings.pop('parameters', None)
    if not isinstance(task, str) or task not in TASKS:
        raise ValueError(
            f'{path}: task is {reprlib.repr(task)}: expected one of {", ".join(TASKS)}'
        )
    if (
        not isinstance(name, str)
        or not name.isprintable()
        or name in ('', '.', '..')
        or (Path(name).name != name)
    ):
        raise ValueError(
            f'{path}: parameters is {reprlib.repr(name)}: expected the name of a file beside it'
        )
    try:
        config = config_of(settings.pop('config', None))
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None
    settings = {key: value for key, value in settings.items() if value is not None}
    _check_settings(task, settings, path)
    length = settings.get('max_seq_length', settings.get('max_len'))
    if not 3 <= length <= config.max_length:
        raise ValueError(
            f'{path}: sequences of {length} tokens: expected 3 to '
            f'{config.max_length}, the longest that the network takes'
        )
    tokenizer = None
    if (path.parent / TOKENIZER_FOLDER).is_dir():
        tokenizer = read_tokenizer(path.parent / TOKENIZER_FOLDER)
    if tokenizer is None:
        raise FileNotFoundError(f'{path.parent / TOKENIZER_FOLDER}: there is no tokenizer')
    return TaskFolder(
        task, settings, config, tokenizer, source if source.is_file() else path.parent / name
    )


def load_task(source, ctx=None):
    """The network of a folder.

    Parameters
    ----------
    source : str, Path or TaskFolder
        See :func:`read_task`.
    ctx : mxnet.Context, optional
        Where the parameters go; by default the current context.

    Returns
    -------
    TaskModel
        Hybridized.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such folder, it is damaged, or its files do not belong together.
    """
    folder = source if isinstance(source, TaskFolder) else read_task(source)
    task, settings, path = folder.task, folder.settings, folder.parameters
    try:
        arrays = common_arrays(read_params(path))
        # Before a network is built: what is claimed is bounded by what the file holds.
        check_shapes(arrays, folder.config)
        head, rows = _HEADS[task], num_outputs(task, settings)
        if head not in arrays or shape_of(arrays, head) != (rows, folder.config.units):
            found = f'{head} of shape {shape_of(arrays, head)}' if head in arrays else f'no {head}'
            raise ValueError(
                f'has {found}; for {task} of {TASK_FILE}, {head} of shape '
                f'{(rows, folder.config.units)} is needed'
            )
        if settings.get('crf') and (
            'crf.transitions' not in arrays or shape_of(arrays, 'crf.transitions') != (rows, rows)
        ):
            raise ValueError(f'has no crf.transitions of shape {(rows, rows)}')
    except ValueError as error:
        raise ValueError(
            str(error) if str(error).startswith(str(path)) else f'{path}: {error}'
        ) from None
    network = make_network(task, folder.config, settings)
    bert_of(network, folder.tokenizer)
    network.load_arrays(arrays, str(path), ctx=ctx)
    network.hybridize(static_alloc=True)
    return TaskModel(task, network, folder.tokenizer, settings)


def _task_file(source):
    source = Path(source)
    return (source if source.is_dir() else source.parent) / TASK_FILE


def _check_settings(task, settings, path):
    needed = TASKS[task]
    for name in needed:
        if name not in settings:
            raise ValueError(f'{path}: has no {name!r}, which {task} need')
    for name, value in settings.items():
        if name not in needed and name not in OPTIONAL:
            raise ValueError(
                f'{path}: {reprlib.repr(name)} is unknown; there are: '
                f'{", ".join([*needed, *OPTIONAL])}'
            )
        allowed, check = needed.get(name) or OPTIONAL[name]
        if not check(value):
            raise ValueError(f'{path}: {name} is {reprlib.repr(value)}: expected {allowed}')
    for name in ('scheme', 'file_scheme'):
        if name in needed:
            try:
                get_scheme(settings[name])
            except ValueError as error:
                raise ValueError(f'{path}: {name}: {error}') from None
