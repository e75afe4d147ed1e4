"""Confusion-matrix plots."""

from __future__ import annotations

from typing import Optional

import numpy as np

from .._internal.types import PathLike
from .style import blues, ink_on, picture, shorten

VALUES = ('both', 'counts', 'shares')

_MAX_CLASSES = 200


def plot_confusion(
    matrix: np.ndarray,
    labels: list[str],
    path: PathLike,
    values: str = 'both',
    title: str = '',
    font: Optional[PathLike] = None,
) -> None:
    """Draw a confusion matrix, shaded by each row's shares.

    Parameters
    ----------
    matrix : numpy.ndarray of int, shape (K, K)
        Counts; rows are the true classes, columns the predicted ones.
    labels : list of str
        Names of the K classes.
    path : str or Path
    values : str
        Values written in the cells: 'counts', 'shares' of the row in percent, or 'both'. There is
        room for one of them with more than 14 classes, for none with more than 30.
    title : str
    font : str or Path, optional

    Raises
    ------
    ValueError
        If the matrix is not square, its rows are not as many as the labels, it is empty, or an
        argument is not allowed.
    """
    matrix = np.asarray(matrix)
    if matrix.shape != (len(labels),) * 2 or not 1 <= len(labels) <= _MAX_CLASSES:
        raise ValueError(
            f'matrix has shape {matrix.shape} for {len(labels)} labels; expected a '
            f'row and a column for each, 1 to {_MAX_CLASSES}'
        )
    if values not in VALUES:
        raise ValueError(f'values={values!r}: expected one of {VALUES}')
    num_classes, total = len(labels), int(matrix.sum())
    if not total or matrix.min() < 0:
        raise ValueError('matrix: expected counts that are not all 0')
    shares = matrix / matrix.sum(axis=1, keepdims=True).clip(min=1)
    pitch = 0.72 if num_classes <= 14 else 0.42 if num_classes <= 30 else 0.2
    names = [shorten(str(label), 22) for label in labels]
    room = 0.075 * max(map(len, names))
    side = max(2.4, pitch * num_classes)
    flat = room < side / num_classes
    below = 0.85 if flat else 0.75 + 0.55 * room
    size = side + room + 1.7, side + below
    with picture(path, size, [*labels, title], font) as (figure, clean):
        axes = figure.subplots()
        image = axes.imshow(shares, cmap=blues(), vmin=0, vmax=1)
        names = [clean(name) for name in names]
        axes.set_xticks(
            range(num_classes),
            names,
            rotation=0 if flat else 40 if num_classes <= 20 else 90,
            ha='center' if flat else 'right',
            va='top' if flat or num_classes <= 20 else 'center',
            rotation_mode='default' if flat else 'anchor',
        )
        totals = matrix.sum(axis=1)
        axes.set_yticks(
            range(num_classes), [f'{name}  ({count})' for name, count in zip(names, totals)]
        )
        _cells(axes, image, matrix, shares, values, num_classes / side)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_xticks(np.arange(0.5, num_classes - 1), minor=True)
        axes.set_yticks(np.arange(0.5, num_classes - 1), minor=True)
        axes.grid(which='minor', color='white', linewidth=1.2)
        axes.tick_params(which='minor', length=0)
        axes.set(xlabel='predicted class', ylabel='true class (count)')
        right = int(np.trace(matrix))
        axes.set_title(clean(title) or f'{right} of {total} right ({right / total:.1%})')
        bar = figure.colorbar(
            image, ax=axes, shrink=0.8, aspect=22, pad=0.03, format=lambda share, _: f'{share:.0%}'
        )
        bar.set_label('share of the true class')
        bar.outline.set_visible(False)


def _cells(axes, image, matrix, shares, values, inch):
    """Write the values into the cells; ``inch`` is one inch in units of the axes."""
    num_classes = len(matrix)
    if num_classes > 30:
        return
    if num_classes > 14 and values == 'both':
        values = 'counts'
    for (row, column), count in np.ndenumerate(matrix):
        share = f'{shares[row, column]:.0%}'
        ink = ink_on(image.cmap(shares[row, column]))
        if values == 'both':
            axes.text(
                column,
                row - 0.09 * inch,
                f'{count}',
                ha='center',
                va='center',
                fontsize=10,
                weight='bold',
                color=ink,
            )
            axes.text(
                column, row + 0.14 * inch, share, ha='center', va='center', fontsize=7.5, color=ink
            )
        else:
            axes.text(
                column,
                row,
                f'{count}' if values == 'counts' else share,
                ha='center',
                va='center',
                fontsize=9 if num_classes <= 14 else 7,
                color=ink,
            )
