"""Plots of the results of load.py.

python3 model_zoo/load/load_plot.py compare model_zoo/results/serve.csv
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

LABELS = {
    'gluon_bert': 'gluon_bert',
    'gluon_bert_workers': 'gluon_bert, a process a core',
    'onnxruntime': 'onnxruntime, same server',
    'infinity_optimum': 'infinity, optimum',
    'infinity_torch': 'infinity, torch',
}
_FIGURES = (('requests_per_second', 'requests/s'), ('p99_ms', 'p99, ms'))


def plot_file(path, mode):
    """Plot a CSV file of a mode; return the picture, or None if the mode has none.

    Parameters
    ----------
    path : str or Path
    mode : str
        As of load.py.
    """
    path = Path(path)
    draw, end = {'compare': (draw_comparison, '_speed'), 'memory': (draw_memory, '')}.get(
        mode, (None, '')
    )
    if draw is None:
        return None
    with open(path, newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    target = path.with_name(f'{path.stem}{end}.png')
    draw(rows, target)
    return target


def draw_comparison(rows, target):
    """Plot requests a second and the 99th percentile of each server at each concurrency."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    from gluon_bert.plots import style

    kinds = list(dict.fromkeys(row['texts'] for row in rows))
    systems = [name for name in LABELS if any(row['system'] == name for row in rows)]
    with style.picture(target, (3.4 * len(kinds), 4.6)) as (figure, _):
        grid = figure.subplots(len(_FIGURES), len(kinds), squeeze=False)
        for column, kind in enumerate(kinds):
            for line, (field, label) in enumerate(_FIGURES):
                axes = grid[line][column]
                for number, name in enumerate(systems):
                    points = [
                        (int(row['concurrency']), float(row[field]))
                        for row in rows
                        if row['system'] == name and row['texts'] == kind
                    ]
                    axes.plot(
                        *zip(*sorted(points)),
                        label=LABELS[name],
                        color=style.PALETTE[number],
                        marker=style.MARKERS[number],
                        linestyle=style.DASHES[number % len(style.DASHES)],
                    )
                ticks = sorted({int(row['concurrency']) for row in rows})
                axes.set_xscale('log', base=2)
                axes.set_xticks(ticks, [str(tick) for tick in ticks])
                axes.set_yscale('log')
                axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                axes.yaxis.set_major_formatter(StrMethodFormatter('{x:g}'))
                axes.yaxis.set_minor_formatter(NullFormatter())
                axes.set_ylabel(label)
                axes.grid(True)
            grid[0][column].set_title(kind)
            grid[-1][column].set_xlabel('open requests')
        handles, labels = grid[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc='outside lower center', ncols=2)


def draw_memory(rows, target):
    """Plot resident memory and its peak against the number of answered requests."""
    from matplotlib.ticker import EngFormatter

    from gluon_bert.plots import style

    requests = [int(row['requests']) for row in rows]
    with style.picture(target, (5.2, 2.9)) as (figure, _):
        axes = figure.subplots()
        for number, (field, label) in enumerate(
            (('memory_mb', 'resident memory'), ('peak_memory_mb', 'its peak so far'))
        ):
            axes.plot(
                requests,
                [float(row[field]) for row in rows],
                label=label,
                color=style.PALETTE[number],
                linestyle=style.DASHES[number],
            )
        axes.set_ylim(0, 1.15 * max(float(row['peak_memory_mb']) for row in rows))
        axes.set_xlim(0, requests[-1])
        axes.set_xlabel('requests answered')
        axes.set_ylabel('MB')
        axes.xaxis.set_major_formatter(EngFormatter(sep=''))
        axes.grid(True)
        axes.legend(loc='lower right')


if __name__ == '__main__':
    print(plot_file(sys.argv[2], sys.argv[1]))
