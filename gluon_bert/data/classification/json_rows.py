"""Read tables in JSON: an object a line, or an array of objects."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Generator
from typing import Any, Optional

from ..._internal.json import parse_json
from ..._internal.suggestions import unknown_name
from ..._internal.types import PathLike
from .lines import Line, MalformedRow, checked_lines, read_lines, without_end
from .rows import Columns

MAX_ARRAY = 256 << 20  # bytes; it is kept in memory, as lines are not

_BLANK = ' \t\r\n'
_BEGINS_ARRAY = re.compile(rb'(\xef\xbb\xbf)?[ \t\r\n]*\[')
_SCAN = json.JSONDecoder()


def json_rows(path: PathLike) -> Generator[tuple[int, Line], None, None]:
    """Read the texts of the objects of a file, with the numbers of the lines they begin in."""
    if is_array(path):
        yield from _array_rows(path)
        return
    for number, line in checked_lines(path):
        if isinstance(line, MalformedRow) or line.strip(_BLANK):
            yield number, line if isinstance(line, MalformedRow) else without_end(line)


def is_array(path: PathLike) -> bool:
    """Tell if a file, or the file that a part is of, holds an array of objects."""
    with open(path, 'rb') as file:
        return _BEGINS_ARRAY.match(file.read(256)) is not None


def _array_rows(path):
    lines = [line for _, line in read_lines(path, MAX_ARRAY)]
    text = '\n'.join(lines)
    number, counted, position = 1, 0, text.index('[') + 1
    while True:
        position = _past_blanks(text, position)
        number, counted = number + text.count('\n', counted, position), position
        if text.startswith(']', position):
            return
        try:
            _, end = _SCAN.raw_decode(text, position)
            after = _past_blanks(text, end)
            if text[after : after + 1] not in (',', ']'):
                raise ValueError('expected "," or "]" after an object of the array')
        except (ValueError, RecursionError) as error:
            reason = getattr(error, 'msg', None) or str(error)
            raise ValueError(f'{path}:{number}: not JSON: {reason}') from None
        yield number, text[position:end]
        position = after + text.startswith(',', after)


def _past_blanks(text, position):
    while text[position : position + 1] in _BLANK and position < len(text):
        position += 1
    return position


def first_keys(path: PathLike) -> list[str]:
    """Read the keys of the first JSON object, to choose columns by."""
    first_error = None
    rows = json_rows(os.fspath(path))  # of the whole file, where the path is a part of it
    try:
        for number, line in rows:
            try:
                return list(parse_object(line))
            except ValueError as error:
                first_error = first_error or ValueError(f'{path}:{number}: {error}')
    finally:
        rows.close()
    raise first_error or ValueError(f'{path}: the file is empty')


def parse_object(line: Line) -> dict[str, Any]:
    """Parse the JSON object in a line; ValueError if it is none."""
    if isinstance(line, MalformedRow):
        raise line
    value = parse_json(line.encode(), allow_nan=True)
    if not isinstance(value, dict):
        raise ValueError(f'expected a JSON object, got {type(value).__name__}')
    return value


def object_selector(columns: Columns) -> Callable[[Line], list[Any]]:
    """Make a function like :func:`.field_selector`'s for the text of a JSON object, by its keys."""

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
            _scalar(row, columns.label),
            _scalar(row, columns.index),
        ]

    return select


def _scalar(row: dict[str, Any], name: Any) -> Optional[str]:
    if name is None:
        return None
    value = row[name]
    if not isinstance(value, (str, bool, int, float)):
        raise ValueError(
            f'{name!r} must be a string, a number or a Boolean, got {type(value).__name__}'
        )
    if isinstance(value, float) and math.isinf(value):
        raise ValueError(f'{name!r} must be finite, got {value}')
    return value if isinstance(value, str) else json.dumps(value)
