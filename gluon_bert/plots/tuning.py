"""Plot a search for hyper-parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

import numpy as np

from .._internal.types import PathLike
from .style import INK, PALETTE, picture

_TITLES = {'learning_rate': 'peak learning rate', 'epochs': 'epochs', 'batch_size': 'batch size'}


def plot_tuning(
    rows: Sequence[Mapping[str, Any]],
    path: PathLike,
    title: str = '',
    font: Optional[PathLike] = None,
) -> None:
    """Draw the score of each trial, the best so far, and the scores over each hyper-parameter.

    Parameters
    ----------
    rows : sequence of mapping
        With 'trial', 'score', 'learning_rate', 'epochs' and 'batch_size'.
    path : str or Path
    title : str
    font : str or Path, optional
    """
    scores = np.array([row['score'] for row in rows])
    best = int(scores.argmax())
    with picture(path, (9.2, 2.7), [title], font) as (figure, clean):
        panels = figure.subplots(1, 1 + len(_TITLES), sharey=True)
        numbers = [row['trial'] for row in rows]
        panels[0].plot(
            numbers, np.maximum.accumulate(scores), color=PALETTE[0], label='best so far'
        )
        panels[0].legend(loc='lower right')
        for axes, name in zip(panels, ('trial', *_TITLES)):
            values = [row[name] for row in rows]
            axes.plot(values, scores, 'o', markersize=4, color=PALETTE[1], alpha=0.7)
            axes.plot(values[best], scores[best], 'o', markersize=10, fillstyle='none', color=INK)
            axes.set_xlabel(_TITLES.get(name, name))
            axes.grid(axis='y')
            if name in ('epochs', 'batch_size'):
                axes.set_xticks(sorted(set(values)))
        panels[1].set_xscale('log')
        panels[0].set_ylabel('score (ring: best trial)')
        if title:
            figure.suptitle(clean(title), x=0.01, ha='left')
