"""Draw boxes, strips and arrows of a block diagram, measured in inches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..modeling.counts import short_count

if TYPE_CHECKING:
    from matplotlib.figure import Figure


FILLS = {
    'embedding': '#dbe8f6',
    'attention': '#fbe3cd',
    'feed-forward': '#dcefdc',
    'norm': '#f6f1c8',
    'head': '#e8e0f2',
    'layer': '#f4f4f4',
}
EDGE, QUIET = '#333333', '#5f5f5f'


class Diagram:
    """A figure measured in inches that grows as high as it has to be."""

    WIDTH = 9.1

    def __init__(self) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.figure = Figure(figsize=(self.WIDTH, self.WIDTH), dpi=160, facecolor='white')
        FigureCanvasAgg(self.figure)
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set_axis_off()

    def finish(self, height: float) -> Figure:
        """Cut the figure to its height and return it."""
        self.figure.set_size_inches(self.WIDTH, height)
        self.axes.set(xlim=(0, self.WIDTH), ylim=(0, height))
        return self.figure

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float = 8.5,
        colour: str = EDGE,
        ha: str = 'center',
        va: str = 'center',
        **how: Any,
    ) -> None:
        """Write text; ``how`` goes to Matplotlib."""
        self.axes.text(x, y, text, fontsize=size, color=colour, ha=ha, va=va, **how)

    def rectangle(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        fill: str,
        edge: str = EDGE,
        rounding: float = 0.06,
    ) -> None:
        """Draw a rectangle with rounded corners, filled with a colour of ``FILLS``."""
        from matplotlib.patches import FancyBboxPatch

        self.axes.add_patch(
            FancyBboxPatch(
                (x, y),
                width,
                height,
                boxstyle=f'round,pad=0,rounding_size={rounding}',
                facecolor=FILLS[fill],
                edgecolor=edge,
                linewidth=0.9,
                zorder=3 if edge == EDGE else 0,
            )
        )

    def block(
        self,
        centre: float,
        y: float,
        size: tuple[float, float],
        lines: Sequence[str],
        count: int,
        fill: str,
    ) -> None:
        """Draw a box with a title, further lines and a number of parameters."""
        width, height = size
        self.rectangle(centre - width / 2, y, width, height, fill)
        rows: list[tuple[str, dict[str, Any]]] = [(lines[0], dict(size=9, weight='bold', zorder=4))]
        rows += [(line, dict(size=8.5, zorder=4)) for line in lines[1:]]
        rows += [(f'{short_count(count)} parameters', dict(size=7.5, colour=QUIET, zorder=4))]
        step = 0.185
        top = y + height / 2 + step * (len(rows) - 1) / 2
        for number, (text, how) in enumerate(rows):
            self.text(centre, top - number * step, text, **how)

    def strip(
        self, centre: float, y: float, size: tuple[float, float], title: str, count: int
    ) -> None:
        """Draw a low box with a title and, at its right end, a number of parameters."""
        width, height = size
        self.rectangle(centre - width / 2, y, width, height, 'norm')
        self.text(centre, y + height / 2, f'{title}', size=8.5, weight='bold', zorder=4)
        self.text(
            centre + width / 2 - 0.1,
            y + height / 2,
            short_count(count),
            size=7.5,
            colour=QUIET,
            ha='right',
            zorder=4,
        )

    def line(self, *points: tuple[float, float], arrow: bool = True) -> None:
        """Draw a line with rounded corners that ends in an arrow."""
        from matplotlib.patches import FancyArrowPatch
        from matplotlib.path import Path

        corners, codes = [points[0]], [Path.MOVETO]
        for before, corner, after in zip(points, points[1:], points[2:]):
            corners += [_towards(corner, before), corner, _towards(corner, after)]
            codes += [Path.LINETO, Path.CURVE3, Path.CURVE3]
        self.axes.add_patch(
            FancyArrowPatch(
                path=Path([*corners, points[-1]], [*codes, Path.LINETO]),
                linewidth=1.0,
                color=EDGE,
                arrowstyle='-|>' if arrow else '-',
                mutation_scale=9,
                shrinkA=0,
                shrinkB=0,
                zorder=2,
            )
        )

    def bar(self, x: float, y: float, width: float, height: float) -> None:
        """Draw a bar without an edge."""
        from matplotlib.patches import Rectangle

        self.axes.add_patch(Rectangle((x, y), width, height, color='#8aa6c6', linewidth=0))

    def circle(self, x: float, y: float, radius: float = 0.13) -> None:
        """Draw a circle with a plus sign."""
        from matplotlib.patches import Circle

        self.axes.add_patch(
            Circle((x, y), radius, facecolor='white', edgecolor=EDGE, linewidth=0.9, zorder=3)
        )
        self.text(x, y, '+', size=11, zorder=4)


def _towards(begin, end, length=0.09):
    """Return the point at a distance from ``begin`` on the way to ``end``."""
    way = ((end[0] - begin[0]) ** 2 + (end[1] - begin[1]) ** 2) ** 0.5
    share = min(1, length / way) if way else 0
    return tuple(a + share * (b - a) for a, b in zip(begin, end))
