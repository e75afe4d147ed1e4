"""Files of results, in the form that the name's ending says."""

from __future__ import annotations

import contextlib
import csv
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Optional

from .._internal.files import atomic_path
from .._internal.types import PathLike

Write = Callable[[dict], Any]


def check_output(path: Optional[PathLike], source: Optional[PathLike] = None) -> None:
    """Refuse an output file that cannot be written, before anything is computed.

    Parameters
    ----------
    path : str or Path, optional
        None for standard output.
    source : Path, optional
        The file of the inputs, which must not be overwritten.

    Raises
    ------
    ValueError
        If its ending is unknown, it is a folder or in none, or is the file of the inputs.
    """
    if path is None:
        return
    path = Path(path).expanduser()
    if path.suffix.lower() not in FORMS:
        known = ', '.join(suffix for suffix in FORMS if suffix)
        raise ValueError(f'--output {path}: expected a name that ends in one of {known}')
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ValueError(
            f'--output {path}: '
            + ('is a folder' if path.is_dir() else 'there is no such folder to write in')
        )
    if source is not None and path.exists() and path.samefile(source):
        raise ValueError(f'--output {path}: is the file of --input, which would be overwritten')


@contextlib.contextmanager
def result_writer(path: Optional[PathLike]) -> Iterator[Write]:
    """Give a function that writes a result, to standard output or to a file, whole or not at all.

    Parameters
    ----------
    path : str or Path, optional
        Its ending is one of ``FORMS``: '.jsonl' or none, a line of JSON for each result; '.json', a
        list of them; '.csv' and '.tsv', a row with a column for each part, and one for each
        probability. What is no text or number is JSON within a cell.
    """
    if path is None:

        def write(content):
            sys.stdout.write(json_line(content))
            sys.stdout.flush()

        yield write
        return
    path = Path(path).expanduser()
    with contextlib.ExitStack() as stack:
        temporary = stack.enter_context(atomic_path(path))
        file = stack.enter_context(open(temporary, 'w', encoding='utf-8', newline=''))
        yield stack.enter_context(FORMS[path.suffix.lower()](file))


@contextlib.contextmanager
def _lines(file):
    yield lambda content: file.write(json_line(content))


@contextlib.contextmanager
def _array(file):
    before = iter(['[\n'])

    def write(content):
        file.write(next(before, ',\n') + json_line(content).rstrip('\n'))

    yield write
    file.write(next(before, '\n') + ']\n')


def _table(make_row):
    @contextlib.contextmanager
    def open_table(file):
        # Rows may have further columns, so they are collected first.
        columns: dict[str, None] = {}
        with tempfile.TemporaryFile('w+', encoding='utf-8') as collected:

            def write(content):
                cells = dict(_cells(content))
                columns.update(dict.fromkeys(cells))
                collected.write(json.dumps(cells) + '\n')

            yield write
            collected.seek(0)
            file.write(make_row(columns))
            for number, line in enumerate(collected, 1):
                cells = json.loads(line)
                try:
                    file.write(make_row([cells.get(name, '') for name in columns]))
                except ValueError as error:
                    raise ValueError(f'result {number}: {error}') from None

    return open_table


def _cells(content: dict) -> Iterator[tuple[str, str]]:
    for name, value in content.items():
        if isinstance(value, dict):
            yield from ((f'{name}.{key}', cell) for key, cell in _cells(value))
        elif isinstance(value, str):
            yield name, value
        else:
            yield name, '' if value is None else json_line(value).rstrip('\n')


class _Rows(list):
    """A file of csv.writer."""

    write = list.append


def _csv_row(cells: Iterable[str]) -> str:
    rows = _Rows()
    csv.writer(rows, lineterminator='\n').writerow(cells)
    return ''.join(rows)


def _tsv_row(cells: Iterable[str]) -> str:
    cells = list(cells)
    for cell in cells:
        if any(mark in cell for mark in '\t\n\r'):
            raise ValueError(
                f'{cell[:40]!r} has a tab or the end of a line, which a .tsv cannot hold; write '
                f'.csv, .json or .jsonl'
            )
    return '\t'.join(cells) + '\n'


# Ending -> writer of its form.
FORMS: dict[str, Any] = {
    '.jsonl': _lines,
    '.ndjson': _lines,
    '.json': _array,
    '.csv': _table(_csv_row),
    '.tsv': _table(_tsv_row),
    '': _lines,
}


def json_line(content: Any) -> str:
    """Write a result as a line of JSON."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character, from an escape in the input
        text = json.dumps(content, allow_nan=False)
    return text + '\n'
