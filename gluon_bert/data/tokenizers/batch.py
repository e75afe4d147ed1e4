"""Many texts or pairs as the arrays that a network takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Optional

import numpy as np

from ..._internal.errors import ArgumentError
from ..features import SentenceTransform, pad_batch, role_token
from .encoding import checked_texts

_PADDINGS = (True, False, 'longest', 'max_length')
_NO_LIMIT = 2**31 - 1


class TextBatch(NamedTuple):
    """Sequences as a network takes them, int32.

    ``inputs`` and ``token_types`` have shape (N, T), or without padding are lists of N arrays of
    shape (T,). ``valid_length`` has shape (N,).
    """

    inputs: Any
    token_types: Any
    valid_length: np.ndarray


def make_batch(
    tokenizer: Any,
    texts: Iterable[str],
    pairs: Optional[Sequence[Optional[str]]],
    padding: Any,
    truncation: Optional[bool],
    max_length: Optional[int],
) -> TextBatch:
    """Make the sequences of texts or pairs; see :meth:`.TokenizerCalls.batch`."""
    _check(padding, truncation, max_length)
    texts = checked_texts(texts)
    if not texts:
        raise ValueError('texts must hold one text or more, got none')
    limit = _NO_LIMIT if max_length is None else max_length
    features, num_cut = SentenceTransform(tokenizer, limit).transform_batch(texts, pairs)
    if num_cut and truncation is False:
        features, _ = SentenceTransform(tokenizer, _NO_LIMIT).transform_batch(texts, pairs)
        lengths = [feature.valid_length for feature in features]
        row = next(row for row, length in enumerate(lengths) if length > limit)
        raise ValueError(
            f'texts[{row}] has {lengths[row]} tokens with the special ones, max_length is {limit}: '
            f'truncation=True cuts it'
        )
    if padding is False:
        valid_length = np.array([feature.valid_length for feature in features], 'int32')
        inputs, token_types, _ = map(list, zip(*features))
        return TextBatch(inputs, token_types, valid_length)
    pad_id = tokenizer.convert_tokens_to_ids(role_token(tokenizer.vocabulary, 'padding_token'))
    return TextBatch(*pad_batch(features, pad_id, max_length if padding == 'max_length' else None))


def _check(padding, truncation, max_length):
    if not isinstance(padding, (bool, str)) or padding not in _PADDINGS:
        raise ArgumentError('padding', f'expected one of {_PADDINGS}', repr(padding))
    if truncation is not None and not isinstance(truncation, bool):
        raise ArgumentError('truncation', 'expected True or False', repr(truncation))
    if max_length is None and padding == 'max_length':
        raise ArgumentError('padding', 'needs {max_length}', repr(padding))
    if max_length is None and truncation:
        raise ArgumentError('truncation', 'needs {max_length}', repr(truncation))
