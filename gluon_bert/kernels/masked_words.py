"""The loss of masked words in native code, forward and backward, without the scores of all words.

N sequences, M masked positions each, C units, V words.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any, Tuple

import mxnet as mx
import numpy as np
from mxnet import autograd

from . import _functions
from .encoder import PRECISIONS, _address
from .recording import pointers, record


@dataclass(frozen=True)
class MaskedScores:
    """Scores of all words at masked positions, not computed: hidden weight^T + bias.

    A :class:`.BertForPretraining` gives them in place of an array where its
    :class:`~gluon_bert.kernels.training.NativeTrainer` has ``lazy_scores`` set, for
    :func:`.masked_word_loss`.

    Parameters
    ----------
    hidden : NDArray, shape (N, M, C)
    weight : NDArray, shape (V, C)
        The word embeddings.
    bias : NDArray, shape (V,)
    dtype : str
        Of the products, as for :class:`~gluon_bert.kernels.training.NativeTrainer`.
    num_threads : int
    """

    hidden: mx.nd.NDArray
    weight: mx.nd.NDArray
    bias: mx.nd.NDArray
    dtype: str = 'float32'
    num_threads: int = 1

    @property
    def shape(self) -> Tuple[int, int, int]:
        """Shape of the scores, (N, M, V)."""
        return (*self.hidden.shape[:2], len(self.weight))

    def losses(
        self, words: mx.nd.NDArray, weights: mx.nd.NDArray
    ) -> Tuple[mx.nd.NDArray, mx.nd.NDArray]:
        """Compute the cross-entropy of each masked word, recorded for its gradients.

        Nothing is computed where the weight is 0. The backward pass computes the scores again. The
        result does not depend on the number of threads.

        Parameters
        ----------
        words, weights : NDArray, shape (N, M)
            As for :func:`.masked_word_loss`; all words are below V.

        Returns
        -------
        losses : NDArray, shape (N, M)
            Times the weights.
        hits : NDArray, shape (N, M)
            The weight where the word has the highest score, of equal scores the lowest id; else 0.
            Without gradients.

        Raises
        ------
        ValueError
            If words or weights have another shape.
        MemoryError
        """
        for name, array in (('words', words), ('weights', weights)):
            if array.shape != self.shape[:2]:
                raise ValueError(f'{name} has shape {array.shape}, expected {self.shape[:2]}')
        run = _Pass(self, words.asnumpy().ravel(), weights.asnumpy().ravel())
        losses, hits = (mx.nd.array(array.reshape(words.shape)) for array in run.forward())
        if autograd.is_recording():
            record(run.inputs, losses, run)
        return losses, hits


class _Pass:
    """A forward pass, with the values that its backward pass needs."""

    def __init__(self, scores, words, weights):
        self.inputs = [scores.hidden, scores.weight, scores.bias]
        self._values = pointers(self.inputs)  # for which the backward pass may not wait
        self._rows = np.flatnonzero(weights).astype('int64')
        self._size = len(weights)
        self._words = words[self._rows].astype('int32')
        self._weights = weights[self._rows].astype('float32')
        vocab_size, units = scores.weight.shape
        self._sizes = np.array(
            [len(self._rows), units, vocab_size, PRECISIONS[scores.dtype]], 'int64'
        )
        self._threads = scores.num_threads
        self._maxima, self._sums = np.empty((2, len(self._rows)), 'float32')

    def _arguments(self):
        return (
            _address(self._sizes),
            self._values,
            _address(self._rows),
            _address(self._words),
            self._threads,
        )

    def forward(self):
        """Compute losses and hits, each times its weight, at all positions."""
        results = np.empty((2, len(self._rows)), 'float32')
        if _native().gluon_bert_masked_words(
            *self._arguments(), *map(_address, (*results, self._maxima, self._sums))
        ):
            raise MemoryError(f'no memory for the loss of {len(self._rows)} masked words')
        arrays = np.zeros((2, self._size), 'float32')
        arrays[:, self._rows] = results * self._weights
        return arrays

    def backward(self, gradient, targets, adds):
        """Write the gradients of hidden, weight and bias, or add to the present ones."""
        of_losses = gradient.asnumpy().ravel()[self._rows] * self._weights
        if _native().gluon_bert_masked_words_backward(
            *self._arguments(),
            *map(_address, (self._maxima, self._sums, of_losses)),
            self._size,
            pointers(targets),
            _address(np.array(adds, 'uint8')),
        ):
            raise MemoryError('no memory for the backward pass of masked words')

    def free(self):
        """Free what the backward pass needed."""
        self.inputs = []


def _native() -> Any:
    functions = _functions()
    if functions.gluon_bert_masked_words.argtypes is None:
        pointer, number = ctypes.c_void_p, ctypes.c_int
        functions.gluon_bert_masked_words.argtypes = [*[pointer] * 4, number, *[pointer] * 4]
        functions.gluon_bert_masked_words_backward.argtypes = [
            *[pointer] * 4,
            number,
            *[pointer] * 3,
            ctypes.c_int64,
            pointer,
            pointer,
        ]
    return functions
