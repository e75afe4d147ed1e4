"""The inputs of ``gluon-bert predict``: from arguments, files or standard input."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

FORMATS = ('text', 'table', 'squad', 'conll', 'cluener')
PAIR_SEPARATORS = ('|||', '\t')
STANDARD_INPUT = 'standard input'

_TABLES = ('.tsv', '.csv', '.jsonl')
# The usual columns of a task.
_COLUMNS = {'questions': ('question', 'context')}


class Item(NamedTuple):
    """One input: where it stands, what the pipeline reads, and what the result is to repeat."""

    where: str
    input: object
    told: dict


def read_items(args, pipeline):
    """The inputs that the arguments name, one at a time.

    Parameters
    ----------
    args : argparse.Namespace
        With texts, input, format, text_column, pair_column.
    pipeline : Pipeline

    Yields
    ------
    Item
    """
    from ..data.classification.rows import drop_trailing_blanks, lines_of

    takes_pairs = _takes_pairs(pipeline)
    if args.texts:
        for number, text in enumerate(args.texts, 1):
            yield _item(f'text {number}', text, takes_pairs, pipeline.task)
    elif args.input is None:
        for number, line in drop_trailing_blanks(lines_of(sys.stdin.buffer, STANDARD_INPUT)):
            yield _item(f'{STANDARD_INPUT}:{number}', line, takes_pairs, pipeline.task)
    else:
        yield from _READERS[_format(args, pipeline.task)](args, pipeline)


def _takes_pairs(pipeline):
    if pipeline.task in ('classification', 'regression'):
        return pipeline.settings.get('pair', True)
    return pipeline.task in ('questions', 'next-sentence')


def _format(args, task):
    """What the file is, by what was asked for, by its name and by the task."""
    suffix = args.input.suffix.lower()
    if args.format:
        found = args.format
    elif args.text_column or suffix in _TABLES:
        found = 'table'
    elif suffix == '.txt':
        found = 'text'
    elif task == 'entities':
        found = 'cluener' if suffix == '.json' else 'conll'
    elif suffix == '.json':
        found = 'squad' if task == 'questions' else 'table'
    else:
        raise ValueError(
            f'--input {args.input}: its name does not tell what it is, pass --format '
            f'(one of {", ".join(FORMATS)})'
        )
    for name, wanted in (('squad', 'questions'), ('conll', 'entities'), ('cluener', 'entities')):
        if found == name and task != wanted:
            raise ValueError(f'--format {name}: is for {wanted}, this model is for {task}')
    return found


def _item(where, text, takes_pairs, task, pair=None):
    """The item of a text, or of two in one line."""
    for separator in PAIR_SEPARATORS if takes_pairs and pair is None else ():
        if separator in text:
            text, _, pair = (part.strip() for part in text.partition(separator))
            break
    first, second = ('question', 'context') if task == 'questions' else ('text', 'pair')
    told = {first: text} if pair is None or task == 'questions' else {first: text, second: pair}
    return Item(where, text if pair is None else (text, pair), told)


def _lines(args, pipeline):
    from ..data.classification.rows import drop_trailing_blanks, read_lines

    takes_pairs = _takes_pairs(pipeline)
    for number, line in drop_trailing_blanks(read_lines(args.input)):
        yield _item(f'{args.input}:{number}', line, takes_pairs, pipeline.task)


def _table(args, pipeline):
    from ..data import iterate_texts

    usual = [_COLUMNS[pipeline.task]] if pipeline.task in _COLUMNS else []
    columns = getattr(pipeline, 'settings', {}).get('columns')
    if columns and (isinstance(columns['text'], str) or args.input.suffix == '.tsv'):
        usual.append((columns['text'], columns['pair']))
    for number, text, pair in iterate_texts(
        args.input, text=args.text_column, pair=args.pair_column, usual=usual
    ):
        yield _item(f'{args.input}:{number}', text, False, pipeline.task, pair)


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


def existing(text, flag='--input'):
    """The path of a file that is there; FileNotFoundError with the flag that named it."""
    path = Path(text).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'{flag} {text}: no such file')
    return path
