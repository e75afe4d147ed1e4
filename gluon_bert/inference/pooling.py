"""Pool the encodings of the tokens of each sequence to one vector.

M tokens of N sequences in all, C units.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Optional, Union

import numpy as np

from ..checkpoint.sentence import POOLING_MODES
from ..kernels.packing import Packed

POOLINGS = (*POOLING_MODES, 'pooler')
SEPARATOR = '+'


class Pooling(NamedTuple):
    """Ways of pooling, of ``POOLINGS``, put side by side.

    The means and the maximum leave out the first ``num_skipped`` tokens of each sequence.
    """

    modes: tuple[str, ...]
    num_skipped: int = 0

    @property
    def reads_pooler(self) -> bool:
        """True if it is the pooled vector, not one of the tokens' encodings."""
        return self.modes == ('pooler',)


def parse_pooling(pooling: Optional[Union[str, Pooling]]) -> Optional[Pooling]:
    """Parse 'mean', or several ways such as 'cls+mean'; None stays None.

    Raises
    ------
    ValueError
        If a way is unknown, is given twice, or does not go with others.
    """
    if pooling is None or isinstance(pooling, Pooling):
        return pooling
    modes = tuple(pooling.split(SEPARATOR)) if isinstance(pooling, str) else ()
    if not modes or not set(modes) <= set(POOLINGS) or len(set(modes)) < len(modes):
        raise ValueError(
            f'pooling={pooling!r}: expected one of {POOLINGS}, or several, such as '
            f'{SEPARATOR.join(POOLING_MODES[:2])!r}'
        )
    if 'pooler' in modes and len(modes) > 1:
        raise ValueError(f"pooling={pooling!r}: 'pooler' does not go with others")
    return Pooling(modes)


def pool_rows(pooling: Pooling, packed: Packed, rows: np.ndarray) -> np.ndarray:
    """Compute the vectors of sequences: (M, C) -> (N, C times the number of ways).

    Parameters
    ----------
    pooling : Pooling
        Not of the pooled vector.
    packed : Packed
        With the lengths of the sequences.
    rows : numpy.ndarray, shape (M, C)
        Encodings of their tokens.

    Returns
    -------
    numpy.ndarray
    """
    if pooling in _FAST:
        return _FAST[pooling](packed, rows)
    parts = [_WAYS[mode](packed, rows, pooling.num_skipped) for mode in pooling.modes]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


_FAST = {Pooling(('mean',)): Packed.mean, Pooling(('max',)): Packed.max}


def _reduced(function):
    """A way of pooling from a function: the encodings of one sequence, skipped tokens -> (C,)."""

    def way(packed, rows, num_skipped):
        vectors = np.zeros((len(packed.lengths), rows.shape[1]), rows.dtype)
        for part, vector in zip(packed.split(rows), vectors):
            if len(part) > num_skipped:
                vector[:] = function(part[num_skipped:], num_skipped)
        return vectors

    return way


def _weighted_mean(part, num_skipped):
    """The mean by weights that grow with the position in the sequence, from 1."""
    weights = np.arange(1, len(part) + 1, dtype=part.dtype) + num_skipped
    return weights @ part / weights.sum()


_WAYS: dict[str, Callable[[Packed, np.ndarray, int], np.ndarray]] = {
    'cls': lambda packed, rows, num_skipped: packed.first(rows),
    'max': _reduced(lambda part, num_skipped: part.max(axis=0)),
    'mean': _reduced(lambda part, num_skipped: part.sum(axis=0) / np.float32(len(part))),
    'mean_sqrt_len': _reduced(
        lambda part, num_skipped: part.sum(axis=0) / np.sqrt(np.float32(len(part)))
    ),
    'weightedmean': _reduced(_weighted_mean),
    'lasttoken': lambda packed, rows, num_skipped: rows[packed.starts + packed.lengths - 1],
}
