"""Late interaction: a vector for each token, and scores by the best match of each query token.

T tokens of a text, C units of a vector.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Optional

import numpy as np

from .._internal.checks import check_positive
from .._internal.types import PathLike
from ..checkpoint.huggingface import write_huggingface
from ..checkpoint.retrieval import TokenVectorSettings
from ..data.features import Features
from .attention import encode_expanded
from .predictor import Predictor
from .search import order_by_score, unit_rows
from .sentence_options import open_source


def maxsim(queries: Sequence[np.ndarray], documents: Sequence[np.ndarray]) -> np.ndarray:
    """Score documents by the sum, over the tokens of a query, of their best cosine.

    This is ColBERT's MaxSim (Khattab and Zaharia, 2020, section 3.3).

    Parameters
    ----------
    queries : sequence of numpy.ndarray, shape (T, C)
        Vectors of length 1.
    documents : sequence of numpy.ndarray, shape (T, C)
        The same; one without tokens scores 0.

    Returns
    -------
    numpy.ndarray, float32, shape (queries, documents)

    Examples
    --------
    >>> maxsim([np.eye(2)], [np.array([[0.6, 0.8]]), np.eye(2)]).round(2).tolist()
    [[1.399999976158142, 2.0]]
    """
    scores = np.zeros((len(queries), len(documents)), 'float32')
    filled = [number for number, rows in enumerate(documents) if len(rows)]
    if not filled:
        return scores
    tokens = np.concatenate([documents[number] for number in filled])
    begins = np.cumsum([0, *(len(documents[number]) for number in filled[:-1])])
    for row, query in zip(scores, queries):
        if len(query):
            best = np.maximum.reduceat(query @ tokens.T, begins, axis=1)  # (T, documents)
            row[filled] = best.sum(axis=0)
    return scores


class MultiVectorEncoder:
    """Vectors of the tokens of queries and documents, compared by :func:`maxsim`.

    Parameters
    ----------
    model : str, Path or TrainedNetwork
        A folder of sentence-transformers' layout with Dense layers over the encodings of the
        tokens, such as PyLate writes for ColBERT. Any other BERT gives its encodings.
    batch_size : int
        Texts computed at once, where batches are padded.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such model, or the vocabulary has no token that its settings name.
    """

    def __init__(self, model: Any, batch_size: int = 32) -> None:
        check_positive(batch_size=batch_size)
        network, tokenizer = open_source(model, None)
        if tokenizer is None:
            tokenizer = network.checkpoint.tokenizer
        self._network, self._tokenizer, self._batch_size = network, tokenizer, batch_size
        self._settings = network.checkpoint.token_vectors or TokenVectorSettings()
        self._predictor = Predictor(network)
        vocab, settings = tokenizer.vocabulary, self._settings
        self._begin, self._end = vocab[[vocab.cls_token, vocab.sep_token]]
        self._prefixes = {
            name: self._id_of(prefix, f'{name}_prefix')
            for name, prefix in (
                ('query', settings.query_prefix),
                ('document', settings.document_prefix),
            )
        }
        self._mask = self._id_of(vocab.mask_token, 'mask') if settings.expand_queries else None
        self._skipped = [vocab[word] for word in settings.skip_words if word in vocab.token_to_idx]

    @property
    def settings(self) -> TokenVectorSettings:
        """The settings of the model."""
        return self._settings

    @property
    def units(self) -> int:
        """The length of a vector."""
        return self._settings.output_units(self._network.config.units)

    def encode_queries(self, texts: Iterable[str]) -> list[np.ndarray]:
        """Compute the vectors of the tokens of queries.

        Parameters
        ----------
        texts : iterable of str

        Returns
        -------
        list of numpy.ndarray, float32, shape (T, C)
            Of length 1; those of mask tokens, too, up to which queries are expanded.
        """
        length, settings = self._length(self._settings.query_length), self._settings
        features = [self._sequence(ids, 'query', length) for ids in self._ids(texts)]
        if not settings.expand_queries:
            return [self._vectors(rows) for rows in self._encode(features)]
        counts = [feature.valid_length for feature in features]
        features = [self._expanded(feature, length) for feature in features]
        if settings.attend_to_expansion:
            rows = self._encode(features)
        else:
            pairs = zip(features, counts)
            rows = [encode_expanded(self._network, feature, count) for feature, count in pairs]
        return [self._vectors(row) for row in rows]

    def encode_documents(self, texts: Iterable[str]) -> list[np.ndarray]:
        """Compute the vectors of the tokens of documents; those that are skipped are left out.

        Parameters
        ----------
        texts : iterable of str

        Returns
        -------
        list of numpy.ndarray, float32, shape (T, C)
        """
        length = self._length(self._settings.document_length)
        features = [self._sequence(ids, 'document', length) for ids in self._ids(texts)]
        counted = [~np.isin(feature.inputs, self._skipped) for feature in features]
        return [self._vectors(row[kept]) for row, kept in zip(self._encode(features), counted)]

    def rank(self, query: str, documents: Sequence[str], top_k: Optional[int] = None) -> list:
        """Put documents in the order of their scores for a query.

        Parameters
        ----------
        query : str
        documents : sequence of str
        top_k : int, optional
            Documents to return at most; by default all.

        Returns
        -------
        list of dict
            'corpus_id' and 'score', the best first.

        Raises
        ------
        ValueError
            If there are no documents, or ``top_k`` is below 1.
        """
        if not len(documents) or (top_k is not None and top_k < 1):
            raise ValueError(
                f'{len(documents)} documents, top_k={top_k}: expected one or more of both'
            )
        scores = maxsim(self.encode_queries([query]), self.encode_documents(documents))[0]
        return [
            {'corpus_id': number, 'score': float(scores[number])}
            for number in order_by_score(scores, top_k)
        ]

    def save(self, folder: PathLike) -> None:
        """Write a folder that PyLate and this class open.

        Parameters
        ----------
        folder : str or Path
            Made here; it appears when it is whole.
        """
        checkpoint = replace(self._network.checkpoint, token_vectors=self._settings)
        write_huggingface(checkpoint, folder)

    def _id_of(self, token, name):
        """The id of a token of the vocabulary; None for ''."""
        vocab = self._tokenizer.vocabulary
        if token and token not in vocab.token_to_idx:
            raise ValueError(f'{name}: the vocabulary has no token {token!r}')
        return vocab[token] if token else None

    def _length(self, length):
        longest = self._network.config.max_length
        return longest if length is None else min(length, longest)

    def _ids(self, texts):
        if isinstance(texts, (str, bytes)):
            raise TypeError('texts must be a list of str, got one text: write [text]')
        texts = [text.strip() for text in texts]
        if self._settings.lower:
            texts = [text.lower() for text in texts]
        return self._tokenizer.encode_ids(texts)

    def _sequence(self, ids, role, length):
        prefix = self._prefixes[role]
        front = [self._begin] if prefix is None else [self._begin, prefix]
        ids = [*front, *ids[: length - len(front) - 1], self._end]
        return Features(np.array(ids, 'int32'), np.zeros(len(ids), 'int32'), len(ids))

    def _expanded(self, feature, length):
        ids = np.full(length, self._mask, 'int32')
        ids[: feature.valid_length] = feature.inputs
        return Features(ids, np.zeros(length, 'int32'), length)

    def _encode(self, features):
        rows: list = [None] * len(features)
        for indices, outputs in self._predictor.batches(features, self._batch_size):
            for index, row in zip(indices.tolist(), getattr(outputs, 'sequence', outputs)):
                rows[index] = np.array(row)
        return rows

    def _vectors(self, rows):
        for module in self._settings.modules:
            rows = module(rows)
        return unit_rows(rows)
