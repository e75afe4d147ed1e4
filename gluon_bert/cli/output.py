"""Write results to standard output and everything else to standard error."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence


def say(text: object = '') -> None:
    """Write a line of the result."""
    sys.stdout.write(f'{text}\n')


def note(text: object) -> None:
    """Write a line that is not part of the result."""
    sys.stdout.flush()
    sys.stderr.write(f'{text}\n')
    sys.stderr.flush()


def error_text(error: BaseException) -> str:
    """Format an error's message; that of an OSError with its file."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f'{error.filename}: {error.strerror}'
    return str(error)


def columns(rows: list[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """Format a table without rules.

    Parameters
    ----------
    rows : list of sequences of str
        Rows of equal length.
    right : collection of int
        Right-aligned columns.

    Returns
    -------
    list of str
    """
    widths = [max(map(len, column)) for column in zip(*rows)]
    return [
        '  '.join(
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in rows
    ]


def size_text(size: int) -> str:
    """Format a number of bytes for people: '512 B', '17.7 MB', '1.42 GB'."""
    for unit, digits, name in ((1e9, 2, 'GB'), (1e6, 1, 'MB'), (1e3, 1, 'kB')):
        if size >= unit:
            return f'{size / unit:.{digits}f} {name}'
    return f'{size} B'
