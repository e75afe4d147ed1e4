"""Scales of activations as text of one byte each, for ``precision.json``.

A code k from 1 to 255 stands for 2^(e - (255 - k) / 16), in four figures, where e is a whole number
for the layer: steps of 4 percent, down to 2^-15.9 of the largest scale. The code 0 stands for 0.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Iterable, Sequence
from typing import Optional

import numpy as np

_STEPS, _TOP = 16, 255
_TEXT = re.compile(r'(-?[0-9]{1,3}) ([A-Za-z0-9+/]+={0,2})', re.ASCII)


def round_scales(scales: Iterable[float]) -> tuple[float, ...]:
    """Round scales to those that :func:`encode_scales` can write.

    Parameters
    ----------
    scales : iterable of float
        From 0, finite.

    Returns
    -------
    tuple of float
        A scale below the smallest code takes that; 0 stays 0.

    Examples
    --------
    >>> round_scales([1.0, 0.74, 0.0])
    (1.0, 0.7384, 0.0)
    """
    values = np.array(list(scales), 'float64')
    exponent, codes = _codes(values)
    return _values(exponent, codes)


def encode_scales(scales: Sequence[float]) -> Optional[str]:
    """Write scales as text; None if the text would not hold them exactly."""
    values = np.array(scales, 'float64')
    if not len(values) or not (np.isfinite(values) & (values >= 0)).all():
        return None
    exponent, codes = _codes(values)
    if _values(exponent, codes) != tuple(map(float, scales)):
        return None
    return f'{exponent} {base64.b64encode(codes.tobytes()).decode()}'


def decode_scales(text: str) -> Optional[tuple[float, ...]]:
    """Read what :func:`encode_scales` wrote; None if it is no such text."""
    match = _TEXT.fullmatch(text)
    if match is None:
        return None
    try:
        codes = np.frombuffer(base64.b64decode(match[2], validate=True), 'uint8')
    except binascii.Error:
        return None
    return _values(int(match[1]), codes)


def _codes(values):
    largest = values.max(initial=0)
    # Four figures may lie just above a power of two.
    exponent = math.ceil(math.log2(largest) - 1e-4) if largest > 0 else 0
    with np.errstate(divide='ignore'):
        steps = _TOP + np.round(_STEPS * (np.log2(values) - exponent))
    return exponent, np.where(values > 0, np.clip(steps, 1, _TOP), 0).astype('uint8')


def _values(exponent, codes):
    table = [0.0] + [
        float(f'{2.0 ** (exponent - (_TOP - code) / _STEPS):.3e}') for code in range(1, _TOP + 1)
    ]
    return tuple(table[code] for code in codes.tolist())
