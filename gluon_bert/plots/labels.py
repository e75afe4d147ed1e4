"""Place labels beside points so that none overlap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Optional

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


_DISTANCES = (7, 11, 16, 23, 32, 44, 60, 80)  # points from a point to its label
_DIRECTIONS, _TRIES = 16, 10


def place_labels(
    points: ArrayLike,
    sizes: ArrayLike,
    area: tuple[float, float, float, float],
    taken: Sequence[tuple[float, float, float, float]] = (),
) -> list[Optional[tuple[float, float]]]:
    """Find the nearest free position for each label.

    Parameters
    ----------
    points : numpy.ndarray, shape (n, 2)
        The labelled points.
    sizes : numpy.ndarray, shape (n, 2)
        Width and height of each label, in the same unit as the points: 1/72 inch.
    area : (float, float, float, float)
        Left, bottom, right and top of the area for labels.
    taken : sequence of (float, float, float, float)
        Boxes that are already occupied.

    Returns
    -------
    list of (float, float) or None
        The lower left corner of each label; None if there is no room for it.
    """
    points, sizes = np.asarray(points, float), np.asarray(sizes, float)
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
    crowd = np.exp(-distances / 40).sum(axis=1)
    # Crowded points first, since they have the fewest free positions; then other orders.
    orders = [np.argsort(-crowd, kind='stable')]
    shuffle = np.random.RandomState(0).permutation
    orders += [shuffle(len(points)) for _ in range(_TRIES if len(points) <= 40 else 2)]
    return min(
        (_place(points, sizes, area, taken, order) for order in orders),
        key=lambda result: result[0],
    )[1]


def _place(points, sizes, area, taken, order):
    """Place the labels in one order; return the cost and the corners."""
    dots = [*taken, *((*(point - 4), *(point + 4)) for point in points)]
    corners, boxes, lines, cost = [None] * len(points), [], [], 0.0
    for number in order:
        point = points[number]
        for rank, corner in enumerate(_corners(point, sizes[number])):
            box = (*corner, *(corner + sizes[number]))
            if not _inside(box, area) or any(_meet(box, other) for other in (*dots, *boxes)):
                continue
            way = (*point, *_nearest(point, box))
            if any(_crosses(line, box) for line in lines) or any(
                _crosses(way, other) for other in boxes
            ):
                continue
            corners[number] = tuple(corner)
            boxes.append(box)
            lines.append(way)
            cost += (rank // _DIRECTIONS) ** 2
            break
        else:
            cost += 1000
    return cost, corners


def leader(
    point: Sequence[float], corner: Sequence[float], size: tuple[float, float]
) -> Optional[tuple[float, float]]:
    """Return the end of the line from a point to its label; None if the label is close enough."""
    x, y = _nearest(point, (*corner, *np.add(corner, size)))
    return None if math.hypot(x - point[0], y - point[1]) < 9.5 else (x, y)


def _corners(point, size):
    """Yield lower left corners of a label around a point, the nearest first."""
    for distance in _DISTANCES:
        # Labels are read best right and left of the point, then above and below.
        for step in sorted(
            range(_DIRECTIONS),
            key=lambda n: (n % (_DIRECTIONS // 2) != 0, n % (_DIRECTIONS // 4) != 0, n),
        ):
            angle = 2 * math.pi * step / _DIRECTIONS
            dx, dy = math.cos(angle), math.sin(angle)
            centre = point + distance * np.array([dx, dy])
            yield (
                centre
                + np.array(
                    [(np.sign(round(dx, 6)) * 0.5 if abs(dx) > 0.3 else dx) - 0.5, dy / 2 - 0.5]
                )
                * size
            )


def _nearest(point, box):
    return min(max(point[0], box[0]), box[2]), min(max(point[1], box[1]), box[3])


def _inside(box, area):
    return box[0] >= area[0] and box[1] >= area[1] and box[2] <= area[2] and box[3] <= area[3]


def _meet(one, other, margin=1.5):
    return (
        one[0] < other[2] + margin
        and other[0] < one[2] + margin
        and one[1] < other[3] + margin
        and other[1] < one[3] + margin
    )


def _crosses(line, box):
    """Tell if a line passes through a box, tested at nine points of the line."""
    x0, y0, x1, y1 = line
    return any(
        box[0] < x0 + share * (x1 - x0) < box[2] and box[1] < y0 + share * (y1 - y0) < box[3]
        for share in np.linspace(0, 1, 9)
    )
