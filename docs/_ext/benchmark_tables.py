"""The directive that shows the results of the benchmark in model_zoo/results."""

from __future__ import annotations

from benchmark_latency import latency_table
from benchmark_report import RANKED, cell_name, geometric_mean, latest, read_rows, standings
from benchmark_systems import SYSTEMS
from result_tables import RESULTS, image_lines
from zoo import Generated
from zoo_markup import dropdown, list_table, literal, plain

HEADER = [
    'Work',
    'Threads',
    'System',
    'ms',
    'Quartiles',
    'Valid tokens/s',
    'Best peer',
    'Its ms',
    'Times as fast',
    'Of the ceiling',
    'Peak MB',
    'Its MB',
]
STANDING_HEADER = [
    'System',
    'Precision',
    'Cells',
    'Geometric mean',
    'Least',
    'Most',
    'Cells lost to the best peer',
]
PLOTS = {
    '': 'relative to the best peer of each cell',
    '_sizes': 'against the size of the work',
    '_errors': 'against the error, in lower precision',
}


def benchmark_groups(rows):
    """Group the latest rows of a file by (mode, model, instruction set)."""
    groups = {}
    for row in latest(rows):
        groups.setdefault((row['mode'], row['model'], row['isa']), []).append(row)
    return groups


def benchmark_table(rows):
    """Make header and rows of gluon_bert's systems, each with the best peer of its cell."""
    cells = {}
    for row in rows:
        cells.setdefault(_cell(row), {})[row['system']] = row
    shown = []
    for cell, systems in cells.items():
        for name, row in systems.items():
            if not SYSTEMS[name].is_ours:
                continue
            if row['status'] != RANKED:
                shown.append(
                    [
                        _work(row),
                        cell[-1],
                        literal(name),
                        plain(row['status']),
                        *[''] * (len(HEADER) - 4),
                    ]
                )
                continue
            peer = systems.get(row['best_peer'])
            shown.append(
                [
                    _work(row),
                    cell[-1],
                    literal(name),
                    _ms(row['seconds']),
                    f'{_ms(row["seconds_q1"])} to {_ms(row["seconds_q3"])}',
                    _number(row['tokens_per_second'], '.0f'),
                    literal(row['best_peer']),
                    _ms(peer['seconds']) if peer else '',
                    _number(row['speed_to_best_peer'], '.2f'),
                    _share(row),
                    _number(row['peak_memory_mb'], '.0f'),
                    _number(peer['peak_memory_mb'], '.0f') if peer else '',
                ]
            )
    return HEADER, shown


def standing_table(rows):
    """Make header and rows that sum up each of gluon_bert's systems.

    All cells count that have a peer of its precision.
    """
    ours = [row for row in rows if SYSTEMS[row['system']].is_ours]
    shown = []
    for system, (precision, ratios, lost) in standings(ours).items():
        cells_lost = [
            f'{_work(row)}, threads {row["threads"]} ({float(row["speed_to_best_peer"]):.3f})'
            for row in lost
        ]
        shown.append(
            [
                literal(system),
                precision,
                str(len(ratios)),
                f'{geometric_mean(ratios):.2f}',
                f'{min(ratios):.2f}',
                f'{max(ratios):.2f}',
                f'{len(lost)}: ' + '; '.join(cells_lost) if lost else 'none',
            ]
        )
    return STANDING_HEADER, shown


def benchmark_lines(path):
    """Yield the lines for a file: for each mode and network a part that opens on a click."""
    for (mode, model, isa), group in benchmark_groups(read_rows(path)).items():
        held = f'held to {isa}: ' if isa else ''
        flags = max((row['flags'] for row in group), key=len)
        yield from dropdown(
            f'{mode}, {model} ({held}{flags})', _group_lines(path, mode, model, isa, group)
        )


def _group_lines(path, mode, model, isa, rows):
    """Yield tables, plots and unranked systems of a mode and network."""
    header, standing = standing_table(rows)
    if standing:
        yield from list_table(header, standing)
    for suffix, meaning in PLOTS.items():
        name = '_'.join(filter(None, (path.stem, mode, model, isa)))
        plot = path.with_name(f'{name}{suffix}.png')
        if plot.is_file():
            yield from image_lines(plot, f'speed {meaning}, {mode}, {model}')
    yield from list_table(*(latency_table if mode == 'latency' else benchmark_table)(rows))
    unranked = sorted(
        {
            f'{literal(row["system"])}: {plain(row["status"])}'
            for row in rows
            if row['status'] != RANKED
        }
    )
    if unranked:
        yield from ('Not ranked in some cells: ' + '; '.join(unranked) + '.', '')
    yield from (plain(line) for line in origin_lines(rows))


def origin_lines(rows):
    """Yield a line for each hardware, set of versions and commit of the rows."""
    dates = {}
    for row in rows:
        dates.setdefault(
            (row['processor'], row['processors'], row['flags'], row['versions'], row['commit']), []
        ).append(row['date'])
    for (name, count, flags, versions, commit), days in dates.items():
        last = f' to {max(days)}' if max(days) != min(days) else ''
        yield from (
            f'{name}, {count} processors ({flags}); {versions}; commit {commit}, '
            f'{min(days)}{last}.',
            '',
        )


def _cell(row):
    return row['data'], row['batch'], row['length'], row['threads']


def _work(row):
    return plain(cell_name(row))


def _share(row):
    """Format the share of the ceiling; name its precision if it is not that of the system."""
    other = row['ceiling_precision'] not in ('', row['precision'])
    return _number(row['share_of_ceiling'], '.0%') + f' of {row["ceiling_precision"]}' * other


def _ms(seconds):
    return f'{float(seconds) * 1e3:.4g}'


def _number(value, form):
    return format(float(value), form) if value else ''


class BenchmarkResults(Generated):
    """Show all of model_zoo/results/benchmark*.csv: ``.. benchmark-results::``."""

    def run(self):
        paths = sorted(RESULTS.glob('benchmark*.csv'))
        lines = [line for path in paths for line in benchmark_lines(path)]
        return self.parse(
            lines or ['No results are recorded in ``model_zoo/results/benchmark*.csv`` yet.', ''],
            *paths,
        )


def setup(app):
    """Register the directive."""
    app.add_directive('benchmark-results', BenchmarkResults)
    return {'version': '1', 'parallel_read_safe': True}
