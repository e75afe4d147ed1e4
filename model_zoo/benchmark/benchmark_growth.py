"""Plots of the results of benchmark.py: tokens per second against the size of the work."""

from __future__ import annotations

from typing import NamedTuple

from benchmark_report import RANKED
from benchmark_systems import PRECISIONS, SYSTEMS

# Varying size -> label of its axis.
AXES = {
    'batch': 'sequences in a batch',
    'length': 'length in tokens',
    'threads': 'threads',
    'sequences': 'texts in the data set',
}
FEWEST = 2  # points that make a line
_WIDTH, _HEIGHT, _LEGEND = 3.0, 2.6, 0.5  # inches, of a panel


class Panel(NamedTuple):
    """A panel: one size varies, the others are fixed; a line for each system."""

    axis: str
    title: str
    lines: dict  # system -> [(size, tokens per second)], by size


def panels(rows, precision):
    """Make the panels of a precision, one for each of :data:`AXES` that varies.

    Parameters
    ----------
    rows : list of dict
        Of one mode and network, as in the file. Systems that were not ranked are skipped.
    precision : str

    Returns
    -------
    list of Panel
        Of all series in which one size varies, the one with the most sizes and the largest work.
    """
    points = [
        point for point in map(_point, rows) if point['precision'] == precision and point['speed']
    ]
    return [panel for panel in (_panel(points, axis) for axis in AXES) if panel]


def _point(row):
    """Read the sizes of a row; a data set has no length, and a grid no number of texts."""
    data, _, _ = row['data'].partition(' first ')
    return {
        'precision': row['precision'],
        'system': row['system'],
        'weights': row['weights'],
        'data': data,
        'batch': int(row['batch']),
        'length': int(row['length'] or 0),
        'threads': int(row['threads']),
        'sequences': int(row['sequences'] or 0) if data else 0,
        'speed': float(row['tokens_per_second'] or 0) if row['status'] == RANKED else 0,
    }


def _panel(points, axis):
    series = {}
    for point in points:
        if point[axis]:
            stays = tuple(
                (name, point[name]) for name in ('weights', 'data', *AXES) if name != axis
            )
            series.setdefault(stays, []).append(point)
    if not series:
        return None

    def extent(stays):
        return len({point[axis] for point in series[stays]}), [value for _, value in stays]

    stays = max(series, key=extent)
    lines = {}
    for point in sorted(series[stays], key=lambda point: point[axis]):
        lines.setdefault(point['system'], []).append((point[axis], point['speed']))
    lines = {name: lines[name] for name in SYSTEMS if len(lines.get(name, ())) >= FEWEST}
    return Panel(axis, _title(dict(stays)), lines) if lines else None


def _title(stays):
    threads = stays.get('threads')
    parts = [
        stays['data'],
        stays.get('batch') and f'batch {stays["batch"]}',
        stays.get('length') and f'length {stays["length"]}',
        threads and f'{threads} thread{"s" * (threads > 1)}',
    ]
    return ', '.join(filter(None, parts))


def plot_growth(rows, title, path):
    """Plot tokens per second against sizes: a row of panels per precision, logarithmic axes.

    Parameters
    ----------
    rows : list of dict
        Of one mode and network, as in the file.
    title : str
    path : Path

    Returns
    -------
    bool
        True if there was anything to plot.
    """
    from gluon_bert.plots import style

    found = {precision: panels(rows, precision) for precision in PRECISIONS}
    found = {precision: drawn for precision, drawn in found.items() if drawn}
    if not found:
        return False
    columns = max(map(len, found.values()))
    height = (_HEIGHT + _LEGEND) * len(found) + 0.3
    with style.picture(path, (max(_WIDTH * columns, 6), height)) as (figure, _):
        figure.suptitle(title, fontsize=9, x=0.01, ha='left')
        parts = figure.subfigures(len(found), 1, squeeze=False)[:, 0]
        for part, (precision, drawn) in zip(parts, found.items()):
            _draw(part, style, precision, drawn, columns)
    return True


def _draw(figure, style, precision, drawn, columns):
    names = [name for name in SYSTEMS if any(name in panel.lines for panel in drawn)]
    handles = {}
    for number, (panel, axes) in enumerate(
        zip(drawn, figure.subplots(1, columns, sharey=True, squeeze=False)[0])
    ):
        for name, line in panel.lines.items():
            (handles[name],) = axes.plot(*zip(*line), **line_style(names.index(name), name, style))
        axes.set_xscale('log')
        axes.set_yscale('log')
        axes.set_title(panel.title, fontsize=7, fontweight='normal')
        axes.set_xlabel(AXES[panel.axis])
        if not number:
            axes.set_ylabel(f'{precision}: tokens a second')
        _tick(axes, sorted({size for line in panel.lines.values() for size, _ in line}))
    for axes in figure.axes[len(drawn) :]:
        axes.set_visible(False)
    place_legend(figure, handles, names, columns)


def place_legend(figure, handles, names, columns):
    """Put the names of the systems below the panels."""
    figure.legend(
        [handles[name] for name in names],
        names,
        loc='outside lower center',
        ncols=min(len(names), 2 * columns),
        fontsize=7,
    )


def line_style(number, name, style):
    """Style the line of a system: gluon_bert thick and on top; other dashes after seven systems."""
    colour = number % len(style.PALETTE)
    ours = SYSTEMS[name].is_ours
    return {
        'color': style.PALETTE[colour],
        'marker': style.MARKERS[colour],
        'markersize': 3.5,
        'linestyle': style.DASHES[number // len(style.PALETTE) % len(style.DASHES)],
        'linewidth': 2.2 if ours else 1.2,
        'zorder': 3 if ours else 2,
    }


def _tick(axes, sizes):
    """Put ticks at the measured sizes, and show speeds as plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    axes.set_xticks(sizes, [f'{size:,}' for size in sizes], fontsize=7)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:,.0f}'))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(True, which='major')
