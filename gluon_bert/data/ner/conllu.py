"""Tell the lines of CoNLL-U, a layout of treebanks, that are no words with their tags."""

from __future__ import annotations

import re
from collections.abc import Sequence

EMPTY = '_'  # a column without a value
_COMMENT = re.compile(r'# ((newdoc|newpar)( .*)?|[\w.:-]+ = .*)', re.DOTALL)
_NO_WORD = re.compile(r'[0-9]+[-.][0-9]+')


def is_comment(line: str) -> bool:
    """Tell if a line is a comment, such as ``# text = Ada saw it.``."""
    return '\t' not in line and _COMMENT.fullmatch(line) is not None


def check_row(path: object, number: int, fields: Sequence[str]) -> None:
    """Raise ValueError for a row that stands for several words, such as 1-2, or for none."""
    if len(fields) == 10 and _NO_WORD.fullmatch(fields[0]):
        raise ValueError(
            f'{path}:{number}: the row {fields[0]} of CoNLL-U stands beside those of the words: '
            f'take such rows out'
        )
