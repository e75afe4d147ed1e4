"""Read the lines of text files with their numbers, and refuse what is no UTF-8 text."""

from __future__ import annotations

import codecs
import contextlib
import io
import itertools
import math
from collections.abc import Generator, Iterable, Iterator
from typing import BinaryIO, TypeVar, Union

from ..._internal.types import PathLike
from .parts import MAX_LINE, FilePart, open_lines

MAX_FILE = 2 << 30  # bytes; the largest official file, MNLI's train.tsv, has 78 million

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class MalformedRow(ValueError):
    """A row that cannot be read.

    Parameters
    ----------
    reason : str
    num_lines : int
        Lines that are lost with it.
    """

    def __init__(self, reason: str, num_lines: int = 1) -> None:
        super().__init__(reason)
        self.num_lines = num_lines


Line = Union[str, MalformedRow]
AnyLine = TypeVar('AnyLine', bound=Line)


def read_lines(path: PathLike, max_bytes: float = MAX_FILE) -> Iterator[tuple[int, str]]:
    r"""Read the lines of a UTF-8 file with their numbers, one at a time.

    ``'\n'``, ``'\r\n'`` and ``'\r'`` end a line: other characters at which ``str.splitlines``
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
    for first, offset, file in open_lines(path):
        for number, line in _whole_lines(file, path, max_bytes, first, offset):
            if isinstance(line, MalformedRow):
                raise ValueError(f'{path}:{number}: {line}')
            yield number, without_end(line)


def read_all_lines(path: PathLike, max_bytes: int) -> list[str]:
    """Read all lines of a file at once: those of :func:`read_lines`, faster for many short ones."""
    with open(path, 'rb') as file:
        data = file.read(max_bytes + 1)
    usual = len(data) <= max_bytes and not data.startswith((codecs.BOM_UTF8, *_UTF_16))
    if usual and b'\r' not in data and b'\0' not in data:
        with contextlib.suppress(UnicodeDecodeError):
            lines = data.decode().removesuffix('\n').split('\n') if data else []
            if len(max(lines, key=len, default='')) < MAX_LINE // 4:
                return lines
    return [line for _, line in read_lines(path, max_bytes)]


def lines_of(
    file: BinaryIO, path: PathLike, max_bytes: float = math.inf
) -> Iterator[tuple[int, str]]:
    """Read lines as :func:`read_lines` does, from an open file that messages call ``path``."""
    for number, line in _whole_lines(file, path, max_bytes):
        if isinstance(line, MalformedRow):
            raise ValueError(f'{path}:{number}: {line}')
        yield number, without_end(line)


def checked_lines(path: PathLike) -> Generator[tuple[int, Line], None, None]:
    """Read lines with their ends; a malformed one is yielded as its error, and reading goes on."""
    for first, offset, file in open_lines(path):
        yield from _whole_lines(file, path, MAX_FILE, first, offset)


def without_end(line: str) -> str:
    """Return a line without the line end that it may have."""
    line = line[:-1] if line.endswith('\n') else line
    return line[:-1] if line.endswith('\r') else line


def drop_trailing_blanks(
    lines: Iterable[tuple[int, AnyLine]], path: object = None
) -> Iterator[tuple[int, Union[AnyLine, str]]]:
    """Drop the empty lines at the end of the file; a :class:`.FilePart` has none of them."""
    if isinstance(path, FilePart):
        yield from lines
        return
    first = None  # of the empty lines just passed
    for number, line in lines:
        if line == '':
            first = first or number
            continue
        if first:
            for blank in range(first, number):
                yield blank, ''
            first = None
        yield number, line


def _whole_lines(file, path, max_bytes, first=1, start=0):
    """Number the lines, ends included; Latin-1 gives back the very bytes, split at every end."""
    text = io.TextIOWrapper(file, encoding='latin-1', newline='')
    try:
        offset = start
        for number in itertools.count(first):
            raw = text.readline(MAX_LINE + 1).encode('latin-1')
            if not raw:
                return
            offset += len(raw)
            if offset - start > max_bytes:
                raise ValueError(f'{path}: the file is larger than {max_bytes} bytes')
            if len(raw) <= MAX_LINE:
                yield number, _decode(raw, offset - len(raw))
                continue
            while raw and raw[-1:] not in (b'\n', b'\r'):
                raw = text.readline(MAX_LINE).encode('latin-1')
                offset += len(raw)
            yield number, MalformedRow(f'the line is longer than {MAX_LINE} bytes')
    finally:
        text.detach()  # or the file would be closed with it


def _decode(raw, offset):
    """Decode a line that begins at ``offset``; return the error if that cannot be done."""
    if offset == 0 and raw.startswith(_UTF_16):
        return MalformedRow(
            'the file is UTF-16, expected UTF-8; convert it, for example with '
            'iconv -f UTF-16 -t UTF-8'
        )
    if offset == 0 and raw.startswith(codecs.BOM_UTF8):
        raw = raw[len(codecs.BOM_UTF8) :]
        offset = len(codecs.BOM_UTF8)
    try:
        line = raw.decode('utf-8')
    except UnicodeDecodeError as error:
        return MalformedRow(
            f'not UTF-8: byte 0x{raw[error.start]:02x} at offset {offset + error.start} of the '
            f'file; convert it, for example with iconv -f <its encoding> -t UTF-8'
        )
    if '\0' in line:
        return MalformedRow(
            f'holds a NUL character at column {line.index(chr(0))}; is the file UTF-16, or binary?'
        )
    return line
