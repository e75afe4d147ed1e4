"""The directive that shows the results of examples/benchmark.py in model_zoo/results."""
from __future__ import annotations

from benchmark_report import RANKED, latest, read_rows
from benchmark_systems import SYSTEMS
from result_tables import RESULTS
from zoo import Generated
from zoo_markup import list_table, literal, plain

HEADER = ['Work', 'Threads', 'System', 'ms', 'Quartiles', 'Valid tokens/s', 'Best peer', 'Its ms',
          'Times as fast', 'Of the ceiling', 'Peak MB']


def benchmark_groups(rows):
    """(mode, model) -> the latest rows of a file."""
    groups = {}
    for row in latest(rows):
        groups.setdefault((row['mode'], row['model']), []).append(row)
    return groups


def benchmark_table(rows):
    """Header and rows of our systems, each beside the best peer of its cell."""
    cells = {}
    for row in rows:
        cells.setdefault(_cell(row), {})[row['system']] = row
    shown = []
    for cell, systems in cells.items():
        for name, row in systems.items():
            if not SYSTEMS[name].is_ours:
                continue
            if row['status'] != RANKED:
                shown.append([_work(row), cell[-1], literal(name), plain(row['status']),
                              *[''] * (len(HEADER) - 4)])
                continue
            peer = systems.get(row['best_peer'])
            shown.append([
                _work(row), cell[-1], literal(name), _ms(row['seconds']),
                f'{_ms(row["seconds_q1"])} to {_ms(row["seconds_q3"])}',
                _number(row['tokens_per_second'], '.0f'), literal(row['best_peer']),
                _ms(peer['seconds']) if peer else '', _number(row['speed_to_best_peer'], '.2f'),
                _number(row['share_of_ceiling'], '.0%'), _number(row['peak_memory_mb'], '.0f')])
    return HEADER, shown


def benchmark_lines(path):
    """Lines for a file: for each mode and network the table, the picture, who was not ranked."""
    rows = read_rows(path)
    for (mode, model), group in benchmark_groups(rows).items():
        yield from (f'.. rubric:: {mode}, {model}', '')
        yield from list_table(*benchmark_table(group))
        picture = path.with_name(f'{path.stem}_{mode}_{model}.png')
        if picture.is_file():
            yield from (f'.. image:: /../model_zoo/results/{picture.name}',
                        f'   :alt: speed of all systems, {mode}, {model}', '')
        apart = sorted({f'{literal(row["system"])}: {plain(row["status"])}' for row in group
                        if row['status'] != RANKED})
        if apart:
            yield from ('Not ranked in some cells: ' + '; '.join(apart) + '.', '')
        last = group[-1]
        yield from (plain(f'{last["processor"]}, {last["processors"]} processors '
                          f'({last["flags"]}); {last["versions"]}; commit {last["commit"]}, '
                          f'{last["date"]}.'), '')


def _cell(row):
    return row['data'], row['batch'], row['length'], row['threads']


def _work(row):
    size = f'{row["batch"]}x{row["length"]}' if row['length'] else f'batch {row["batch"]}'
    return plain(' '.join(filter(None, [row['data'], size])))


def _ms(seconds):
    return f'{float(seconds) * 1e3:.4g}'


def _number(value, form):
    return format(float(value), form) if value else ''


class BenchmarkResults(Generated):
    """``.. benchmark-results::``: all that is in model_zoo/results/benchmark*.csv."""

    def run(self):
        paths = sorted(RESULTS.glob('benchmark*.csv'))
        lines = [line for path in paths for line in benchmark_lines(path)]
        return self.parse(lines or ['No results are recorded in '
                                    '``model_zoo/results/benchmark*.csv`` yet.', ''], *paths)


def setup(app):
    """Register the directive."""
    app.add_directive('benchmark-results', BenchmarkResults)
    return {'version': '1', 'parallel_read_safe': True}
