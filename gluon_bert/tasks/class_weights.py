"""Weights of classes in the loss as a caller gives them: by name, or balanced."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from typing import Any, Optional, Union

from .._internal.errors import ArgumentError

BALANCED = 'balanced'


def check_class_weights(class_weights: Any) -> None:
    """Raise ValueError unless weights are 'balanced', or positive numbers by name."""
    read_weights(class_weights)


def read_weights(given: Union[str, Mapping[str, float]]) -> Optional[dict[str, float]]:
    """Read weights as a caller or the command line gives them.

    Parameters
    ----------
    given : str or mapping of str to float
        'balanced', or 'good=1,bad=3'; a name with a comma is in double quotes.

    Returns
    -------
    dict of str to float, or None
        None for balanced ones.

    Raises
    ------
    ValueError
        If a part has no weight, a weight is no positive number, or a name stands there twice.
    """
    if isinstance(given, str) and given.strip() == BALANCED:
        return None
    rows: list = []
    if isinstance(given, Mapping):
        rows = list(given.items())
    elif isinstance(given, str):
        parts = next(csv.reader([given], skipinitialspace=True), [])
        rows = [(name.strip(), weight) for name, _, weight in (x.rpartition('=') for x in parts)]
    weights = {name: _number(weight) for name, weight in rows}
    is_right = all(isinstance(name, str) and 0 < weights[name] < math.inf for name in weights)
    if not weights or len(weights) < len(rows) or not is_right:
        reason = f'expected {BALANCED}, or positive numbers for different classes: good=1,bad=3'
        raise ArgumentError('class_weights', reason, repr(given))
    return weights


def _number(value):
    try:
        return math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return math.nan
