"""The loss of masked words, and how many of them are predicted right.

N sequences, M masked positions each, V words.
"""

from __future__ import annotations

from typing import Tuple, Union

import mxnet as mx

from ..kernels.masked_words import MaskedScores
from .labels import check_labels, class_limits


def masked_word_loss(
    scores: Union[mx.nd.NDArray, MaskedScores], words: mx.nd.NDArray, weights: mx.nd.NDArray
) -> mx.nd.NDArray:
    """Compute the cross-entropy of each masked word (Devlin et al., 2019, section 3.1, task 1).

    Parameters
    ----------
    scores : NDArray or MaskedScores, shape (N, M, V)
        Logits at the masked positions. The loss of a
        :class:`~gluon_bert.kernels.masked_words.MaskedScores` is computed in native code.
    words : NDArray, shape (N, M)
        Ids of the words that were masked.
    weights : NDArray, shape (N, M)
        1 for a masked word, 0 for padding.

    Returns
    -------
    NDArray, shape (N, M)

    Raises
    ------
    LabelError
        If a word is none of the vocabulary.
    """
    check_labels(words, class_limits(scores.shape[2]))
    if isinstance(scores, MaskedScores):
        return scores.losses(words, weights)[0]
    return -mx.nd.pick(mx.nd.log_softmax(scores), words) * weights


def masked_word_loss_and_hits(
    scores: Union[mx.nd.NDArray, MaskedScores], words: mx.nd.NDArray, weights: mx.nd.NDArray
) -> Tuple[mx.nd.NDArray, mx.nd.NDArray]:
    """Compute the loss of each masked word, and where the word has the highest score.

    The accuracy is the sum of the hits divided by that of the weights. Of a
    :class:`~gluon_bert.kernels.masked_words.MaskedScores` the hits cost nothing.

    Parameters
    ----------
    scores, words, weights
        As for :func:`masked_word_loss`.

    Returns
    -------
    losses : NDArray, shape (N, M)
        Those of :func:`masked_word_loss`.
    hits : NDArray, shape (N, M)
        The weight where the word has the highest score, of equal scores the lowest id; else 0.
        Without gradients.

    Raises
    ------
    LabelError
        As for :func:`masked_word_loss`.
    """
    if isinstance(scores, MaskedScores):
        check_labels(words, class_limits(scores.shape[2]))
        return scores.losses(words, weights)
    best = scores.detach().argmax(axis=2)
    hits = (best == words.astype(best.dtype)) * weights.astype(best.dtype)
    return masked_word_loss(scores, words, weights), hits
