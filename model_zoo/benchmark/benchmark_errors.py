"""Plot of the results of benchmark.py: the error of each system against its speed."""

from __future__ import annotations

import numpy as np
from benchmark_report import RANKED, geometric_mean
from benchmark_systems import PRECISIONS, SYSTEMS

OURS = 'gluon_bert'  # speeds are relative to it, and errors are differences from it
_SIZE = (6.4, 4.2)  # inches


def speeds_and_errors(rows):
    """Compute the speed and the error of each system of a lower precision.

    Parameters
    ----------
    rows : list of dict
        Of one mode and network, as in the file.

    Returns
    -------
    dict of str to (float, float)
        System -> geometric mean over the cells of its speed relative to gluon_bert in float32, and
        median of the root mean square of the difference from that.
    """
    cells = {}
    for row in rows:
        if row['status'] == RANKED:
            cell = tuple(row[key] for key in ('weights', 'data', 'batch', 'length', 'threads'))
            cells.setdefault(cell, {})[row['system']] = row
    found = {}
    for systems in cells.values():
        for name, row in systems.items():
            if OURS in systems and row['precision'] != PRECISIONS[0]:
                speed = float(systems[OURS]['seconds']) / float(row['seconds'])
                found.setdefault(name, []).append((speed, float(row['difference_rms'])))
    return {
        name: (geometric_mean([speed for speed, _ in pairs]), float(np.median(pairs, axis=0)[1]))
        for name, pairs in found.items()
    }


def plot_errors(rows, title, path):
    """Plot the error of each system of a lower precision against its speed.

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

    points = speeds_and_errors(rows)
    if not points:
        return False
    with style.picture(path, _SIZE) as (figure, _):
        figure.suptitle(title, fontsize=9, x=0.01, ha='left')
        axes = figure.subplots()
        for name, point in points.items():
            system = SYSTEMS[name]
            number = PRECISIONS.index(system.precision)
            axes.plot(
                *point,
                color=style.PALETTE[number],
                marker=style.MARKERS[number],
                markersize=9 if system.is_ours else 6,
                linestyle='none',
            )
            axes.annotate(
                name,
                point,
                xytext=(6, 4),
                textcoords='offset points',
                fontsize=7.5,
                fontweight='bold' if system.is_ours else 'normal',
            )
        _scale(axes)
    return True


def _scale(axes):
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for scale, axis in ((axes.set_xscale, axes.xaxis), (axes.set_yscale, axes.yaxis)):
        scale('log')
        axis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:g}'))
        axis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.25, y=0.15)
    axes.set_xlabel('times as fast as gluon_bert in float32')
    axes.set_ylabel('error: root mean square, relative')
    axes.grid(True, which='major')
