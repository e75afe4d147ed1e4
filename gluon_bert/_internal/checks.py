"""Checks of arguments; each error names the argument, its value and what is allowed."""

from __future__ import annotations

import math
from typing import Optional, Tuple

from .suggestions import unknown_name


def check_positive(**counts: Optional[int]) -> None:
    """Refuse counts below 1; None stands for a count that is not given."""
    for name, value in counts.items():
        if value is not None and not value >= 1:
            raise ValueError(f'{name}={value}: expected 1 or more')


def check_positive_number(**numbers: float) -> None:
    """Refuse numbers that are not positive and finite."""
    for name, value in numbers.items():
        if not 0 < value < math.inf:
            raise ValueError(f'{name}={value}: expected a positive number')


def check_fraction(**numbers: float) -> None:
    """Refuse numbers outside of [0, 1]."""
    for name, value in numbers.items():
        if not 0 <= value <= 1:
            raise ValueError(f'{name}={value}: expected a fraction in [0, 1]')


def check_choice(choices: Tuple[str, ...], **values: object) -> None:
    """Refuse values that are none of the choices."""
    for name, value in values.items():
        if value not in choices:
            raise unknown_name(name, value, choices)
