"""Common style of all plots: colours, sizes, fonts, files."""

from __future__ import annotations

import contextlib
import logging
import math
import re
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Optional

from .._internal.files import atomic_path
from .._internal.types import PathLike

if TYPE_CHECKING:
    from matplotlib.figure import Figure


SUFFIXES = ('.png', '.svg', '.pdf')

# Okabe and Ito's colours, which people with any colour vision can distinguish.
PALETTE = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#6f6f6f')
MARKERS = 'osD^vPX'
DASHES = ('-', (0, (5, 1.5)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)))
INK, QUIET, RULE, MISSING = '#222222', '#666666', '#dddddd', '\ufffd'

_BASE = 'DejaVu Sans'  # comes with Matplotlib, so the picture is the same everywhere
# Searched first for missing characters; then any installed font.
_LIKELY = (
    'Noto Sans CJK',
    'Noto Sans SC',
    'Source Han Sans',
    'WenQuanYi',
    'SimHei',
    'Microsoft YaHei',
    'PingFang',
    'Hiragino',
    'IPAexGothic',
    'Arial Unicode',
    'Noto Sans',
    'Droid Sans Fallback',
)
_BOXES = 'Last Resort'  # has a box for every character
_UNSEEN = ('Cc', 'Cf', 'Cs')  # Unicode's categories of control, format, half characters
_STYLE = {
    'font.size': 9,
    'text.color': INK,
    'axes.labelcolor': INK,
    'xtick.color': INK,
    'ytick.color': INK,
    'axes.edgecolor': QUIET,
    'axes.linewidth': 0.8,
    'axes.labelsize': 9,
    'axes.titlesize': 10,
    'axes.titlelocation': 'left',
    'axes.titleweight': 'bold',
    'axes.titlepad': 7,
    'xtick.labelsize': 8,
    'ytick.labelsize': 8,
    'legend.fontsize': 8,
    'legend.frameon': False,
    'figure.titlesize': 11,
    'figure.titleweight': 'bold',
    'axes.spines.top': False,
    'axes.spines.right': False,
    'grid.color': RULE,
    'grid.linewidth': 0.6,
    'axes.axisbelow': True,
    'lines.linewidth': 1.7,
    # Users' texts are no formulas, whatever dollar signs they have.
    'text.parse_math': False,
    # The same picture gives the same bytes; text is searched and copied from a PDF.
    'svg.hashsalt': 'gluon_bert',
    'pdf.fonttype': 42,
    # Widths of letters do not depend on the resolution.
    'text.hinting': 'no_hinting',
    'figure.dpi': 160,
}

# A line may end after a space, and between characters of Chinese, Japanese or Korean except before
# closing punctuation.
_CLOSERS = '[、，。．！？；：」』）】》〉〕”’…]*'
ATOM = re.compile(
    r'\n|[^\S\n]+|[^\s\u1100-\u11ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff'
    r'\uff00-\uffef\U00020000-\U0003ffff]+' + _CLOSERS + r'|\S' + _CLOSERS
)


def checked_path(path: PathLike) -> Path:
    """Check the path of a picture; ValueError for its suffix, FileNotFoundError for its folder."""
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(
            f'{path}: expected a name that ends in {", ".join(SUFFIXES[:-1])} or {SUFFIXES[-1]}'
        )
    if not path.parent.is_dir():
        raise FileNotFoundError(f'{path}: no such folder {path.parent}')
    return path


@contextlib.contextmanager
def picture(
    path: PathLike,
    size: tuple[float, float],
    texts: Iterable[str] = (),
    font: Optional[PathLike] = None,
    layout: Optional[Literal['constrained']] = 'constrained',
) -> Iterator[tuple[Figure, Callable[[str], str]]]:
    """Open a figure in the common style and write it when the block ends without an error.

    Parameters
    ----------
    path : str or Path
        PNG, SVG or PDF, by its suffix.
    size : (float, float)
        Width and height in inches.
    texts : iterable of str
        Texts that will be written in it; they decide which fonts are needed.
    font : str or Path, optional
        A font file for characters that the default font lacks.
    layout : str, optional
        Matplotlib's layout engine.

    Yields
    ------
    figure : matplotlib.figure.Figure
    clean : callable
        ``clean(text)`` returns a text of the same length that can be drawn.

    Raises
    ------
    ValueError, FileNotFoundError
        As :func:`checked_path`; or if the font file does not exist or is not a font.

    Warns
    -----
    UserWarning
        If no font has some of the characters; these are drawn as a question mark in a diamond.
    """
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    path = checked_path(path)
    families, missing = _families(''.join(texts), font)
    with style.context(['default', {**_STYLE, 'font.family': families}]), _quiet_fonts():
        figure = Figure(figsize=size, layout=layout, facecolor='white')
        FigureCanvasAgg(figure)
        yield figure, lambda text: _clean(text, missing)
        save(figure, path)


@contextlib.contextmanager
def _quiet_fonts():
    """Silence the log line for each bold text whose fallback fonts are not bold."""
    logger = logging.getLogger('matplotlib.font_manager')
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def save(figure: Figure, path: PathLike, title: Optional[str] = None) -> None:
    """Write a figure atomically; the same figure gives the same bytes."""
    kind = Path(path).suffix[1:].lower()
    undated = {'svg': {'Date': None}, 'pdf': {'CreationDate': None}}.get(kind, {})
    metadata = {**undated, **({'Title': title} if title and kind != 'png' else {})}
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=kind, metadata=metadata)


def shorten(text: str, width: int) -> str:
    """Cut a text to one line of at most ``width`` columns; a Chinese character takes two."""
    text = ' '.join(text.split())
    if columns_of(text) <= width:
        return text
    used, start = 1, ''
    for character in text:
        used += columns_of(character)
        if used > width:
            break
        start += character
    return start.rstrip() + '…'


def columns_of(text: str) -> int:
    """Measure a text in columns of a terminal."""
    return sum(1 + (unicodedata.east_asian_width(character) in 'WF') for character in text)


def wrap(text: str, width: int, lines: int = 2) -> str:
    """Break a text into at most ``lines`` lines of at most ``width`` columns each."""
    rows, row = [], ''
    for word in ATOM.findall(shorten(text, width * lines)):
        if row and columns_of(row + word.rstrip()) > width:
            rows.append(row.rstrip())
            row = ''
        row += word
    rows.append(row.rstrip())
    if len(rows) > lines:
        rows[lines - 1 :] = [shorten(' '.join(rows[lines - 1 :]), width)]
    return '\n'.join(rows)


def mix(colour: Any, share: float) -> tuple[float, float, float]:
    """Mix a colour with white: share 0 gives white, 1 the colour; as (r, g, b)."""
    from matplotlib.colors import to_rgb

    red, green, blue = to_rgb(colour)
    return 1 - share * (1 - red), 1 - share * (1 - green), 1 - share * (1 - blue)


def darker(colour: Any) -> tuple[float, float, float]:
    """Darken a colour so that text in it is readable."""
    from matplotlib.colors import to_rgb

    red, green, blue = to_rgb(colour)
    return 0.72 * red, 0.72 * green, 0.72 * blue


def blues() -> Any:
    """Make the colour map of shares: white to dark blue."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list(
        'shares', ['#ffffff', '#cfe3f2', '#74b0d8', PALETTE[0], '#00355a']
    )


def ink_on(colour: Any) -> str:
    """Choose black or white, whichever is more readable on a colour."""
    from matplotlib.colors import to_rgb

    red, green, blue = to_rgb(colour[:3])
    return 'white' if 0.299 * red + 0.587 * green + 0.114 * blue < 0.55 else INK


class Ruler:
    """Measures text of a figure: (text, size, weight) -> width in points."""

    def __init__(self, figure: Figure) -> None:
        self._renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
        self._scale = 72 / figure.dpi

    def __call__(self, text: str, size: float, weight: str = 'normal') -> float:
        from matplotlib.font_manager import FontProperties

        if not text:
            return 0.0
        width, _, _ = self._renderer.get_text_width_height_descent(
            text, FontProperties(size=size, weight=weight), ismath=False
        )
        return width * self._scale


def _clean(text, missing):
    return ''.join(
        MISSING
        if character in missing
        else ' '
        if unicodedata.category(character) in _UNSEEN
        else character
        for character in text
    )


def _families(text, font):
    """Choose font families that have the characters; return them and the missing characters."""
    from matplotlib import font_manager

    families = [_BASE]
    if font is not None:
        families.append(_added(font, font_manager))
    missing = {
        character
        for character in text
        if not character.isspace() and unicodedata.category(character) not in _UNSEEN
    }
    for family in families:
        missing -= _characters(font_manager.findfont(family))
    if missing:
        entries = {
            entry.name: entry.fname
            for entry in font_manager.fontManager.ttflist
            if entry.weight in (400, 'normal', 'regular')
            and entry.style == 'normal'
            and not entry.name.startswith(_BOXES)
        }
        for family in sorted(entries, key=_preference):
            covered = missing & _characters(entries[family])
            if covered:
                families.append(family)
                missing -= covered
            if not missing:
                break
    if missing:
        some = ' '.join(
            f'{character} (U+{ord(character):04X})' for character in sorted(missing)[:3]
        )
        warnings.warn(
            f'no installed font has {len(missing)} of the characters, such as {some}: '
            f'they are drawn as {MISSING}; pass a font file that has them as font',
            stacklevel=5,
        )
    return families, missing


def _preference(family):
    likely = [number for number, name in enumerate(_LIKELY) if family.startswith(name)]
    return min(likely, default=math.inf), family


def _added(path, font_manager):
    """Register a font file with Matplotlib and return its family."""
    if not Path(path).is_file():
        raise FileNotFoundError(f'{path}: no such font file')
    path = str(Path(path).resolve())
    manager = font_manager.fontManager
    if not any(entry.fname == path for entry in manager.ttflist):
        try:
            manager.addfont(path)
        except RuntimeError as error:
            raise ValueError(f'{path}: is not a font file ({error})') from None
    return next(entry.name for entry in manager.ttflist if entry.fname == path)


def _characters(path):
    from matplotlib import font_manager

    try:
        return {chr(code) for code in font_manager.get_font(path).get_charmap()}
    except (RuntimeError, OSError):  # a font of pictures, which Matplotlib cannot draw
        return set()
