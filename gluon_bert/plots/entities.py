"""Draw a text with its entities shaded by type."""

from __future__ import annotations

from typing import Optional

from .._internal.types import PathLike
from .highlight import LINE, baseline, canvas, draw_text, num_lines, runs_of, set_text, shade
from .style import PALETTE, QUIET, Ruler, darker, mix, picture, shorten

_WIDTH, _MARGIN, _SIZE, _TAG = 560, 22, 11, 6.5  # points


def plot_entities(
    text: str,
    spans: list[tuple[int, int, str]],
    path: PathLike,
    title: str = '',
    font: Optional[PathLike] = None,
) -> None:
    """Draw a text with its entities shaded and named.

    Parameters
    ----------
    text : str
    spans : list of (int, int, str)
        First character, character after the last, and type of each entity; they must not
        overlap.
    path : str or Path
    title : str
    font : str or Path, optional

    Raises
    ------
    ValueError
        If an entity is outside the text or overlaps another, the text is empty, or the suffix is
        not allowed.
    """
    spans = _checked(text, spans)
    entity_types = sorted({kind for _, _, kind in spans})
    colours = {kind: PALETTE[number % len(PALETTE)] for number, kind in enumerate(entity_types)}
    marks: list[Optional[int]] = [None] * len(text)
    for number, (start, end, _) in enumerate(spans):
        marks[start:end] = [number] * (end - start)
    ends = {end: shorten(kind, 24).upper() for _, end, kind in spans}
    with picture(path, (1, 1), [text, *entity_types, *ends.values(), title], font, layout=None) as (
        figure,
        clean,
    ):
        ruler, shown = Ruler(figure), clean(text.replace('\n', '\v')).replace('\v', '\n')
        shown = ''.join('\n' if given == '\n' else now for given, now in zip(text, shown))
        pieces = set_text(
            shown,
            marks,
            _WIDTH - 2 * _MARGIN,
            ruler,
            _SIZE,
            lambda end: ruler(clean(ends[end]), _TAG, 'bold') + 8 if end in ends else 0,
        )
        rows, key = _key(spans, entity_types, clean, ruler)
        body = num_lines(pieces) * LINE * _SIZE
        height = body + (30 if title else 8) + 18 * rows + 24
        axes = canvas(figure, _WIDTH, height)
        top = height - (34 if title else 12)
        if title:
            axes.text(_MARGIN, height - 22, clean(title), fontsize=10, weight='bold')
        for run in runs_of(pieces):
            if run[0] is not None:
                _entity(axes, run, spans[run[0]], top, colours, clean, ends)
        draw_text(axes, shown, pieces, top, _SIZE, _MARGIN)
        for x, row, kind, string in key:
            y = top - body - 20 - 18 * row
            shade(axes, (None, 0, x, 10, 0), y + 1.15 * 8, 8, mix(colours[kind], 0.35), _MARGIN, 0)
            axes.text(_MARGIN + x + 16, y, string, fontsize=8, color=QUIET)


def _checked(text, spans):
    if not text.strip():
        raise ValueError('text is empty')
    spans, before = sorted((int(start), int(end), str(kind)) for start, end, kind in spans), 0
    for start, end, kind in spans:
        if not 0 <= start < end <= len(text):
            raise ValueError(
                f'the entity {kind} from {start} to {end} is not within the text of '
                f'{len(text)} characters'
            )
        if start < before:
            raise ValueError(f'the entity {kind} from {start} to {end} overlaps the one before it')
        before = end
    return spans


def _entity(axes, run, span, top, colours, clean, ends):
    """Shade one entity, or its part in a line, and write the type at its end."""
    _, line, x, width, last = run
    colour = colours[span[2]]
    shade(axes, run, top, _SIZE, mix(colour, 0.28), _MARGIN)
    if last == span[1]:
        axes.text(
            _MARGIN + x + width - 2,
            baseline(top, line, _SIZE) + 1.4,
            clean(ends[last]),
            fontsize=_TAG,
            weight='bold',
            ha='right',
            color=darker(colour),
            zorder=3,
        )


def _key(spans, entity_types, clean, ruler):
    """Lay out the legend as (x, row, type, text); return it with its number of rows."""
    x, row, entries = 0.0, 0, []
    for kind in entity_types:
        number = sum(span[2] == kind for span in spans)
        string = f'{clean(shorten(kind, 30))} ({number})'
        width = ruler(string, 8) + 34
        if x and x + width > _WIDTH - 2 * _MARGIN:
            x, row = 0.0, row + 1
        entries.append((x, row, kind, string))
        x += width
    return row + 1 if entity_types else 0, entries
