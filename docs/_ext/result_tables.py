"""Tables of the results in model_zoo/results."""

from __future__ import annotations

import csv
from pathlib import Path

from zoo_markup import list_table, plain

RESULTS = Path(__file__).resolve().parents[2] / 'model_zoo' / 'results'


def read_results(path):
    """The columns and the rows, as dicts, of a CSV of results."""
    with open(path, newline='', encoding='utf-8') as file:
        reader = csv.DictReader(file)
        return list(reader.fieldnames or ()), list(reader)


def results_table(header, results):
    """Header, rows and commands of results; a row names its command by number."""
    commands = list(dict.fromkeys(row['command'] for row in results if row.get('command')))
    rows = [
        [
            str(commands.index(row[name]) + 1)
            if name == 'command' and row[name]
            else plain(row[name] or '')
            for name in header
        ]
        for row in results
    ]
    return header, rows, commands


def picture_lines(path, meaning):
    """Lines that show a picture of model_zoo/results."""
    return [f'.. image:: /../model_zoo/results/{path.name}', f'   :alt: {meaning}', '']


def results_lines(header, results):
    """Lines of the table, and of the list of its commands."""
    header, rows, commands = results_table(header, results)
    lines = list_table(header, rows)
    if commands:
        lines += ['The commands by number:', '']
        lines += [f'{number}. ``{command}``' for number, command in enumerate(commands, 1)]
    return [*lines, '']
