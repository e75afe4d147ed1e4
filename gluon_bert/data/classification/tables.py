"""Read your own data: .tsv, .csv, .jsonl and .json files with named columns."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Optional, Union

from ..._internal.types import PathLike
from .lines import drop_trailing_blanks, read_lines, tsv_rows
from .rows import (
    Columns,
    Split,
    class_parser,
    closed_on_error,
    collect,
    field_selector,
    object_selector,
    parse_object,
    read_header,
    score_parser,
)

# Tried in this order if no text column is named; both columns of a pair must exist.
TEXT_COLUMNS = (
    ('sentence1', 'sentence2'),
    ('question1', 'question2'),
    ('text_a', 'text_b'),
    ('premise', 'hypothesis'),
    ('sentence', None),
    ('text', None),
    ('text_a', None),
)
LABEL_COLUMN = 'label'
MAX_LABELS = 1000


def read_table(
    path: PathLike,
    *,
    text: Optional[str] = None,
    pair: Optional[str] = None,
    label: Optional[str] = None,
    labels: Optional[Sequence[str]] = None,
    regression: bool = False,
    skip_malformed: bool = False,
) -> Split:
    """Read the examples of a table.

    The suffix determines the format: ``.tsv``, tabs without quoting; ``.csv``, commas and double
    quotes; both start with a line of column names; ``.jsonl`` or ``.json``, a JSON object a line.
    Files are UTF-8.

    Parameters
    ----------
    path : str or Path
    text, pair : str, optional
        Columns of the text and of the second text. By default the first of these in the table:
        sentence1 and sentence2, question1 and question2, text_a and text_b, premise and
        hypothesis, sentence, text, text_a.
    label : str, optional
        Column of the label. By default 'label' if the table has it; otherwise no labels are read.
    labels : sequence of str, optional
        The classes, in the order of their numbers. By default those of this file, see
        :func:`discover_labels`: take them from the training file, and pass them for the others.
    regression : bool
        Read the labels as scores.
    skip_malformed : bool
        Skip and count malformed rows instead of raising.

    Returns
    -------
    Split

    Raises
    ------
    FileNotFoundError
    ValueError
        If the format is unknown, a column is missing, or a row or label is malformed; the message
        names file and line.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, 'reviews.csv')
    >>> _ = path.write_text('text,label\\n"Good, very good",yes\\nBad,no\\n')
    >>> split = read_table(path)
    >>> split.labels, split.examples[0]
    (('no', 'yes'), Example(text='Good, very good', pair=None, label=1, index='0'))
    >>> folder.cleanup()
    """
    if regression and labels is not None:
        raise ValueError(f'labels must be None with regression=True, got {labels!r}')
    if labels is not None and (isinstance(labels, str) or not 0 < len(set(labels)) == len(labels)):
        raise ValueError(f'labels must be a list of different names, got {labels!r}')
    rows, columns, select = open_table(path, text, pair, label)
    parse_label = score_parser() if regression else _label_text
    if labels is not None:
        parse_label = class_parser(labels)
    examples, num_skipped = collect(path, rows, select, parse_label, skip_malformed)
    if columns.label is None or regression:
        return Split(examples, num_skipped, str(path), None)
    if labels is None:
        labels = _label_set([example.label for example in examples], path)
        number = {name: position for position, name in enumerate(labels)}
        examples = [example._replace(label=number[example.label]) for example in examples]
    return Split(examples, num_skipped, str(path), tuple(labels))


def discover_labels(
    paths: Union[PathLike, Sequence[PathLike]],
    *,
    label: Optional[str] = None,
    skip_malformed: bool = False,
) -> tuple[str, ...]:
    """Find the classes that occur in one or several tables.

    Parameters
    ----------
    paths : str, Path, or list of them
        See :func:`read_table`. Usually the training file alone.
    label : str, optional
        Column of the label; by default 'label'.
    skip_malformed : bool
        Skip malformed rows instead of raising.

    Returns
    -------
    tuple of str
        Sorted; by value if all of them are numbers.

    Raises
    ------
    ValueError
        If there are fewer than two labels, or too many for classes: more than 1000, or more than
        half as many as rows.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, 'train.tsv')
    >>> _ = path.write_text('text\\tlabel\\na\\t10\\nb\\t9\\nc\\t9\\n')
    >>> discover_labels(path)
    ('9', '10')
    >>> folder.cleanup()
    """
    paths = [paths] if isinstance(paths, (str, Path)) else list(paths)
    values = []
    for path in paths:
        rows, _, select = open_table(path, None, None, label or LABEL_COLUMN, needs_text=False)
        examples, _ = collect(path, rows, select, _label_text, skip_malformed)
        values += [example.label for example in examples]
    return _label_set(values, ', '.join(map(str, paths)))


def iterate_texts(
    path: PathLike,
    *,
    text: Optional[str] = None,
    pair: Optional[str] = None,
    usual: Sequence[tuple[Union[str, int], Union[str, int, None]]] = (),
) -> Iterator[tuple[int, str, Optional[str]]]:
    """Read the texts of a table one row at a time, without its labels.

    Parameters
    ----------
    path : str or Path
        See :func:`read_table`.
    text, pair : str, optional
        Columns of the text and of the second text.
    usual : sequence of (str or int, str or int or None)
        Defaults of ``text`` and ``pair``: the first in the table is used, then those of
        :func:`read_table`. Numbers are positions in a .tsv without column names.

    Yields
    ------
    number : int
        Of the line.
    text : str
    pair : str or None

    Raises
    ------
    FileNotFoundError
    ValueError
        As :func:`read_table`.
    """
    if text is None and usual and isinstance(usual[0][0], int):
        columns = Columns(*usual[0])
        positions = [position for position in columns if isinstance(position, int)]
        header = range(1 + max(positions, default=0))
        rows, select = tsv_rows(path), field_selector(path, header, columns)
    else:
        rows, _, select = open_table(path, text, pair, None, usual=usual, labelled=False)
    with closed_on_error(rows):
        for number, row in rows:
            try:
                first, second = select(row)[:2]
            except ValueError as error:
                raise ValueError(f'{path}:{number}: {error}') from None
            yield number, first, second


def open_table(
    path: PathLike,
    text: Optional[str],
    pair: Optional[str],
    label: Optional[str],
    needs_text: bool = True,
    usual: Sequence[tuple[Union[str, int], Union[str, int, None]]] = (),
    labelled: bool = True,
) -> tuple[Iterator, Columns, Callable]:
    """Open a table: its numbered rows, its columns and the selector for ``rows.collect``."""
    suffix = Path(path).suffix.lower()
    if suffix not in ('.tsv', '.csv', '.jsonl', '.json'):
        raise ValueError(
            f"path '{path}': the name must end in .tsv, .csv, .jsonl or .json, "
            f'which determines the format'
        )
    if suffix in ('.jsonl', '.json'):
        names = _first_keys(path)
        columns = _choose_columns(path, names, text, pair, label, needs_text, usual, labelled)
        return drop_trailing_blanks(read_lines(path)), columns, object_selector(columns)
    rows = tsv_rows(path) if suffix == '.tsv' else _csv_rows(path)
    with closed_on_error(rows):
        header = read_header(path, rows)
        columns = _choose_columns(path, header, text, pair, label, needs_text, usual, labelled)
        return rows, columns, field_selector(path, header, columns)


def _choose_columns(path, names, text, pair, label, needs_text, usual, labelled):
    if label is None and labelled and LABEL_COLUMN in names:
        label = LABEL_COLUMN
    if text is not None or not needs_text:
        return Columns(text, pair, label)
    if pair is not None:
        raise ValueError(f'text must name a column if pair does, got pair={pair!r} alone')
    for text, pair in (*usual, *TEXT_COLUMNS):
        if text in names and (pair is None or pair in names):
            return Columns(text, pair, label)
    raise ValueError(
        f'{path}:1: no column has a usual name for a text; '
        f'name it with text=, one of: {", ".join(map(str, names))[:500]}'
    )


def _csv_rows(path):
    lines = drop_trailing_blanks(read_lines(path))
    reader = csv.reader((line + '\n' for _, line in lines), strict=True)
    number = 1
    while True:
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise ValueError(
                f'{path}:{number}: not CSV: {error} (in the row that starts here)'
            ) from None
        if fields is None:
            return
        yield number, fields
        number = reader.line_num + 1


def _first_keys(path):
    """Read the keys of the first JSON object, to choose columns by."""
    first_error = ValueError(f'{path}: the file is empty')
    for number, line in read_lines(path):
        try:
            return list(parse_object(line))
        except ValueError as error:
            if number == 1:
                first_error = ValueError(f'{path}:1: {error}')
    raise first_error


def _label_text(value):
    if not value.strip():
        raise ValueError('the label is empty')
    return value.strip()


def _label_set(column, path):
    labels = set(column)
    if len(labels) < 2:
        raise ValueError(
            f'{path}: the only label is {labels.pop()!r}, expected two or more; '
            f'for a file other than the training file, pass labels='
        )
    values = [_number(label) for label in labels]
    are_numbers = None not in values
    if len(labels) > MAX_LABELS or (len(labels) > 20 and len(labels) > len(column) / 2):
        advice = 'for scores set regression=True' if are_numbers else 'is it the right column?'
        raise ValueError(
            f'{path}: {len(labels)} different labels in {len(column)} rows, '
            f'at most {MAX_LABELS} and half as many as rows are allowed; {advice}'
        )
    if are_numbers:
        return tuple(sorted(labels, key=lambda label: (_number(label), label)))
    return tuple(sorted(labels))


def _number(label):
    try:
        value = float(label)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
