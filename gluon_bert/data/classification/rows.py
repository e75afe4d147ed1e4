"""Read rows of text files line by line, check them, and turn them into examples.

Shared by the GLUE tasks and the users' own tables. Errors name the file
and the line.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Optional, Union

from ..._internal.suggestions import unknown_name
from ..._internal.types import PathLike


class Example(NamedTuple):
    """One text or pair of texts with its label.

    ``label`` is the number of the class, the score of a regression task, or None if the file has
    no labels. ``index`` is the index in the row, or else the number of the row, from 0.
    """

    text: str
    pair: Optional[str]
    label: Any
    index: str  # type: ignore[assignment]


class Split(NamedTuple):
    """The examples of one file.

    ``num_skipped`` counts the malformed rows that were skipped; ``labels`` names the classes,
    and is None for scores and files without labels.
    """

    examples: list[Example]
    num_skipped: int
    path: str
    labels: Optional[tuple[str, ...]]


class Columns(NamedTuple):
    """Names or positions of an example's fields in a row.

    Names in the header, or positions from 0 in a file without a header; None for missing fields.
    """

    text: Union[str, int, None]
    pair: Union[str, int, None] = None
    label: Union[str, int, None] = None
    index: Union[str, int, None] = None  # type: ignore[assignment]


@contextlib.contextmanager
def closed_on_error(rows: Any) -> Iterator[None]:
    """Close a generator of rows, and with it their file, if reading fails.

    Otherwise the file would stay open as long as the traceback exists.
    """
    try:
        yield
    except BaseException:
        rows.close()
        raise


def read_header(path: PathLike, rows: Iterator[tuple[int, list[str]]]) -> list[str]:
    """Read the column names in the first row.

    Raises
    ------
    ValueError
        If there is no row, or a name occurs twice.
    """
    number, fields = next(rows, (1, None))
    if fields is None:
        raise ValueError(f'{path}: the file is empty')
    header = [field.strip() for field in fields]
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise ValueError(f'{path}:{number}: the header names {repeated[0]!r} twice')
    return header


def field_selector(
    path: PathLike, header: Sequence[object], columns: Columns
) -> Callable[[list[str]], list[Any]]:
    """Make a function that picks the values of ``columns`` from the fields of a row.

    Parameters
    ----------
    path : str or Path
        For the messages.
    header : list of str
    columns : Columns
        Names in the header, or positions.

    Raises
    ------
    ValueError
        If a column is missing in the header. The function raises it for a row with another number
        of fields.
    """
    for name in columns:
        if isinstance(name, str) and name not in header:
            raise ValueError(f'{path}:1: {unknown_name("column", name, header)}')
    positions = [header.index(name) if isinstance(name, str) else name for name in columns]

    def select(fields):
        if len(fields) != len(header):
            hint = '' if len(fields) < len(header) else '; is there a separator inside a text?'
            raise ValueError(
                f'the row has {len(fields)} column{"s" * (len(fields) != 1)}, '
                f'expected {len(header)}{hint}'
            )
        return [None if position is None else fields[position] for position in positions]

    return select


def parse_object(line: str) -> dict[str, Any]:
    """Parse the JSON object in a line; ValueError if it is none."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f'not JSON: {error}') from None
    if not isinstance(value, dict):
        raise ValueError(f'expected a JSON object, got {type(value).__name__}')
    return value


def object_selector(columns: Columns) -> Callable[[str], list]:
    """Make a function like :func:`field_selector`'s for a JSON object a line, by its keys."""

    def select(line):
        row = parse_object(line)
        for name in columns:
            if name is not None and name not in row:
                raise unknown_name('key', name, row)
        for name in (columns.text, columns.pair):
            if name is not None and not isinstance(row[name], str):
                raise ValueError(f'{name!r} must be a string, got {type(row[name]).__name__}')
        return [
            row.get(columns.text),
            row.get(columns.pair),
            scalar(row, columns.label),
            scalar(row, columns.index),
        ]

    def scalar(row, name):
        if name is None:
            return None
        value = row[name]
        if not isinstance(value, (str, bool, int, float)):
            raise ValueError(
                f'{name!r} must be a string, a number or a Boolean, got {type(value).__name__}'
            )
        return value if isinstance(value, str) else json.dumps(value)

    return select


def class_parser(
    labels: Sequence[str], aliases: Sequence[tuple[str, str]] = ()
) -> Callable[[str], int]:
    """Make a function that converts the name of a class to its number.

    Parameters
    ----------
    labels : sequence of str
    aliases : sequence of (str, str)
        Other spellings, as (spelling, label).
    """
    numbers = {label: number for number, label in enumerate(labels)}
    numbers.update((other, numbers[label]) for other, label in aliases)

    def parse(value):
        number = numbers.get(value.strip())
        if number is None:
            raise unknown_name('label', value.strip(), labels)
        return number

    return parse


def score_parser(low: float = -math.inf, high: float = math.inf) -> Callable[[str], float]:
    """Make a function that parses a finite number within [low, high]."""

    def parse(value):
        try:
            score = float(value)
        except ValueError:
            raise ValueError(f'score {value[:80]!r} is not a number') from None
        if not (math.isfinite(score) and low <= score <= high):
            allowed = 'finite' if math.isinf(low) else f'from {low:g} to {high:g}'
            raise ValueError(f'score {value[:80]!r} is not allowed: it must be {allowed}')
        return score

    return parse


def collect(
    path: PathLike,
    rows: Iterator[tuple[int, Any]],
    select: Callable[[Any], Sequence[Any]],
    parse_label: Callable[[str], Any],
    skip_malformed: bool,
) -> tuple[list[Example], int]:
    """Collect the examples in the rows of a file.

    Parameters
    ----------
    path : str or Path
        For the messages.
    rows : generator of (int, row)
        Rows with line numbers; closed when this function returns or raises.
    select : function
        Converts a row to (text, pair, label, index); raises ValueError for a malformed one.
    parse_label : function
        Converts the text of a label to its value; raises ValueError.
    skip_malformed : bool
        Count malformed rows instead of raising.

    Returns
    -------
    examples : list of Example
    num_skipped : int

    Raises
    ------
    ValueError
        For a malformed row, or if no row remains.
    """
    examples, first_error, num_skipped = [], None, 0
    with closed_on_error(rows):
        for position, (number, row) in enumerate(rows):
            try:
                text, pair, label, index = select(row)
                label = None if label is None else parse_label(label)
                examples.append(
                    Example(text, pair, label, str(position) if index is None else index)
                )
            except ValueError as error:
                first_error = first_error or ValueError(f'{path}:{number}: {error}')
                if not skip_malformed:
                    raise first_error from None
                num_skipped += 1
    if not examples:
        raise first_error or ValueError(f'{path}: the file has no rows')
    return examples, num_skipped
