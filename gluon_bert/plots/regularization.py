"""Plot the score of a linear head over the strength of its regularisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

from .._internal.types import PathLike
from .style import DASHES, MARKERS, PALETTE, picture


def plot_regularization(
    rows: Sequence[Any],
    chosen: float,
    metric: str,
    path: PathLike,
    title: str = '',
    font: Optional[PathLike] = None,
) -> None:
    """Draw the score over C, the inverse strength: by cross-validation, and on the dev set.

    Parameters
    ----------
    rows : sequence
        With ``c``, ``mean``, ``spread`` and ``dev``, which may be None, such as
        :class:`.Regularization`.
    chosen : float
        The C that is used: it has a ring.
    metric : str
    path : str or Path
    title : str
    font : str or Path, optional
    """
    values = np.array([row.c for row in rows])
    mean, spread = (np.array([getattr(row, part) for row in rows]) for part in ('mean', 'spread'))
    with picture(path, (4.4, 3.0), [title, metric], font) as (figure, clean):
        axes = figure.add_subplot()
        axes.fill_between(values, mean - spread, mean + spread, color=PALETTE[0], alpha=0.15, lw=0)
        axes.plot(
            values,
            mean,
            color=PALETTE[0],
            marker=MARKERS[0],
            markersize=4,
            label='cross-validation, with its standard deviation',
        )
        if all(row.dev is not None for row in rows):
            axes.plot(
                values,
                [row.dev for row in rows],
                color=PALETTE[1],
                linestyle=DASHES[1],
                marker=MARKERS[1],
                markersize=4,
                label='dev set',
            )
        best = values.tolist().index(chosen)
        axes.plot(
            chosen,
            mean[best],
            marker='o',
            markersize=10,
            fillstyle='none',
            color=PALETTE[0],
            linestyle='none',
            label=f'chosen: C = {chosen:g}',
        )
        axes.set_xscale('log')
        axes.set_xlabel('C, inverse strength of the regularisation')
        axes.set_ylabel(clean(metric))
        axes.grid(axis='y')
        axes.legend(loc='best')
        if title:
            figure.suptitle(clean(title), x=0.01, ha='left')
