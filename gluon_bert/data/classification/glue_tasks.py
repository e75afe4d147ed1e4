"""The GLUE tasks and four Chinese ones, a row each.

Wang et al. (2019), GLUE; Conneau et al. (2018), XNLI; Liu et al. (2018), LCQMC; Xu et al. (2020),
CLUE, for TNEWS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional

from .rows import Columns

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
        In GLUE's spelling.
    folder : str
        Name of its folder in the GLUE folder.
    columns : Columns
        Columns of its files; positions if they have no header, keys if they are lines of JSON.
    labels : tuple of str, or None
        The classes, in the order of their numbers; None for a regression task.
    metrics : tuple of str
        Names in ``gluon_bert.metrics.classification.METRICS``; the first chooses the best epoch.
    files : mapping of str to str
        File name of each split.
    test_columns : Columns, optional
        Columns of the test splits, if they differ.
    submissions : mapping of str to str
        File name that the benchmark expects for the predictions of a test split; .json means a
        JSON object a line, as in CLUE.
    label_range : tuple of (float, float), optional
        Lowest and highest score of a regression task.
    label_aliases : tuple of (str, str)
        Other spellings of labels.
    aliases : tuple of str
        Other names of the task.
    skip_malformed : bool
        True if the official files are known to have malformed rows, which are usually skipped.
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
    def is_regression(self) -> bool:
        """True if the labels are scores."""
        return self.labels is None

    @property
    def is_pair(self) -> bool:
        """True if an example has two texts."""
        return self.columns.pair is not None

    @property
    def num_classes(self) -> int:
        """Number of outputs the task needs, 1 for a score."""
        return 1 if self.labels is None else len(self.labels)

    def columns_of(self, split: str) -> Columns:
        """Return the columns in the file of a split."""
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
