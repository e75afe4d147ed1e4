"""Set text in lines and shade parts of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from .style import ATOM, INK, columns_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .style import Ruler


LINE = 1.75  # distance of lines, as a multiple of the size of the letters

_MAX_CHARACTERS = 20_000


class Piece(NamedTuple):
    """A part of a text in one line: its characters, its mark, and its position in points."""

    start: int
    end: int
    mark: object
    line: int
    x: float
    width: float


def set_text(
    text: str,
    marks: list,
    width: float,
    ruler: Callable[[str, float], float],
    size: float,
    tail: Optional[Callable[[int], float]] = None,
) -> list[Piece]:
    """Break a text into lines.

    Parameters
    ----------
    text : str
    marks : list, one for each character
        Neighbouring characters with equal marks share a piece, within a line.
    width : float
        Of a line, in points.
    ruler : Ruler
    size : float
        Of the letters, in points.
    tail : callable, optional
        ``tail(end)`` returns the room in points to keep after the character before ``end``.

    Returns
    -------
    list of Piece
        In order. Spaces at the ends of lines are left out.

    Raises
    ------
    ValueError
        If the text has more than 20000 characters.
    """
    if len(text) > _MAX_CHARACTERS:
        raise ValueError(
            f'the text has {len(text)} characters; at most {_MAX_CHARACTERS} are drawn'
        )
    pieces, line, x = [], 0, 0.0
    for match in ATOM.finditer(text):
        if match[0] == '\n':
            line, x = line + 1, 0.0
            continue
        parts = _parts(match, marks, width, ruler, size, tail)
        atom = sum(room for _, _, room in parts)
        if x and not match[0].isspace() and x + atom > width:
            line, x = line + 1, 0.0
        for start, end, room in parts:
            if x and x + room > width:  # a word longer than a line
                line, x = line + 1, 0.0
                if match[0].isspace():
                    break
            pieces.append(Piece(start, end, marks[start], line, x, room))
            x += room
    return _without_edges(text, pieces)


def _parts(match, marks, width, ruler, size, tail):
    """Split a word into parts of one mark each, as (start, end, width)."""
    parts, start = [], match.start()
    for end in range(match.start() + 1, match.end() + 1):
        goes_on = end < match.end() and marks[end] == marks[start] and not (tail and tail(end))
        # Links and other long words are measured only if they may exceed a line.
        if goes_on and (
            end - start < 40 or ruler(match.string[start : end + 1], size) < 0.9 * width
        ):
            continue
        room = ruler(match.string[start:end], size)
        parts.append((start, end, room + (tail(end) if tail else 0)))
        start = end
    return parts


def _without_edges(text, pieces):
    """Remove spaces at the start and end of lines."""
    trimmed = []
    for piece in pieces:
        if text[piece.start : piece.end].isspace() and (
            not trimmed or trimmed[-1].line != piece.line
        ):
            continue
        while (
            trimmed
            and trimmed[-1].line != piece.line
            and (text[trimmed[-1].start : trimmed[-1].end].isspace())
        ):
            trimmed.pop()
        trimmed.append(piece)
    while trimmed and text[trimmed[-1].start : trimmed[-1].end].isspace():
        trimmed.pop()
    return trimmed


def num_lines(pieces: Sequence[Piece]) -> int:
    """Count the lines of pieces."""
    return pieces[-1].line + 1 if pieces else 1


def draw_text(
    axes: Axes, text: str, pieces: Sequence[Piece], top: float, size: float, left: float = 0.0
) -> None:
    """Write pieces into axes whose unit is the point; ``top`` is the height of the first line."""
    for piece in pieces:
        string = text[piece.start : piece.end]
        if not string.isspace():
            axes.text(
                left + piece.x,
                baseline(top, piece.line, size),
                string,
                fontsize=size,
                color=INK,
                va='baseline',
                zorder=3,
            )


def baseline(top: float, line: int, size: float) -> float:
    """Return the height of the baseline of a line."""
    return top - line * LINE * size - 1.15 * size


def runs_of(pieces: Sequence[Piece], key: Callable[[Any], Any] = lambda mark: mark) -> list[list]:
    """Join neighbouring pieces of a line with one mark: (mark, line, x, width, end).

    ``key`` returns the part of a mark to compare.
    """
    runs: list[list] = []
    for piece in pieces:
        if (
            runs
            and runs[-1][:2] == [key(piece.mark), piece.line]
            and (abs(runs[-1][2] + runs[-1][3] - piece.x) < 0.01)
        ):
            runs[-1][3:] = [piece.x + piece.width - runs[-1][2], piece.end]
        else:
            runs.append([key(piece.mark), piece.line, piece.x, piece.width, piece.end])
    return runs


def shade(
    axes: Axes,
    run: Sequence,
    top: float,
    size: float,
    colour: Any,
    left: float = 0.0,
    pad: float = 1.2,
    rounding: float = 1.8,
) -> None:
    """Draw a coloured background under a run."""
    from matplotlib.patches import FancyBboxPatch

    _, line, x, width, _ = run
    axes.add_patch(
        FancyBboxPatch(
            (left + x - pad, baseline(top, line, size) - 0.38 * size),
            width + 2 * pad,
            1.42 * size,
            boxstyle=f'round,pad=0,rounding_size={rounding}' if rounding else 'square,pad=0',
            facecolor=colour,
            edgecolor='none',
            zorder=1,
        )
    )


def canvas(figure: Figure, width: float, height: float) -> Axes:
    """Resize the figure and add axes over all of it, measured in points."""
    figure.set_size_inches(width / 72, height / 72)
    axes = figure.add_axes((0, 0, 1, 1), zorder=0)
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    return axes


def set_line(text: str, limit: float, ruler: Ruler, size: float, weight: str = 'normal') -> str:
    """Cut a text to a width in points."""
    text = ' '.join(text.split())
    if ruler(text, size, weight) <= limit:
        return text
    while text and ruler(text + '…', size, weight) > limit:
        text = text[: -max(1, columns_of(text) // 40)]
    return text.rstrip() + '…'
