"""Draw answers shaded in their paragraph, with the probabilities of their ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Optional

import numpy as np

from .._internal.numerics import softmax
from .._internal.types import PathLike
from .highlight import (
    LINE,
    baseline,
    canvas,
    draw_text,
    num_lines,
    runs_of,
    set_line,
    set_text,
    shade,
)
from .style import INK, PALETTE, QUIET, RULE, Ruler, mix, picture

if TYPE_CHECKING:
    from ..data.squad.files import Question
    from ..data.squad.windows import Windows


_WIDTH, _MARGIN, _SIZE = 620, 24, 10.5  # points
_ROW, _CURVES = 15, 150
_NONE = '(no answer)'


class AnswerSpan(NamedTuple):
    """A candidate for an answer: its characters in the paragraph, and its probability.

    ``start`` equals ``end`` for no answer.
    """

    start: int
    end: int
    probability: float


class TokenProbabilities(NamedTuple):
    """Characters of each token of a paragraph, and probabilities of an answer's two ends.

    ``offsets`` has shape (T, 2), ``starts`` and ``ends`` (T,).
    """

    offsets: np.ndarray
    starts: np.ndarray
    ends: np.ndarray


def plot_answer(
    question: str,
    context: str,
    answers: list[AnswerSpan],
    path: PathLike,
    tokens: Optional[TokenProbabilities] = None,
    num_listed: int = 5,
    title: str = '',
    font: Optional[PathLike] = None,
) -> None:
    """Draw a paragraph with the answers to a question.

    The more probably a character is part of the answer, the darker it is: the probabilities of
    all candidates that contain it are added up. The best answer is underlined.

    Parameters
    ----------
    question, context : str
    answers : list of AnswerSpan
        The best one first.
    path : str or Path
    tokens : TokenProbabilities, optional
        Drawn below the paragraph.
    num_listed : int
        Number of candidates listed with their probabilities.
    title : str
        Used instead of the question.
    font : str or Path, optional

    Raises
    ------
    ValueError
        If there is no candidate, one is outside the paragraph, the paragraph is empty, or the
        suffix is not allowed.
    """
    if not context.strip():
        raise ValueError('context is empty')
    if not answers:
        raise ValueError('answers is empty: there is nothing to draw')
    for start, end, share in answers:
        if not 0 <= start <= end <= len(context) or not 0 <= share <= 1.000001:
            raise ValueError(
                f'the answer from {start} to {end} with probability {share} is not '
                f'within the context of {len(context)} characters'
            )
    with picture(path, (1, 1), [question, context, title], font, layout=None) as (figure, clean):
        ruler = Ruler(figure)
        shown = ''.join(
            '\n' if given == '\n' else now for given, now in zip(context, clean(context))
        )
        pieces = set_text(shown, _marks(context, answers), _WIDTH - 2 * _MARGIN, ruler, _SIZE)
        listed = answers[:num_listed]
        heading = clean(title or question).replace('\n', ' ')
        head = set_text(
            heading,
            [0] * len(heading),
            _WIDTH - 2 * _MARGIN,
            lambda text, size: ruler(text, size, 'bold'),
            11.5,
        )
        body = num_lines(pieces) * LINE * _SIZE
        top = num_lines(head) * 11.5 * LINE + 14
        list_height = _ROW * len(listed) + 26
        height = top + body + list_height + 20 + (_CURVES if tokens is not None else 0)
        axes = canvas(figure, _WIDTH, height)
        for piece in head:
            axes.text(
                _MARGIN + piece.x,
                baseline(height - 8, piece.line, 11.5),
                heading[piece.start : piece.end],
                fontsize=11.5,
                weight='bold',
                color=INK,
            )
        _paragraph(axes, shown, pieces, height - top)
        _candidates(axes, shown, listed, height - top - body - 18, ruler)
        if tokens is not None:
            _curves(figure, tokens, shown, height)


def answers_of_file(path: PathLike, question: Question) -> list[AnswerSpan]:
    """Read the candidates for a question from a file of n-best predictions.

    Parameters
    ----------
    path : str or Path
        An nbest_predictions.json file.
    question : Question

    Returns
    -------
    list of AnswerSpan
        If the file lacks the characters of an answer, its first occurrence in the paragraph is
        used.

    Raises
    ------
    FileNotFoundError
    ValueError
        If the file has no candidates for the question, or one is not in the paragraph.
    """
    from .._internal.json import read_object

    rows, candidates = read_object(path).get(question.id), []
    if not isinstance(rows, list) or not rows:
        raise ValueError(f'{path}: has no candidates for the question {question.id!r}')
    for row in rows:
        try:
            text, share = row['text'], float(row['probability'])
            start = row.get('start', question.context.find(text))
            if start < 0 or question.context[start : start + len(text)] != text:
                raise ValueError(f'{text[:80]!r} does not occur in the paragraph')
            if not 0 <= share <= 1:
                raise ValueError(f'{share} is not a probability')
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(
                f'{path}: the candidates for {question.id!r} are malformed ({error})'
            ) from None
        candidates.append(AnswerSpan(start if text else 0, start + len(text) if text else 0, share))
    return candidates


def token_probabilities(windows: Windows, scores: list[np.ndarray]) -> TokenProbabilities:
    """Compute the probability that an answer begins or ends at each token.

    Of a token in several windows, the window with most context counts. The probabilities are a
    softmax over all tokens of the paragraph and [CLS], which means no answer.

    Parameters
    ----------
    windows : Windows
        Of one question.
    scores : list of numpy.ndarray, each of shape (T, 2)
        As for :func:`.find_answers`.

    Returns
    -------
    TokenProbabilities
    """
    parts = zip(scores, windows.offsets(), windows.max_context(), windows.first_token.tolist())
    offsets, logits, nulls = [], [], []
    for rows, places, flags, first in parts:
        rows = np.asarray(rows, 'float64')
        nulls.append(rows[0])
        offsets.append(places[flags])
        logits.append(rows[first : first + len(places)][flags])
    logits = np.concatenate([[min(nulls, key=sum)], *logits])
    shares = softmax(logits, axis=0)
    return TokenProbabilities(np.concatenate(offsets), shares[1:, 0], shares[1:, 1])


def _marks(context, answers):
    """Return for each character (step of its shade, True if in the best answer)."""
    shares = np.zeros(len(context) + 1)
    for start, end, share in answers:
        shares[start] += share
        shares[end] -= share
    steps = np.round(np.cumsum(shares)[:-1].clip(0, 1) * 50).astype(int).tolist()
    best = answers[0]
    return [(step, best.start <= place < best.end) for place, step in enumerate(steps)]


def _paragraph(axes, text, pieces, top):
    for run in runs_of(pieces, lambda mark: mark[0]):
        if run[0]:
            shade(axes, run, top, _SIZE, _shade(run[0] / 50), _MARGIN, 0, 0)
    for is_best, line, x, width, _ in runs_of(pieces, lambda mark: mark[1]):
        if is_best:
            y = baseline(top, line, _SIZE) - 0.36 * _SIZE
            axes.plot(
                [_MARGIN + x, _MARGIN + x + width],
                [y, y],
                color=PALETTE[1],
                linewidth=2.2,
                solid_capstyle='butt',
                zorder=2,
            )
    draw_text(axes, text, pieces, top, _SIZE, _MARGIN)


def _shade(share):
    """Return the background colour of a probability, light enough to read text on."""
    return mix(PALETTE[5], 0.12 + 0.78 * share)


def _candidates(axes, text, answers, top, ruler):
    """List the best candidates, each with a bar."""
    axes.text(_MARGIN, top, 'Candidates', fontsize=8.5, weight='bold')
    bar, right = 150, _WIDTH - _MARGIN
    left = right - bar - 34
    axes.text(left, top, 'probability among the candidates', fontsize=8, color=QUIET)
    for number, (start, end, share) in enumerate(answers):
        y = top - _ROW * (number + 1)
        string = text[start:end].strip() if end > start else _NONE
        axes.text(_MARGIN + 12, y, f'{number + 1}', fontsize=8.5, ha='right', color=QUIET)
        axes.text(
            _MARGIN + 20,
            y,
            set_line(string, left - _MARGIN - 40, ruler, 8.5),
            fontsize=8.5,
            style='italic' if string == _NONE else 'normal',
            color=INK if string != _NONE else QUIET,
        )
        axes.barh(
            y + 3,
            bar * share,
            8,
            left=left,
            color=PALETTE[1] if not number else PALETTE[5],
            zorder=2,
        )
        axes.barh(y + 3, bar, 8, left=left, color='#f2f2f2', zorder=1)
        axes.text(right, y, _percent(share), fontsize=8.5, ha='right')


def _percent(share):
    return f'{share:.1%}' if share >= 0.001 else '< 0.1%'


def _curves(figure, tokens, text, height):
    """Draw the probabilities that the answer begins and ends at each token."""
    axes = figure.add_axes(
        [62 / _WIDTH, 42 / height, (_WIDTH - 62 - _MARGIN) / _WIDTH, (_CURVES - 42) / height],
        zorder=2,
    )
    places = np.arange(1, len(tokens.starts) + 1)
    for values, sign, name, colour in (
        (tokens.starts, 1, 'answer begins', PALETTE[0]),
        (tokens.ends, -1, 'answer ends', PALETTE[1]),
    ):
        axes.vlines(places, 0, sign * values, color=colour, linewidth=2.4, label=name)
    axes.axhline(0, color=QUIET, linewidth=0.8)
    limit = 1.3 * max(0.02, float(tokens.starts.max(initial=0)), float(tokens.ends.max(initial=0)))
    axes.set(xlim=(0, len(places) + 1), ylim=(-limit, limit), ylabel='probability')
    axes.set_xlabel('token of the paragraph')
    axes.yaxis.set_major_formatter(lambda value, _: f'{abs(value):.2g}')
    axes.grid(True, axis='y', color=RULE)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.legend(
        loc='lower right', bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.1, handlelength=1
    )
    for values, sign in ((tokens.starts, 1), (tokens.ends, -1)):
        _peaks(axes, values, sign, tokens.offsets, text, limit)


def _peaks(axes, values, sign, offsets, text, limit):
    """Label the highest peaks with their words, leaving out those that would overlap."""
    written = []
    for place in np.argsort(-values)[:6]:
        room = 0.075 * len(values)
        if values[place] < 0.08 * limit or any(abs(place - other) < room for other in written):
            continue
        start, end = offsets[place]
        written.append(place)
        share = (place + 1) / (len(values) + 1)
        axes.text(
            place + 1,
            sign * (values[place] + 0.06 * limit),
            text[start:end].strip()[:24],
            fontsize=7.5,
            ha='left' if share < 0.04 else 'right' if share > 0.96 else 'center',
            va='bottom' if sign > 0 else 'top',
        )
