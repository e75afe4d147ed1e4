"""Search for the most similar of many vectors, by the cosine of their angle."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from .._internal.cpu import default_threads
from ..kernels import is_available
from ..kernels.top_words import top_words

_BLOCK = 1 << 15  # rows compared at once

Results = tuple[np.ndarray, np.ndarray]
"""Indices and scores of the best vectors for each query."""


def cosine(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Compute the cosine of the angle between vectors, row by row.

    Parameters
    ----------
    first, second : numpy.ndarray, shape (..., C)

    Returns
    -------
    numpy.ndarray, shape (...)
        From -1 to 1; 0 where a vector is zero.

    Examples
    --------
    >>> cosine(np.array([[3.0, 4.0], [1.0, 0.0]]), np.array([[6.0, 8.0], [0.0, 2.0]])).tolist()
    [1.0, 0.0]
    """
    return (unit_rows(first) * unit_rows(second)).sum(axis=-1)


def open_vectors(path: Union[str, Path]) -> np.memmap:
    """Open the vectors of a .npy file, to be read from the disk as they are needed.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    numpy.memmap, shape (n, C)

    Raises
    ------
    FileNotFoundError
    ValueError
        If the file is damaged or holds no vectors.
    """
    try:
        vectors = np.lib.format.open_memmap(path, mode='r')
    except (ValueError, SyntaxError, OverflowError, MemoryError, TypeError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ValueError(f'{path}: is not a complete .npy file ({reason})') from None
    if vectors.ndim != 2 or vectors.dtype.kind != 'f':
        raise ValueError(
            f'{path}: holds an array of {vectors.dtype} of shape {vectors.shape}; '
            f'expected floating-point vectors, shape (texts, units)'
        )
    return vectors


def cosine_search(
    queries: np.ndarray, vectors: np.ndarray, k: int = 10
) -> tuple[np.ndarray, np.ndarray]:
    """Find the vectors most similar to each query.

    Parameters
    ----------
    queries : numpy.ndarray, shape (Q, C)
    vectors : numpy.ndarray, shape (n, C)
        May be one of :func:`open_vectors`: a block of it is in memory at a time.
    k : int
        Vectors to find; all of them if there are fewer.

    Returns
    -------
    indices : numpy.ndarray, int64, shape (Q, k)
        The most similar first; of equals, the one that comes first in ``vectors``.
    cosines : numpy.ndarray, float32, shape (Q, k)

    Raises
    ------
    ValueError
        If the shapes do not fit, or ``k`` is below 1.

    Examples
    --------
    >>> vectors = np.array([[0.0, 1.0], [3.0, 3.0], [2.0, 0.0]])
    >>> indices, cosines = cosine_search(np.array([[1.0, 0.0]]), vectors, k=2)
    >>> indices.tolist(), cosines.round(3).tolist()
    ([[2, 1]], [[1.0, 0.7070000171661377]])
    """
    return similarity_search(queries, vectors, k)


def similarity_matrix(
    first: np.ndarray, second: np.ndarray, similarity: str = 'cosine'
) -> np.ndarray:
    """Compare each of some vectors with each of others.

    Parameters
    ----------
    first : numpy.ndarray, shape (A, C)
    second : numpy.ndarray, shape (B, C)
    similarity : str
        'cosine', 'dot', or 'euclidean' or 'manhattan', of which minus the distance is given.

    Returns
    -------
    numpy.ndarray, float32, shape (A, B)

    Raises
    ------
    ValueError
        If there is no such similarity, or the widths differ.

    Examples
    --------
    >>> similarity_matrix(np.array([[1.0, 0.0]]), np.array([[4.0, 4.0]]), 'euclidean').tolist()
    [[-5.0]]
    """
    if similarity not in _SIMILARITIES:
        raise ValueError(f'similarity={similarity!r}: expected one of {tuple(_SIMILARITIES)}')
    first, second = np.asarray(first, 'float32'), np.asarray(second, 'float32')
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise ValueError(
            f'vectors of shapes {first.shape} and {second.shape}: expected two dimensions, the '
            f'second one alike'
        )
    return _SIMILARITIES[similarity](first, second)


def similarity_search(
    queries: np.ndarray, vectors: np.ndarray, k: int = 10, similarity: str = 'cosine'
) -> tuple[np.ndarray, np.ndarray]:
    """Find the vectors most similar to each query, by any of :func:`similarity_matrix`.

    The parameters, results and errors are those of :func:`cosine_search`.
    """
    if k < 1:
        raise ValueError(f'k={k}: expected 1 or more')
    if similarity not in _SIMILARITIES:
        raise ValueError(f'similarity={similarity!r}: expected one of {tuple(_SIMILARITIES)}')
    if queries.ndim != 2 or vectors.ndim != 2 or queries.shape[1] != vectors.shape[1]:
        raise ValueError(
            f'queries have shape {queries.shape}, vectors {vectors.shape}; expected '
            f'(queries, units) and (texts, units) with the same units'
        )
    blocks = (vectors[begin : begin + _BLOCK] for begin in range(0, len(vectors), _BLOCK))
    return search_blocks(queries, blocks, k, similarity)


def search_blocks(
    queries: np.ndarray, blocks: Iterable[np.ndarray], k: int, similarity: str = 'dot'
) -> tuple[np.ndarray, np.ndarray]:
    """Find the vectors most similar to each query among blocks of vectors, one at a time.

    Parameters
    ----------
    queries : numpy.ndarray, shape (Q, C)
    blocks : iterable of numpy.ndarray, shape (n, C)
        None is empty.
    k, similarity
        As for :func:`score_block`.

    Returns
    -------
    indices, scores
        As of :func:`cosine_search`.
    """
    best, first = no_results(len(queries)), 0
    for block in blocks:
        best = _merge_best(best, score_block(queries, block, k, first, similarity), k)
        first += len(block)
    return best


def score_block(
    queries: np.ndarray, block: np.ndarray, k: int, first: int = 0, similarity: str = 'dot'
) -> tuple[np.ndarray, np.ndarray]:
    """Find the vectors of a block that are most similar to each query.

    With the native kernels the products are computed some vectors at a time and never stored.

    Parameters
    ----------
    queries : numpy.ndarray, shape (Q, C)
    block : numpy.ndarray, shape (n, C)
        Not empty.
    k : int
        Vectors to find; all of them if there are fewer.
    first : int
        The number of the first vector in the corpus.
    similarity : str
        As for :func:`similarity_matrix`.

    Returns
    -------
    indices, scores
        As of :func:`cosine_search`.
    """
    k = min(k, len(block))
    if similarity == 'cosine':
        queries, block, similarity = unit_rows(queries), unit_rows(block), 'dot'
    if similarity == 'dot' and len(queries) and is_available():
        zeros = np.zeros(len(block), 'float32')
        best = top_words(queries, block, zeros, k, num_threads=default_threads())
        return best.ids.astype('int64') + first, best.scores
    scores = similarity_matrix(queries, block, similarity)
    order = np.argsort(-scores, axis=1, kind='stable')[:, :k]
    return order + first, np.take_along_axis(scores, order, axis=1)


def _merge_best(best: Results, more: Results, k: int) -> Results:
    """Join the best of a block with those of earlier blocks: the k best of both."""
    indices, scores = (np.concatenate(pair, axis=1) for pair in zip(best, more))
    # Equals stand in the order of the vectors, which a stable sort keeps.
    order = np.argsort(-scores, axis=1, kind='stable')[:, :k]
    return np.take_along_axis(indices, order, axis=1), np.take_along_axis(scores, order, axis=1)


def order_by_score(scores: Any, top_k: Optional[int] = None) -> list[int]:
    """Number documents in the order of their scores, the highest first.

    Parameters
    ----------
    scores : array_like of float, shape (documents,)
    top_k : int, optional
        Documents at most; by default all.

    Returns
    -------
    list of int
        Of documents with one score the first one comes first.
    """
    return np.argsort(-np.asarray(scores, 'float64'), kind='stable')[:top_k].tolist()


def no_results(num_queries: int) -> Results:
    """Make the results of a search among no vectors."""
    return np.zeros((num_queries, 0), 'int64'), np.zeros((num_queries, 0), 'float32')


def unit_rows(vectors: Any) -> np.ndarray:
    """Scale vectors (N, C) to length 1, in float32; one of 0 stays."""
    vectors = np.asarray(vectors, 'float32')
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True).clip(1e-12)


def _minus_euclidean(first, second):
    return -_row_by_row(lambda row: np.sqrt(((second - row) ** 2).sum(axis=1)), first, second)


def _minus_manhattan(first, second):
    return -_row_by_row(lambda row: np.abs(second - row).sum(axis=1), first, second)


def _row_by_row(function, first, second):
    result = np.empty((len(first), len(second)), 'float32')
    for row, out in zip(first, result):
        out[:] = function(row)
    return result


_SIMILARITIES = {
    'cosine': lambda first, second: unit_rows(first) @ unit_rows(second).T,
    'dot': lambda first, second: first @ second.T,
    'euclidean': _minus_euclidean,
    'manhattan': _minus_manhattan,
}
