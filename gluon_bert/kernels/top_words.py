"""The most probable words at masked positions, without the scores of all words.

P positions, C units, V words.
"""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple, Optional

import numpy as np

from . import _functions
from .encoder import PRECISIONS, _address, _pointers


class TopWords(NamedTuple):
    """The words with the highest scores at each of P positions, the best first.

    ``ids``, int32, and ``scores``, float32, have shape (P, k); of equal scores the lower id comes
    first. ``log_sums``, float64, shape (P,), are the logarithms of the sums of exp(score) of all
    words.
    """

    ids: np.ndarray
    scores: np.ndarray
    log_sums: np.ndarray

    @property
    def probabilities(self) -> np.ndarray:
        """Probabilities by softmax over all words, float64, shape (P, k)."""
        with np.errstate(invalid='ignore'):
            return np.exp(self.scores - self.log_sums[:, None])


def top_words(
    hidden: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    k: int,
    num_words: Optional[int] = None,
    num_threads: int = 1,
) -> TopWords:
    """Find the words with the highest scores, hidden weight^T + bias.

    The result does not depend on the number of threads, nor that of a position on the others.

    Parameters
    ----------
    hidden : numpy.ndarray of float32, shape (P, C)
    weight : numpy.ndarray of float32, shape (V, C)
        The word embeddings.
    bias : numpy.ndarray of float32, shape (V,)
    k : int
    num_words : int, optional
        Ids are below this; by default V. Sums are over all words.
    num_threads : int

    Returns
    -------
    TopWords
        If scores at a position are NaN, or one is infinite, its ids are the first ones, with
        probabilities of NaN.

    Raises
    ------
    ValueError
        If ``k`` or ``num_words`` is out of range, or shapes do not fit.
    MemoryError
    """
    hidden, weight, bias = (np.ascontiguousarray(x, 'float32') for x in (hidden, weight, bias))
    _check_shapes(hidden, weight, bias)
    _check_counts(k, num_words, len(weight))
    size, units = hidden.shape
    sizes = np.array([size, units, len(weight), PRECISIONS['float32']], 'int64')
    result = TopWords(
        np.empty((size, k), 'int32'), np.empty((size, k), 'float32'), np.empty(size, 'float64')
    )
    if _native().gluon_bert_top_words(
        _address(sizes),
        _pointers([hidden, weight, bias]),
        _address(np.arange(size, dtype='int64')),
        k,
        len(weight) if num_words is None else num_words,
        num_threads,
        *map(_address, result),
    ):
        raise MemoryError(f'no memory for the best words at {size} positions')
    return result


def best_of_scores(scores: np.ndarray, k: int, num_words: Optional[int] = None) -> TopWords:
    """Find the words with the highest of given scores, as :func:`top_words` does.

    Parameters
    ----------
    scores : numpy.ndarray of float32, shape (P, V)
    k, num_words
        As for :func:`top_words`.

    Returns
    -------
    TopWords
    """
    _check_counts(k, num_words, scores.shape[1])
    ids = np.argsort(-scores[:, :num_words], axis=1, kind='stable')[:, :k].astype('int32')
    maxima = scores.max(axis=1, keepdims=True)
    with np.errstate(invalid='ignore'):
        exponentials = np.exp(scores.astype('float64') - maxima)
    log_sums = maxima[:, 0] + np.log(exponentials.sum(axis=1))
    ids[np.isnan(log_sums)] = np.arange(k)
    return TopWords(ids, np.take_along_axis(scores, ids, 1), log_sums)


def _check_counts(k, num_words, vocab_size):
    if not 1 <= k <= (vocab_size if num_words is None else num_words) <= vocab_size:
        raise ValueError(
            f'k={k}, num_words={num_words}: expected k from 1, at most num_words, of '
            f'{vocab_size} words'
        )


def _check_shapes(hidden, weight, bias):
    if hidden.ndim != 2 or weight.shape != (len(bias), hidden.shape[1]) or bias.ndim != 1:
        raise ValueError(
            f'hidden, weight and bias have shapes {hidden.shape}, {weight.shape} and '
            f'{bias.shape}: expected (P, C), (V, C) and (V,)'
        )


def _native() -> Any:
    functions = _functions()
    if functions.gluon_bert_top_words.argtypes is None:
        pointer, whole = ctypes.c_void_p, ctypes.c_int64
        functions.gluon_bert_top_words.argtypes = [
            *[pointer] * 3,
            whole,
            whole,
            ctypes.c_int,
            *[pointer] * 3,
        ]
    return functions
