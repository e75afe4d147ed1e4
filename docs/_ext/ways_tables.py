"""The directive of the ways to run a model: what each holds, its size, speed and start."""

from __future__ import annotations

import csv
from pathlib import Path

from benchmark_report import RANKED, latest, read_rows
from result_tables import RESULTS
from zoo import Generated
from zoo_markup import list_table, literal

from gluon_bert.zoo import OFFLINE_DEFAULT

WAYS = Path(__file__).resolve().parents[1] / 'ways.csv'
SIZES, SPEEDS = RESULTS / 'export_sizes.csv', RESULTS / 'benchmark.csv'
MODEL, DATASET = OFFLINE_DEFAULT
# One text of 128 tokens on one processor core, and a batch of 32 of them.
SINGLE, BATCH = (('1', '128', '1'), ('32', '128', '1'))
HEADER = [
    'Way',
    'Input',
    'Holds',
    'Does not hold',
    'Files, MB',
    'One text, ms',
    'Texts/s',
    'Start, s',
]
NONE = '–'


def read_ways(path=WAYS):
    """Read the rows of docs/ways.csv."""
    with open(path, newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def sizes(path=SIZES):
    """Read the megabytes of the network's files, by format and options."""
    with open(path, newline='', encoding='utf-8') as file:
        return {
            (row['format'], row['options']): row['megabytes']
            for row in csv.DictReader(file)
            if row['checkpoint'] == f'{MODEL}/{DATASET}'
        }


def seconds(path=SPEEDS):
    """Read the seconds of a call, by system, mode and cell: (batch, length, threads).

    Those of a start are the newest, with the cell None.
    """
    found = {}
    for row in sorted(latest(read_rows(path)), key=lambda row: row['date']):
        if row['model'] != MODEL or row['status'] != RANKED or row['isa']:
            continue
        if row['mode'] == 'load':
            found[row['system'], 'load', None] = float(row['seconds'])
        elif not row['data']:
            cell = row['batch'], row['length'], row['threads']
            found[row['system'], row['mode'], cell] = float(row['seconds'])
    return found


def ways_table(ways, sizes, seconds):
    """Make header and rows; a dash stands for what is not measured."""
    rows = []
    for way in ways:
        system = way['system']
        single, batch = (seconds.get((system, 'grid', cell)) for cell in (SINGLE, BATCH))
        start = seconds.get((system, 'load', None))
        rows.append(
            [
                way['way'],
                way['takes'],
                way['holds'],
                way['lacks'],
                sizes.get((way['format'], way['options']), NONE),
                f'{single * 1e3:.1f}' if single else NONE,
                f'{int(BATCH[0]) / batch:.0f}' if batch else NONE,
                f'{start:.2f}' if start else NONE,
            ]
        )
    return HEADER, rows


class WaysTable(Generated):
    """Show the ways to run a model, from docs/ways.csv and the results: ``.. ways-table::``."""

    def run(self):
        table = ways_table(read_ways(), sizes(), seconds())
        lines = list_table(*table, 'ways', widths='20 8 18 18 8 8 8 8')
        sources = [f'{literal(path.name)}' for path in (SIZES, SPEEDS)]
        lines += [f'Sizes and times are from {" and ".join(sources)} in ``model_zoo/results``.', '']
        return self.parse(lines, WAYS, SIZES, SPEEDS)


def setup(app):
    """Register the directive."""
    app.add_directive('ways-table', WaysTable)
    return {'version': '1', 'parallel_read_safe': True}
