"""The folder of a fine-tuned network: parameters with all that is needed to use them.

``task.json`` beside the parameter file says what the network does and how texts are read for it;
``tokenizer/`` has its vocabulary. Nothing outside the folder is needed.
"""

from __future__ import annotations

import json
import reprlib
from pathlib import Path
from typing import Any, NamedTuple, Optional

import mxnet as mx

from .._internal.files import write_text
from .._internal.json import read_object
from ..checkpoint.arrays import shape_of
from ..checkpoint.gluonnlp.names import common_arrays
from ..checkpoint.gluonnlp.params_file import read_params
from ..checkpoint.names import check_shapes
from ..config import BertConfig
from ..data import get_scheme, read_tokenizer
from ..inference.batches import bert_of
from ..inference.precision_file import forget_precision
from ..modeling.bert import BertBlock, BertModel
from .registry import TaskSpec, get_spec
from .settings import check_settings

TASK_FILE = 'task.json'
TOKENIZER_FOLDER = 'tokenizer'
VERSION = 1


class TaskModel(NamedTuple):
    """A fine-tuned network with what it takes to use it.

    ``task`` is a key of ``TASKS``; ``settings`` has the entries of its row, and may have those of
    ``settings.OPTIONAL``.
    """

    task: str
    network: Any
    tokenizer: Any
    settings: dict[str, Any]

    @property
    def spec(self) -> TaskSpec:
        """The row of the task."""
        return get_spec(self.task)


class TaskFolder(NamedTuple):
    """The content of a folder: ``parameters`` is the path of the file, ``settings`` are checked."""

    task: str
    settings: dict[str, Any]
    config: BertConfig
    tokenizer: Any
    parameters: Path

    @property
    def spec(self) -> TaskSpec:
        """The row of the task."""
        return get_spec(self.task)


def task_model(
    task: str, network: Optional[BertBlock], tokenizer: Any, settings: dict[str, Any]
) -> TaskModel:
    """Join a network in training with what it takes to use it.

    Parameters
    ----------
    task : str
        A key of ``TASKS``, or an alias.
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
    spec = get_spec(task)
    settings = {name: value for name, value in settings.items() if value is not None}
    _check(spec, settings, 'settings')
    return TaskModel(spec.name, network, tokenizer, settings)


def num_outputs(task: str, settings: dict[str, Any]) -> int:
    """Count the scores that the network of a task gives, for a text or for a token."""
    return get_spec(task).size(settings)


def make_network(task: str, config: BertConfig, settings: dict[str, Any]) -> BertBlock:
    """Make the network of a task, without parameters.

    Parameters
    ----------
    task : str
        A key of ``TASKS``, or an alias.
    config : BertConfig
    settings : dict
        See :class:`TaskModel`.

    Returns
    -------
    BertClassifier, BertForQA, BertTagger or BertCrfTagger
    """
    spec = get_spec(task)
    return spec.make_network(BertModel(config, use_pooler=spec.head.pooled), settings)


def save_tokenizer(folder: str | Path, tokenizer: Any) -> None:
    """Write the tokenizer of a folder, before training, so that a bad one fails early.

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
    saved: Any = read_tokenizer(folder)
    if saved.vocab.idx_to_token != tokenizer.vocab.idx_to_token or saved.lower != tokenizer.lower:
        raise ValueError(
            f'{folder}: another vocabulary would be read from there: this tokenizer cannot be saved'
        )


def save_task(folder: str | Path, model: TaskModel, parameters: str) -> None:
    """Write ``task.json`` for a parameter file; whole or not at all.

    ``precision.json``, which was found for other parameters there, is removed.

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
    _check(model.spec, model.settings, path)
    description = {
        'version': VERSION,
        'task': model.spec.name,
        'parameters': parameters,
        **model.settings,
        'config': model.network.config.to_dict(),
    }
    forget_precision(folder)
    write_text(path, json.dumps(description, indent=1, ensure_ascii=False) + '\n')


def has_task(source: str | Path) -> bool:
    """Tell if :func:`read_task` has something to read there."""
    return _task_file(source).is_file()


def read_task(source: str | Path) -> TaskFolder:
    """Read what :func:`save_task` wrote, checked; the arrays are not read yet.

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
    settings = {key: value for key, value in read_object(path).items() if value is not None}
    spec = _read_spec(path, settings)
    name = settings.pop('parameters', None)
    if (
        not isinstance(name, str)
        or not name.isprintable()
        or name in ('', '.', '..')
        or Path(name).name != name
    ):
        raise ValueError(
            f'{path}: parameters is {reprlib.repr(name)}: expected the name of a file beside it'
        )
    try:
        config = BertConfig.from_dict(settings.pop('config', None))
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None
    _check(spec, settings, path)
    length = settings[spec.max_length]
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
    parameters = source if source.is_file() else path.parent / name
    return TaskFolder(spec.name, settings, config, tokenizer, parameters)


def load_task(source: str | Path | TaskFolder, ctx: Optional[mx.Context] = None) -> TaskModel:
    """Load the network of a folder.

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
        _check_head(arrays, folder)
    except ValueError as error:
        raise ValueError(
            str(error) if str(error).startswith(str(path)) else f'{path}: {error}'
        ) from None
    network = make_network(task, folder.config, settings)
    bert_of(network, folder.tokenizer)
    network.load_arrays(arrays, str(path), ctx=ctx)
    network.hybridize(static_alloc=True)
    return TaskModel(task, network, folder.tokenizer, settings)


def _check_head(arrays, folder):
    spec, settings = folder.spec, folder.settings
    weight, rows = spec.head.weight, spec.size(settings)
    shape = (rows, folder.config.units)
    if weight not in arrays or shape_of(arrays, weight) != shape:
        present = (
            f'{weight} of shape {shape_of(arrays, weight)}' if weight in arrays else f'no {weight}'
        )
        raise ValueError(
            f'has {present}; for {spec.name} of {TASK_FILE}, {weight} of shape {shape} is needed'
        )
    if settings.get('crf') and (
        'crf.transitions' not in arrays or shape_of(arrays, 'crf.transitions') != (rows, rows)
    ):
        raise ValueError(f'has no crf.transitions of shape {(rows, rows)}')


def _read_spec(path, settings):
    """Take version and task out of the settings of a file."""
    version = settings.pop('version', VERSION)
    if type(version) is not int or not 1 <= version <= VERSION:
        raise ValueError(
            f'{path}: version is {reprlib.repr(version)}: expected {VERSION} at most; a newer '
            f'gluon_bert wrote this file'
        )
    try:
        spec = get_spec(settings.pop('task', None))
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None
    # 0.1 had the labels of multi-label texts as a flag of classification.
    if settings.pop('multi_label', False) is True and 'labels' in settings:
        spec = get_spec('multi-label')
        settings.setdefault('thresholds', [0.5] * len(settings['labels']))
    return spec


def _task_file(source):
    source = Path(source)
    return (source if source.is_dir() else source.parent) / TASK_FILE


def _check(spec, settings, path):
    check_settings(settings, spec.settings, path, spec.name)
    for name in ('scheme', 'file_scheme'):
        if name in spec.settings:
            try:
                get_scheme(settings[name])
            except ValueError as error:
                raise ValueError(f'{path}: {name}: {error}') from None
    for name in spec.per_output:
        if len(settings[name]) != spec.size(settings):
            raise ValueError(
                f'{path}: {name} has {len(settings[name])} entries: expected one for each of '
                f'{spec.size(settings)} outputs'
            )
