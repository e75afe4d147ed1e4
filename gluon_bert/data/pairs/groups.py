"""Read texts that belong together: pairs, triplets, scored pairs, or single lines."""

from __future__ import annotations

import math
from collections import namedtuple
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

from ..._internal.suggestions import unknown_name
from ..._internal.types import PathLike
from ..classification.json_rows import first_keys, json_rows, parse_object
from ..classification.labels import score_parser
from ..classification.lines import MalformedRow, checked_lines, without_end
from ..classification.rows import closed_on_error, convert_rows, field_selector, read_header
from ..classification.separated import csv_rows, separator_advice, tsv_rows, without_blanks
from ..classification.tables import TEXT_COLUMNS

MAX_COLUMNS = 64
SCORE_COLUMNS = ('score', 'similarity_score', 'label')
# Tried in this order if no columns are named; all of a row must exist. Columns named negative_1,
# negative_2 and so on follow those of the first two rows.
GROUP_COLUMNS: tuple[tuple[str, ...], ...] = (
    ('anchor', 'positive', 'negative'),
    ('query', 'positive', 'negative'),
    ('premise', 'entailment', 'contradiction'),
    ('sent0', 'sent1', 'hard_neg'),
    ('anchor', 'positive'),
    ('query', 'positive'),
    ('query', 'answer'),
    ('question', 'answer'),
    *(row if row[1] else row[:1] for row in TEXT_COLUMNS),
)


class TextGroups(NamedTuple):
    """The examples of one file.

    Parameters
    ----------
    texts : list of tuple of str
        Of each example: one text; two that belong together; or an anchor, a positive and its
        negatives. All have the same number.
    scores : list of float or None
        How similar the two texts of an example are; None without scores.
    path : str
    num_skipped : int
        Malformed rows that were left out.
    columns : tuple of str
        The columns that were read; empty for lines.
    """

    texts: list[tuple[str, ...]]
    scores: Optional[list[float]]
    path: str
    num_skipped: int = 0
    columns: tuple[str, ...] = ()


def read_text_groups(
    path: PathLike,
    *,
    columns: Optional[Sequence[str]] = None,
    score: Optional[str] = None,
    scored: Optional[bool] = None,
    score_range: tuple[float, float] = (-math.inf, math.inf),
    skip_malformed: bool = False,
) -> TextGroups:
    """Read pairs, triplets or scored pairs of a table, or the lines of a text file.

    Parameters
    ----------
    path : str or Path
        A table as for :func:`.read_table`: ``.tsv``, ``.csv``, ``.jsonl`` or ``.json``; or
        ``.txt``, a text a line, empty lines left out.
    columns : sequence of str, optional
        Columns of the texts: one; two that belong together; or those of an anchor, a positive and
        its negatives. By default the first of ``GROUP_COLUMNS`` in the table.
    score : str, optional
        Column of the score of two texts. By default the first of ``SCORE_COLUMNS`` in the table.
    scored : bool, optional
        Whether scores are read; by default if the table has two columns of texts and a usual one
        of scores.
    score_range : tuple of float
        The lowest and the highest score allowed.
    skip_malformed : bool
        Skip and count malformed rows instead of raising.

    Returns
    -------
    TextGroups

    Raises
    ------
    FileNotFoundError
    ValueError
        If the format is unknown, a column is missing, or a row is malformed: it has an empty text,
        or a score that is no number or out of range; the message names file and line.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, 'pairs.csv')
    >>> _ = path.write_text('sentence1,sentence2,score\\nA cat.,The cat.,0.9\\n')
    >>> read_text_groups(path)[:2]
    ([('A cat.', 'The cat.')], [0.9])
    >>> folder.cleanup()
    """
    suffix = Path(path).suffix.lower()
    if suffix == '.txt':
        if columns or score or scored:
            raise ValueError(f'{path}: a .txt has a text in each line, and no columns')
        return _collect(path, _lines(path), lambda row: [row], (), None, skip_malformed)
    if suffix not in _ROWS:
        raise ValueError(f"path '{path}': the name must end in {', '.join(_ROWS)} or .txt")
    rows, is_json = _ROWS[suffix](path), suffix in ('.jsonl', '.json')
    with closed_on_error(rows):
        header = first_keys(path) if is_json else read_header(path, rows)
        names = _choose_columns(path, header, columns)
        score = _choose_score(path, header, names, score, scored)
        select = _json_selector(names, score) if is_json else _selector(path, header, names, score)
    parse = None if score is None else score_parser(*score_range)
    return _collect(path, rows, select, names, parse, skip_malformed)


_ROWS: dict[str, Callable[[PathLike], Iterator]] = {
    '.tsv': lambda path: without_blanks(tsv_rows(path)),
    '.csv': lambda path: without_blanks(csv_rows(path)),
    '.jsonl': json_rows,
    '.json': json_rows,
}


def _lines(path):
    for number, line in checked_lines(path):
        if isinstance(line, MalformedRow) or line.strip():
            yield number, line if isinstance(line, MalformedRow) else without_end(line)


def _choose_columns(path, header, columns):
    if columns is not None:
        columns = tuple(columns)
        if not 1 <= len(columns) <= MAX_COLUMNS or len({*columns}) < len(columns):
            raise ValueError(
                f'columns={",".join(columns)}: expected 1 to {MAX_COLUMNS} different names'
            )
        for name in columns:
            if name not in header:
                raise ValueError(f'{path}:1: {unknown_name("column", name, header)}')
        return columns
    for names in GROUP_COLUMNS:
        if all(name in header for name in names):
            return names + _further_negatives(header, names)
    raise ValueError(
        f'{path}:1: no columns have usual names for texts; name them with columns=, some of: '
        f'{", ".join(map(str, header))[:500]}{separator_advice(path, header)}'
    )


def _further_negatives(header, names):
    """The columns negative_1, negative_2, ... behind an anchor and its positive."""
    if names[1:2] != ('positive',):
        return ()
    further = []
    while f'negative_{len(further) + 1}' in header:
        further.append(f'negative_{len(further) + 1}')
    return tuple(further)


def _choose_score(path, header, names, score, scored):
    """The column of the score; None if no scores are read."""
    if score is None and scored is not False and len(names) == 2:
        usual = (name for name in SCORE_COLUMNS if name in header and name not in names)
        score = next(usual, None)
    if score is None and scored:
        raise ValueError(
            f'{path}:1: no column has a usual name for a score ({", ".join(SCORE_COLUMNS)}); '
            f'name it with score=, one of: {", ".join(map(str, header))[:500]}'
        )
    if score is not None and score not in header:
        raise ValueError(f'{path}:1: {unknown_name("column", score, header)}')
    if score is not None and (len(names) != 2 or score in names):
        raise ValueError(
            f'score={score!r}: goes with two other columns of texts, got {", ".join(names)}'
        )
    return score


def _selector(path, header, names, score):
    fields = [*names] if score is None else [*names, score]
    kind = namedtuple('Columns', [f'column_{number}' for number in range(len(fields))])
    return field_selector(path, header, kind(*fields))


def _json_selector(names, score):
    def select(line):
        row = parse_object(line)
        for name in (*names, *([] if score is None else [score])):
            if name not in row:
                raise unknown_name('key', name, row)
        for name in names:
            if not isinstance(row[name], str):
                raise ValueError(f'{name!r} must be a string, got {type(row[name]).__name__}')
        return [row[name] for name in names] + ([] if score is None else [_number(row, score)])

    return select


def _number(row: dict[str, Any], name: str) -> str:
    value = row[name]
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(f'{name!r} must be a number, got {type(value).__name__}')
    return str(value)


def _collect(path, rows, select, names, parse, skip_malformed):
    def convert(_, row):
        fields = select(row)
        score = None if parse is None else parse(fields.pop())
        for position, text in enumerate(fields):
            if not text.strip():
                raise ValueError(f'{names[position] if names else "the line"!r} is empty')
        return tuple(fields), score

    converted, num_skipped = convert_rows(path, rows, convert, skip_malformed)
    texts, scores = map(list, zip(*converted))
    return TextGroups(texts, None if parse is None else scores, str(path), num_skipped, names)
