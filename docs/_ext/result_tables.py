"""Tables of the results in model_zoo/results."""

from __future__ import annotations

import csv
from pathlib import Path

from zoo_markup import list_table, plain

RESULTS = Path(__file__).resolve().parents[2] / 'model_zoo' / 'results'


def read_results(path):
    """Read the column names, and the rows as dicts, of a CSV file of results."""
    with open(path, newline='', encoding='utf-8') as file:
        reader = csv.DictReader(file)
        return list(reader.fieldnames or ()), list(reader)


def results_table(header, results):
    """Make header, rows and list of commands; a row gives the number of its command."""
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


def image_lines(path, meaning):
    """Make lines that show a plot of model_zoo/results."""
    return [f'.. image:: /../model_zoo/results/{path.name}', f'   :alt: {meaning}', '']


def results_lines(header, results):
    """Make the lines of the table and of the list of its commands."""
    header, rows, commands = results_table(header, results)
    lines = list_table(header, rows)
    if commands:
        lines += ['The commands by number:', '']
        lines += [f'{number}. ``{command}``' for number, command in enumerate(commands, 1)]
    return [*lines, '']
