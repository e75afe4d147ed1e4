"""Read queries with documents and their relevance: a pair a row, or a list of documents a row."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Optional

import numpy as np

from ..._internal.types import PathLike
from ..classification.json_rows import first_keys, json_rows, parse_object
from ..classification.labels import score_parser
from ..classification.lines import MalformedRow
from ..classification.rows import Example, Split, collect
from ..classification.tables import open_table

# Tried in this order, before the columns of any pair of texts.
COLUMNS = (('query', 'document'), ('query', 'passage'), ('query', 'text'), ('question', 'passage'))
LISTS = ('query', 'documents', 'labels')
"""Keys of a row of a .jsonl or .json file that has a list of documents."""


def read_ranking(
    path: PathLike,
    *,
    query: Optional[str] = None,
    document: Optional[str] = None,
    label: Optional[str] = None,
    skip_malformed: bool = False,
) -> Split:
    """Read queries with documents, each with its relevance: 0, or a number that is larger.

    Parameters
    ----------
    path : str or Path
        A table as for :func:`.read_table`, with a row for each pair of query and document; rows of
        one query make a list, wherever they stand. Or a .jsonl or .json file of objects with
        ``query``, ``documents`` and ``labels``, lists of equal length.
    query, document : str, optional
        Columns of a table; by default the first of these in it: query and document, passage or
        text; question and passage; those of pairs that :func:`.read_table` knows.
    label : str, optional
        Column of the relevance; by default 'label' if the table has it.
    skip_malformed : bool
        Skip and count malformed rows instead of raising.

    Returns
    -------
    Split
        An example for each pair.

    Raises
    ------
    FileNotFoundError
    ValueError
        If a column is missing, or a row is malformed; the message names file and line.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, 'train.jsonl')
    >>> _ = path.write_text('{"query": "who", "documents": ["he", "it"], "labels": [1, 0]}\\n')
    >>> [tuple(example)[:3] for example in read_ranking(path).examples]
    [('who', 'he', 1.0), ('who', 'it', 0.0)]
    >>> folder.cleanup()
    """
    is_json = str(path).lower().endswith(('.jsonl', '.json'))
    if is_json and query is None and document is None and LISTS[1] in first_keys(path):
        lists = _list_rows(path)
        examples, skipped = collect(path, lists, lambda row: row, float, skip_malformed)
        return Split(examples, skipped, str(path), None)
    table_rows, columns, select = open_table(path, query, document, label, usual=COLUMNS)
    if columns.pair is None:
        table_rows.close()  # type: ignore[attr-defined]
        raise ValueError(
            f'{path}: needs two columns, of the query and of the document; name them with text '
            f'and pair'
        )
    examples, skipped = collect(path, table_rows, select, score_parser(), skip_malformed)
    return Split(examples, skipped, str(path), None)


def _list_rows(path) -> Iterator[tuple[int, Any]]:
    """Yield (line, row for :func:`.collect`) of each document."""
    for number, line in json_rows(path):
        try:
            values = parse_object(line)
            pairs = _checked_list(values)
        except ValueError as error:
            yield number, error if isinstance(error, MalformedRow) else MalformedRow(str(error))
            continue
        for document, relevance in pairs:
            yield number, (values['query'], document, relevance, None)


def _checked_list(values):
    query, documents, labels = (values.get(key) for key in LISTS)
    if not isinstance(query, str):
        raise ValueError(f"'query' must be a string, got {type(query).__name__}")
    if not isinstance(documents, list) or not all(isinstance(text, str) for text in documents):
        raise ValueError("'documents' must be a list of strings")
    if not documents:
        raise ValueError("'documents' is empty")
    if 'labels' not in values:
        return [(document, None) for document in documents]
    if not isinstance(labels, list) or len(labels) != len(documents):
        count = len(labels) if isinstance(labels, list) else type(labels).__name__
        raise ValueError(f"'labels' must be a list of {len(documents)} numbers, got {count}")
    for value in labels:
        if (
            isinstance(value, str)
            or not isinstance(value, (int, float))
            or not math.isfinite(value)
        ):
            raise ValueError(f"'labels' must be finite numbers, got {value!r}"[:200])
    return list(zip(documents, labels))


def list_numbers(examples: list[Example]) -> np.ndarray:
    """Number the lists of examples: those of one query are one list.

    Parameters
    ----------
    examples : list of Example

    Returns
    -------
    numpy.ndarray, int64, shape (examples,)
        From 0, in the order in which the queries first occur.
    """
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(row.text, len(numbers)) for row in examples], 'int64')
