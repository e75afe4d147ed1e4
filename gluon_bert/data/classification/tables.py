"""Read your own data: .tsv, .csv, .jsonl and .json files with named columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Optional, Union

from ..._internal.types import PathLike
from .json_rows import first_keys, json_rows, object_selector
from .labels import check_labels, class_parser, label_set, name_parser, score_parser
from .lines import MalformedRow
from .rows import Columns, Split, closed_on_error, collect, field_selector, read_header
from .separated import csv_rows, separator_advice, tsv_rows, without_blanks

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


def read_table(
    path: PathLike,
    *,
    text: Optional[str] = None,
    pair: Optional[str] = None,
    label: Optional[str] = None,
    labels: Optional[Sequence[str]] = None,
    regression: bool = False,
    score_range: Optional[Sequence[float]] = None,
    skip_malformed: bool = False,
) -> Split:
    """Read the examples of a table.

    The suffix determines the format: ``.tsv``, tabs without quoting; ``.csv``, double quotes, and
    commas, or else the semicolons, tabs or ``|`` of its first line; both start with a line of
    column names; ``.jsonl`` or ``.json``, a JSON object a line, or an array of objects. Files are
    UTF-8. Rows without any text are left out.

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
        A class with a name that stands for a missing label, such as 'None', must be given here.
    regression : bool
        Read the labels as scores.
    score_range : (float, float), optional
        The lowest and the highest score.
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
    check_labels(labels, regression)
    rows, columns, select = open_table(path, text, pair, label)
    parse_label = score_parser(*(score_range or ())) if regression else name_parser()
    if labels is not None:
        parse_label = class_parser(labels)
    examples, num_skipped = collect(path, rows, select, parse_label, skip_malformed)
    if columns.label is None or regression:
        return Split(examples, num_skipped, str(path), None)
    if labels is None:
        labels = label_set((example.label for example in examples), str(path))
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
        If there are fewer than two labels; too many for classes: more than 1000, or numbers more
        than half as many as rows; one that stands for a missing one, such as 'nan'; or one in two
        spellings, such as 1 and 1.0. Classes that are named are not looked for.

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
    values, parse_label = [], name_parser()
    for path in paths:
        rows, _, select = open_table(path, None, None, label or LABEL_COLUMN, needs_text=False)
        examples, _ = collect(path, rows, select, parse_label, skip_malformed)
        values += [example.label for example in examples]
    return label_set(values, ', '.join(map(str, paths)))


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
                if isinstance(row, MalformedRow):
                    raise row
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
        names = first_keys(path)
        columns = _choose_columns(path, names, text, pair, label, needs_text, usual, labelled)
        return json_rows(path), columns, object_selector(columns)
    rows = without_blanks(tsv_rows(path) if suffix == '.tsv' else csv_rows(path))
    with closed_on_error(rows):
        header = read_header(path, rows)
        columns = _choose_columns(path, header, text, pair, label, needs_text, usual, labelled)
        return rows, columns, field_selector(path, header, columns)


def _choose_columns(path, names, text, pair, label, needs_text, usual, labelled):
    if label is None and labelled and LABEL_COLUMN in names and text != LABEL_COLUMN:
        label = LABEL_COLUMN
    given = [name for name in (text, pair, label) if name is not None]
    if len(set(given)) < len(given):
        raise ValueError(
            f'text={text!r}, pair={pair!r}, label={label!r}: expected different columns'
        )
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
        f'{separator_advice(path, names)}'
    )
