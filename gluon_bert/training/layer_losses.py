"""Losses of a student on what the layers of its teacher give.

Letters: N sequences, T tokens, C units.
"""

from __future__ import annotations

import mxnet as mx
from mxnet import nd

_MASKED = -1e9  # score of a padded token, whose softmax is then 0


def relation_loss(
    student: mx.nd.NDArray, teacher: mx.nd.NDArray, valid: mx.nd.NDArray, num_heads: int
) -> mx.nd.NDArray:
    r"""Compare the self-attention relations of student and teacher: MiniLMv2.

    .. math::
        \frac{1}{A |x|} \sum_{a=1}^{A} \sum_{t=1}^{|x|}
        D_{\mathrm{KL}}(R^T_{a,t} \,\|\, R^S_{a,t}), \qquad
        R = \mathrm{softmax}\left(\frac{X X^\top}{\sqrt{d}}\right)

    Wang et al. (2021), sections 3.1 and 3.2, equations 4 to 7: the vectors X of all attention heads
    side by side, queries, keys or values, are divided anew into A relation heads of d units, so
    that student and teacher may have other numbers of heads and other widths.

    Parameters
    ----------
    student, teacher : NDArray, shape (N, T, C)
        Queries, keys or values of one layer; each has its own C.
    valid : NDArray, shape (N, T)
        1 for the tokens of a sequence, 0 for its padding.
    num_heads : int
        Number A of relation heads, which divides both widths.

    Returns
    -------
    NDArray, shape (N,)
    """
    log_student = _log_relations(student, valid, num_heads)  # (N, A, T, T)
    log_teacher = _log_relations(teacher, valid, num_heads)
    divergence = (nd.exp(log_teacher) * (log_teacher - log_student)).sum(axis=3)  # (N, A, T)
    counted = nd.broadcast_mul(divergence, nd.expand_dims(valid, axis=1))
    return counted.sum(axis=(1, 2)) / (num_heads * valid.sum(axis=1))


def _log_relations(vectors, valid, num_heads):
    width = vectors.shape[2] // num_heads
    heads = vectors.reshape((0, 0, num_heads, width)).transpose((0, 2, 1, 3))  # (N, A, T, d)
    flat = heads.reshape((-3, 0, 0))  # (N*A, T, d)
    scores = nd.batch_dot(flat, flat, transpose_b=True) / width**0.5
    scores = scores.reshape((-4, -1, num_heads, 0, 0))  # (N, A, T, T)
    padding = ((1 - valid) * _MASKED).expand_dims(axis=1).expand_dims(axis=1)  # (N, 1, 1, T)
    return nd.log_softmax(nd.broadcast_add(scores, padding), axis=-1)


def hidden_loss(
    student: mx.nd.NDArray, teacher: mx.nd.NDArray, valid: mx.nd.NDArray
) -> mx.nd.NDArray:
    r"""Compute the mean squared error of the encodings of a layer, or of the embeddings: TinyBERT.

    .. math:: \mathrm{MSE}(H^S W, H^T)

    Jiao et al. (2020), section 3.1, equations 8 and 9.

    Parameters
    ----------
    student : NDArray, shape (N, T, C)
        With the teacher's C: :math:`H^S W`, projected where the student has another width.
    teacher : NDArray, shape (N, T, C)
    valid : NDArray, shape (N, T)
        1 for the tokens of a sequence, 0 for its padding.

    Returns
    -------
    NDArray, shape (N,)
        The mean over the tokens and units of each sequence.
    """
    errors = nd.square(student - teacher).mean(axis=2) * valid  # (N, T)
    return errors.sum(axis=1) / valid.sum(axis=1)
