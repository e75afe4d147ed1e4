"""Queries with documents to scores, and documents in their order: cross-encoders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union

import numpy as np

from .._internal.suggestions import unknown_name
from ..checkpoint.sentence import ACTIVATIONS
from ..inference.search import order_by_score
from ..inference.sentence_options import source_of
from ..tasks.folder import has_task
from .base import Pipeline
from .classification import RegressionPipeline, SequencePipeline
from .loading import load_pipeline


class Relevance(NamedTuple):
    """The score of a pair, and the network's output that it is made of."""

    score: float
    value: float


class RankingPipeline(SequencePipeline):
    """The scores of pairs of a query and a document.

    Called on a pair, as a tuple of two texts, it returns a :class:`Relevance`; see
    :class:`Pipeline` for lists and iterators. Longer pairs are cut, ``num_cut`` counts them.
    :class:`CrossEncoder` puts documents in order.

    Parameters
    ----------
    model : TaskModel
        Of the task 'text-ranking'.
    batch_size : int, optional
        Pairs computed at once; by default as in the evaluations of the training, else 32.
    """

    task = 'text-ranking'
    keys = ('query', 'document')

    @property
    def activation(self) -> str:
        """The name of the function that makes a score of the network's output."""
        return self.settings['activation']

    def _results(self, call, features, num_cut):
        values = self._scores(call, features, num_cut)[:, 0]
        scores = ACTIVATIONS[self.activation](values)
        return [Relevance(*row) for row in zip(scores.tolist(), values.tolist())]


_SCORERS = (RankingPipeline, RegressionPipeline)


class CrossEncoder:
    """A network that reads a query and a document together and scores the pair.

    Its calls are those of sentence-transformers' class of this name, whose folders it opens.

    Parameters
    ----------
    model : str, Path or Pipeline
        A folder of ``gluon-bert train text-ranking`` or of sentence-transformers, or anything else
        of :func:`.load_pipeline` with one score for a pair of texts; also a model of the zoo by its
        data set alone.
    batch_size : int, optional
        Pairs computed at once; by default as in the evaluations of the training, else 32.
    precision : str, optional
        As for :func:`.load_pipeline`.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such model, or it does not give one score for a pair.

    Examples
    --------
    >>> model = CrossEncoder('reranker')  # doctest: +SKIP
    >>> model.predict([('who sleeps', 'A cat sleeps.'), ('who sleeps', 'Shares fell.')])
    ... # doctest: +SKIP
    array([0.98, 0.01], dtype=float32)
    >>> model.rank('who sleeps', ['Shares fell.', 'A cat sleeps.'], top_k=1)  # doctest: +SKIP
    [{'corpus_id': 1, 'score': 0.98}]
    """

    def __init__(
        self,
        model: Union[str, Path, Pipeline],
        batch_size: Optional[int] = None,
        precision: Optional[str] = None,
    ) -> None:
        source: Any = model
        if not isinstance(model, Pipeline):
            # One output of another maker's classifier is a score, whatever it was trained for.
            task = None if Path(model).exists() and has_task(model) else RankingPipeline.task
            source = load_pipeline(
                source_of(model), batch_size=batch_size, task=task, precision=precision
            )
        name = model if isinstance(model, (str, Path)) else 'model'
        if not isinstance(source, _SCORERS):
            raise ValueError(f'{name}: is for {source.task}: expected one score for a pair')
        if source.settings.get('pair') is False:
            raise ValueError(f'{name}: reads single texts: expected one that reads pairs')
        self.pipeline = source

    @property
    def activation(self) -> str:
        """The name of the function that makes a score of the network's output."""
        return getattr(self.pipeline, 'activation', 'identity')

    def predict(
        self, pairs: Any, activation: Optional[str] = None, progress: Any = None
    ) -> np.ndarray:
        """Compute the scores of pairs.

        Parameters
        ----------
        pairs : iterable of (str, str), or one pair as a tuple
        activation : str, optional
            Instead of the model's own: 'identity' gives the network's output, 'sigmoid' a
            probability.
        progress : callable, optional
            As for :meth:`.Pipeline.stream`.

        Returns
        -------
        numpy.ndarray, float32, shape (pairs,)
            A number for one pair.

        Raises
        ------
        ValueError
            If an input is no pair, or there is no such activation.
        """
        name = self.activation if activation is None else activation
        if name not in ACTIVATIONS:
            raise unknown_name('activation', name, ACTIVATIONS)
        is_one = isinstance(pairs, tuple) and len(pairs) == 2 and isinstance(pairs[0], str)
        stream = self.pipeline.stream(map(_pair, [pairs] if is_one else pairs), progress)
        values = np.array([result.value for result in stream], 'float32')
        scores = ACTIVATIONS[name](values).astype('float32')
        return scores[0] if is_one else scores

    def rank(
        self,
        query: str,
        documents: Sequence[str],
        top_k: Optional[int] = None,
        return_documents: bool = False,
        activation: Optional[str] = None,
    ) -> list[dict[str, Any]]:
        """Put documents in the order of their scores for a query.

        Parameters
        ----------
        query : str
        documents : sequence of str
        top_k : int, optional
            Documents to return at most; by default all.
        return_documents : bool
            Return each document, too.
        activation : str, optional
            As for :meth:`predict`.

        Returns
        -------
        list of dict
            The best first: 'corpus_id', the number of the document from 0; 'score'; and 'text' if
            documents are returned.

        Raises
        ------
        TypeError, ValueError
            If the query is no text, there are no documents, or ``top_k`` is below 1.
        """
        if not isinstance(query, str):
            raise TypeError(f'query must be str, got {type(query).__name__}')
        if isinstance(documents, (str, bytes)):
            raise TypeError('documents must be a list of str, got one text: write [text]')
        documents = list(documents)
        if not documents:
            raise ValueError('documents: expected one text or more, got none')
        if top_k is not None and top_k < 1:
            raise ValueError(f'top_k={top_k}: expected 1 or more')
        scores = self.predict([(query, text) for text in documents], activation)
        return [
            {
                'corpus_id': number,
                'score': float(scores[number]),
                **({'text': documents[number]} if return_documents else {}),
            }
            for number in order_by_score(scores, top_k)
        ]


def _pair(item):
    """A pair as the pipeline takes it: a list of two texts is one, too."""
    return tuple(item) if isinstance(item, list) and len(item) == 2 else item
