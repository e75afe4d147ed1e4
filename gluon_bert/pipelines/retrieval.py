"""Search in two stages: the best texts by their vectors, in the order of a cross-encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

from ..inference.search import order_by_score
from .ranking import CrossEncoder

CANDIDATES = 100


class Hit(NamedTuple):
    """A text that was found.

    ``number`` is its place in the corpus, from 0; ``score`` is what it is ranked by, and
    ``similarity`` that of its vector.
    """

    number: int
    text: str
    score: float
    similarity: float


class Retriever:
    """Find the texts of a corpus that answer a query.

    Parameters
    ----------
    encoder : SentenceEncoder
        Of the queries.
    texts : sequence of str
        The corpus.
    vectors : numpy.ndarray, CorpusVectors or ApproximateIndex
        Of the corpus.
    reranker : CrossEncoder, optional
        Ranks the best by their vectors; by default that order stays.

    Examples
    --------
    >>> from gluon_bert import SentenceEncoder
    >>> encoder, texts = SentenceEncoder('all_minilm_l6_v2'), ['Shares fell.', 'A cat sleeps.']
    >>> retriever = Retriever(encoder, texts, encoder.encode(texts))
    >>> retriever.search(['a kitten'], k=1)[0][0].text
    'A cat sleeps.'
    """

    def __init__(
        self,
        encoder: Any,
        texts: Sequence[str],
        vectors: Any,
        reranker: Optional[CrossEncoder] = None,
    ) -> None:
        self._encoder, self._texts, self._vectors = encoder, texts, vectors
        self._reranker = reranker

    def search(
        self, queries: Sequence[str], k: int = 10, candidates: int = CANDIDATES
    ) -> list[list[Hit]]:
        """Find the best texts for each query.

        Parameters
        ----------
        queries : sequence of str
        k : int
            Texts to find for a query; all if there are fewer.
        candidates : int
            Texts that the cross-encoder ranks, at least ``k``.

        Returns
        -------
        list of list of Hit
            For each query, the best first.

        Raises
        ------
        ValueError
            If ``k`` or ``candidates`` is out of range.
        """
        if k < 1:
            raise ValueError(f'k={k}: expected 1 or more')
        if self._reranker is not None and candidates < k:
            raise ValueError(f'candidates={candidates}: expected {k} or more, the texts to find')
        size = k if self._reranker is None else candidates
        size = min(size, len(self._texts))
        indices, scores = self._encoder.search(list(queries), self._vectors, size)
        return [
            self._rank(query, numbers, similarities, k)
            for query, numbers, similarities in zip(queries, indices.tolist(), scores.tolist())
        ]

    def _rank(self, query, numbers, similarities, k):
        hits = [
            Hit(number, self._texts[number], similarity, similarity)
            for number, similarity in zip(numbers, similarities)
            if number >= 0
        ]
        if self._reranker is None or not hits:
            return hits[:k]
        scores = self._reranker.predict([(query, hit.text) for hit in hits])
        return [hits[i]._replace(score=float(scores[i])) for i in order_by_score(scores, k)]
