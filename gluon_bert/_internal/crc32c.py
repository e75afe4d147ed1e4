"""Checksums of TensorFlow's files."""

from __future__ import annotations

from typing import Any

import google_crc32c


def masked_crc32c(data: Any, chunk: int = 1 << 20) -> int:
    """Compute the masked CRC-32C that TensorFlow's tables, tensors and records have.

    Parameters
    ----------
    data : bytes, or numpy.ndarray of uint8, shape (B,)

    Returns
    -------
    int
    """
    value = 0
    for start in range(0, len(data), chunk):
        value = google_crc32c.extend(value, bytes(data[start : start + chunk]))
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF
