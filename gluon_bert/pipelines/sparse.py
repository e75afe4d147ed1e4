"""Sparse vectors of texts, from the scores of all words: SPLADE."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Optional

import numpy as np

from ..checkpoint.retrieval import SparseSettings
from ..data.features import Features, SentenceTransform
from ..data.tokenizers.base import SubwordTokenizer
from ..inference.trained import TrainedNetwork
from .pretraining import PretrainedPipeline
from .steps import ComputedOutputs

_TOKENS = 512  # whose scores of all words are in memory at once


class SparseVector(NamedTuple):
    """The words of a text that weigh something: ids, rising, and weights above 0."""

    indices: np.ndarray
    values: np.ndarray


class SparsePipeline(PretrainedPipeline):
    """The sparse vector of each text, with a weight for each word of the vocabulary.

    Called on a text it returns a :class:`SparseVector`; see :class:`Pipeline` for lists and
    iterators. Longer texts are cut, ``num_cut`` counts them.

    Parameters
    ----------
    network : BertForPretraining or TrainedNetwork
        With a head of masked words.
    tokenizer : SubwordTokenizer
    batch_size : int
        Texts computed at once, where they are short.

    Raises
    ------
    ValueError
        If the network has no such head, or the tokenizer is not for it.
    """

    task = 'sparse-embedding'
    head = 'masked_lm'

    def __init__(self, network: Any, tokenizer: SubwordTokenizer, batch_size: int = 32) -> None:
        super().__init__(network, tokenizer, batch_size)
        given = network.checkpoint.sparse if isinstance(network, TrainedNetwork) else None
        self.vectors: SparseSettings = given or SparseSettings()
        """The settings of the vectors."""
        longest = self.vectors.max_length or network.config.max_length
        self.settings = {'max_len': longest}
        self._transform = SentenceTransform(tokenizer, longest)

    def as_json(
        self, result: Any, top_k: Optional[int] = None, words: Optional[list] = None
    ) -> dict[str, Any]:
        return {name: array.tolist() for name, array in result._asdict().items()}

    def _prepare(self, texts, pairs):
        if pairs is not None:
            number = next(i for i, pair in enumerate(pairs) if pair is not None)
            self._fail(number, 'a pair of texts, expected one text')
        texts = [text.strip() for text in texts]
        if self.vectors.lower:
            texts = [text.lower() for text in texts]
        return self._transform.transform_batch(texts)

    def _sequences(self, features, num_cut):
        return features, None, num_cut

    def outputs(
        self, features: Sequence[Features], positions: Optional[Sequence[Sequence[int]]] = None
    ) -> list[Any]:
        """Compute the vector of each sequence.

        Parameters
        ----------
        features : sequence of Features
        positions
            Not used: the scores at all tokens are pooled.

        Returns
        -------
        list of SparseVector
        """
        return self._vectors(self._new_call(None), features)

    def _results(self, call, features, num_cut):
        self._count_cut(call, num_cut)
        if not isinstance(call.predictor, ComputedOutputs):
            return self._vectors(call, features)
        return [row for _, rows in call.predictor.batches(features) for row in rows]

    def _vectors(self, call, features):
        rows: list = [None] * len(features)
        num_words = len(self.tokenizer.vocabulary)  # a model may have rows beyond it
        for indices in self._parts([feature.valid_length for feature in features]):
            chosen = [features[i] for i in indices]
            everywhere = [range(feature.valid_length) for feature in chosen]
            scores = call.predictor.batch(chosen, everywhere).masked_lm
            for index, row in zip(indices, scores):
                rows[index] = _as_sparse(self.vectors.pool(np.asarray(row)[:, :num_words]))
            call.advance(len(indices))
        return rows

    def _parts(self, lengths) -> Iterator[list[int]]:
        """Indices of sequences of like lengths, few enough for the scores of all words."""
        part: list[int] = []
        for index in np.argsort(lengths, kind='stable')[::-1].tolist():
            full = (len(part) + 1) * lengths[part[0] if part else index] > _TOKENS
            if part and (full or len(part) == self.batch_size):
                yield part
                part = []
            part.append(index)
        if part:
            yield part


def _as_sparse(weights):
    indices = np.flatnonzero(weights)
    return SparseVector(indices.astype('int32'), weights[indices].astype('float32'))
