"""Pieces of reStructuredText: cells and tables."""

from __future__ import annotations

import re
from urllib.parse import urlsplit


def literal(value):
    """A cell in typewriter letters; empty for an empty value."""
    return f'``{value}``' if str(value) else ''


def literals(values):
    """A cell of several of them."""
    return ', '.join(map(literal, values))


def plain(text):
    """A cell of text that is not markup."""
    return re.sub(r'([*`|_\\])', r'\\\1', str(text))


def link(address, text=None):
    """A cell that is a link, by default shown as its host."""
    return f'`{plain(text or urlsplit(address).netloc)} <{address}>`__'


def list_table(header, rows, name='', head_columns=0, widths=''):
    """Lines of a ``list-table``; without a header its first row is one of data.

    ``name`` is its CSS class, ``widths`` those of its columns, relative to each other.
    """
    options = [f'   :class: {name}'] * bool(name) + [f'   :widths: {widths}'] * bool(widths)
    lines = [
        '.. list-table::',
        *options,
        f'   :header-rows: {int(bool(header))}',
        f'   :stub-columns: {head_columns}',
        '',
    ]
    for row in [*([header] if header else []), *rows]:
        for number, cell in enumerate(row):
            first, *others = cell.split('\n')
            lines.append(f'   {" " if number else "*"} - {first}'.rstrip())
            lines += [f'       {line}' for line in others]
    return [*lines, '']


def grid_table(header, rows):
    """Lines of a table drawn with +, - and |, as people write them."""
    cells = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*cells)]

    def rule(line='-'):
        return '+'.join(['', *(line * (width + 2) for width in widths), ''])

    lines = [rule()]
    for row in cells:
        drawn = ' | '.join(cell.ljust(width) for cell, width in zip(row, widths))
        lines += [f'| {drawn} |', rule('=' if row is header else '-')]
    return [*lines, '']


def code_block(text, language='text'):
    """Lines of a block of code."""
    return [
        f'.. code-block:: {language}',
        '',
        *(f'   {line}'.rstrip() for line in text.strip('\n').split('\n')),
        '',
    ]


def heading(text, line='='):
    """Lines of a heading."""
    return [text, line * len(text), '']
