"""Reliability diagrams: how often predictions of some confidence are right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

from .._internal.types import PathLike
from ..metrics.calibration import Calibration
from .style import INK, PALETTE, QUIET, picture


def plot_reliability(
    measured: Mapping[str, Calibration],
    path: PathLike,
    title: str = '',
    font: Optional[PathLike] = None,
) -> None:
    """Draw the accuracy over the confidence of predictions, a panel for each calibration.

    Below it is the share of the predictions in each bin. On the diagonal confidence is accuracy.

    Parameters
    ----------
    measured : mapping of str to Calibration
        By the title of the panel, such as 'temperature 1'.
    path : str or Path
    title : str
    font : str or Path, optional
    """
    names, width = list(measured), 0.4 + 2.9 * len(measured)
    with picture(path, (width, 3.9), [title, *names], font) as (figure, clean):
        rows = figure.subplots(2, len(names), sharex=True, sharey='row', height_ratios=(3, 1))
        for (above, below), name in zip(rows.reshape(2, -1).T, names):
            bins = [row for row in measured[name].bins if row.count]
            total = sum(row.count for row in bins)
            middles = [(row.low + row.high) / 2 for row in bins]
            wide = [row.high - row.low for row in bins]
            above.bar(
                middles,
                [row.accuracy for row in bins],
                wide,
                color=PALETTE[5],
                edgecolor='white',
                label='accuracy',
            )
            above.plot(
                [row.confidence for row in bins],
                [row.accuracy for row in bins],
                'o',
                markersize=4,
                color=PALETTE[0],
                label='at the mean confidence',
            )
            above.plot([0, 1], [0, 1], color=QUIET, linestyle=(0, (5, 1.5)), linewidth=1)
            above.set(xlim=(0, 1), ylim=(0, 1))
            above.set_title(f'{clean(name)}: ECE {measured[name].ece:.3f}')
            below.bar(middles, [row.count / total for row in bins], wide, color=INK, alpha=0.6)
            below.set_xlabel('confidence')
        rows.reshape(2, -1)[0, 0].set_ylabel('share that is right')
        rows.reshape(2, -1)[1, 0].set_ylabel('share of all')
        rows.reshape(2, -1)[0, 0].legend(loc='upper left')
        if title:
            figure.suptitle(clean(title), x=0.01, ha='left')
