"""Pieces of reStructuredText: cells and tables."""

from __future__ import annotations

import re
from urllib.parse import urlsplit


def literal(value):
    """Format a cell as code; empty for an empty value."""
    return f'``{value}``' if str(value) else ''


def literals(values):
    """Format a cell of several values as code."""
    return ', '.join(map(literal, values))


def plain(text):
    """Escape the markup of a text."""
    return re.sub(r'([*`|_\\])', r'\\\1', str(text))


def link(address, text=None):
    """Format a cell as a link, by default with its host as text."""
    return f'`{plain(text or urlsplit(address).netloc)} <{address}>`__'


def list_table(header, rows, name='', head_columns=0, widths=''):
    """Make the lines of a ``list-table``, with or without a header.

    ``name`` is its CSS class, ``widths`` are the relative widths of its columns.
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
    """Make the lines of a grid table, drawn with +, - and |."""
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
    """Make the lines of a code block."""
    return [
        f'.. code-block:: {language}',
        '',
        *(f'   {line}'.rstrip() for line in text.strip('\n').split('\n')),
        '',
    ]


def heading(text, line='='):
    """Make the lines of a heading."""
    return [text, line * len(text), '']


def dropdown(title, lines):
    """Make the lines of a part of the page that opens on a click."""
    return [f'.. dropdown:: {title}', '', *(f'   {line}'.rstrip() for line in lines), '']
