"""Read the rows of tables whose fields a separator stands between: .tsv and .csv."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterator
from typing import Optional, Union

from ..._internal.types import PathLike
from .lines import Line, MalformedRow, checked_lines, drop_trailing_blanks, without_end

MAX_FIELD = 16 << 20  # characters; csv's own limit is 131072
SEPARATORS = (',', ';', '\t', '|')  # of a .csv; the first that the header has

Fields = Union[list[str], MalformedRow]

logger = logging.getLogger(__name__)


def tsv_rows(path: PathLike) -> Iterator[tuple[int, Fields]]:
    """Read the rows of a tab-separated file with line numbers; quotes are text, as in GLUE."""
    lines = ((number, _stripped(line)) for number, line in _uncut(checked_lines(path)))
    for number, line in drop_trailing_blanks(lines, path):
        yield number, line if isinstance(line, MalformedRow) else line.split('\t')


def _uncut(lines):
    """Refuse rows that a lone carriage return cuts, unless it ends all lines."""
    cut, returns = None, None  # the number of the row cut; whether lines end in a return
    for number, line in lines:
        text = line if isinstance(line, str) else '\n'
        if returns is None:
            returns = text.endswith('\r')
        if text.endswith('\r') and not returns:
            cut = cut or number
        elif cut:
            yield cut, MalformedRow('holds a carriage return, a line end of old systems')
            cut = None
        else:
            yield number, line
    if cut:
        yield cut, MalformedRow('ends in a carriage return, the lines before it in a line feed')


def csv_rows(path: PathLike) -> Iterator[tuple[int, Fields]]:
    """Read the rows of a .csv with the numbers of their first lines; line ends in quotes stay."""
    # The limit is the process's. It is only ever raised: another thread may be reading.
    csv.field_size_limit(max(MAX_FIELD, csv.field_size_limit()))
    lines = checked_lines(path)
    try:
        yield from _csv_rows(path, lines)
    finally:
        lines.close()


def without_blanks(rows: Iterator[tuple[int, Fields]]) -> Iterator[tuple[int, Fields]]:
    """Leave out rows without any text, as spreadsheets write them, unless there is one column."""
    width = 0
    for number, fields in rows:
        if isinstance(fields, MalformedRow):
            yield number, fields
            continue
        width = width or len(fields)
        if width < 2 or any(map(str.strip, fields)):
            yield number, fields


def separator_advice(path: PathLike, header: list[str]) -> str:
    """Say what may be wrong with a header of one column; '' if nothing seems to be."""
    found = next((mark for mark in SEPARATORS if len(header) == 1 and mark in header[0]), None)
    if found is None:
        return ''
    return (
        f'; the only column is {header[0][:80]!r}: are its columns separated by {found!r}? A .tsv '
        f'has tabs between them, a .csv has one of {", ".join(map(repr, SEPARATORS))}'
    )


def _stripped(line: Line) -> Line:
    return line if isinstance(line, MalformedRow) else without_end(line)


class _Source:
    """The lines for the csv module, which goes on after an error; ``number`` is the last one's."""

    def __init__(self, first, lines):
        self._first, self._lines, self.number = first, lines, 0

    def __iter__(self):
        return self

    def __next__(self):
        (self.number, line), self._first = self._first or next(self._lines), None
        if isinstance(line, MalformedRow):
            raise line
        return line


def _csv_rows(path, lines):
    first = next(lines, None)
    if first is None:
        return
    separator = _separator(first[1])
    if separator != ',':
        logger.info('%s: its columns are separated by %r', path, separator)
    source = _Source(first, lines)
    reader = csv.reader(source, delimiter=separator, strict=True)
    while True:
        start = source.number + 1
        try:
            fields: Optional[Fields] = next(reader, None)
        except MalformedRow as error:
            fields = MalformedRow(str(error), source.number - start + 1)
        except csv.Error as error:
            last = source.number
            where = 'in the row that starts here' + f' and goes on to line {last}' * (last > start)
            fields = MalformedRow(f'not CSV: {error} ({where})', last - start + 1)
        if fields is None:
            return
        if fields:  # an empty line has none
            yield start, fields


def _separator(header):
    """The separator that a header is written with; ',' if none fits."""
    for separator in SEPARATORS if isinstance(header, str) else ():
        try:
            if len(next(csv.reader([header], delimiter=separator, strict=True), ())) > 1:
                return separator
        except csv.Error:
            continue
    return ','
