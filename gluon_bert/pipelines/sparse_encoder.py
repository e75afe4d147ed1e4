"""Sparse vectors of texts as a matrix."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from .._internal.types import PathLike
from ..checkpoint.huggingface import write_huggingface
from ..checkpoint.retrieval import SparseSettings
from ..inference.sentence_options import prompt_text, source_of
from .loading import load_pipeline
from .sparse import SparsePipeline, SparseVector


class SparseEncoder:
    """Sparse vectors of texts, each with a weight for every word of the vocabulary.

    Its calls are like those of sentence-transformers' class of this name, whose folders it opens.

    Parameters
    ----------
    model : str, Path or SparsePipeline
        A folder of a SparseEncoder, or any model with a head of masked words: a checkpoint,
        'hf://owner/name', or a model of the zoo.
    batch_size : int
        Texts computed at once, where they are short.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such model, or it has no head of masked words.
    """

    def __init__(self, model: Union[str, Path, SparsePipeline], batch_size: int = 32) -> None:
        pipeline: Any = model
        if not isinstance(model, SparsePipeline):
            task = SparsePipeline.task
            pipeline = load_pipeline(source_of(model), batch_size=batch_size, task=task)
        self.pipeline: SparsePipeline = pipeline

    @property
    def settings(self) -> SparseSettings:
        """The settings of the vectors."""
        return self.pipeline.vectors

    @property
    def units(self) -> int:
        """The number of words of the vocabulary."""
        return len(self.pipeline.tokenizer.vocabulary)

    def encode(
        self,
        texts: Iterable[str],
        prompt: Optional[str] = None,
        prompt_name: Optional[str] = None,
        max_active: Optional[int] = None,
    ) -> Any:
        """Compute the vectors of texts.

        Parameters
        ----------
        texts : iterable of str
        prompt, prompt_name : str, optional
            As for :meth:`.SentenceEncoder.encode`.
        max_active : int, optional
            Keep this number of the largest weights of a text; by default all.

        Returns
        -------
        scipy.sparse.csr_matrix of float32, shape (texts, V)

        Raises
        ------
        TypeError, ValueError
            If an argument is not as above.
        """
        if isinstance(texts, (str, bytes)):
            raise TypeError('texts must be a list of str, got one text: write [text]')
        if max_active is not None and max_active < 1:
            raise ValueError(f'max_active={max_active}: expected 1 or more')
        from scipy.sparse import csr_matrix

        front = prompt_text(self.settings, prompt, prompt_name)  # type: ignore[arg-type]
        rows = list(self.pipeline.stream(front + text if front else text for text in texts))
        if max_active is not None:
            rows = [_largest(row, max_active) for row in rows]
        ends = np.cumsum([0, *(len(row.indices) for row in rows)])
        values = np.concatenate([np.zeros(0, 'float32'), *(row.values for row in rows)])
        indices = np.concatenate([np.zeros(0, 'int32'), *(row.indices for row in rows)])
        return csr_matrix((values, indices, ends), (len(rows), self.units))

    def save(self, folder: PathLike) -> None:
        """Write a folder that sentence-transformers' SparseEncoder and this class open.

        Parameters
        ----------
        folder : str or Path
            Made here; it appears when it is whole.

        Raises
        ------
        FileExistsError
            If the folder is there already and not empty.
        """
        checkpoint = self.pipeline.trained.checkpoint
        write_huggingface(replace(checkpoint, sparse=self.settings), folder)

    def similarity(self, first: Any, second: Any) -> np.ndarray:
        """Compare each of some texts with each of others.

        Parameters
        ----------
        first, second : list of str, or matrix of :meth:`encode`

        Returns
        -------
        numpy.ndarray of float32, shape (first, second)
            The dot product, or the cosine for a model that says so.
        """
        from scipy.sparse import issparse, linalg

        first, second = (x if issparse(x) else self.encode(x) for x in (first, second))
        scores = (first @ second.T).toarray()
        if self.settings.similarity == 'cosine':
            lengths = (linalg.norm(x, axis=1).clip(1e-12) for x in (first, second))
            scores = scores / np.outer(*lengths)
        return scores.astype('float32')

    def decode(self, vectors: Any, top_k: int = 10) -> list[list[tuple[str, float]]]:
        """List the words that weigh most in each vector, with their weights.

        Parameters
        ----------
        vectors : scipy.sparse.csr_matrix
            Of :meth:`encode`.
        top_k : int

        Returns
        -------
        list of list of (str, float)
        """
        tokens = self.pipeline.tokenizer.vocabulary.idx_to_token
        rows = []
        for begin, end in zip(vectors.indptr, vectors.indptr[1:]):
            values, indices = vectors.data[begin:end], vectors.indices[begin:end]
            order = np.argsort(-values, kind='stable')[:top_k]
            rows.append([(tokens[indices[i]], float(values[i])) for i in order])
        return rows


def _largest(row, count):
    if len(row.values) <= count:
        return row
    chosen = np.sort(np.argsort(-row.values, kind='stable')[:count])
    return SparseVector(row.indices[chosen], row.values[chosen])
