"""Read contexts with choices: SWAG's tables, and lines of JSON with lists of choices."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Optional

from ..._internal.suggestions import unknown_name
from ..._internal.types import PathLike
from ..classification.json_rows import json_rows, parse_object
from ..classification.lines import MalformedRow
from ..classification.rows import (
    Columns,
    Split,
    closed_on_error,
    convert_rows,
    field_selector,
    read_header,
)
from ..classification.separated import csv_rows, separator_advice, tsv_rows, without_blanks
from .examples import ChoiceExample, check_choices

LABEL_COLUMN = 'label'
# Columns of the context and of the question, tried in this order; either may be absent.
CONTEXTS = (('sent1', 'sent2'), ('context', 'question'), ('startphrase', None))
LIST = 'choices'
_NUMBERED = re.compile(r'(?:ending|choice)([0-9]|[1-9][0-9])')
_SUFFIXES = ('.tsv', '.csv', '.jsonl', '.json')


class ChoiceColumns(NamedTuple):
    """The names of an example's fields; ``choices`` is one name of lists, or a name for each."""

    context: str
    question: Optional[str]
    choices: tuple[str, ...]
    label: Optional[str]


def read_choices(
    path: PathLike, *, label: Optional[str] = None, skip_malformed: bool = False
) -> Split:
    """Read examples of multiple choice.

    Parameters
    ----------
    path : str or Path
        A .csv or .tsv table, or a .jsonl or .json file of objects, with columns or keys by these
        names: ``sent1`` and ``sent2``, as SWAG has them, or ``context`` and ``question``, of which
        one may be absent; ``ending0``, ``ending1`` and so on, or ``choice0``, ``choice1`` and so
        on, or, in JSON, the list ``choices``; ``label``. Other columns are ignored.
    label : str, optional
        Column of the number of the right choice, from 0; by default 'label' if there is one. -1
        stands for none, as in SWAG's test set.
    skip_malformed : bool
        Skip and count malformed rows instead of raising.

    Returns
    -------
    Split
        Of :class:`ChoiceExample`; those of lists may have different numbers of choices.

    Raises
    ------
    FileNotFoundError
    ValueError
        If a column is missing, or a row is malformed: it has fewer than two choices, an empty one,
        or a label that is the number of none; the message names file and line.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, 'train.jsonl')
    >>> _ = path.write_text('{"context": "It rains.", "choices": ["Wet.", "Dry."], "label": 0}\\n')
    >>> read_choices(path).examples[0]
    ChoiceExample(context='It rains.', question=None, choices=('Wet.', 'Dry.'), label=0, index='0')
    >>> folder.cleanup()
    """
    rows, convert = _open(path, label)
    examples, num_skipped = convert_rows(
        path, rows, lambda position, row: convert(row)._replace(index=str(position)), skip_malformed
    )
    return Split(examples, num_skipped, str(path), None)


def iterate_choices(path: PathLike) -> Iterator[tuple[int, ChoiceExample]]:
    """Read the examples of a file one at a time, without their labels, by the number of the line.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`read_choices`.
    """
    rows, convert = _open(path, None, labelled=False)
    with closed_on_error(rows):
        for number, row in rows:
            try:
                if isinstance(row, MalformedRow):
                    raise row
                example = convert(row)
            except ValueError as error:
                raise ValueError(f'{path}:{number}: {error}') from None
            yield number, example


def _open(path, label, labelled=True) -> tuple[Any, Callable[[Any], ChoiceExample]]:
    """The numbered rows of a file, and a function that makes an example of one."""
    suffix = Path(path).suffix.lower()
    if suffix not in _SUFFIXES:
        raise ValueError(
            f"path '{path}': the name must end in {', '.join(_SUFFIXES)}, which determines the "
            f'format'
        )
    if suffix in ('.jsonl', '.json'):
        return json_rows(path), lambda line: _of_object(parse_object(line), label, labelled)
    rows = without_blanks(tsv_rows(path) if suffix == '.tsv' else csv_rows(path))
    with closed_on_error(rows):
        header = read_header(path, rows)
        try:
            columns = _choose_columns(header, label, labelled)
        except ValueError as error:
            raise ValueError(f'{path}:1: {error}{separator_advice(path, header)}') from None
        select = field_selector(path, header, Columns(None))  # checks the number of fields

        def convert(fields):
            select(fields)
            return _of_values(columns, dict(zip(header, fields)))

        return rows, convert


def _choose_columns(names, label, labelled, lists=False) -> ChoiceColumns:
    """Choose the columns of a table, or the keys of an object."""
    if label is None and labelled and LABEL_COLUMN in names:
        label = LABEL_COLUMN
    elif label is not None and label not in names:
        raise unknown_name('column', label, names)
    choices = (LIST,) if lists and LIST in names else _numbered_columns(names)
    has = f'it has {", ".join(map(str, names))[:300]}'
    if not choices:
        raise ValueError(
            f'has no choices: expected ending0, ending1, ...{", or choices" * lists}; {has}'
        )
    context, question = next((row for row in CONTEXTS if {*row} & {*names}), ('', None))
    if not context:
        expected = ', '.join(name for row in CONTEXTS for name in row if name)
        raise ValueError(f'has no context or question: expected one of {expected}; {has}')
    if question is not None and context not in names:
        context, question = question, None
    doubled = next(
        (name for name in {context, question, label, *choices} if names.count(name) > 1), None
    )
    if doubled is not None:
        raise ValueError(f'the header names {doubled!r} twice')
    return ChoiceColumns(context, question if question in names else None, choices, label)


def _numbered_columns(names) -> tuple[str, ...]:
    """The columns of single choices in the order of their numbers, which begin with 0."""
    found = {name: int(match[1]) for name in names if (match := _NUMBERED.fullmatch(name))}
    ordered = sorted(found, key=lambda name: found[name])
    if [found[name] for name in ordered] != list(range(len(ordered))):
        raise ValueError(
            f'the columns of choices are {", ".join(ordered)}: expected one for each number from 0'
        )
    if len(ordered) == 1:
        raise ValueError(f'{ordered[0]} is the only column of choices: expected two or more')
    return tuple(ordered)


def _of_object(row, label, labelled) -> ChoiceExample:
    """The example of a JSON object."""
    columns = _choose_columns(list(row), label, labelled, lists=True)
    for name in (columns.context, columns.question):
        if name is not None and not isinstance(row[name], str):
            raise ValueError(f'{name!r} must be a string, got {type(row[name]).__name__}')
    if columns.choices == (LIST,) and not isinstance(row[LIST], list):
        raise ValueError(f'{LIST!r} must be a list of strings, got {type(row[LIST]).__name__}')
    return _of_values(columns, row)


def _of_values(columns, row) -> ChoiceExample:
    is_list = columns.choices == (LIST,)
    choices = check_choices(row[LIST] if is_list else [row[name] for name in columns.choices])
    question = None if columns.question is None else row[columns.question].strip() or None
    label = None if columns.label is None else _number(row[columns.label], len(choices))
    return ChoiceExample(row[columns.context], question, choices, label)


def _number(value, count) -> Optional[int]:
    """The number of the right choice; None for -1."""
    number = value.strip() if isinstance(value, str) else value
    if isinstance(number, str) and re.fullmatch('-1|[0-9]{1,9}', number):
        number = int(number)
    if type(number) is not int or not -1 <= number < count:
        raise ValueError(
            f'the label is {reprlib.repr(value)}: expected the number of one of {count} choices, '
            f'0 to {count - 1}'
        )
    return None if number == -1 else number
