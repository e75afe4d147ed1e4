"""The inputs of ``gluon-bert predict``: from arguments, files or standard input."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any, NamedTuple

FORMATS = ('text', 'table', 'squad', 'conll', 'cluener')
PAIR_SEPARATORS = ('|||', '\t')
STANDARD_INPUT = 'standard input'

_TABLES = ('.tsv', '.csv', '.jsonl')


class Item(NamedTuple):
    """One input: where it stands, what the pipeline reads, and what the result is to repeat."""

    where: str
    input: object
    told: dict


def add_format_arguments(parser: Any, option: str) -> None:
    """Declare the format and the columns of the file that ``option`` names.

    Parameters
    ----------
    parser : argparse.ArgumentParser or a group of its arguments
    option : str
    """
    parser.add_argument('--format', choices=FORMATS, help=f'of {option} (default: by its name)')
    parser.add_argument(
        '--text_column',
        metavar='NAME',
        help='of a table (default: as in training, else sentence, text, ...)',
    )
    parser.add_argument('--pair_column', metavar='NAME', help='of the second text, or the context')


def read_items(args: argparse.Namespace, pipeline: Any) -> Generator[Item, None, None]:
    """Read the inputs that the arguments name, one at a time.

    Parameters
    ----------
    args : argparse.Namespace
        With texts, input, format, text_column, pair_column.
    pipeline : Pipeline

    Yields
    ------
    Item
    """
    from ..data.classification.lines import drop_trailing_blanks, lines_of

    takes_pairs, names = _takes_pairs(pipeline), _columns(pipeline)
    if args.texts:
        for number, text in enumerate(args.texts, 1):
            yield _item(f'text {number}', text, takes_pairs, names)
    elif args.input is None:
        for number, line in drop_trailing_blanks(lines_of(sys.stdin.buffer, STANDARD_INPUT)):
            yield _item(f'{STANDARD_INPUT}:{number}', line, takes_pairs, names)
    else:
        yield from _READERS[_format(args, pipeline)](args, pipeline)


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


def _format(args, pipeline):
    """The format of the file, by what was asked for, by its name and by the task."""
    suffix, spec = args.input.suffix.lower(), _spec(pipeline)
    formats = {'.json': 'table'} if spec is None else spec.formats
    if args.format:
        form = args.format
    elif args.text_column or suffix in _TABLES:
        form = 'table'
    elif suffix == '.txt':
        form = 'text'
    elif suffix in formats or '' in formats:
        form = formats.get(suffix) or formats['']
    else:
        raise ValueError(
            f'{args.input}: its name does not tell what it is, pass --format '
            f'(one of {", ".join(FORMATS)})'
        )
    if form not in ('text', 'table') and form not in formats.values():
        wanted = next(row.name for row in _tasks() if form in row.formats.values())
        raise ValueError(f'--format {form}: is for {wanted}, this model is for {pipeline.task}')
    return form


def _tasks():
    from ..tasks.registry import TASKS

    return TASKS.values()


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


def _lines(args, pipeline):
    from ..data.classification.lines import drop_trailing_blanks, read_lines

    takes_pairs, names = _takes_pairs(pipeline), _columns(pipeline)
    for number, line in drop_trailing_blanks(read_lines(args.input)):
        yield _item(f'{args.input}:{number}', line, takes_pairs, names)


def _table(args, pipeline):
    from ..data import iterate_texts

    names = _columns(pipeline)
    usual = [names] if names else []
    columns = getattr(pipeline, 'settings', {}).get('columns')
    if columns and (isinstance(columns['text'], str) or args.input.suffix == '.tsv'):
        usual.append((columns['text'], columns['pair']))
    for number, text, pair in iterate_texts(
        args.input, text=args.text_column, pair=args.pair_column, usual=usual
    ):
        yield _item(f'{args.input}:{number}', text, False, names, pair)


def _squad(args, pipeline):
    from ..data import read_squad

    for row in read_squad(args.input).questions:
        yield Item(
            f'{args.input}: question {row.id!r}',
            (row.question, row.context),
            {'id': row.id, 'question': row.question},
        )


def _conll(args, pipeline):
    from ..data import read_tagged

    for row in read_tagged(args.input, tag_column=None).sentences:
        yield Item(f'{args.input}:{row.line}', row.words, {'words': row.words})


def _cluener(args, pipeline):
    from ..data import read_tagged

    for row in read_tagged(args.input, repair=True).sentences:
        text = ''.join(row.words)
        yield Item(f'{args.input}:{row.line}', text, {'text': text})


_READERS = {'text': _lines, 'table': _table, 'squad': _squad, 'conll': _conll, 'cluener': _cluener}


def existing(text: str, flag: str = '--input') -> Path:
    """Return the path of a file; FileNotFoundError with the flag that named it."""
    path = Path(text).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'{flag} {text}: no such file')
    return path
