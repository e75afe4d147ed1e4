"""Texts without labels: the lines of text files, and tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Optional, Union

from ..._internal.errors import ArgumentError
from ...data.classification.lines import read_lines
from ...data.classification.tables import iterate_texts

Text = Union[str, tuple[str, str]]


def read_unlabelled(
    paths: list[Path],
    text: Optional[str] = None,
    pair: Optional[str] = None,
    pairs: Optional[bool] = None,
    usual: Optional[tuple[str, str]] = None,
) -> list[Text]:
    """Read texts, or pairs of texts, as a pipeline takes them.

    Parameters
    ----------
    paths : list of Path
        Of a .txt the lines that are not empty are taken; else it is a table, see
        :func:`.read_table`.
    text, pair : str, optional
        Columns of the tables.
    pairs : bool, optional
        Whether pairs are needed, or single texts; by default either will do.
    usual : (str, str), optional
        Usual names of the columns.

    Returns
    -------
    list of str or of (str, str)

    Raises
    ------
    FileNotFoundError, ValueError
        If a file is not there, has no text, or has single texts instead of pairs or the reverse.
    """
    found: list[Text] = []
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f'{path}: no such file')
        before = len(found)
        for number, item in _texts(path, text, pair, usual):
            if pairs is not None and pairs != isinstance(item, tuple):
                raise ArgumentError(
                    'unlabelled',
                    f'line {number} has {"one text" if pairs else "a pair"}: the teacher reads '
                    f'{"pairs" if pairs else "single texts"}',
                    path,
                )
            found.append(item)
        if len(found) == before:
            raise ArgumentError('unlabelled', 'there is no text in it', path)
    return found


def _texts(path, text, pair, usual) -> Iterator[tuple[int, Text]]:
    if path.suffix.lower() == '.txt':
        for number, line in read_lines(path):
            if line.strip():
                yield number, line.strip()
        return
    for number, first, second in iterate_texts(
        path, text=text, pair=pair, usual=(usual,) if usual else ()
    ):
        if first.strip():
            yield number, first if second is None else (first, second)
