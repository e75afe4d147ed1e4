"""Find and read the files of the GLUE tasks and of four Chinese ones."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Optional, Union

from ..._internal.suggestions import unknown_name
from ..._internal.types import PathLike
from .glue_tasks import TASKS, Task
from .json_rows import json_rows, object_selector
from .labels import class_parser, score_parser
from .rows import Split, closed_on_error, collect, field_selector, read_header
from .separated import tsv_rows

__all__ = ['TASKS', 'Task', 'get_task', 'glue_folder', 'read_task', 'task_folder']


def get_task(name: str) -> Task:
    """Return the row of a task.

    Parameters
    ----------
    name : str
        Such as 'MRPC' or 'SST-2'; case, '-' and '_' do not matter, and aliases are allowed.

    Returns
    -------
    Task

    Raises
    ------
    ValueError
        If there is no such task.

    Examples
    --------
    >>> get_task('stsb').metrics
    ('pearson', 'spearman')
    """
    for task in TASKS.values():
        if _plain(name) in _spellings(task):
            return task
    raise unknown_name('task', name, TASKS)


def glue_folder(task: Union[Task, str], glue_dir: Optional[PathLike] = None) -> Path:
    """Find the folder of a task in the GLUE folder.

    Parameters
    ----------
    task : Task or str
    glue_dir : str or Path, optional
        The folder of all tasks; by default the value of the environment variable GLUE_DIR.

    Returns
    -------
    Path
        ``<glue_dir>/<task.folder>``, or a folder there with another spelling of the task.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    """
    task = get_task(task) if isinstance(task, str) else task
    setting = os.environ.get('GLUE_DIR')
    glue_dir = glue_dir or setting
    wanted = f'{task.folder}/ with {", ".join(task.files.values())}'
    help_text = (
        f'the environment variable GLUE_DIR must name the folder that holds {wanted} '
        f'({"it is " + repr(setting) if setting else "it is not set"})'
    )
    if not glue_dir:
        raise FileNotFoundError(f'no data for task {task.name}: {help_text}')
    glue_dir = Path(glue_dir).expanduser()
    if not glue_dir.is_dir():
        raise FileNotFoundError(
            f"no data for task {task.name}: no such folder '{glue_dir}'; {help_text}"
        )
    folder = glue_dir / task.folder
    if folder.is_dir():
        return folder
    for other in sorted(glue_dir.iterdir()):
        if other.is_dir() and _plain(other.name) in _spellings(task):
            return other
    raise FileNotFoundError(f"no data for task {task.name}: no such folder '{folder}'; {help_text}")


task_folder = glue_folder  # its name in 0.1


def read_task(
    task: Union[Task, str], folder: PathLike, split: str, *, skip_malformed: Optional[bool] = None
) -> Split:
    """Read the examples of one split of a task.

    Reads the official files: tab-separated, quotes are text, UTF-8 with or without a byte-order
    mark; for CLUE, a JSON object a line.

    Parameters
    ----------
    task : Task or str
    folder : str or Path
        The task's own folder, see :func:`glue_folder`.
    split : str
        'train', 'dev' or 'test'; for MNLI 'dev_matched', 'dev_mismatched' and so on.
    skip_malformed : bool, optional
        Skip and count malformed rows instead of raising. By default the task decides: only the
        official QQP files have such rows.

    Returns
    -------
    Split
        The labels are numbers of ``task.labels``, for MNLI, AX and XNLI: 0 contradiction,
        1 entailment, 2 neutral; for QNLI and RTE: 0 entailment, 1 not_entailment. None in the
        test splits of GLUE.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If there is no such split, or the file is malformed; the message names file and line.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, 'dev.tsv')
    >>> _ = path.write_text('sentence\\tlabel\\na charming journey\\t1\\n')
    >>> read_task('SST-2', folder.name, 'dev').examples
    [Example(text='a charming journey', pair=None, label=1, index='0')]
    >>> folder.cleanup()
    """
    task = get_task(task) if isinstance(task, str) else task
    if split not in task.files:
        raise unknown_name(f'split of {task.name}', split, task.files)
    path = Path(folder) / task.files[split]
    if not path.is_file():
        raise FileNotFoundError(
            f'no {split} split of task {task.name}: no such file '
            f"'{path}'; its folder must hold {', '.join(task.files.values())}"
        )
    columns = task.columns_of(split)
    rows, select = _open(path, columns)
    parse_label: Callable[[str], float]
    if task.labels is None:
        parse_label = score_parser(*(task.label_range or ()))
    else:
        parse_label = class_parser(task.labels, task.label_aliases)
    examples, num_skipped = collect(
        path,
        rows,
        select,
        parse_label,
        task.skip_malformed if skip_malformed is None else skip_malformed,
    )
    return Split(examples, num_skipped, str(path), None if columns.label is None else task.labels)


def _open(path, columns):
    """Open an official file: its numbered rows and the selector for ``rows.collect``."""
    if path.suffix == '.json':
        return json_rows(path), object_selector(columns)
    rows = tsv_rows(path)
    with closed_on_error(rows):
        if isinstance(columns.text, str):
            header = read_header(path, rows)
        else:
            header = range(1 + max(position for position in columns if position is not None))
        return rows, field_selector(path, header, columns)


def _plain(name):
    return re.sub('[^a-z0-9]', '', str(name).lower())


def _spellings(task):
    return {_plain(name) for name in (task.name, task.folder, *task.aliases)}
