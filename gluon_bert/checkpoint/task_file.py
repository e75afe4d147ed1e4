"""``task.json``: what a network was fine-tuned for, beside its parameters in any format."""

from __future__ import annotations

import json
import reprlib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional

from .._internal.files import write_text
from .._internal.json import read_object
from .._internal.types import PathLike
from ..config import BertConfig
from ..families import FAMILIES
from .schema import Checkpoint

TASK_FILE = 'task.json'
TOKENIZER_FOLDER = 'tokenizer'
VERSION = 1

# Settings of a fine-tuned network -> field of a checkpoint.
_FIELDS = {
    'max_len': 'max_tokens',
    'max_seq_length': 'max_tokens',
    'dropout': 'dropout',
    'activation': 'score_activation',
}


class TaskFile(NamedTuple):
    """The content of a ``task.json``.

    Parameters
    ----------
    path : Path
        The file itself.
    task : dict
        'task', the name, and the settings, which :mod:`gluon_bert.tasks.folder` checks.
    config : BertConfig
    parameters : Path
        The parameters that it describes: a file, or the prefix of a TensorFlow checkpoint.
    """

    path: Path
    task: Dict[str, Any]
    config: BertConfig
    parameters: Path


def task_file_of(source: PathLike) -> Path:
    """Give the path of the ``task.json`` of a folder, or beside a file; it may not exist."""
    source = Path(source)
    return (source if source.is_dir() else source.parent) / TASK_FILE


def has_task(source: PathLike) -> bool:
    """Tell if :func:`.read_task_file` has something to read there."""
    return task_file_of(source).is_file()


def read_task_file(source: PathLike) -> TaskFile:
    """Read the ``task.json`` of a folder.

    Parameters
    ----------
    source : str or Path
        The folder; or a parameter file in it, or any other name there, for which the parameters
        that ``task.json`` names are taken.

    Returns
    -------
    TaskFile

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is damaged or of a newer version.
    """
    source, path = Path(source), task_file_of(source)
    if not path.is_file():
        raise FileNotFoundError(f'{path}: there is no fine-tuned network in this folder')
    content = {key: value for key, value in read_object(path).items() if value is not None}
    version = content.pop('version', VERSION)
    if type(version) is not int or not 1 <= version <= VERSION:
        raise ValueError(
            f'{path}: version is {reprlib.repr(version)}: expected {VERSION} at most; a newer '
            f'gluon_bert wrote this file'
        )
    if not isinstance(content.get('task'), str):
        raise ValueError(f'{path}: task is {reprlib.repr(content.get("task"))}: expected a name')
    name = content.pop('parameters', None)
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
        config = BertConfig.from_dict(content.pop('config', None))
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None
    return TaskFile(path, content, config, source if source.is_file() else path.parent / name)


def write_task_file(
    folder: PathLike, task: Mapping[str, Any], config: BertConfig, parameters: str
) -> None:
    """Write ``task.json`` into a folder; whole or not at all.

    Parameters
    ----------
    folder : str or Path
    task : dict
        'task', the name, and the settings.
    config : BertConfig
    parameters : str
        Name of the parameters beside it.
    """
    content = {'version': VERSION, 'task': task['task'], 'parameters': parameters}
    content = {**content, **task, 'config': config.to_dict()}
    text = json.dumps(content, indent=1, ensure_ascii=False)
    write_text(Path(folder) / TASK_FILE, text + '\n')


def with_task(checkpoint: Checkpoint, task: Mapping[str, Any], place: object) -> Checkpoint:
    """Add what a network was fine-tuned for to its checkpoint.

    Parameters
    ----------
    checkpoint : Checkpoint
    task : dict
        'task', the name, and the settings.
    place : str or Path
        Where they stand, for messages.

    Returns
    -------
    Checkpoint
        With the labels, the problem type, the length and the dropout that the settings state.

    Raises
    ------
    ValueError
        If a setting is not as it must be, or the checkpoint has other labels.
    """
    labels = _labels(task, place)
    if labels and checkpoint.labels and checkpoint.labels != labels:
        raise ValueError(
            f'{place}: names the classes {reprlib.repr(labels)}, but the file beside it '
            f'{reprlib.repr(checkpoint.labels)}: correct or remove one of them'
        )
    known = {field: task[name] for name, field in _FIELDS.items() if name in task}
    try:
        return replace(
            checkpoint,
            task=task,
            labels=labels,
            problem_type=_problem_type(checkpoint, task),
            **known,
        )
    except ValueError as error:
        raise ValueError(f'{place}: {error}') from None


def join_task(checkpoint: Checkpoint, parameters: PathLike) -> Checkpoint:
    """Add what the ``task.json`` beside the parameters of a checkpoint says, if it is of them.

    Parameters
    ----------
    checkpoint : Checkpoint
        As its own files describe it.
    parameters : str or Path
        A file, or the prefix of a TensorFlow checkpoint.

    Returns
    -------
    Checkpoint

    Raises
    ------
    ValueError
        If it is damaged, or contradicts those files.
    """
    parameters = Path(parameters)
    if not has_task(parameters.parent):
        return checkpoint
    described = read_task_file(parameters.parent)
    if described.parameters != parameters:
        return checkpoint
    for field in fields(BertConfig):
        stated, read = getattr(described.config, field.name), getattr(checkpoint.config, field.name)
        # A table of one type that adds nothing is left out when it is read.
        if stated != read and not (field.name == 'num_token_types' and {stated, read} == {0, 1}):
            raise ValueError(
                f'{described.path}: {field.name} is {stated}, but {read} by the configuration of '
                f'{parameters.name}: they belong to different networks'
            )
    return with_task(checkpoint, described.task, described.path)


def likely_family(config: BertConfig, tokenizer: Any) -> str:
    """Name the first family that has networks like this one; they all compute the same.

    Parameters
    ----------
    config : BertConfig
    tokenizer : SubwordTokenizer or None
        Of several families, one with this kind of tokenizer is chosen.

    Returns
    -------
    str
    """
    defaults = {'share_layers': False, 'layer_norm_eps': config.layer_norm_eps}
    like = [
        name
        for name, row in FAMILIES.items()
        if row.pooler_activation == config.pooler_activation
        and row.gluonnlp_token_types == bool(config.num_token_types)
        and ('embedding_units' in row.keys or config.embedding_units is None)
        and all(
            getattr(config, field) == value for field, value in {**defaults, **row.fixed}.items()
        )
    ]
    kind = type(tokenizer).__name__
    return next(
        iter([name for name in like if FAMILIES[name].tokenizer_kind == kind] or like),
        next(iter(FAMILIES)),
    )


def _labels(task: Mapping[str, Any], place: object) -> tuple:
    """List the names of the outputs."""
    names: List[str] = []
    for key in ('labels', 'kinds'):
        value = task.get(key, [])
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            raise ValueError(f'{place}: {key} is {reprlib.repr(value)}: expected names')
        names += value
    if 'kinds' not in task:
        return tuple(names)
    from ..data import tag_names

    try:
        return tuple(tag_names(task['kinds'], str(task.get('scheme'))))
    except (TypeError, ValueError) as error:
        raise ValueError(f'{place}: scheme: {error}') from None


def _problem_type(checkpoint: Checkpoint, task: Mapping[str, Any]) -> str:
    """Name transformers' problem type, which the settings of a classifier imply."""
    if 'classifier' not in checkpoint.heads or 'kinds' in task or 'activation' in task:
        return ''
    if 'thresholds' in task or task.get('multi_label') is True:
        return 'multi_label_classification'
    return 'single_label_classification' if task.get('labels') else 'regression'


def find_folder_tokenizer(source: PathLike) -> Optional[Path]:
    """Give the folder of the tokenizer of a fine-tuned network, or None if it has none."""
    folder = task_file_of(source).parent / TOKENIZER_FOLDER
    return folder if folder.is_dir() else None
