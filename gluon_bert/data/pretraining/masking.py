"""Choose the tokens that a network learns to predict, and mask them.

Of the chosen tokens, 80 % become the mask token, 10 % a random token, and 10 % stay (Devlin et al.,
2019, section 3.1). T tokens, M masked positions.
"""

from __future__ import annotations

import bisect
import itertools
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from ..._internal.checks import check_choice, check_fraction, check_positive
from .records import Record

_MASKED, _UNCHANGED = 0.8, 0.5  # of the chosen ones, and of the rest
_SPAN_END, _MAX_SPAN = 0.2, 10  # Joshi et al. (2020), section 3.1
_ATTEMPTS = 10  # for each token, to find a place for a span


@dataclass(frozen=True)
class Masking:
    """Settings of masking: how many tokens, and which together.

    Parameters
    ----------
    strategy : str
        One of 'tokens'; 'whole_words', all pieces of a word together; or
        'spans' of 1 to 10 words, whose lengths are geometrically distributed (SpanBERT).
    masked_lm_prob : float
        Fraction of the tokens of a sequence.
    max_predictions : int
        Tokens of a sequence at most.
    """

    strategy: str = 'tokens'
    masked_lm_prob: float = 0.15
    max_predictions: int = 20

    def __post_init__(self) -> None:
        check_choice(tuple(STRATEGIES), strategy=self.strategy)
        check_fraction(masked_lm_prob=self.masked_lm_prob)
        check_positive(max_predictions=self.max_predictions)


class Masker:
    """Mask sequences of a vocabulary.

    Parameters
    ----------
    tokenizer : SubwordTokenizer
    masking : Masking
    words : iterable of str, optional
        Words that are masked as a whole though each of their characters is a token, as Chinese
        ones are; found from the left, the longest first.

    Raises
    ------
    ValueError
        If the vocabulary has no mask token, or words are given but only single tokens are masked.

    Examples
    --------
    >>> from gluon_bert.data import BertTokenizer
    >>> from gluon_bert.data.tokenizers.vocabulary import Vocabulary
    >>> roles = {'unknown_token': '[UNK]', 'cls_token': '[CLS]', 'sep_token': '[SEP]'}
    >>> tokens = [*roles.values(), '[MASK]', 'all', 'is', 'well', '##s']
    >>> tokenizer = BertTokenizer(Vocabulary(tokens, {**roles, 'mask_token': '[MASK]'}))
    >>> masker = Masker(tokenizer, Masking('whole_words', masked_lm_prob=0.4))
    >>> masker.mask([1, 4, 7, 5, 6, 2], random.Random(2))
    ([1, 4, 7, 3, 4, 2], [3, 4], [5, 6])
    """

    def __init__(
        self, tokenizer: Any, masking: Optional[Masking] = None, words: Iterable[str] = ()
    ) -> None:
        vocabulary = tokenizer.vocabulary
        if vocabulary.mask_token is None:
            raise ValueError(
                'the vocabulary has no mask token such as [MASK]: nothing to mask with'
            )
        self.masking = masking or Masking()
        self.vocab_size = len(vocabulary)
        self.mask_id = vocabulary[vocabulary.mask_token]
        roles = (vocabulary.cls_token, vocabulary.sep_token)
        self._special = frozenset(vocabulary[token] for token in roles if token is not None)
        self._pieces: frozenset[int] = frozenset()
        if self.masking.strategy != 'tokens':
            is_first = tokenizer.is_first_subword
            self._pieces = frozenset(
                number
                for number, token in enumerate(vocabulary.idx_to_token)
                if not is_first(token)
            )
        self._words = _words_by_first(tokenizer, words)
        if self._words and self.masking.strategy == 'tokens':
            raise ValueError("words are masked as a whole by 'whole_words' and 'spans' only")

    def mask(
        self, token_ids: Sequence[int], rng: random.Random
    ) -> tuple[list[int], list[int], list[int]]:
        """Mask a sequence.

        Parameters
        ----------
        token_ids : sequence of int, length T
            With the special tokens, which are never masked.
        rng : random.Random

        Returns
        -------
        token_ids : list of int, length T
        masked_positions, masked_ids : list of int, length M
            Ascending positions, and the tokens that were there.
        """
        limit = self.masking.max_predictions
        count = min(limit, max(1, round(len(token_ids) * self.masking.masked_lm_prob)))
        result = list(token_ids)
        choose = STRATEGIES[self.masking.strategy]
        positions = sorted(choose(self, token_ids, result, count, rng))
        return result, positions, [token_ids[position] for position in positions]

    def mask_again(self, record: Record, seed: int, epoch: int, number: int) -> Record:
        """Mask the tokens that a record had before it was masked, in another way.

        The result depends on the arguments alone.

        Parameters
        ----------
        record : Record
        seed, epoch : int
        number : int
            Of the record in the data.

        Returns
        -------
        Record
        """
        token_ids = record.token_ids.copy()
        token_ids[record.masked_positions] = record.masked_ids
        rng = random.Random(f'{seed} {epoch} {number}')
        masked, positions, ids = self.mask(token_ids.tolist(), rng)
        return make_record(masked, record.token_types, positions, ids, record.next_sentence)

    def replacement(self, token: int, rng: random.Random) -> int:
        """Draw what takes the place of a chosen token, by the draws of Google's script."""
        if rng.random() < _MASKED:
            return self.mask_id
        return token if rng.random() < _UNCHANGED else rng.randint(0, self.vocab_size - 1)

    def candidates(self, token_ids: Sequence[int]) -> list[list[int]]:
        """Group the positions that are masked together, special tokens left out.

        As in Google's script, a piece of a word belongs to the word before it, even across a
        separator.
        """
        if not (self._pieces or self._words):
            return [[n] for n, token in enumerate(token_ids) if token not in self._special]
        groups: list[list[int]] = []
        position, special, pieces = 0, self._special, self._pieces
        while position < len(token_ids):
            token = token_ids[position]
            length = self._word_at(token_ids, position) if token in self._words else 1
            if token not in special:
                if token in pieces and groups:
                    groups[-1].append(position)
                else:
                    groups.append([*range(position, position + length)])
            position += length
        return groups

    def _word_at(self, token_ids, position):
        """Number of tokens of the longest listed word there; 1 if there is none."""
        for word in self._words[token_ids[position]]:
            if tuple(token_ids[position : position + len(word)]) == word:
                return len(word)
        return 1


def make_record(
    token_ids: Sequence[int],
    token_types: Any,
    positions: Sequence[int],
    ids: Sequence[int],
    next_sentence: Optional[int],
) -> Record:
    """Make a record whose masked tokens have weight 1."""
    return Record(
        np.array(token_ids, 'int32'),
        np.asarray(token_types, 'int32'),
        np.array(positions, 'int32'),
        np.array(ids, 'int32'),
        np.ones(len(ids), 'float32'),
        next_sentence,
    )


def _mask_groups(masker, token_ids, result, count, rng):
    """Mask groups in random order as long as they fit; as Google's script, draw by draw."""
    groups = masker.candidates(token_ids)
    rng.shuffle(groups)
    covered: list[int] = []
    for group in groups:
        if len(covered) >= count:
            break
        if len(covered) + len(group) <= count:
            for position in group:
                result[position] = masker.replacement(token_ids[position], rng)
            covered += group
    return covered


def _mask_spans(masker, token_ids, result, count, rng):
    """Mask runs of words; all tokens of a run get the same kind of replacement."""
    groups = masker.candidates(token_ids)
    covered: set[int] = set()
    for _ in range(_ATTEMPTS * count if groups else 0):
        if len(covered) >= count:
            break
        span, length = [], 1 + bisect.bisect(_SPAN_LENGTHS, rng.random())
        start = rng.randrange(len(groups))
        for group in groups[start : start + length]:
            is_next = not span or group[0] == span[-1] + 1
            if not is_next or group[0] in covered or len(covered) + len(span + group) > count:
                break
            span += group
        if span:
            covered.update(span)
            kind = masker.replacement(-1, rng)
            for position in span:
                if kind == masker.mask_id:
                    result[position] = kind
                elif kind != -1:
                    result[position] = rng.randint(0, masker.vocab_size - 1)
    return covered


def _span_lengths():
    """Upper bounds of a random number for each length but the last."""
    weights = [(1 - _SPAN_END) ** length for length in range(_MAX_SPAN)]
    return [total / sum(weights) for total in itertools.accumulate(weights)][:-1]


_SPAN_LENGTHS = _span_lengths()

# Name -> what chooses positions and replaces their tokens.
STRATEGIES = {'tokens': _mask_groups, 'whole_words': _mask_groups, 'spans': _mask_spans}


def _words_by_first(tokenizer, words):
    """The tokens of words of more than one, the longest first, by their first token."""
    by_first: dict[int, list[tuple[int, ...]]] = {}
    for ids in {tuple(ids) for ids in tokenizer.encode_ids(list(words))}:
        if len(ids) > 1:
            by_first.setdefault(ids[0], []).append(ids)
    return {first: sorted(group, key=len, reverse=True) for first, group in by_first.items()}
