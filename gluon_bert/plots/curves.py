"""Plot the loss, learning rate and evaluations of training runs."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any, Optional

from .._internal.types import PathLike
from .style import DASHES, MARKERS, PALETTE, QUIET, RULE, picture, shorten

METRICS_FILE = 'metrics.jsonl'

_MAX_BYTES = 64 << 20
_WIDTH, _HEIGHT = 3.3, 2.75  # inches, of a panel


def read_metrics(path: PathLike) -> list[dict[str, Any]]:
    """Read the rows of a metrics.jsonl file.

    Parameters
    ----------
    path : str or Path
        The file, or the output folder that holds it.

    Returns
    -------
    list of dict
        As :func:`plot_training` takes them.

    Raises
    ------
    FileNotFoundError
    ValueError
        If the file has no rows or a malformed one; the message names the line. A last line that
        was cut short is skipped.
    """
    path = Path(path)
    path = path / METRICS_FILE if path.is_dir() else path
    with open(path, 'rb') as file:
        if os.fstat(file.fileno()).st_size > _MAX_BYTES:
            raise ValueError(f'{path}: the file is larger than {_MAX_BYTES} bytes')
        lines = file.read().split(b'\n')
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            rows.append(_checked_row(json.loads(line)))
        except (ValueError, RecursionError) as error:
            if number == len(lines):  # written when the run was killed
                break
            raise ValueError(f'{path}:{number}: is not a row of a training run ({error})') from None
    if not rows:
        raise ValueError(f'{path}: has no rows: the run has not logged anything yet')
    return rows


def count_from_one(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Make the epochs of a log count from 1: in those of gluon_bert 0.1, the first one is 0."""
    if all(row.get('epoch') != 0 for row in rows):
        return rows
    return [{**row, 'epoch': row['epoch'] + 1} if 'epoch' in row else row for row in rows]


def _checked_row(row):
    if not isinstance(row, dict):
        raise ValueError(f'expected an object, got {type(row).__name__}')
    numbers = {
        name: row[name] for name in ('step', 'epoch', 'loss', 'learning_rate') if name in row
    }
    metrics = row.get('metrics', {})
    if not isinstance(metrics, dict):
        raise ValueError("'metrics' is not an object")
    for name, value in {**metrics, **numbers}.items():
        if type(value) not in (int, float) or not math.isfinite(value):
            raise ValueError(f'{name!r} is not a number')
    for name in ('step', *(('epoch',) if metrics else ('loss',))):
        if name not in row:
            raise ValueError(f'has no {name!r}')
    return row


def plot_training(
    rows: list[dict[str, Any]], path: PathLike, title: str = '', font: Optional[PathLike] = None
) -> None:
    """Draw the loss and the learning rate over the steps, and the metrics of each evaluation.

    Parameters
    ----------
    rows : list of dict
        Of metrics.jsonl: 'step' with 'loss' and 'learning_rate', or with 'epoch' and 'metrics'.
        Epochs count from 1, in the logs of gluon_bert 0.1 from 0.
    path : str or Path
    title : str
    font : str or Path, optional
    """
    plot_runs({'': rows}, path, title, font)


def plot_runs(
    runs: dict[str, list[dict[str, Any]]],
    path: PathLike,
    title: str = '',
    font: Optional[PathLike] = None,
) -> None:
    """Draw training runs over each other: loss, learning rate and evaluation metrics.

    Parameters
    ----------
    runs : dict of str to list of dict
        Name of a run to its rows, as for :func:`plot_training`; at most seven.
    path : str or Path
    title : str
    font : str or Path, optional

    Raises
    ------
    ValueError
        If there are no runs or too many, one has no rows, or the suffix is not allowed.
    """
    if not 1 <= len(runs) <= len(PALETTE):
        raise ValueError(f'expected 1 to {len(PALETTE)} runs, got {len(runs)}')
    runs = {name: count_from_one(rows) for name, rows in runs.items()}
    metrics = list(
        dict.fromkeys(
            name for rows in runs.values() for row in rows for name in row.get('metrics', ())
        )
    )
    panels = [
        *(
            ['loss', 'learning_rate']
            if any('loss' in row for rows in runs.values() for row in rows)
            else []
        ),
        *(_by_kind(metrics) if len(runs) == 1 else metrics),
    ]
    columns = 2 if len(panels) == 4 else min(3, max(1, len(panels)))
    lines = -(-max(1, len(panels)) // columns)
    height = _HEIGHT * lines + 0.3 * bool(title) + 0.3 * (len(runs) > 1)
    with picture(path, (_WIDTH * columns, height), [title, *runs, *metrics], font) as (
        figure,
        clean,
    ):
        grid = figure.subplots(lines, columns, squeeze=False).ravel()
        for axes, panel in zip(grid, panels):
            if isinstance(panel, list):
                _metrics_of_one(axes, next(iter(runs.values())), panel, clean)
            else:
                _panel(axes, runs, panel, clean)
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        if len(runs) > 1:
            figure.legend(
                *_handles(runs, clean), loc='outside lower center', ncols=min(4, len(runs))
            )
        if title:
            figure.suptitle(clean(title), x=0.01, ha='left')


def _by_kind(metrics):
    """Metrics that share a panel: scores, and losses, of which less is better."""
    kinds = ([name for name in metrics if _is_loss(name) == flag] for flag in (False, True))
    return [names for names in kinds if names]


def _is_loss(name):
    return name.rpartition('_')[2] == 'loss'


def _handles(runs, clean):
    from matplotlib.lines import Line2D

    return (
        [
            Line2D(
                [],
                [],
                color=PALETTE[number],
                marker=MARKERS[number],
                markersize=4.5,
                linestyle=DASHES[number % len(DASHES)],
            )
            for number in range(len(runs))
        ],
        [clean(shorten(name, 40)) for name in runs],
    )


def _panel(axes, runs, name, clean):
    """Draw one quantity of all runs."""
    of_steps = name in ('loss', 'learning_rate')
    by_step = _are_by_step(runs.values())
    for number, rows in enumerate(runs.values()):
        look = dict(color=PALETTE[number], linestyle=DASHES[number % len(DASHES)])
        if of_steps:
            points = [(row['step'], row[name]) for row in rows if name in row]
            marker = MARKERS[number] if len(points) == 1 else None
        else:
            points = _evaluations(rows, name, by_step)
            marker = MARKERS[number]
        if points:
            axes.plot(*zip(*points), marker=marker, markersize=4.5, **look)
            if not of_steps:
                _ring(axes, points, PALETTE[number], _is_loss(name))
    if name == 'learning_rate':
        axes.yaxis.set_major_formatter(lambda value, _: _rate(value))
    shown = {'loss': 'training loss', 'learning_rate': 'learning rate'}.get(name, clean(name))
    _frame(axes, shown, of_steps, by_step)
    if name == 'loss':
        axes.set_ylim(bottom=0)


def _metrics_of_one(axes, rows, names, clean):
    """Draw all metrics of one run."""
    by_step = _are_by_step([rows])
    for number, name in enumerate(names):
        points = _evaluations(rows, name, by_step)
        colour = PALETTE[number % len(PALETTE)]
        axes.plot(
            *zip(*points),
            color=colour,
            marker=MARKERS[number % len(MARKERS)],
            markersize=4.5,
            linestyle=DASHES[number % len(DASHES)],
            label=clean(shorten(name, 24)),
        )
        if not number:
            _ring(axes, points, colour, _is_loss(name))
    _frame(axes, 'evaluation', False, by_step)
    if len(names) > 1:
        axes.legend(loc='best', frameon=True, framealpha=0.9, edgecolor=RULE)
    else:
        axes.set_title(clean(names[0]))
    axes.set_ylabel(f'{"loss" if _is_loss(names[0]) else "score"} on the evaluation data')


def _rate(value):
    """Format a learning rate as on the command line: 2e-4."""
    digits, _, power = f'{value:.3e}'.partition('e')
    return f'{float(digits):g}e{int(power)}' if value else '0'


def _ring(axes, points, colour, is_loss=False):
    """Draw a ring around the best evaluation."""
    best = (min if is_loss else max)(points, key=lambda point: point[1])
    axes.plot(*best, marker='o', markersize=10, fillstyle='none', markeredgewidth=1.1, color=colour)


def _are_by_step(runs):
    """Check whether a run was evaluated more than once in an epoch."""
    for rows in runs:
        epochs = [row['epoch'] for row in rows if row.get('metrics')]
        if len(set(epochs)) < len(epochs):
            return True
    return False


def _evaluations(rows, name, by_step):
    """Pair a metric's values with their steps or epochs."""
    return [
        (row['step'] if by_step else row['epoch'], row['metrics'][name])
        for row in rows
        if name in row.get('metrics', ())
    ]


def _frame(axes, title, of_steps, by_step):
    from matplotlib.ticker import MaxNLocator

    axes.set_title(title)
    evaluations = 'optimizer step (ring: best one)' if by_step else 'epoch (ring: best epoch)'
    axes.set_xlabel('optimizer step' if of_steps else evaluations)
    axes.grid(True)
    axes.tick_params(length=0)
    axes.spines['left'].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator('auto', integer=True, min_n_ticks=1))
    axes.margins(x=0.06)
    axes.yaxis.label.set_color(QUIET)
