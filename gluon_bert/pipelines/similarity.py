"""Pairs of texts to how similar they are, by the cosine of their vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

import numpy as np

from .._internal.progress import progress_bar
from ..data import SentenceTransform
from ..data.features import Features
from ..inference.checks import inner_bert
from ..inference.pooling import Pooling
from ..inference.search import cosine
from ..tasks.folder import TaskModel
from .base import TaskPipeline
from .steps import PipelineCall


class Similarity(NamedTuple):
    """The cosine of the vectors of two texts, from -1 to 1."""

    value: float


class SimilarityPipeline(TaskPipeline):
    """The similarity of two texts, by a network in training.

    Called on a pair of texts as a tuple it returns a :class:`Similarity`; see :class:`Pipeline` for
    lists and iterators. A trained folder is opened by a :class:`.SentenceEncoder`.

    Parameters
    ----------
    model : TaskModel
        Of the task 'sentence-similarity'.
    batch_size : int, optional
        As for :class:`TaskPipeline`.
    """

    task = 'sentence-similarity'

    def __init__(self, model: TaskModel, batch_size: Optional[int] = None) -> None:
        super().__init__(model._replace(network=inner_bert(model.network)), batch_size)
        self._pooling = Pooling(tuple(self.settings['pooling']))
        self._transform = SentenceTransform(model.tokenizer, self.settings['max_len'])

    def vectors(self, texts: Sequence[str], name: str = 'vectors') -> np.ndarray:
        """Compute the pooled vectors of texts.

        Parameters
        ----------
        texts : sequence of str
        name : str
            Beside the progress bar.

        Returns
        -------
        numpy.ndarray, float32, shape (texts, C)
        """
        features, num_cut = self._transform.transform_batch(list(texts), None)
        call = self._new_call(None)
        self._count_cut(call, num_cut)
        with progress_bar(name, len(features)) as bar:
            call = self._new_call(bar.update)
            return np.stack(self._outputs(call, features, advance=True))

    def _prepare(self, texts, pairs):
        for number in range(len(texts)):
            if pairs is None or pairs[number] is None:
                self._fail(number, 'expected a pair of texts, this is one text')
        return self._transform.transform_batch([*texts, *pairs], None)

    def _features(self, features, num_cut):
        return features

    def _sequences(self, features, num_cut):
        return features, None, num_cut

    def _results(self, call, features, num_cut):
        self._count_cut(call, num_cut)
        vectors = np.stack(self._outputs(call, features, advance=True))
        first, second = np.split(vectors, 2)
        return [Similarity(value) for value in cosine(first, second).tolist()]

    def _outputs(
        self, call: PipelineCall, features: Sequence[Features], advance: bool = False
    ) -> list[np.ndarray]:
        rows: list[Any] = [None] * len(features)
        for indices, pooled in call.predictor.batches(features, self.batch_size, self._pooling):
            for index, row in zip(indices.tolist(), pooled):
                rows[index] = row
            if advance:
                call.advance(len(indices))
        return rows
