"""The data options of the tasks: files, and how they are read.

Their fields are keyword arguments of :func:`.finetune` and flags of ``gluon-bert train``.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Optional, Union

from .._internal.checks import (
    check_choice,
    check_fraction,
    check_interval,
    check_not_negative,
    check_positive,
    check_positive_number,
)
from .._internal.errors import ArgumentError
from ..data.windows import WINDOWS
from ..metrics.thresholds import THRESHOLD_METRICS
from .class_weights import check_class_weights

DEBUG_ROWS = 32
DEBUG_QUESTIONS = 24
DEBUG_SENTENCES = 32
MAX_LEN = 128  # tokens of a text, by default
LONGEST_WINDOW = 384  # of a paragraph, by default; Devlin et al. (2019) have it, and transformers
# What a network reads and answers by, kept with it.
QUESTION_SETTINGS = (
    'max_seq_length',
    'doc_stride',
    'max_query_length',
    'n_best_size',
    'max_answer_length',
    'version_2',
    'null_score_diff_threshold',
    'character_f1',
)
MAX_WINDOW = 180  # of a sentence, by default; GluonNLP's script has it


def option(help: str, default: Any = None, type: Any = None, **more: Any) -> Any:
    """Declare a field of a task's data options, with what the command line says of it.

    Parameters
    ----------
    help : str
    default : object
    type : callable, optional
        Text of the command line -> value; a flag without one takes no value.
    **more
        ``names``: further spellings of the flag; ``check``: a function of
        ``gluon_bert._internal.checks``, or like them; ``by_row``: whether only the tasks have it
        whose row names it in ``takes``; ``of_network``: whether it is for training the
        whole network, and not a linear head.
    """
    return field(default=default, metadata={'help': help, 'type': type, **more})


def comma_separated(text: str) -> list[str]:
    """Split a list of the command line at its commas; one in double quotes is part of a name."""
    return [name.strip() for name in next(csv.reader([text], skipinitialspace=True), [])]


def comma_separated_numbers(text: str) -> list[float]:
    """Split numbers of the command line at their commas."""
    return [float(number) for number in text.split(',')]


class Checked:
    """Data options whose numbers are checked as they are given."""

    def __post_init__(self) -> None:
        for row in fields(self):  # type: ignore[arg-type]
            check = row.metadata.get('check')
            value = getattr(self, row.name)
            if check is not None and value is not None:
                check(**{row.name: value})


def label_smoothing_option() -> Any:
    """Declare the share by which labels are smoothed."""
    return option(
        'share of each label that all classes get in equal parts, from 0 to 1 (Szegedy et al., '
        '2016)',
        0.0,
        float,
        check=check_fraction,
        by_row=True,
        of_network=True,
    )


def class_weights_option(help: str) -> Any:
    """Declare the weights of classes in the loss."""
    return option(help, type=str, check=check_class_weights, by_row=True, of_network=True)


def check_windows(windows: str) -> None:
    """Raise ValueError unless windows are joined in a way that there is."""
    check_choice(WINDOWS, windows=windows)


def check_threshold_metric(threshold_metric: str) -> None:
    """Raise ValueError unless a metric is one that a threshold can be chosen by."""
    check_choice(tuple(THRESHOLD_METRICS), threshold_metric=threshold_metric)


def check_taken(data: Any, spec: Any, has_linear_head: bool = False) -> None:
    """Refuse data options that a task does not have.

    Parameters
    ----------
    data : dataclass
        Data options.
    spec : TaskSpec
    has_linear_head : bool
        Whether a linear head is trained instead of the whole network.

    Raises
    ------
    ValueError
        If one is given that ``takes`` of the row does not name, or that does not go with a linear
        head.
    """
    for row in fields(data):
        value = getattr(data, row.name)
        if value == row.default or not row.metadata.get('by_row'):
            continue
        if row.name not in spec.takes:
            raise ArgumentError(row.name, f'is not for {spec.name}', value)
        if has_linear_head and row.metadata.get('of_network'):
            reason = 'is for training the whole network, not with {freeze_encoder} or {few_shot}'
            raise ArgumentError(row.name, reason, value)


@dataclass
class TextData(Checked):
    """The files of a text task, and how they are read."""

    task_name: Optional[str] = option(
        'of GLUE, or AX, XNLI, ChnSentiCorp, LCQMC or TNEWS, instead of tables', type=str
    )
    data_dir: Optional[Path] = option(
        "the task's folder (default: the one in $GLUE_DIR)", type=Path
    )
    train_file: Optional[Path] = option('train on this table: .tsv, .csv, .jsonl', type=Path)
    dev_file: Optional[Path] = option('evaluate on this table after each epoch', type=Path)
    test_file: Optional[Path] = option('predict for this table in the end', type=Path)
    text_column: Optional[str] = option('of the tables (default: sentence, text, ...)', type=str)
    pair_column: Optional[str] = option('of the second text, where there is one', type=str)
    label_column: str = option('of the label or score', 'label', str)
    labels: Optional[Sequence[str]] = option(
        'the classes of the tables, separated by commas, in the order of their numbers (default: '
        'those of train_file)',
        type=comma_separated,
    )
    score_range: Optional[Sequence[float]] = option(
        'lowest and highest score of a text-regression, such as 0,5: others in the tables are '
        'refused, and predictions clipped',
        type=comma_separated_numbers,
        check=check_interval,
        by_row=True,
    )
    skip_malformed: bool = option('leave bad rows out and say how many, instead of stopping', False)
    max_len: Optional[int] = option(
        'tokens of a sequence, special tokens included; longer texts are cut or windowed (default: '
        f'{MAX_LEN}, or what the model takes)',
        type=int,
        check=check_positive,
    )
    batch_size: int = option(
        'sequences in a batch, on all devices together', 32, int, check=check_positive
    )
    dev_batch_size: int = option('sequences in a batch of evaluation', 8, int, check=check_positive)
    max_train_examples: Optional[int] = option(
        'train on the first rows only', type=int, check=check_positive
    )
    round_to: Optional[int] = option(
        'pad lengths to a multiple of this', type=int, check=check_positive
    )
    pad: bool = option('pad all sequences to max_len', False)
    debug: bool = option(f'use {DEBUG_ROWS} rows of each split, to try out', False)
    label_smoothing: float = label_smoothing_option()
    class_weights: Union[str, Mapping[str, float], None] = class_weights_option(
        'of the classes in the loss: balanced, or such as good=1,bad=3; of several labels for a '
        'text those of the texts that have the label (default: all 1)'
    )
    windows: Optional[str] = option(
        'read a text that is longer than max_len in overlapping windows, and take the mean or the '
        'max of their scores (default: cut it)',
        type=str,
        check=check_windows,
        by_row=True,
        of_network=True,
    )
    window_stride: Optional[int] = option(
        'tokens from one window to the next (default: half a window)',
        type=int,
        check=check_positive,
        by_row=True,
        of_network=True,
    )
    threshold_metric: Optional[str] = option(
        'of two classes, choose the probability from which the second one is given by this metric '
        f'on the dev set: {", ".join(THRESHOLD_METRICS)} (default: the more probable one is given)',
        type=str,
        check=check_threshold_metric,
        by_row=True,
    )
    calibrate: bool = option(
        'divide scores by a temperature that is fitted on the dev set, for probabilities that can '
        'be trusted (Guo et al., 2017)',
        False,
        by_row=True,
    )


@dataclass
class SquadData(Checked):
    """The files of questions, and how paragraphs are read and answers chosen."""

    train_file: Optional[Path] = option(
        "questions to learn from, in SQuAD's layout (default: train-v1.1.json, or "
        'train-v2.0.json, in $SQUAD_DIR)',
        type=Path,
    )
    dev_file: Optional[Path] = option(
        'questions to answer; if it has the answers, evaluated each epoch',
        type=Path,
        names=('predict_file',),
    )
    skip_bad: bool = option(
        'leave training questions out whose answer is not where the file says, and say how many, '
        'instead of stopping',
        False,
    )
    max_seq_length: Optional[int] = option(
        'tokens of a sequence, special tokens included (default: '
        f'{LONGEST_WINDOW}, or what the model takes)',
        type=int,
        names=('max_len',),
        check=check_positive,
    )
    doc_stride: int = option(
        'tokens from one window of a long paragraph to the next', 128, int, check=check_positive
    )
    max_query_length: int = option(
        'tokens of a question; longer ones are cut', 64, int, check=check_positive
    )
    version_2: bool = option('as SQuAD 2.0: a question may have no answer', False)
    null_score_diff_threshold: float = option(
        'null odds above which no answer is given', 0.0, float
    )
    n_best_size: int = option('candidates for an answer', 20, int, check=check_positive)
    max_answer_length: int = option('tokens of an answer', 30, int, check=check_positive)
    character_f1: bool = option('evaluate Chinese by characters, as CMRC 2018', False)
    batch_size: int = option(
        'sequences in a batch, on all devices together', 32, int, check=check_positive
    )
    dev_batch_size: int = option(
        'sequences in a batch of evaluation', 24, int, check=check_positive
    )
    round_to: Optional[int] = option(
        'pad lengths to a multiple of this', type=int, check=check_positive
    )
    feature_cache: Optional[Path] = option(
        'keep the windows here (default: in the output folder)', type=Path
    )
    debug: bool = option(
        f'use the first {DEBUG_QUESTIONS} questions of each file, to try out', False
    )


@dataclass
class TaggedData(Checked):
    """Tagged files, and how they are read."""

    train_file: Optional[Path] = option(
        "learn from these sentences: CoNLL columns or CLUENER's JSON lines",
        type=Path,
        names=('train_path',),
    )
    dev_file: Optional[Path] = option(
        'evaluate on these after each epoch', type=Path, names=('dev_path',)
    )
    test_file: Optional[Path] = option(
        'predict for these in the end; evaluate if they have tags', type=Path, names=('test_path',)
    )
    scheme: Optional[str] = option(
        'of the tags: IOB1, IOB2, BMES, BIOES or BILOU, with or without types; PLAIN for parts of '
        'speech and other tags of single words (default: detected in the training file)',
        type=str,
    )
    word_column: int = option('column of the word, from 0; -1 is the last', 0, int)
    tag_column: int = option('column of the tag', -1, int)
    untagged_test: bool = option('no column of the test file is a tag', False)
    repair: bool = option(
        'mend broken sequences of tags as conlleval understands them, and say how many, instead '
        'of stopping',
        False,
    )
    max_len: Optional[int] = option(
        f'tokens of a window, special tokens included (default: {MAX_WINDOW}, or as trained)',
        type=int,
        names=('seq_len',),
        check=check_positive,
    )
    overlap: Optional[int] = option(
        'tokens that windows share at most (default: a quarter of max_len)',
        type=int,
        check=check_not_negative,
    )
    crf: bool = option('decode with a CRF, which gives valid sequences only', False)
    crf_lr: float = option(
        "learning rate of the CRF's transitions", 1e-3, float, check=check_positive_number
    )
    model_scheme: Optional[str] = option(
        'in which the network tags (default: that of the files; IOB2 for IOB1)', type=str
    )
    dropout: float = option('dropout on the encodings', 0.1, float, check=check_fraction)
    strict: bool = option(
        "count only entities tagged as the scheme has it: seqeval's strict mode; without it as "
        'conlleval',
        False,
    )
    batch_size: int = option(
        'sequences in a batch, on all devices together', 32, int, check=check_positive
    )
    dev_batch_size: int = option('windows in a batch of evaluation', 32, int, check=check_positive)
    round_to: Optional[int] = option(
        'pad lengths to a multiple of this', type=int, check=check_positive
    )
    debug: bool = option(f'the first {DEBUG_SENTENCES} sentences of each file, to try out', False)
    label_smoothing: float = label_smoothing_option()
    class_weights: Union[str, Mapping[str, float], None] = class_weights_option(
        'of the types in the loss: balanced, or such as O=1,person=3 (default: all 1)'
    )
