"""The loss of the detection of replaced tokens.

N sequences, T tokens, M masked positions.
"""

from __future__ import annotations

from typing import Any

import mxnet as mx


def replaced_token_loss(
    outputs: Any, words: mx.nd.NDArray, weights: mx.nd.NDArray
) -> mx.nd.NDArray:
    """Compute the binary cross-entropy of each token (Clark et al., 2020, section 2).

    Parameters
    ----------
    outputs : ReplacedTokensOutput
        A sample that is the masked word itself counts as not replaced.
    words, weights : NDArray, shape (N, M)
        As for :func:`.masked_word_loss`.

    Returns
    -------
    NDArray, shape (N, T)
        0 in the padding.
    """
    scores, labels = outputs.replaced, replaced_labels(outputs, words, weights)
    losses = mx.nd.relu(scores) - scores * labels + mx.nd.log1p(mx.nd.exp(-mx.nd.abs(scores)))
    return losses * outputs.valid


def replaced_labels(outputs: Any, words: mx.nd.NDArray, weights: mx.nd.NDArray) -> mx.nd.NDArray:
    """Make the labels of the tokens: 1 where a sample is another word than the masked one.

    The arguments are those of :func:`replaced_token_loss`.

    Returns
    -------
    NDArray, shape (N, T)
    """
    scores, positions = outputs.replaced, outputs.masked_positions
    is_other = (outputs.samples != words) * (positions > 0) * (weights > 0)  # (N, M)
    places = mx.nd.one_hot(positions, scores.shape[1])  # (N, M, T)
    return mx.nd.batch_dot(is_other.expand_dims(1), places).reshape(scores.shape)
