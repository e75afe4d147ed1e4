"""Read long texts in overlapping windows, and join what a network gives for them.

N texts, W windows, K outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Optional

import numpy as np

from .._internal.types import Progress
from .features import Features, SentenceTransform
from .squad.windows import window_starts

if TYPE_CHECKING:
    from .tokenizers.base import SubwordTokenizer

WINDOWS = ('mean', 'max')
"""Ways to join the outputs of the windows of a text."""


class NoRoomError(ValueError):
    """A first text of a pair that leaves no room for the second; ``number`` counts from 0 which."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(f'pair {number}: {reason}')
        self.number, self.reason = number, reason


class WindowTransform(SentenceTransform):
    """Converter of texts or pairs to windows of tokens, one or more for each.

    A text that is too long becomes several sequences whose parts overlap. Of a pair that is too
    long each has the first text and a part of the second.

    Parameters
    ----------
    tokenizer : BertTokenizer, BytePairTokenizer or SentencePieceTokenizer
    max_length : int
        As for :class:`.SentenceTransform`.
    stride : int
        Tokens from the start of one window to that of the next; where a first text leaves less
        room than that, the windows of the second touch.

    Raises
    ------
    ValueError
        If ``stride`` is below 1, or windows of a single text would not overlap.

    Examples
    --------
    >>> from gluonnlp.data import count_tokens
    >>> from gluonnlp.vocab import BERTVocab
    >>> from gluon_bert.data import BertTokenizer
    >>> tokenizer = BertTokenizer(BERTVocab(count_tokens(['a', 'b', 'c', 'd'])))
    >>> features, counts = WindowTransform(tokenizer, 5, stride=2).windows(['a b c d', 'd'])
    >>> [' '.join(tokenizer.convert_ids_to_tokens(window.inputs[1:-1])) for window in features]
    ['a b c', 'c d', 'd']
    >>> counts.tolist()
    [2, 1]
    """

    def __init__(self, tokenizer: SubwordTokenizer, max_length: int, stride: int) -> None:
        super().__init__(tokenizer, max_length)
        if type(stride) is not int or not 1 <= stride < max_length - 2:
            raise ValueError(
                f'stride={stride!r}: expected 1 to {max_length - 3}, less than the '
                f'{max_length - 2} tokens of a window'
            )
        self._stride = stride

    def windows(
        self,
        texts: Sequence[str],
        pairs: Optional[Sequence[Optional[str]]] = None,
        progress: Optional[Progress] = None,
    ) -> tuple[list[Features], np.ndarray]:
        """Compute the windows of texts or pairs.

        Parameters
        ----------
        texts, pairs, progress
            As for :meth:`.SentenceTransform.transform_batch`.

        Returns
        -------
        features : list of Features
            Those of a text one after the other.
        counts : numpy.ndarray of int, shape (N,)
            How many each text has.

        Raises
        ------
        NoRoomError
            If the first text of a pair leaves no token of room for the second.
        """
        features, counts = [], []
        for number, (ids, pair_ids) in enumerate(self._encoded(texts, pairs, progress)):
            parts = list(self._parts(number, ids, pair_ids))
            features += [self._join(*part)[0] for part in parts]
            counts.append(len(parts))
        return features, np.array(counts, int)

    def _parts(self, number, ids, pair_ids):
        """The tokens of both texts in each window."""
        if not pair_ids:
            room = self._max_length - 2
            for start in window_starts(len(ids), room, self._stride):
                yield ids[start : start + room], []
            return
        room = self._max_length - 2 - len(self._separators) - len(ids)
        if room < 1:
            raise NoRoomError(
                number,
                f'the first text has {len(ids)} tokens and leaves no room for the second in '
                f'windows of {self._max_length}',
            )
        for start in window_starts(len(pair_ids), room, self._stride):
            yield ids, pair_ids[start : start + room]


def join_scores(outputs: np.ndarray, counts: np.ndarray, how: str) -> np.ndarray:
    """Join the outputs of the windows of each text.

    Parameters
    ----------
    outputs : numpy.ndarray, shape (W, K)
    counts : numpy.ndarray of int, shape (N,)
        Windows of each text, 1 or more.
    how : str
        Of :data:`WINDOWS`: the mean of each output, or the greatest of each.

    Returns
    -------
    numpy.ndarray, shape (N, K)

    Examples
    --------
    >>> join_scores(np.array([[1.0, 4.0], [3.0, 0.0], [5.0, 6.0]]), np.array([2, 1]), 'mean')
    array([[2., 2.],
           [5., 6.]])
    """
    starts = np.cumsum(counts) - counts
    if how == 'max':
        return np.maximum.reduceat(outputs, starts)
    return np.add.reduceat(outputs, starts) / counts[:, None].astype(outputs.dtype)
