"""Plot sentence vectors in two dimensions."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import NamedTuple, Optional

import numpy as np

from .._internal.types import PathLike
from .labels import leader, place_labels
from .style import INK, MARKERS, PALETTE, Ruler, picture, shorten, wrap

METHODS = ('pca', 'tsne')

_MAX_WRITTEN = 36  # texts written beside their points; more are numbered
_MAX_NUMBERED = 120  # texts; with more, only the groups are distinguished
_KEY_LINE = 0.165  # inches
_LABELS = ((30, 2), (22, 2), (22, 1), (15, 1))  # columns and lines of a text, tried in turn


class _NoRoomError(Exception):
    """There is no room for the labels."""


class Projection(NamedTuple):
    """Points in the plane, shape (n, 2), and the names of its two axes."""

    points: np.ndarray
    axes: tuple[str, str]


def project(vectors: np.ndarray, method: str = 'pca', seed: int = 0) -> Projection:
    """Project vectors to two dimensions.

    Parameters
    ----------
    vectors : numpy.ndarray, shape (n, C)
    method : str
        'pca', the two directions of greatest variance; or 'tsne' (van der Maaten and Hinton,
        2008), which keeps neighbours together but not distances.
    seed : int
        Of t-SNE.

    Returns
    -------
    Projection

    Raises
    ------
    ValueError
        If there are fewer than two vectors, for t-SNE fewer than four, or the method is unknown.
    """
    vectors = np.asarray(vectors, 'float64')
    least = {'pca': 2, 'tsne': 4}.get(method)
    if least is None:
        raise ValueError(f'method={method!r}: expected one of {METHODS}')
    if vectors.ndim != 2 or len(vectors) < least:
        raise ValueError(f'a map by {method} needs {least} texts or more, got {len(vectors)}')
    if method == 'tsne':
        from sklearn.manifold import TSNE

        perplexity = min(30.0, (len(vectors) - 1) / 3)
        points = TSNE(2, perplexity=perplexity, init='pca', random_state=seed).fit_transform(
            vectors.astype('float32')
        )
        return Projection(
            points.astype('float64'),
            ('t-SNE, first axis (no unit)', 't-SNE, second axis (no unit)'),
        )
    centred = vectors - vectors.mean(axis=0)
    left, values, directions = np.linalg.svd(centred, full_matrices=False)
    # An axis points in the direction in which its largest component is positive.
    signs = np.sign(directions[np.arange(len(directions)), np.abs(directions).argmax(axis=1)])
    points = np.zeros((len(vectors), 2))
    points[:, : min(2, len(values))] = (left * values * signs)[:, :2]
    shares = [*(values[:2] ** 2 / max((values**2).sum(), 1e-30)), 0.0]
    first, second = (
        f'principal component {number + 1} ({shares[number]:.0%} of the variance)'
        for number in range(2)
    )
    return Projection(points, (first, second))


def plot_map(
    vectors: np.ndarray,
    texts: list[str],
    path: PathLike,
    groups: Optional[list[str]] = None,
    method: str = 'pca',
    title: str = '',
    seed: int = 0,
    font: Optional[PathLike] = None,
) -> Projection:
    """Draw texts as points, similar ones near each other.

    Up to 36 texts are written beside their points if there is room, up to 120 are numbered and
    listed.

    Parameters
    ----------
    vectors : numpy.ndarray, shape (n, C)
        Such as :meth:`.SentenceEncoder.encode` returns.
    texts : list of str
    path : str or Path
    groups : list of str, optional
        The group of each text, shown by colour and shape.
    method : str
        As for :func:`project`.
    title : str
    seed : int
        Of t-SNE.
    font : str or Path, optional

    Returns
    -------
    Projection

    Raises
    ------
    ValueError
        As :func:`project`; or if texts or groups are not as many as vectors, there are more than
        seven groups, or the suffix is not allowed.
    """
    groups = checked_groups(vectors, texts, groups)
    names = list(dict.fromkeys(groups))
    if len(names) > len(PALETTE):
        raise ValueError(
            f'groups has {len(names)} different names; at most {len(PALETTE)} can be distinguished'
        )
    projection = project(vectors, method, seed)
    parts = projection, texts, groups, names
    if len(texts) > _MAX_WRITTEN or not _draw_map(parts, path, title, font, False):
        _draw_map(parts, path, title, font, True)
    return projection


def _draw_map(parts, path, title, font, numbered):
    """Draw the map; False if texts cannot all be written beside their points."""
    projection, texts, groups, names = parts
    numbered = numbered and len(texts) <= _MAX_NUMBERED
    key = -(-len(texts) // 2) * _KEY_LINE + 0.2 if numbered else 0
    height = 6.4 + key
    with (
        contextlib.suppress(_NoRoomError),
        picture(path, (9, height), [*texts, *names, title], font, layout=None) as (figure, clean),
    ):
        axes = figure.add_axes([0.075, (key + 0.62) / height, 0.9, 5.3 / height])
        _points(axes, projection, groups, names, clean)
        axes.set_title(clean(title) or 'Sentence vectors')
        figure.draw_without_rendering()
        if numbered:
            numbers = [str(number + 1) for number in range(len(texts))]
            _label(figure, axes, projection.points, [numbers], 7)
            _list(figure, texts, groups, names, clean, (0.075, key / height), height)
        elif len(texts) <= _MAX_WRITTEN:
            shown = [clean(text) for text in texts]
            _label(
                figure,
                axes,
                projection.points,
                [[wrap(text, *size) for text in shown] for size in _LABELS],
                7.5,
            )
        return True
    return False


def checked_groups(
    vectors: np.ndarray, texts: Sequence[str], groups: Optional[Sequence[str]]
) -> list[str]:
    """Return the group of each text, '' without groups; ValueError if the lengths differ."""
    for name, values in (('texts', texts), ('groups', groups)):
        if values is not None and len(values) != len(vectors):
            raise ValueError(f'{name} has {len(values)} entries for {len(vectors)} vectors')
    return [''] * len(texts) if groups is None else [str(group) for group in groups]


def _points(axes, projection, groups, names, clean):
    for number, name in enumerate(names):
        own = projection.points[[group == name for group in groups]]
        axes.scatter(
            *own.T,
            s=34,
            color=PALETTE[number],
            marker=MARKERS[number],
            linewidth=0.5,
            edgecolor='white',
            zorder=3,
            label=clean(shorten(name, 40)) or '_',
        )
    axes.margins(0.12)
    axes.set_aspect('equal', adjustable='datalim')
    axes.set(xlabel=projection.axes[0], ylabel=projection.axes[1])
    axes.grid(True)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    if len(names) > 1:
        axes.legend(
            loc='lower right',
            bbox_to_anchor=(1, 1),
            ncols=len(names),
            borderaxespad=0.2,
            handletextpad=0.3,
            columnspacing=1.4,
        )


def _label(figure, axes, points, choices, size):
    """Write the first set of labels that fits beside all points."""
    ruler, scale = Ruler(figure), 72 / figure.dpi
    places = axes.transData.transform(points) * scale
    area = axes.get_window_extent().extents * scale
    for labels in choices:
        sizes = [
            (
                max(ruler(line, size) for line in label.split('\n')),
                size * 1.22 * (1 + label.count('\n')),
            )
            for label in labels
        ]
        corners = place_labels(places, sizes, area)
        if None not in corners:
            break
    else:
        if len(choices) > 1:
            raise _NoRoomError
    to_data = axes.transData.inverted()
    for place, corner, label, (width, height) in zip(places, corners, labels, sizes):
        if corner is None:
            continue
        end = leader(place, corner, (width, height))
        if end is not None:
            line = to_data.transform(np.array([place, end]) / scale)
            axes.plot(*line.T, color='#a8a8a8', linewidth=0.6, zorder=1)
        # Lines of a label are aligned at the side next to its point.
        is_left = corner[0] + width / 2 < place[0]
        x, y = to_data.transform(np.add(corner, (width * is_left, height / 2)) / scale)
        axes.text(
            x,
            y,
            label,
            fontsize=size,
            ha='right' if is_left else 'left',
            va='center',
            linespacing=1.15,
            zorder=4,
        )


def _list(figure, texts, groups, names, clean, corner, height):
    """List the numbered texts in two columns below the map."""
    rows = -(-len(texts) // 2)
    for number, text in enumerate(texts):
        x = corner[0] + 0.46 * (number // rows)
        y = corner[1] - (number % rows) * _KEY_LINE / height
        colour = PALETTE[names.index(groups[number])] if len(names) > 1 else INK
        figure.text(
            x + 0.018,
            y,
            f'{number + 1}',
            ha='right',
            va='top',
            fontsize=7,
            color=colour,
            weight='bold',
        )
        figure.text(x + 0.024, y, shorten(clean(text), 66), va='top', fontsize=7)
