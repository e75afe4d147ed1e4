"""Read the lines of text files with their numbers, and refuse what is no UTF-8 text."""

from __future__ import annotations

import codecs
import itertools
import math
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from ..._internal.types import PathLike

MAX_LINE = 1 << 20  # bytes; BERT reads about 3000 characters at most
MAX_FILE = 2 << 30  # bytes; the largest official file, MNLI's train.tsv, has 78 million


def read_lines(path: PathLike, max_bytes: int = MAX_FILE) -> Iterator[tuple[int, str]]:
    r"""Read the lines of a UTF-8 file with their numbers, one at a time.

    Only ``'\n'`` and ``'\r\n'`` end a line: other characters at which ``str.splitlines``
    splits, such as U+2028, are text. A byte-order mark at the start is dropped.

    Parameters
    ----------
    path : str or Path
    max_bytes : int
        The largest file accepted.

    Yields
    ------
    number : int
        From 1.
    line : str
        Without its end.

    Raises
    ------
    ValueError
        If the file is not UTF-8, holds a NUL, or is too long, or one of its lines is.
    """
    with open(path, 'rb') as file:
        yield from lines_of(file, path, max_bytes)


def lines_of(
    file: BinaryIO, path: PathLike, max_bytes: float = math.inf
) -> Iterator[tuple[int, str]]:
    """Read lines as :func:`read_lines` does, from an open file that messages call ``path``."""
    offset = 0
    for number in itertools.count(1):
        raw = file.readline(MAX_LINE + 1)
        if not raw:
            return
        if len(raw) > MAX_LINE:
            raise ValueError(f'{path}:{number}: the line is longer than {MAX_LINE} bytes')
        if offset + len(raw) > max_bytes:
            raise ValueError(f'{path}: the file is larger than {max_bytes} bytes')
        yield number, _decode(raw, path, number, offset)
        offset += len(raw)


def _decode(raw, path, number, offset):
    if offset == 0 and raw.startswith(codecs.BOM_UTF8):
        raw = raw[len(codecs.BOM_UTF8) :]
        offset = len(codecs.BOM_UTF8)
    try:
        line = raw.decode('utf-8')
    except UnicodeDecodeError as error:
        raise ValueError(
            f'{path}:{number}: not UTF-8: byte 0x{raw[error.start]:02x} at offset '
            f'{offset + error.start} of the file; convert it, for example with '
            f'iconv -f <its encoding> -t UTF-8'
        ) from None
    if '\0' in line:
        raise ValueError(
            f'{path}:{number}: holds a NUL character at column {line.index(chr(0))}; '
            f'is the file UTF-16, or binary?'
        )
    line = line[:-1] if line.endswith('\n') else line
    return line[:-1] if line.endswith('\r') else line


def drop_trailing_blanks(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Drop the empty lines at the end of the file."""
    first = None  # of the empty lines just passed
    for number, line in lines:
        if not line:
            first = first or number
            continue
        if first:
            yield from ((blank, '') for blank in range(first, number))
            first = None
        yield number, line


def tsv_rows(path: PathLike) -> Iterator[tuple[int, list[str]]]:
    """Read the rows of a tab-separated file with line numbers; quotes are text, as in GLUE."""
    for number, line in drop_trailing_blanks(read_lines(path)):
        yield number, line.split('\t')
