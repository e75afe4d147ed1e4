"""The GLUE tasks and four Chinese ones: a row a task, and one reader for their files.

Wang et al. (2019), GLUE; Conneau et al. (2018), XNLI; Liu et al. (2018), LCQMC; Xu et al. (2020),
CLUE, for TNEWS.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from .rows import (
    Columns,
    Split,
    class_parser,
    closed_on_error,
    collect,
    drop_trailing_blanks,
    field_selector,
    object_selector,
    read_header,
    read_lines,
    score_parser,
    tsv_rows,
    unknown_name,
)

_FILES = {'train': 'train.tsv', 'dev': 'dev.tsv', 'test': 'test.tsv'}
_BINARY = ('0', '1')
_ENTAILMENT = ('entailment', 'not_entailment')
_INFERENCE = ('contradiction', 'entailment', 'neutral')
_SENTENCES = Columns('sentence1', 'sentence2', 'label', 'index')
_SENTENCES_TEST = Columns('sentence1', 'sentence2', index='index')


@dataclass(frozen=True, eq=False)
class Task:
    """One task: its files, their columns, its classes and its metrics.

    Parameters
    ----------
    name : str
        As GLUE spells it.
    folder : str
        Name of its folder in the GLUE folder.
    columns : Columns
        Of its files; by position if they have no header, keys if they are lines of JSON.
    labels : tuple of str, or None
        The classes, in the order of their numbers; None for a regression task.
    metrics : tuple of str
        Names in ``gluon_bert.metrics.classification.METRICS``; the first chooses the best epoch.
    files : mapping of str to str
        File name of each split.
    test_columns : Columns, optional
        Of the test splits where they differ.
    submissions : mapping of str to str
        File name that the benchmark expects for the predictions of a test split; .json is lines
        with an object each, as CLUE has them.
    label_range : tuple of (float, float), optional
        Lowest and highest score of a regression task.
    label_aliases : tuple of (str, str)
        Other spellings of labels.
    aliases : tuple of str
        Other names of the task.
    skip_malformed : bool
        Whether the official files are known to have malformed rows, which everyone leaves out.
    """

    name: str
    folder: str
    columns: Columns
    labels: Optional[tuple[str, ...]]
    metrics: tuple[str, ...]
    files: Mapping[str, str] = field(default_factory=lambda: dict(_FILES))
    test_columns: Optional[Columns] = None
    submissions: Mapping[str, str] = field(default_factory=dict)
    label_range: Optional[tuple[float, float]] = None
    label_aliases: tuple[tuple[str, str], ...] = ()
    aliases: tuple[str, ...] = ()
    skip_malformed: bool = False

    @property
    def is_regression(self):
        """Whether the labels are scores."""
        return self.labels is None

    @property
    def is_pair(self):
        """Whether an example has two texts."""
        return self.columns.pair is not None

    @property
    def num_classes(self):
        """How many outputs the task needs, one for a score."""
        return 1 if self.labels is None else len(self.labels)

    def columns_of(self, split):
        """Where the fields stand in the file of a split."""
        return self.test_columns or self.columns if split.startswith('test') else self.columns


_ROWS = (
    Task(
        'CoLA',
        'CoLA',
        Columns(text=3, label=1),
        _BINARY,
        ('mcc',),
        test_columns=Columns('sentence', index='index'),
        submissions={'test': 'CoLA.tsv'},
    ),
    Task(
        'SST-2',
        'SST-2',
        Columns('sentence', label='label'),
        _BINARY,
        ('accuracy',),
        test_columns=Columns('sentence', index='index'),
        submissions={'test': 'SST-2.tsv'},
        aliases=('SST',),
    ),
    Task(
        'MRPC',
        'MRPC',
        Columns('#1 String', '#2 String', 'Quality'),
        _BINARY,
        ('accuracy', 'f1'),
        test_columns=Columns('#1 String', '#2 String', index='index'),
        submissions={'test': 'MRPC.tsv'},
    ),
    Task(
        'STS-B',
        'STS-B',
        Columns('sentence1', 'sentence2', 'score', 'index'),
        None,
        ('pearson', 'spearman'),
        test_columns=_SENTENCES_TEST,
        submissions={'test': 'STS-B.tsv'},
        label_range=(0.0, 5.0),
        aliases=('STS',),
    ),
    Task(
        'QQP',
        'QQP',
        Columns('question1', 'question2', 'is_duplicate', 'id'),
        _BINARY,
        ('accuracy', 'f1'),
        test_columns=Columns('question1', 'question2', index='id'),
        submissions={'test': 'QQP.tsv'},
        skip_malformed=True,
    ),
    Task(
        'MNLI',
        'MNLI',
        Columns('sentence1', 'sentence2', 'gold_label', 'index'),
        _INFERENCE,
        ('accuracy',),
        test_columns=_SENTENCES_TEST,
        files={
            'train': 'train.tsv',
            'dev_matched': 'dev_matched.tsv',
            'dev_mismatched': 'dev_mismatched.tsv',
            'test_matched': 'test_matched.tsv',
            'test_mismatched': 'test_mismatched.tsv',
        },
        submissions={'test_matched': 'MNLI-m.tsv', 'test_mismatched': 'MNLI-mm.tsv'},
    ),
    Task(
        'QNLI',
        'QNLI',
        Columns('question', 'sentence', 'label', 'index'),
        _ENTAILMENT,
        ('accuracy',),
        test_columns=Columns('question', 'sentence', index='index'),
        submissions={'test': 'QNLI.tsv'},
    ),
    Task(
        'RTE',
        'RTE',
        _SENTENCES,
        _ENTAILMENT,
        ('accuracy',),
        test_columns=_SENTENCES_TEST,
        submissions={'test': 'RTE.tsv'},
    ),
    Task(
        'WNLI',
        'WNLI',
        _SENTENCES,
        _BINARY,
        ('accuracy',),
        test_columns=_SENTENCES_TEST,
        submissions={'test': 'WNLI.tsv'},
    ),
    Task(
        'AX',
        'diagnostic',
        _SENTENCES_TEST,
        _INFERENCE,
        ('mcc',),
        files={'test': 'diagnostic.tsv'},
        submissions={'test': 'AX.tsv'},
        aliases=('diagnostic',),
    ),
    Task(
        'XNLI',
        'xnli',
        Columns('text_a', 'text_b', 'label'),
        _INFERENCE,
        ('accuracy',),
        label_aliases=(('contradictory', 'contradiction'),),
        aliases=('xnli_zh',),
    ),
    Task('ChnSentiCorp', 'chnsenticorp', Columns('text_a', label='label'), _BINARY, ('accuracy',)),
    Task('LCQMC', 'lcqmc', Columns('text_a', 'text_b', 'label'), _BINARY, ('accuracy',)),
    Task(
        'TNEWS',
        'tnews',
        Columns('sentence', label='label'),
        (
            '100',
            '101',
            '102',
            '103',
            '104',
            '106',
            '107',
            '108',
            '109',
            '110',
            '112',
            '113',
            '114',
            '115',
            '116',
        ),
        ('accuracy',),
        test_columns=Columns('sentence', index='id'),
        files={'train': 'train.json', 'dev': 'dev.json', 'test': 'test.json'},
        submissions={'test': 'tnews_predict.json'},
        aliases=('tnews_public',),
    ),
)
TASKS = {task.name: task for task in _ROWS}


def get_task(name):
    """The row of a task.

    Parameters
    ----------
    name : str
        Such as 'MRPC' or 'SST-2'; case, '-' and '_' do not matter, and 'SST' will do.

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


def task_folder(task, glue_dir=None):
    """The folder of a task in the GLUE folder.

    Parameters
    ----------
    task : Task or str
    glue_dir : str or Path, optional
        The folder of all tasks; by default what the environment variable GLUE_DIR names.

    Returns
    -------
    Path
        ``<glue_dir>/<task.folder>``, or a folder there that is another spelling of the task.

    Raises
    ------
    FileNotFoundError
        If there is none.
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
            f"no data for task {task.name}: there is no folder '{glue_dir}'; {help_text}"
        )
    folder = glue_dir / task.folder
    if folder.is_dir():
        return folder
    for other in sorted(glue_dir.iterdir()):
        if other.is_dir() and _plain(other.name) in _spellings(task):
            return other
    raise FileNotFoundError(
        f"no data for task {task.name}: there is no folder '{folder}'; {help_text}"
    )


def read_task(task, folder, split, *, skip_malformed=None):
    """The examples of one split of a task.

    The official files: tab-separated, quotes are text, UTF-8 with or without a byte-order mark;
    of CLUE, a JSON object a line.

    Parameters
    ----------
    task : Task or str
    folder : str or Path
        The task's own folder, see :func:`task_folder`.
    split : str
        'train', 'dev' or 'test'; for MNLI 'dev_matched', 'dev_mismatched' and so on.
    skip_malformed : bool, optional
        Leave malformed rows out and count them, instead of raising. By default as the task has
        it: only the official QQP files have such rows.

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
        If there is no such split, or the file is not as it must be; with file and line.

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
            f'no {split} split of task {task.name}: there is no file '
            f"'{path}'; its folder is to hold {', '.join(task.files.values())}"
        )
    columns = task.columns_of(split)
    rows, select = _open(path, columns)
    if task.is_regression:
        parse_label = score_parser(*task.label_range)
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
    """Numbered rows of an official file, and the selector for ``rows.collect``."""
    if path.suffix == '.json':
        return drop_trailing_blanks(read_lines(path)), object_selector(columns)
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
