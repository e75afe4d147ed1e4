"""Read rows of text files line by line, check them, and turn them into examples.

Shared by the GLUE tasks and the users' own tables. Errors name the file
and the line.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Optional, Union

from ..._internal.suggestions import unknown_name
from ..._internal.types import PathLike
from .lines import MalformedRow

logger = logging.getLogger(__name__)


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


def read_header(
    path: PathLike, rows: Iterator[tuple[int, Union[list[str], MalformedRow]]]
) -> list[str]:
    """Read the column names in the first row.

    Raises
    ------
    ValueError
        If there is no row, or it is malformed.
    """
    number, fields = next(rows, (1, None))
    if fields is None:
        raise ValueError(f'{path}: the file is empty')
    if isinstance(fields, MalformedRow):
        raise ValueError(f'{path}:{number}: {fields}')
    return [field.strip() for field in fields]


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
        If a column is missing in the header, or is there twice. The function raises it for a row
        with another number of fields; columns without a name at the end may be absent.
    """
    for role, name in columns._asdict().items():
        if isinstance(name, str) and name not in header:
            raise ValueError(
                f'{path}:1: {unknown_name("column", name, header)}; {role} must name one of them'
            )
        if isinstance(name, str) and header.count(name) > 1:
            raise ValueError(f'{path}:1: the header names {name!r} twice')
    positions = [header.index(name) if isinstance(name, str) else name for name in columns]
    fewest = len(header)
    while fewest and header[fewest - 1] == '':
        fewest -= 1

    def select(fields):
        if not fewest <= len(fields) <= len(header):
            hint = '' if len(fields) < len(header) else '; is there a separator inside a text?'
            raise ValueError(
                f'the row has {len(fields)} column{"s" * (len(fields) != 1)}, '
                f'expected {len(header)}{hint}'
            )
        return [None if position is None else fields[position] for position in positions]

    return select


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
        Count malformed rows, and tell the first one's error in the log, instead of raising.

    Returns
    -------
    examples : list of Example
    num_skipped : int

    Raises
    ------
    ValueError
        For a malformed row, or if no row remains.
    """

    def convert(position, row):
        text, pair, label, index = select(row)
        label = None if label is None else parse_label(label)
        return Example(text, pair, label, str(position) if index is None else index)

    return convert_rows(path, rows, convert, skip_malformed)


def convert_rows(
    path: PathLike,
    rows: Iterator[tuple[int, Any]],
    convert: Callable[[int, Any], Any],
    skip_malformed: bool,
) -> tuple[list, int]:
    """Convert the rows of a file, one after the other.

    Parameters
    ----------
    path, rows, skip_malformed
        As for :func:`collect`.
    convert : function
        Converts the number of a row, from 0, and the row; raises ValueError for a malformed one.

    Returns
    -------
    converted : list
    num_skipped : int

    Raises
    ------
    ValueError
        For a malformed row, or if no row remains.
    """
    converted, first_error, num_skipped = [], None, 0
    with closed_on_error(rows):
        for position, (number, row) in enumerate(rows):
            try:
                if isinstance(row, MalformedRow):
                    raise row
                converted.append(convert(position, row))
            except ValueError as error:
                first_error = first_error or ValueError(f'{path}:{number}: {error}')
                if not skip_malformed:
                    raise first_error from None
                num_skipped += getattr(error, 'num_lines', 1)
    if not converted:
        raise first_error or ValueError(f'{path}: the file has no rows')
    if num_skipped:
        logger.warning('malformed rows left out: %d; the first: %s', num_skipped, first_error)
    return converted, num_skipped
