"""Read labels: names of classes, and scores; what stands for a missing one is refused."""

from __future__ import annotations

import logging
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Optional

from ..._internal.suggestions import unknown_name

MAX_LABELS = 1000
# How pandas writes a value that is not there, and reads one.
MISSING = frozenset(
    '#N/A|#NA|<NA>|N/A|NA|NULL|NaN|NaT|None|n/a|nan|null|-NaN|-nan|#N/A N/A|1.#IND|-1.#IND|'
    '1.#QNAN|-1.#QNAN'.split('|')
)
FEW = 20  # classes, which any column may have

_NUMBER = re.compile(r'[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?')
_NOT_FINITE = ('nan', 'inf', 'infinity')
_BOOLEANS = {'true': Decimal(1), 'false': Decimal(0)}

logger = logging.getLogger(__name__)


def class_parser(
    labels: Sequence[str], aliases: Sequence[tuple[str, str]] = ()
) -> Callable[[str], int]:
    """Make a function that converts the name of a class to its number.

    Parameters
    ----------
    labels : sequence of str
    aliases : sequence of (str, str)
        Other spellings, as (spelling, label).
    """
    numbers = {label: number for number, label in enumerate(labels)}
    numbers.update((other, numbers[label]) for other, label in aliases)

    def parse(value):
        number = numbers.get(value.strip())
        if number is None:
            raise unknown_name('label', value.strip(), labels)
        return number

    return parse


def score_parser(low: float = -math.inf, high: float = math.inf) -> Callable[[str], float]:
    """Make a function that parses a finite number within [low, high]."""

    def parse(value):
        text = value.strip()
        if not _is_number(text) and text.lower().lstrip('+-') not in _NOT_FINITE:
            raise ValueError(f'score {value[:80]!r} is not a number')
        score = float(text)
        if not (math.isfinite(score) and low <= score <= high):
            allowed = 'finite' if math.isinf(low) else f'from {low:g} to {high:g}'
            raise ValueError(f'score {value[:80]!r} is not allowed: it must be {allowed}')
        return score

    return parse


def name_parser() -> Callable[[str], str]:
    """Make a function that reads names of classes that are not known yet.

    It raises ValueError for an empty name, for what stands for a missing one (NaN, None), and for
    one that it has read in another spelling (1 and 1.0, 1 and true, an accent in two encodings).
    """
    seen: dict[object, str] = {}

    def parse(value):
        label = value.strip()
        if not label:
            raise ValueError('the label is empty')
        if label in MISSING:
            raise ValueError(
                f'the label is {label!r}, which stands for a missing one; if it is a class, name '
                f'all classes with labels'
            )
        other = seen.setdefault(_meaning(label), label)
        if other != label:
            raise ValueError(
                f'label {label[:80]!r} is {other[:80]!r} of an earlier row in another spelling; '
                f'write it in one, or name all classes with labels'
            )
        return label

    return parse


def label_set(column: Iterable[str], source: str) -> tuple[str, ...]:
    """Find the classes in a column of labels.

    Parameters
    ----------
    column : iterable of str
        As :func:`name_parser`'s function returns them.
    source : str
        The files, for messages.

    Returns
    -------
    tuple of str
        Sorted; by value if all of them are numbers.

    Raises
    ------
    ValueError
        If there are fewer than two, more than ``MAX_LABELS``, or they are scores.
    """
    column = list(column)
    labels = sorted(set(column))
    if len(labels) < 2:
        raise ValueError(
            f'{source}: the only label is {labels[0]!r}, expected two or more; '
            f'for a file other than the training file, pass labels='
        )
    are_numbers = all(map(_is_number, labels))
    if are_numbers:
        labels.sort(key=Decimal)
    many = len(labels) > FEW and len(labels) > len(column) / 2
    if len(labels) > MAX_LABELS or (many and are_numbers and not _are_consecutive(labels)):
        advice = 'for scores set regression=True' if are_numbers else 'is it the right column?'
        raise ValueError(
            f'{source}: {len(labels)} different labels in {len(column)} rows, at most {MAX_LABELS} '
            f'are allowed, and numbers half as many as rows; {advice} (labels= names the classes '
            f'whatever they are)'
        )
    if many:
        logger.warning(
            '%s: %d classes in %d rows; is it the right column?', source, len(labels), len(column)
        )
    return tuple(labels)


def check_labels(labels: Optional[Sequence[str]], regression: bool) -> None:
    """Check the classes that a caller names."""
    if regression and labels is not None:
        raise ValueError(f'labels must be None with regression=True, got {labels!r}')
    if labels is not None and (isinstance(labels, str) or not 0 < len(set(labels)) == len(labels)):
        raise ValueError(f'labels must be a list of different names, got {labels!r}')


def _is_number(label: str) -> bool:
    return _NUMBER.fullmatch(label) is not None


def _meaning(label):
    """What two spellings of one label share."""
    if _is_number(label):
        return Decimal(label)
    return _BOOLEANS.get(label.lower(), unicodedata.normalize('NFC', label))


def _are_consecutive(labels):
    values = [Decimal(label) for label in labels]
    return values[0] in (0, 1) and values == [values[0] + step for step in range(len(values))]
