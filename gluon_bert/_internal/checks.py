"""Checks of arguments; each error names the argument, its value and what is allowed."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any, Optional, Tuple

from .errors import ArgumentError
from .suggestions import unknown_name


def check_positive(**counts: Optional[int]) -> None:
    """Refuse what is no whole number above 0; None stands for a count that is not given."""
    for name, value in counts.items():
        if value is not None and not (_is(Integral, value) and value >= 1):
            raise ArgumentError(name, 'expected a whole number, 1 or more', value)


def check_range(least: int, most: int, **numbers: int) -> None:
    """Refuse what is no whole number from ``least`` to ``most``."""
    for name, value in numbers.items():
        if not _is(Integral, value) or not least <= value <= most:
            raise ArgumentError(name, f'expected a whole number from {least} to {most}', value)


def check_not_negative(**numbers: Optional[float]) -> None:
    """Refuse what is no finite number from 0; None stands for one that is not given."""
    for name, value in numbers.items():
        if value is not None and not (_is(Real, value) and 0 <= value < math.inf):
            raise ArgumentError(name, 'expected a number, 0 or more', value)


def check_positive_number(**numbers: float) -> None:
    """Refuse numbers that are not positive and finite."""
    for name, value in numbers.items():
        if not _is(Real, value) or not 0 < value < math.inf:
            raise ArgumentError(name, 'expected a positive number', value)


def check_fraction(**numbers: float) -> None:
    """Refuse numbers outside of [0, 1]."""
    for name, value in numbers.items():
        if not _is(Real, value) or not 0 <= value <= 1:
            raise ArgumentError(name, 'expected a fraction in [0, 1]', value)


def check_interval(**intervals: Any) -> None:
    """Refuse what is not two finite numbers, the lower one first."""
    for name, value in intervals.items():
        are_two = not isinstance(value, str) and len(value) == 2
        if not are_two or not -math.inf < value[0] < value[1] < math.inf:
            raise ArgumentError(name, 'expected two numbers, the lowest and the highest', value)


def check_choice(choices: Tuple[str, ...], **values: object) -> None:
    """Refuse values that are none of the choices."""
    for name, value in values.items():
        if value not in choices:
            raise unknown_name(name, value, choices)


def _is(kind, value):
    return isinstance(value, kind) and not isinstance(value, bool)
