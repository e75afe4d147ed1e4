"""Turn texts into arrays for the model, and arrays into batches.

N sequences, T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, NamedTuple, Optional

import numpy as np

from .._internal.types import Progress
from .tokenizers.encoding import checked_list, checked_text, checked_texts

if TYPE_CHECKING:
    from .._internal.types import Integers
    from .tokenizers.base import SubwordTokenizer
    from .tokenizers.vocabulary import Vocabulary


_CHUNK = 1024  # texts tokenized at once


class Features(NamedTuple):
    """One sequence: token ids and token types, int32 of shape (T,), and T."""

    inputs: np.ndarray
    token_types: np.ndarray
    valid_length: int


class SentenceTransform:
    """Converter of a text or a pair of texts to one sequence of token ids.

    ``[CLS] text [SEP]`` with token types 0, or ``[CLS] text [SEP] pair [SEP]`` with token types 0
    up to the first ``[SEP]`` and 1 after it. Devlin et al. (2019), section 3. The tokenizer
    determines the number of separators and the token types: RoBERTa's pairs are
    ``<s> text </s></s> pair </s>``, with token types all 0.

    A text that is too long is cut at its end. From a pair that is too long, tokens are removed
    one by one from the end of the longer text, or of the second if both are equally long. A pair
    without tokens counts as no pair, as in Google's and GluonNLP's code.

    Parameters
    ----------
    tokenizer : BertTokenizer, BytePairTokenizer or SentencePieceTokenizer
    max_length : int
        The longest sequence in tokens, special tokens included: 3 or more; for pairs 5 or more,
        RoBERTa's 6 or more.

    Raises
    ------
    ValueError
        If ``max_length`` is too small, or the vocabulary has no [CLS] or [SEP].

    Examples
    --------
    >>> from gluonnlp.data import count_tokens
    >>> from gluonnlp.vocab import BERTVocab
    >>> from gluon_bert.data import BertTokenizer
    >>> tokenizer = BertTokenizer(BERTVocab(count_tokens(['hello', 'world'])))
    >>> features = SentenceTransform(tokenizer, max_length=8)('Hello', 'world')
    >>> tokenizer.convert_ids_to_tokens(features.inputs)
    ['[CLS]', 'hello', '[SEP]', 'world', '[SEP]']
    >>> features.token_types.tolist(), features.valid_length
    ([0, 0, 0, 1, 1], 5)
    """

    def __init__(self, tokenizer: SubwordTokenizer, max_length: int) -> None:
        is_whole = isinstance(max_length, Integral) and not isinstance(max_length, bool)
        if not is_whole or max_length < 3:
            raise ValueError(
                f'max_length must be 3 or more, for [CLS], a token and [SEP]; got {max_length!r}'
            )
        self._tokenizer = tokenizer
        self._max_length = max_length
        self._cls_id, self._sep_id = tokenizer.convert_tokens_to_ids(
            [role_token(tokenizer.vocabulary, role) for role in ('cls_token', 'sep_token')]
        )
        self._separators = [self._sep_id] * tokenizer.pair_separators
        self._pair_type = int(tokenizer.uses_token_types)

    @property
    def max_length(self) -> int:
        """The longest sequence in tokens."""
        return self._max_length

    def __call__(self, text: str, pair: Optional[str] = None) -> Features:
        """Compute the features of a text or of a pair of texts.

        Parameters
        ----------
        text : str
        pair : str, optional

        Returns
        -------
        Features
        """
        second = '' if pair is None else checked_text(pair, 'pair')
        ids, pair_ids = self._tokenizer.encode_ids([checked_text(text), second])
        self._check_room(pair is not None)
        return self._join(ids, pair_ids)[0]

    def transform_batch(
        self,
        texts: Sequence[str],
        pairs: Optional[Sequence[Optional[str]]] = None,
        progress: Optional[Progress] = None,
    ) -> tuple[list[Features], int]:
        """Compute the features of many texts or pairs; faster than one by one.

        Parameters
        ----------
        texts : sequence of str
        pairs : sequence of str or None, optional
            As many as ``texts``; None for a single text.
        progress : callable, optional
            Called with the number of texts done since its last call, such as ``tqdm.update``.

        Returns
        -------
        features : list of Features
        num_truncated : int
            Number of sequences that were cut.

        Raises
        ------
        TypeError
            If one is no list of str.
        ValueError
            If ``pairs`` and ``texts`` differ in number.
        """
        features, num_truncated = [], 0
        for row in self._encoded(texts, pairs, progress):
            joined, is_cut = self._join(*row)
            features.append(joined)
            num_truncated += is_cut
        return features, num_truncated

    def _encoded(self, texts, pairs, progress):
        """Yield the token ids of both texts of each pair."""
        texts = checked_texts(texts)
        second = None if pairs is None else _checked_pairs(pairs, len(texts))
        self._check_room(pairs is not None)
        for start in range(0, len(texts), _CHUNK):
            ids = self._tokenizer.encode_ids(texts[start : start + _CHUNK])
            pair_ids: list[list[int]] = [[]] * len(ids)
            if second is not None:
                pair_ids = self._tokenizer.encode_ids(second[start : start + _CHUNK])
            yield from zip(ids, pair_ids)
            if progress is not None:
                progress(len(ids))

    def _check_room(self, has_pair):
        least = 4 + len(self._separators)
        if has_pair and self._max_length < least:
            raise ValueError(
                f'max_length must be {least} or more for pairs, for [CLS], '
                f'{least - 3} times [SEP] and a token of each text; '
                f'got {self._max_length}'
            )

    def _join(self, ids, pair_ids):
        separators = self._separators if pair_ids else []
        keep, keep_pair = truncated_lengths(
            len(ids), len(pair_ids), self._max_length - 2 - len(separators)
        )
        sequence = [self._cls_id, *ids[:keep], *separators, *pair_ids[:keep_pair], self._sep_id]
        token_types = np.zeros(len(sequence), 'int32')  # (T,)
        if pair_ids:
            token_types[1 + keep + len(separators) :] = self._pair_type
        is_cut = keep < len(ids) or keep_pair < len(pair_ids)
        return Features(np.array(sequence, 'int32'), token_types, len(sequence)), is_cut


def role_token(vocab: Vocabulary, role: str) -> str:
    """Return the token of a role, such as 'cls_token'; ValueError if there is none."""
    token = getattr(vocab, role, None)
    if token is None:
        raise ValueError(f'the vocabulary has no {role}, which sequences need')
    return token


def _checked_pairs(pairs, num_texts):
    """The second texts of pairs, '' where there is none."""
    if not isinstance(pairs, (str, bytes)):
        pairs = ['' if pair is None else pair for pair in checked_list(pairs, 'pairs', 'str')]
    pairs = checked_texts(pairs, 'pairs')
    if len(pairs) != num_texts:
        raise ValueError(f'pairs must be as many as texts, got {len(pairs)} and {num_texts}')
    return pairs


def truncated_lengths(length: int, pair_length: int, max_length: int) -> tuple[int, int]:
    """Compute the number of tokens of each text of a pair that fit.

    The result equals removing tokens one by one from the longer text, or from the second if both
    are equally long, until ``max_length`` remain.

    Parameters
    ----------
    length, pair_length : int
        Tokens of the two texts.
    max_length : int
        Number of tokens that fit.

    Returns
    -------
    tuple of (int, int)

    Examples
    --------
    >>> truncated_lengths(9, 2, 8), truncated_lengths(9, 9, 9)
    ((6, 2), (5, 4))
    """
    keep_pair = min(pair_length, max(max_length // 2, max_length - length))
    return min(length, max_length - keep_pair), keep_pair


def pad_batch(
    features: Sequence[Features],
    pad_id: int,
    round_to: Optional[int] = None,
    max_length: Optional[int] = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stack sequences of different lengths.

    Parameters
    ----------
    features : sequence of Features
    pad_id : int
        The padding token's id; padded token types are 0.
    round_to : int, optional
        Make T a multiple of this, so that few different shapes occur.
    max_length : int, optional
        Upper limit of T when rounding.

    Returns
    -------
    inputs, token_types : numpy.ndarray, int32, shape (N, T)
    valid_length : numpy.ndarray, int32, shape (N,)

    Raises
    ------
    ValueError
        If there are no features, or one is longer than ``max_length``.

    Examples
    --------
    >>> features = [Features(np.array([2, 7, 3]), np.zeros(3), 3), Features([2, 3], [0, 0], 2)]
    >>> pad_batch(features, pad_id=1, round_to=4)[0].tolist()
    [[2, 7, 3, 1], [2, 3, 1, 1]]
    """
    if not features:
        raise ValueError('features must hold one sequence or more, got none')
    if round_to is not None and round_to < 1:
        raise ValueError(f'round_to must be 1 or more, got {round_to}')
    valid_length = np.array([feature.valid_length for feature in features], 'int32')  # (N,)
    length = int(valid_length.max())
    if max_length is not None and length > max_length:
        raise ValueError(f'features hold a sequence of {length} tokens, max_length is {max_length}')
    if round_to is not None:
        length = -(-length // round_to) * round_to
    if max_length is not None:
        length = min(length, max_length)
    inputs = np.full((len(features), length), pad_id, 'int32')  # (N, T)
    token_types = np.zeros_like(inputs)  # (N, T)
    for row, feature in enumerate(features):
        inputs[row, : feature.valid_length] = feature.inputs
        token_types[row, : feature.valid_length] = feature.token_types
    return inputs, token_types, valid_length


def bucketed_batches(
    lengths: Integers, batch_size: int, seed: int, epoch: int, *, num_chunk_batches: int = 50
) -> list[np.ndarray]:
    """Sort sequences into shuffled batches of similar length, for training.

    The sequences are shuffled, sorted by length within chunks of ``num_chunk_batches`` batches,
    cut into batches, and the batches shuffled. The result depends on the arguments alone.

    Parameters
    ----------
    lengths : sequence of int
        Of each sequence.
    batch_size : int
    seed, epoch : int
        0 or more; every epoch has a different order.
    num_chunk_batches : int
        A larger number means less padding and less shuffling; 1 shuffles regardless of length.

    Returns
    -------
    list of numpy.ndarray
        The indices of each batch. Every index occurs once; one batch may be short.

    Examples
    --------
    >>> batches = bucketed_batches([5, 9, 5, 9, 7], batch_size=2, seed=0, epoch=0)
    >>> sorted(len(batch) for batch in batches)
    [1, 2, 2]
    """
    _check_positive(batch_size=batch_size, num_chunk_batches=num_chunk_batches)
    if seed < 0 or epoch < 0:
        raise ValueError(f'seed and epoch must be 0 or more, got {seed} and {epoch}')
    lengths = np.asarray(lengths, 'int64')
    random = np.random.RandomState((seed, epoch))
    shuffled = random.permutation(len(lengths))
    batches = []
    for start in range(0, len(shuffled), batch_size * num_chunk_batches):
        chunk = shuffled[start : start + batch_size * num_chunk_batches]
        batches += _cut(chunk[np.argsort(-lengths[chunk], kind='stable')], batch_size)
    return [batches[number] for number in random.permutation(len(batches))]


def sequential_batches(lengths: Integers, batch_size: int) -> list[np.ndarray]:
    """Sort sequences into batches of similar length, the longest first, for evaluation.

    Parameters
    ----------
    lengths : sequence of int
        Of each sequence.
    batch_size : int

    Returns
    -------
    list of numpy.ndarray
        The indices of each batch. Every index occurs once; the last batch may be short.

    Examples
    --------
    >>> [batch.tolist() for batch in sequential_batches([5, 9, 5], batch_size=2)]
    [[1, 0], [2]]
    """
    _check_positive(batch_size=batch_size)
    return _cut(np.argsort(-np.asarray(lengths, 'int64'), kind='stable'), batch_size)


def _cut(indices, batch_size):
    return [indices[start : start + batch_size] for start in range(0, len(indices), batch_size)]


def _check_positive(**arguments):
    for name, value in arguments.items():
        if value < 1:
            raise ValueError(f'{name} must be 1 or more, got {value}')
