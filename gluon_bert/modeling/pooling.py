"""Vectors of sentences from encodings."""

from __future__ import annotations

from mxnet import nd


def mean_pool(sequence: nd.NDArray, valid_length: nd.NDArray, normalize: bool = True) -> nd.NDArray:
    """Average the encodings of the valid tokens (Reimers and Gurevych, 2019, section 3).

    Parameters
    ----------
    sequence : NDArray, shape (N, T, C)
        Zero past the valid length, as :class:`.BertModel` gives it.
    valid_length : NDArray, shape (N,)
    normalize : bool
        Scale each vector to Euclidean length 1.

    Returns
    -------
    NDArray, shape (N, C)
    """
    lengths = valid_length.astype(sequence.dtype).expand_dims(1)  # (N, 1)
    vectors = nd.broadcast_div(sequence.sum(axis=1), lengths)  # (N, C)
    return nd.L2Normalization(vectors, eps=1e-24) if normalize else vectors
