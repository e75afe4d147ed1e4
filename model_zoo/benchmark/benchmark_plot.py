"""Plots of the results of benchmark.py: each system relative to the best peer of each cell.

    python3 model_zoo/benchmark/benchmark_plot.py benchmark.csv

benchmark_growth.py plots speed against the size of the work.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / 'examples'))

from benchmark_errors import plot_errors
from benchmark_growth import plot_growth
from benchmark_latency import plot_latency
from benchmark_report import RANKED, latest, read_rows
from benchmark_systems import PRECISIONS, SYSTEMS

from common import cli

_CELL, _LABELS, _MARGIN = 0.56, 1.75, 1.3  # inches
_ROW = 0.27
GROWING = ('grid', 'dataset', 'growth')  # modes whose speed is plotted against sizes
_LIMIT = 2.0  # ratios above it, and below its inverse, have the darkest colours


def plot_file(path):
    """Plot each mode and network of a CSV file.

    Parameters
    ----------
    path : str or Path
        With the columns :data:`benchmark_report.FIELDS`.

    Returns
    -------
    list of Path
        ``<path>_<mode>_<model>.png`` and ``<path>_<mode>_<model>_sizes.png``, of a grid also
        ``_errors.png``, in its folder, with the instruction set after the model where one was
        given.
    """
    path, groups = Path(path), {}
    for row in latest(read_rows(path)):
        groups.setdefault((row['mode'], row['model'], row['isa']), []).append(row)
    drawn = []
    for (mode, model, isa), rows in groups.items():
        name = ', '.join(filter(None, (mode, model, isa)))
        target = path.with_name('_'.join(filter(None, (path.stem, mode, model, isa))) + '.png')
        title = f'{name}: times as fast as the best peer of the same precision'
        if plot_ratios(rows, title, target):
            drawn.append(target)
        target = target.with_name(f'{target.stem}_sizes.png')
        title = f'{name}: speed against the size of the work'
        if mode == 'latency':
            title, draw = f'{name}: from a text to its vector', plot_latency
        else:
            draw = plot_growth if mode in GROWING else None
        if draw and draw(rows, title, target):
            drawn.append(target)
        target = target.with_name(target.name.replace('_sizes.png', '_errors.png'))
        if mode == 'grid' and plot_errors(rows, f'{name}: error against speed', target):
            drawn.append(target)
    return drawn


def plot_ratios(rows, title, path):
    """Plot speeds relative to the best peer: a row for each system, a column for each cell.

    Parameters
    ----------
    rows : list of dict
        Of one mode, network and instruction set, as in the file.
    title : str
    path : Path

    Returns
    -------
    bool
        True if there was anything to plot.
    """
    from gluon_bert.plots import style

    cells = list(dict.fromkeys(map(_cell, rows)))
    cells.sort(key=lambda cell: (cell[0], cell[1], cell[2], cell[3]))
    values = {(row['system'], _cell(row)): _value(row) for row in rows}
    systems = [
        name
        for precision in PRECISIONS
        for name, system in SYSTEMS.items()
        if system.precision == precision and any(values.get((name, cell)) for cell in cells)
    ]
    if not systems:
        return False
    size = (_LABELS + _CELL * max(len(cells), 7) + 0.2, _MARGIN + _ROW * len(systems))
    with style.picture(path, size) as (figure, _):
        axes = figure.subplots()
        figure.suptitle(title, fontsize=9, x=0.01, ha='left')
        _draw(axes, style, systems, cells, values)
    return True


def _draw(axes, style, systems, cells, values):
    for line, name in enumerate(systems):
        for column, cell in enumerate(cells):
            text, colour = _look(values.get((name, cell), ''), style)
            axes.add_patch(_patch(column, line, colour))
            axes.text(
                column, line, text, ha='center', va='center', fontsize=7, color=style.ink_on(colour)
            )
    axes.set_xlim(-0.5, len(cells) - 0.5)
    axes.set_ylim(len(systems) - 0.5, -0.5)
    axes.set_xticks(range(len(cells)), [_label(cell) for cell in cells], fontsize=6.5)
    axes.set_yticks(
        range(len(systems)),
        [f'{name}  {SYSTEMS[name].precision}' for name in systems],
        fontsize=7.5,
    )
    for label, name in zip(axes.get_yticklabels(), systems):
        label.set_fontweight('bold' if SYSTEMS[name].is_ours else 'normal')
    for number, (above, below) in enumerate(zip(systems, systems[1:])):
        if SYSTEMS[above].precision != SYSTEMS[below].precision:
            axes.axhline(number + 0.5, color=style.INK, linewidth=1)
    for number, (left, right) in enumerate(zip(cells, cells[1:])):
        if left[:2] != right[:2]:
            axes.axvline(number + 0.5, color=style.INK, linewidth=1)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def _patch(column, line, colour):
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.5, line - 0.5), 1, 1, facecolor=colour, edgecolor='white')


def _look(value, style):
    """Choose the text and the colour of a cell."""
    if not isinstance(value, float):
        return value, (0.93, 0.93, 0.93)
    share = min(1.0, abs(math.log(value)) / math.log(_LIMIT))
    colour = style.mix(style.PALETTE[0] if value >= 1 else style.PALETTE[1], 0.85 * share)
    return f'{value:.2f}', colour


def _value(row):
    """Get the speed relative to the best peer, or the text to show instead."""
    if row['status'] != RANKED:
        return 'differs' if row['status'] == 'disagrees' else 'failed'
    return float(row['speed_to_best_peer']) if row['speed_to_best_peer'] else 'alone'


def _cell(row):
    return (int(row['threads']), row['data'], int(row['batch']), int(row['length'] or 0))


def _label(cell):
    threads, data, batch, length = cell
    name, _, limit = data.partition(' first ')
    parts = name.replace('/', '\n').split(' ')[0] + f'\nfirst {limit}' * bool(limit)
    size = f'{batch}x{length}' if length else f'batch {batch}'
    return '\n'.join(filter(None, [parts, size, f'{threads} thr']))


def make_parser():
    """Make the parser of the command line."""
    parser = cli.make_parser(__doc__)
    parser.add_argument('files', nargs='+', type=Path, help='file of benchmark.py --output')
    parser.add_argument(
        '--traceback', action='store_true', help='show the Python traceback of an error'
    )
    return parser


def main(argv=None):
    """Plot files again."""
    for path in make_parser().parse_args(argv).files:
        if not path.is_file():
            raise cli.Failure(f'{path}: there is no such file')
        for drawn in plot_file(path):
            print(drawn)


if __name__ == '__main__':
    sys.exit(cli.run(main))
