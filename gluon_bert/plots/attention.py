"""Plot attention maps of all layers and heads, or one map with its tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Optional

import numpy as np

from .._internal.types import PathLike
from ..inference.attention import Attention
from ..inference.attention import attention_of as attention_of
from .style import INK, QUIET, blues, picture

_MAX_LABELS = 160  # tokens; more would be too small to read
_MAX_SMALL = 24  # the same, in a small map
_GAP = 0.12  # between small maps, as a share of one


def plot_attention(
    attention: Attention,
    path: PathLike,
    layer: Optional[int] = None,
    head: Optional[int] = None,
    title: str = '',
    font: Optional[PathLike] = None,
) -> None:
    """Draw attention maps; darker is more probable.

    Parameters
    ----------
    attention : Attention
    path : str or Path
    layer, head : int, optional
        Draw one layer, one head, or with both one large map. From 0; -1 is the last.
    title : str
        By default the layers and heads shown.
    font : str or Path, optional

    Raises
    ------
    ValueError
        If there is no such layer or head, or the suffix is not allowed.
    """
    num_layers, num_heads = attention.probabilities.shape[:2]
    layers = range(num_layers) if layer is None else [_number('layer', layer, num_layers)]
    heads = range(num_heads) if head is None else [_number('head', head, num_heads)]
    if len(layers) == len(heads) == 1:
        _plot_one(attention, path, layers[0], heads[0], title, font)
    else:
        _plot_grid(attention, path, layers, heads, title, font)


def _number(name, value, limit):
    if not -limit <= value < limit:
        raise ValueError(
            f'{name} {value} is not in the model, which has {name}s 0 to '
            f'{limit - 1}, or {-limit} to -1 counted from the last'
        )
    return value % limit


def _plot_one(attention, path, layer, head, title, font):
    """Draw one map with its tokens at both axes."""
    tokens, num_tokens = attention.tokens, len(attention.tokens)
    pitch = min(0.34, max(0.14, 8 / num_tokens))  # inches for a token
    longest = max(map(len, tokens)) * 0.085
    side = max(2.6, pitch * num_tokens) if num_tokens <= _MAX_LABELS else 9
    with picture(path, (side + longest + 1.5, side + longest + 0.8), tokens + [title], font) as (
        figure,
        clean,
    ):
        axes = figure.subplots()
        axes.imshow(attention.probabilities[layer, head], cmap=blues(), norm=_norm())
        size = min(9, 45 * pitch)
        if num_tokens <= _MAX_LABELS:
            labels = [clean(token) for token in tokens]
            axes.set_xticks(range(num_tokens), labels, rotation=90, fontsize=size)
            axes.set_yticks(range(num_tokens), labels, fontsize=size)
            axes.tick_params(length=0)
        axes.spines[:].set_visible(True)
        axes.set_xticks(np.arange(0.5, num_tokens - 1), minor=True)
        axes.set_yticks(np.arange(0.5, num_tokens - 1), minor=True)
        axes.tick_params(which='minor', length=0)
        axes.grid(which='minor', linewidth=0.35)
        _divide(axes, attention)
        axes.set(xlabel='key token', ylabel='query token')
        axes.set_title(clean(title) or f'Attention, layer {layer}, head {head}')
        _bar(figure, axes, 24)


def _divide(axes, attention):
    """Draw lines between the two texts of a pair."""
    edge = attention.num_first - 0.5
    if attention.num_first < len(attention.tokens):
        axes.axhline(edge, color=INK, linewidth=0.9, linestyle=(0, (4, 2)))
        axes.axvline(edge, color=INK, linewidth=0.9, linestyle=(0, (4, 2)))


class _Grid(NamedTuple):
    """Layout of a grid of small maps, in units of the distance from one map to the next.

    ``cells`` has the (layer, head) of each map; ``above`` is the room for a map's title, ``beside``
    that for the tokens at the left and below.
    """

    cells: list[tuple[int, int]]
    layers: Sequence[int]
    heads: Sequence[int]
    columns: int
    inch: float
    above: float
    beside: float
    legend: str

    @property
    def rows(self) -> int:
        """Number of rows of maps."""
        return -(-len(self.cells) // self.columns)

    @property
    def is_single(self) -> bool:
        """True if the maps are those of one layer or of one head."""
        return len(self.layers) == 1 or len(self.heads) == 1

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the figure in inches."""
        below = 0.17 * self.legend.count('\n') + 0.35 * bool(self.legend)
        return (
            (self.columns + self.beside) * self.inch + 1.3,
            self.height * self.inch + 0.55 + below + 0.3 * (not self.is_single),
        )

    @property
    def height(self) -> float:
        """Height of all rows with their titles and tokens."""
        return self.rows * (1 + self.above) + self.beside

    def place(self, number):
        """Return the left and the upper edge of a map."""
        row, column = divmod(number, self.columns)
        return column, row * (1 + self.above) + self.above


def _layout(tokens, layers, heads):
    """Lay out small maps: a row for each layer, a column for each head; one layer's in fours."""
    cells = [(layer, head) for layer in layers for head in heads]
    single = len(layers) == 1 or len(heads) == 1
    columns = min(4, len(cells)) if single else len(heads)
    inch = 1.9 if single else min(1.0, max(0.45, 9.5 / columns))
    labelled = single and len(tokens) <= _MAX_SMALL
    return _Grid(
        cells,
        layers,
        heads,
        columns,
        inch,
        above=0.11 if single else 0,
        beside=0.01 + 0.029 * max(map(len, tokens)) if labelled else 0,
        legend='' if labelled else _legend(tokens, columns * inch),
    )


def _plot_grid(attention, path, layers, heads, title, font):
    """Draw small maps side by side."""
    grid = _layout(attention.tokens, layers, heads)
    with picture(path, grid.size, [*attention.tokens, title], font) as (figure, clean):
        axes = figure.subplots()
        tokens = [clean(token) for token in attention.tokens]
        for number, cell in enumerate(grid.cells):
            left, top = grid.place(number)
            _small(axes, attention.probabilities[cell], left, top)
            if grid.is_single:
                name = f'head {cell[1]}' if len(layers) == 1 else f'layer {cell[0]}'
                axes.text(left, top - 0.03, name, fontsize=8, va='bottom')
            if grid.beside:
                is_last = number + grid.columns >= len(grid.cells)
                _tokens(axes, tokens, left, top, left == 0, is_last)
        _grid_axes(axes, grid)
        axes.set_title(clean(title) or f'Attention, {_shown_maps(grid)}')
        if grid.legend:
            legend = '\n'.join(map(clean, grid.legend.split('\n')))
            figure.supxlabel(legend, fontsize=8, color=QUIET)
        _bar(figure, axes, 22)


def _grid_axes(axes, grid):
    """Number the layers and heads at the axes of a grid, or hide the axes."""
    axes.set(xlim=(-grid.beside - _GAP / 2, grid.columns), ylim=(grid.height, 0), aspect='equal')
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, pad=2)
    if grid.is_single:
        axes.set_axis_off()
        return
    middle = (1 - _GAP) / 2
    axes.set_xticks(np.arange(grid.columns) + middle, [str(head) for head in grid.heads])
    axes.set_yticks(np.arange(grid.rows) + middle, [str(layer) for layer in grid.layers])
    axes.set(xlabel='head', ylabel='layer')


def _shown_maps(grid):
    """Name the layers and heads of a grid."""
    if len(grid.layers) == 1:
        return f'layer {grid.layers[0]}'
    if len(grid.heads) == 1:
        return f'head {grid.heads[0]} in each layer'
    return 'all layers and heads'


def _small(axes, values, left, top):
    """Draw one map in a frame."""
    from matplotlib.patches import Rectangle

    side = 1 - _GAP
    axes.imshow(
        values, cmap=blues(), norm=_norm(), extent=(left, left + side, top + side, top), zorder=1
    )
    axes.add_patch(
        Rectangle((left, top), side, side, fill=False, edgecolor='#b5b5b5', linewidth=0.5, zorder=2)
    )


def _tokens(axes, tokens, left, top, at_left, below):
    """Write the tokens at the outer edges of a small map."""
    pitch = (1 - _GAP) / len(tokens)
    for number, token in enumerate(tokens):
        place = (number + 0.5) * pitch
        look = dict(fontsize=min(7, 100 * pitch), color=QUIET)
        if at_left:
            axes.text(left - 0.02, top + place, token, ha='right', va='center', **look)
        if below:
            axes.text(
                left + place,
                top + 1 - _GAP + 0.02,
                token,
                ha='center',
                va='top',
                rotation=90,
                **look,
            )


def _bar(figure, axes, aspect):
    """Draw the colour bar."""
    from matplotlib.cm import ScalarMappable

    bar = figure.colorbar(
        ScalarMappable(_norm(), blues()),
        ax=axes,
        shrink=0.7,
        aspect=aspect,
        pad=0.02,
        ticks=[0, 0.05, 0.25, 0.5, 1],
    )
    bar.ax.set_yticklabels(['0', '0.05', '0.25', '0.5', '1'])
    bar.set_label('attention probability')
    bar.outline.set_visible(False)


def _norm():
    """Make a colour scale by the square root of the probability, which shows weak attention."""
    from matplotlib.colors import PowerNorm

    return PowerNorm(0.5, vmin=0, vmax=1)


def _legend(tokens, inches):
    """List the tokens of a map's rows and columns in at most four lines."""
    width = int(inches * 13)
    lines = [f'Rows: the {len(tokens)} query tokens. Columns: the same tokens as keys.']
    line = ''
    for token in tokens:
        if len(line) + len(token) > width:
            lines.append(line)
            line = ''
        if len(lines) == 4:
            lines[-1] += ' …'
            break
        line += f' {token}' if line else token
    return '\n'.join([*lines, line] if line else lines)
