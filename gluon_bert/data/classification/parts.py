"""Parts of files of lines: cut between lines, read as files are, with the lines' own numbers."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import BinaryIO, NamedTuple

from ..._internal.types import PathLike

MAX_LINE = 1 << 20  # bytes; BERT reads about 3000 characters at most

_LINE_END = re.compile(rb'\r\n?|\n')
_BOM = b'\xef\xbb\xbf'


class FilePart(NamedTuple):
    """Whole lines of a file; with ``header`` its first line, too, as that of a table's columns.

    Readers of lines take it for a path. The empty lines at the end of a text file are in no part.
    """

    path: str
    start: int
    """Offset of its first byte."""
    end: int
    first_line: int
    """Number of the line at ``start``, from 1."""
    header: int = 0
    """Bytes of the header line, which is read before the others."""

    def __fspath__(self) -> str:
        return self.path

    def __str__(self) -> str:
        return self.path

    @property
    def suffix(self) -> str:
        """The ending of the file's name."""
        return PurePath(self.path).suffix


def cut_file(path: PathLike, size: int, has_header: bool = False) -> list[FilePart]:
    """Cut a file into parts of at least ``size`` bytes, but for the last one, between lines.

    Parameters
    ----------
    path : str or Path
    size : int
    has_header : bool
        The first line names columns, and is part of each.

    Returns
    -------
    list of FilePart
        Without those of empty lines at the end of the file; none if there are no other lines.

    Raises
    ------
    ValueError
        If a line that is cut at is longer than 1 MiB.
    """
    name, parts = os.fspath(path), []
    with open(path, 'rb') as file:
        end = _end_of_lines(file)
        header, number = 0, 1
        if has_header and end:
            header, number = len(_read_block(file, 0, 0, name, 1)), 2
        start = header
        while start < end:
            block = _read_block(file, start, size, name, number)
            parts.append(FilePart(name, start, min(start + len(block), end), number, header))
            start, number = start + len(block), number + _count_lines(block)
    return parts


def open_lines(path: PathLike) -> Iterator[tuple[int, int, BinaryIO]]:
    """Open a file or a part of one: the number of a line, its offset, a file that begins with it.

    Of a part with a header there are two: the header, and the other lines.
    """
    with open(path, 'rb') as file:
        if not isinstance(path, FilePart):
            yield 1, 0, file
            return
        if path.header:
            yield 1, 0, _bounded(file, 0, path.header, path)
        yield path.first_line, path.start, _bounded(file, path.start, path.end, path)


class _Bounded(io.RawIOBase):
    """The bytes of a file up to an offset."""

    def __init__(self, file, end, path):
        self._file, self._left, self._path = file, end - file.tell(), path

    def readable(self):
        return True

    def readinto(self, buffer):
        data = self._file.read(min(len(buffer), self._left))
        if self._left and not data:
            raise ValueError(f'{self._path}: has become shorter since it was opened')
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)


def _bounded(file, start, end, path):
    file.seek(start)
    return io.BufferedReader(_Bounded(file, end, path))


def _read_block(file, start, size, name, number):
    """Read ``size`` bytes from ``start``, and on to the end of the line."""
    file.seek(start)
    block = file.read(size)
    rest = file.readline(MAX_LINE + 1)
    found = _LINE_END.search(rest)
    if found is None and len(rest) > MAX_LINE:
        number += _count_lines(block)
        raise ValueError(f'{name}:{number}: the line is longer than {MAX_LINE} bytes')
    return block + (rest if found is None else rest[: found.end()])


def _count_lines(block):
    return block.count(b'\n') + block.count(b'\r') - block.count(b'\r\n')


def _end_of_lines(file):
    """The offset after the last line that is not empty."""
    end = file.seek(0, os.SEEK_END)
    text = b''
    while end and not text:
        start = max(0, end - (1 << 16))
        file.seek(start)
        text = file.read(end - start).rstrip(b'\r\n')
        end = start + len(text)
    if end == len(_BOM) and text == _BOM:
        return 0
    file.seek(end)
    found = _LINE_END.match(file.read(2))
    return end + len(found[0]) if found and end else end
