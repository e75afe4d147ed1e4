"""Plot the similarities between texts as a matrix."""

from __future__ import annotations

from typing import Optional

import numpy as np

from .._internal.types import PathLike
from .style import PALETTE, blues, darker, ink_on, picture, shorten
from .vectors import checked_groups

_MAX_MATRIX = 200
_MAX_VALUES = 16  # texts; with more, only colours show the similarities


def plot_similarity(
    vectors: np.ndarray,
    texts: list[str],
    path: PathLike,
    groups: Optional[list[str]] = None,
    order: bool = True,
    title: str = '',
    font: Optional[PathLike] = None,
) -> np.ndarray:
    """Draw the cosine similarity between each two texts.

    Parameters
    ----------
    vectors : numpy.ndarray, shape (n, C)
    texts : list of str
    path : str or Path
    groups : list of str, optional
        The group of each text, shown by its colour.
    order : bool
        Put similar texts side by side, by hierarchical clustering (average linkage).
    title : str
    font : str or Path, optional

    Returns
    -------
    numpy.ndarray, shape (n, n)
        The similarities, in the order of ``texts``.

    Raises
    ------
    ValueError
        If there are fewer than 2 or more than 200 texts, not as many as vectors, or the suffix is
        not allowed.
    """
    groups = checked_groups(vectors, texts, groups)
    if not 2 <= len(texts) <= _MAX_MATRIX:
        raise ValueError(f'a similarity matrix needs 2 to {_MAX_MATRIX} texts, got {len(texts)}')
    vectors = np.asarray(vectors, 'float64')
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12)
    similarities = (unit @ unit.T).clip(-1, 1)
    places = _side_by_side(similarities) if order and len(texts) > 2 else np.arange(len(texts))
    shown = similarities[np.ix_(places, places)]
    pitch = min(0.42, max(0.11, 7 / len(texts)))
    width = 38 if len(texts) > 12 else 46
    side = pitch * len(texts)
    size = side + width * 0.072 + 1.4, side + 0.9 + 0.25 * (len(set(groups)) > 1)
    with picture(path, size, [*texts, *groups, title], font) as (figure, clean):
        axes = figure.subplots()
        image = axes.imshow(shown, cmap=_diverging(), vmin=-1, vmax=1)
        font_size = min(8.5, pitch * 40)
        labels = [
            f'{shorten(clean(texts[place]), width)}  {number + 1}'
            for number, place in enumerate(places)
        ]
        axes.set_yticks(range(len(texts)), labels, fontsize=font_size)
        axes.set_xticks(
            range(len(texts)), [str(number + 1) for number in range(len(texts))], fontsize=font_size
        )
        if len(set(groups)) > 1:
            names = list(dict.fromkeys(groups))
            for label, place in zip(axes.get_yticklabels(), places):
                label.set_color(darker(PALETTE[names.index(groups[place]) % len(PALETTE)]))
            _key(figure, names, clean)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        if len(texts) <= _MAX_VALUES:
            _write_values(axes, image, shown)
        axes.set_title(
            clean(title) or 'Cosine similarity of sentence vectors',
            loc='right' if len(texts) < 8 else 'left',
        )
        axes.set_xlabel('number of the text')
        bar = figure.colorbar(image, ax=axes, shrink=0.75, aspect=24, pad=0.02)
        bar.set_label('cosine similarity')
        bar.ax.set_ylim(min(0, shown.min()), 1)
        bar.outline.set_visible(False)
    return similarities


def _write_values(axes, image, values):
    """Write each value into its cell, in an ink that stands out from the colour."""
    for (row, column), value in np.ndenumerate(values):
        axes.text(
            column,
            row,
            _two_digits(value),
            ha='center',
            va='center',
            fontsize=7,
            color=ink_on(image.cmap(image.norm(value))),
        )


def _key(figure, names, clean):
    """Draw the legend of the groups' colours."""
    from matplotlib.patches import Patch

    figure.legend(
        handles=[
            Patch(
                color=darker(PALETTE[number % len(PALETTE)]), label=clean(shorten(name, 40)) or ' '
            )
            for number, name in enumerate(names)
        ],
        loc='outside lower center',
        ncols=min(7, len(names)),
        handlelength=1,
    )


def _two_digits(value):
    """Format 0.53 as .53, which is easier to read in a small cell."""
    return f'{value:.2f}'.replace('0.', '.').replace('-.00', '.00')


def _side_by_side(similarities):
    """Order the texts by hierarchical clustering, similar texts next to each other."""
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    distances = (1 - (similarities + similarities.T) / 2).clip(0)
    np.fill_diagonal(distances, 0)
    return leaves_list(linkage(squareform(distances), 'average', optimal_ordering=True))


def _diverging():
    """Make a colour map: negative orange, zero white, positive blue."""
    from matplotlib.colors import LinearSegmentedColormap

    blue = blues()
    return LinearSegmentedColormap.from_list(
        'similarities',
        [
            (0, PALETTE[1]),
            (0.4, '#f9e3d3'),
            *((0.5 + share / 2, blue(share)) for share in (0.0, 0.25, 0.5, 0.75, 1.0)),
        ],
    )
