"""Inputs of pipelines as items, of texts, files and standard input; each knows where it stands."""

from __future__ import annotations

import collections
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union

from ..data.classification.parts import FilePart

FORMATS = ('text', 'table', 'choices', 'squad', 'conll', 'cluener')
PAIR_SEPARATORS = ('|||', '\t')
STANDARD_INPUT = 'standard input'

_TABLES = ('.tsv', '.csv', '.jsonl')


class InputSource(NamedTuple):
    """Texts or a file; standard input if there are neither."""

    texts: Sequence[str] = ()
    input: Optional[Union[Path, FilePart]] = None
    format: Optional[str] = None
    """One of ``FORMATS``, by default as the name of the file and the task say."""
    text_column: Optional[str] = None
    pair_column: Optional[str] = None


class Item(NamedTuple):
    """One input: where it stands, what the pipeline reads, and what the result is to repeat."""

    where: str
    input: object
    told: dict


def read_items(source: InputSource, pipeline: Any) -> Generator[Item, None, None]:
    """Read the inputs of a source, one at a time.

    Parameters
    ----------
    source : InputSource
    pipeline : Pipeline

    Yields
    ------
    Item
    """
    from ..data.classification.lines import drop_trailing_blanks, lines_of

    if source.texts:
        for number, text in enumerate(source.texts, 1):
            yield _line_item(f'text {number}', text, pipeline)
    elif source.input is None:
        for number, line in drop_trailing_blanks(lines_of(sys.stdin.buffer, STANDARD_INPUT)):
            yield _line_item(f'{STANDARD_INPUT}:{number}', line, pipeline)
    else:
        yield from _READERS[_format(source, pipeline)](source, pipeline)


def predict_items(
    items: Iterable[Item],
    pipeline: Any,
    write: Callable[[dict], Any],
    top_k: Optional[int] = None,
    progress: Optional[Callable[[int], Any]] = None,
) -> tuple[int, int]:
    """Write the result of each item in turn, as an object for JSON that repeats the input.

    Parameters
    ----------
    items : iterable of Item
    pipeline : Pipeline
    write : callable
        Gets the objects.
    top_k : int, optional
        As for :meth:`.Pipeline.as_json`.
    progress : callable, optional
        As for :meth:`.Pipeline.stream`.

    Returns
    -------
    num_results, num_cut : int
        ``num_cut`` inputs were cut for being too long.

    Raises
    ------
    ValueError
        If an input cannot be read; the message says where it stands.
    """
    from .base import InputError

    waiting: collections.deque[Item] = collections.deque()
    num_results = 0

    def inputs():
        for item in items:
            waiting.append(item)
            yield item.input

    stream = pipeline.stream(inputs(), progress=progress)
    try:
        for result in stream:
            told = waiting.popleft().told
            write({**told, **pipeline.as_json(result, top_k, told.get('words'))})
            num_results += 1
    except InputError as error:
        raise ValueError(f'{waiting[error.number - num_results].where}: {error.reason}') from None
    return num_results, stream.num_cut


def cut_source(source: InputSource, pipeline: Any, size: int) -> list[Any]:
    """Cut the file of a source into parts of about ``size`` bytes.

    Returns
    -------
    list of FilePart, or of the file's path alone
        The latter where an input may go on over several lines, as in .csv and CoNLL's files.

    Raises
    ------
    ValueError
        If the format of the file cannot be told, or is not for the pipeline.
    """
    from ..data.classification.json_rows import is_array
    from ..data.classification.parts import cut_file

    path: Any = source.input
    form, suffix = _format(source, pipeline), path.suffix.lower()
    is_json = suffix in ('.jsonl', '.json') and form in ('table', 'choices')
    if form == 'text' or (is_json and not is_array(path)):
        return [*cut_file(path, size)]
    if form == 'table' and suffix == '.tsv':
        usual = _usual_columns(source, pipeline)
        without_names = source.text_column is None and usual and isinstance(usual[0][0], int)
        return [*cut_file(path, size, not without_names)]
    return [path]


def _spec(pipeline):
    """The row of a pipeline's task; None for what a model was pre-trained for."""
    from ..tasks.registry import TASKS

    return TASKS.get(pipeline.task)


def _columns(pipeline):
    """The usual columns of the task's inputs, or None."""
    spec = _spec(pipeline)
    return spec and spec.columns


def _takes_pairs(pipeline):
    spec = _spec(pipeline)
    if spec is None:
        return pipeline.task == 'next-sentence'
    return spec.takes_pairs and pipeline.settings.get('pair', True)


def _format(source, pipeline):
    """The format of the file, by what was asked for, by its name and by the task."""
    suffix, spec = source.input.suffix.lower(), _spec(pipeline)
    formats = {'.json': 'table'} if spec is None else spec.formats
    if source.format:
        form = source.format
    elif source.text_column:
        form = 'table'
    elif suffix in formats:
        form = formats[suffix]
    elif suffix in _TABLES or suffix == '.txt':
        form = 'text' if suffix == '.txt' else 'table'
    elif '' in formats:
        form = formats['']
    else:
        raise ValueError(
            f'{source.input}: its name does not tell what it is, pass --format '
            f'(one of {", ".join(FORMATS)})'
        )
    if form == 'table' and formats.get(_TABLES[-1], form) != form:
        raise ValueError(
            f'--format table, --text_column: are for texts, this model is for {pipeline.task}'
        )
    if form not in ('text', 'table') and form not in formats.values():
        wanted = next(row.name for row in _tasks() if form in row.formats.values())
        raise ValueError(f'--format {form}: is for {wanted}, this model is for {pipeline.task}')
    return form


def _tasks():
    from ..tasks.registry import TASKS

    return TASKS.values()


def _line_item(where, line, pipeline):
    """The item of a line: a text, a pair, or a context with its choices."""
    spec = _spec(pipeline)
    if spec is None or not spec.takes_choices:
        return _item(where, line, _takes_pairs(pipeline), _columns(pipeline))
    separator = next((mark for mark in PAIR_SEPARATORS if mark in line), PAIR_SEPARATORS[0])
    context, *choices = (part.strip() for part in line.split(separator))
    return Item(where, (context, choices), {'context': context, 'choices': choices})


def _item(where, text, takes_pairs, names, pair=None):
    """The item of a text, or of two in one line."""
    for separator in PAIR_SEPARATORS if takes_pairs and pair is None else ():
        if separator in text:
            text, _, pair = (part.strip() for part in text.partition(separator))
            break
    first, second = names or ('text', 'pair')
    # A context is not repeated: it may be long, and the same for many questions.
    told = {first: text} if pair is None or names else {first: text, second: pair}
    return Item(where, text if pair is None else (text, pair), told)


def _lines(source, pipeline):
    from ..data.classification.lines import drop_trailing_blanks, read_lines

    for number, line in drop_trailing_blanks(read_lines(source.input), source.input):
        yield _line_item(f'{source.input}:{number}', line, pipeline)


def _usual_columns(source, pipeline):
    """Columns to read if none are named: those of the task, and those of the training."""
    names = _columns(pipeline)
    usual = [names] if names else []
    columns = getattr(pipeline, 'settings', {}).get('columns')
    if columns and (isinstance(columns['text'], str) or source.input.suffix == '.tsv'):
        usual.append((columns['text'], columns['pair']))
    return usual


def _table(source, pipeline):
    from ..data import iterate_texts

    names, usual = _columns(pipeline), _usual_columns(source, pipeline)
    for number, text, pair in iterate_texts(
        source.input, text=source.text_column, pair=source.pair_column, usual=usual
    ):
        yield _item(f'{source.input}:{number}', text, False, names, pair)


def _choices(source, pipeline):
    from ..data.choices.files import iterate_choices

    for number, row in iterate_choices(source.input):
        told = {'context': row.context, 'question': row.question, 'choices': list(row.choices)}
        told = {name: value for name, value in told.items() if value is not None}
        yield Item(f'{source.input}:{number}', row, told)


def _squad(source, pipeline):
    from ..data import read_squad

    for row in read_squad(source.input).questions:
        yield Item(
            f'{source.input}: question {row.id!r}',
            (row.question, row.context),
            {'id': row.id, 'question': row.question},
        )


def _conll(source, pipeline):
    from ..data import read_tagged

    for row in read_tagged(source.input, tag_column=None).sentences:
        yield Item(f'{source.input}:{row.line}', row.words, {'words': row.words})


def _cluener(source, pipeline):
    from ..data import read_tagged

    for row in read_tagged(source.input, repair=True).sentences:
        text = ''.join(row.words)
        yield Item(f'{source.input}:{row.line}', text, {'text': text})


_READERS = {
    'text': _lines,
    'table': _table,
    'choices': _choices,
    'squad': _squad,
    'conll': _conll,
    'cluener': _cluener,
}
