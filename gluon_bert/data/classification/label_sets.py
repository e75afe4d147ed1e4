"""Read tables in which a text has any number of labels: 'a|b' in a column, or a list in JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np

from ..._internal.types import PathLike
from .json_rows import parse_object
from .labels import MAX_LABELS, class_parser, name_parser
from .rows import Split, collect
from .tables import LABEL_COLUMN, open_table

DEFAULT_SEPARATOR = '|'


def read_label_sets(
    path: PathLike,
    *,
    text: Optional[str] = None,
    pair: Optional[str] = None,
    label: Optional[str] = None,
    labels: Optional[Sequence[str]] = None,
    separator: str = DEFAULT_SEPARATOR,
    skip_malformed: bool = False,
) -> Split:
    """Read a table whose label column holds any number of labels.

    Parameters
    ----------
    path : str or Path
        See :func:`.read_table` for the formats; in .jsonl the labels can be a list.
    text, pair, label : str, optional
        Columns, as for :func:`.read_table`.
    labels : sequence of str, optional
        All labels, in the order of their numbers. By default those of this file.
    separator : str
        Separates the labels of a text; white space around a label is ignored.
    skip_malformed : bool
        Skip and count malformed rows instead of raising.

    Returns
    -------
    Split
        The label of an example is a tuple of increasing numbers, empty for no label; None if the
        file has no label column.

    Raises
    ------
    FileNotFoundError
    ValueError
        If a row is malformed, or has an unknown label or a label twice; the message names file
        and line.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, 'topics.csv')
    >>> _ = path.write_text('text,label\\nA film about war,film|war\\nRain,\\n')
    >>> split = read_label_sets(path)
    >>> split.labels, [example.label for example in split.examples]
    (('film', 'war'), [(0, 1), ()])
    >>> folder.cleanup()
    """
    rows, columns, select = open_table(path, text, pair, label)
    if columns.label is not None and labels is None:
        labels = discover_label_sets(
            path, label=label, separator=separator, skip_malformed=skip_malformed
        )
    names = tuple(labels or ())
    parse = _set_parser(class_parser(names), separator)
    examples, num_skipped = collect(
        path, rows, _with_lists(select, path, columns.label, separator), parse, skip_malformed
    )
    return Split(examples, num_skipped, str(path), None if columns.label is None else names)


def discover_label_sets(
    path: PathLike,
    *,
    label: Optional[str] = None,
    separator: str = DEFAULT_SEPARATOR,
    skip_malformed: bool = False,
) -> tuple[str, ...]:
    """List the labels that occur in a table, sorted.

    Parameters
    ----------
    path, label, separator, skip_malformed
        As for :func:`read_label_sets`.

    Returns
    -------
    tuple of str

    Raises
    ------
    ValueError
        If there are fewer than two, or more than 1000.
    """
    rows, _, select = open_table(path, None, None, label or LABEL_COLUMN, needs_text=False)
    select = _with_lists(select, path, label or LABEL_COLUMN, separator)
    examples, _ = collect(path, rows, select, _set_parser(name_parser(), separator), skip_malformed)
    names = sorted({name for example in examples for name in example.label})
    if len(names) < 2:
        raise ValueError(
            f'{path}: has {len(names)} labels ({", ".join(names) or "none"}), expected two or '
            f'more; labels of one text are separated by {separator!r}'
        )
    if len(names) > MAX_LABELS:
        raise ValueError(
            f'{path}: {len(names)} different labels, at most {MAX_LABELS} are allowed; is it the '
            f'right column?'
        )
    return tuple(names)


def label_matrix(examples: Iterable[Any], num_labels: int) -> Optional[np.ndarray]:
    """Write sets of labels as rows of 0 and 1.

    Parameters
    ----------
    examples : iterable of Example, or of collections of int
        Whose labels are numbers from 0 to ``num_labels`` - 1.
    num_labels : int

    Returns
    -------
    numpy.ndarray of float32, shape (examples, num_labels), or None
        None if an example has no labels to compare with.
    """
    rows = [getattr(example, 'label', example) for example in examples]
    if any(row is None for row in rows):
        return None
    matrix = np.zeros((len(rows), num_labels), 'float32')
    for target, row in zip(matrix, rows):
        target[list(row)] = 1
    return matrix


def _set_parser(parse: Callable[[str], Any], separator: str) -> Callable[[str], tuple]:
    def parse_set(value: str) -> tuple:
        names = [name.strip() for name in value.split(separator)] if value.strip() else []
        if '' in names:
            raise ValueError(f'label {value.strip()[:80]!r} has an empty part at {separator!r}')
        numbers = sorted(map(parse, names))
        if len(set(numbers)) < len(numbers):
            raise ValueError(f'label {value.strip()[:80]!r} names a label twice')
        return tuple(numbers)

    return parse_set


def _with_lists(select, path, column, separator):
    """Make a selector that also accepts lists of labels in JSON."""
    if column is None or Path(path).suffix.lower() not in ('.jsonl', '.json'):
        return select

    def select_joined(line):
        row = parse_object(line)
        names = row.get(column)
        if isinstance(names, list):
            for name in names:
                if not isinstance(name, str) or separator in name:
                    raise ValueError(
                        f'{column!r} must hold strings without {separator!r}, got {name!r}'
                    )
            line = json.dumps({**row, column: separator.join(names)})
        return select(line)

    return select_joined
