"""The tasks of pre-training: words for masks, and whether a text follows another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

import numpy as np

from .._internal.numerics import softmax
from ..data import Features, SentenceTransform, sequential_batches
from ..data.tokenizers.base import SubwordTokenizer
from ..inference.checks import bert_of
from ..inference.trained import TrainedNetwork
from ..kernels.top_words import TopWords
from .base import Pipeline


class Word(NamedTuple):
    """A token for a mask: as the vocabulary has it, its id, its probability, and as text."""

    token: str
    token_id: int
    probability: float
    text: str


class NextSentence(NamedTuple):
    """A verdict on whether the second text follows the first, with its probability."""

    follows: bool
    probability: float


class PretrainedPipeline(Pipeline):
    """A pipeline over a network with pre-training heads, of which it needs ``head``."""

    head: str

    def __init__(self, network: Any, tokenizer: SubwordTokenizer, batch_size: int = 32) -> None:
        if not self._has(network, self.head):
            raise ValueError(f'{type(network).__name__} has no {self.head} head')
        bert_of(network, tokenizer)  # checks that the tokenizer is for it
        super().__init__(network, tokenizer, batch_size)

    @staticmethod
    def _has(network, head):
        """Whether a network has a head."""
        if isinstance(network, TrainedNetwork):
            return network.kind == 'pretraining' and head in network.checkpoint.heads
        return hasattr(network, head)

    def _each_batch(self, call, features):
        """The indices of each batch."""
        lengths = [feature.valid_length for feature in features]
        # Not the larger batches of the native code: other backends store the scores of all words.
        for indices in sequential_batches(lengths, self.batch_size):
            yield indices
            call.advance(len(indices))


class FillMaskPipeline(PretrainedPipeline):
    """Tokens for the masks of texts.

    Called on a text with one or more of the tokenizer's mask token, such as ``[MASK]``, it returns
    for each mask in turn a list of :class:`Word`, the most probable first. See :class:`Pipeline`
    for lists and iterators.

    Parameters
    ----------
    network : BertForPretraining or TrainedNetwork
        With ``use_decoder``.
    tokenizer : BertTokenizer, BytePairTokenizer or SentencePieceTokenizer
    batch_size : int
        Texts computed at once.
    top_k : int
        How many tokens for each mask.

    Raises
    ------
    ValueError
        If the network has no such head, the tokenizer is not for it or has no mask, or ``top_k``
        is out of range.

    Examples
    --------
    >>> from gluonnlp.data import count_tokens
    >>> from gluonnlp.vocab import BERTVocab
    >>> import gluon_bert as gb
    >>> tokenizer = gb.data.BertTokenizer(BERTVocab(count_tokens(['hello', 'world'])))
    >>> model, _ = gb.get_model('bert_2_128_2', vocab=tokenizer.vocab, pretrained=False,
    ...                         use_decoder=True)
    >>> words, = FillMaskPipeline(model, tokenizer, top_k=3)('hello [MASK]')
    >>> len(words)
    3
    """

    task = 'fill-mask'
    head = 'masked_lm'

    most_words = 100
    """The words for each mask that :meth:`outputs` finds, if ``top_k`` is not more: :meth:`results`
    can be called with any ``top_k`` up to this."""

    def __init__(
        self, network: Any, tokenizer: SubwordTokenizer, batch_size: int = 32, top_k: int = 5
    ) -> None:
        super().__init__(network, tokenizer, batch_size)
        if getattr(tokenizer.vocabulary, 'mask_token', None) is None:
            raise ValueError('the vocabulary has no mask token')
        if type(top_k) is not int or not 1 <= top_k <= len(tokenizer.vocabulary):
            raise ValueError(
                f'top_k={top_k!r}: expected 1 to {len(tokenizer.vocabulary)}, the tokens there are'
            )
        self.top_k = top_k

    def as_json(
        self, result: list, top_k: Optional[int] = None, words: Optional[list] = None
    ) -> dict[str, Any]:
        return {'masks': [[word._asdict() for word in row] for row in result]}

    def _sequences(self, features, positions):
        return features, positions, 0

    def _prepare(self, texts, pairs):
        if pairs is not None:
            self._fail(
                next(i for i, pair in enumerate(pairs) if pair is not None),
                'a pair of texts, expected one text',
            )
        return self._masked(texts)

    def outputs(  # type: ignore[override]
        self, features: Sequence[Features], positions: Optional[Sequence[Sequence[int]]] = None
    ) -> list[TopWords]:
        """Find the best words for the masks of each sequence, whichever inputs they are of.

        Parameters
        ----------
        features : sequence of Features
        positions : sequence of sequence of int
            Where words are masked.

        Returns
        -------
        list of TopWords
        """
        k = min(max(self.top_k, self.most_words), len(self.tokenizer.vocabulary))
        return self._top_words(self._new_call(None), features, positions, k)

    def _results(self, call, features, positions):
        best = self._top_words(call, features, positions, self.top_k)
        return [self._words(words) for words in best]

    def _top_words(self, call, features, positions, k):
        rows: list = [None] * len(features)
        # A model may have rows beyond the vocabulary; no token belongs to them.
        num_words = len(self.tokenizer.vocabulary)
        for indices in self._each_batch(call, features):
            masked = [positions[i] for i in indices]
            best = call.predictor.top_words([features[i] for i in indices], masked, k, num_words)
            for index, words in zip(indices, best):
                rows[index] = words
        return rows

    def _masked(self, texts):
        """The sequences of texts, and where the masks stand in each."""
        vocab = self.tokenizer.vocabulary
        begin, end, mask = vocab[[vocab.cls_token, vocab.sep_token, vocab.mask_token]]
        longest = self.trained.config.max_length
        features, positions = [], []
        for number, ids in enumerate(self.tokenizer.encode_ids(texts)):
            if mask not in ids:
                self._fail(number, f'has no {vocab.mask_token}: put one where a word is wanted')
            if len(ids) + 2 > longest:
                self._fail(number, f'has {len(ids)} tokens, the model takes at most {longest - 2}')
            ids = np.array([begin, *ids, end], 'int32')
            features.append(Features(ids, np.zeros_like(ids), len(ids)))
            positions.append(np.flatnonzero(ids == mask).tolist())
        return features, positions

    def _words(self, best):
        """The words for each mask of a sequence."""
        return [
            [
                Word(token, int(number), float(probability), self._spell(token))
                for token, number, probability in zip(
                    self.tokenizer.convert_ids_to_tokens(ids), ids, probabilities
                )
            ]
            for ids, probabilities in zip(best.ids, best.probabilities)
        ]

    def _spell(self, token):
        decoder = getattr(getattr(self.tokenizer, '_tokenizer', None), 'decoder', None)
        return token.replace('\u2581', ' ') if decoder is None else decoder.decode([token])


class NextSentencePipeline(PretrainedPipeline):
    """The probability that one text follows another.

    Called on a pair of texts as a tuple it returns a :class:`NextSentence`; see :class:`Pipeline`
    for lists and iterators. Longer pairs are cut, ``num_cut`` counts them.

    Parameters
    ----------
    network : BertForPretraining or TrainedNetwork
        With ``use_classifier``.
    tokenizer : BertTokenizer, BytePairTokenizer or SentencePieceTokenizer
    batch_size : int
        Pairs computed at once.

    Raises
    ------
    ValueError
        If the network has no such head, or the tokenizer is not for it.
    """

    task = 'next-sentence'
    head = 'next_sentence'

    def __init__(self, network: Any, tokenizer: SubwordTokenizer, batch_size: int = 32) -> None:
        super().__init__(network, tokenizer, batch_size)
        self._transform = SentenceTransform(tokenizer, self.trained.config.max_length)

    def _sequences(self, features, num_cut):
        return features, [[]] * len(features), num_cut

    def _prepare(self, texts, pairs):
        for number in range(len(texts)):
            if pairs is None or pairs[number] is None:
                self._fail(number, 'one text, expected a pair')
        return self._transform.transform_batch(texts, pairs)

    def _results(self, call, features, num_cut):
        self._count_cut(call, num_cut)
        scores = self._scores(call, features)
        shares = softmax(np.stack(scores))[:, 0].tolist() if scores else []
        return [NextSentence(share > 0.5, share) for share in shares]

    def outputs(
        self, features: Sequence[Features], positions: Optional[Sequence[Sequence[int]]] = None
    ) -> list[np.ndarray]:
        return self._scores(self._new_call(None), features)

    def _scores(self, call, features):
        rows: list = [None] * len(features)
        for indices in self._each_batch(call, features):
            masked = [[] for _ in indices] if self._has(self.trained, 'masked_lm') else None
            outputs = call.predictor.batch([features[i] for i in indices], masked)
            for index, row in zip(indices, outputs.next_sentence):
                rows[index] = row
        return rows
