"""Losses of a student on the scores of its teacher.

:data:`SOFT_LOSSES` has a row for each form of a network's output. Letters: N sequences, T tokens, K
classes, C units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Optional

import mxnet as mx
from mxnet import nd

_MASKED = -1e9  # score of a token that does not count, whose softmax is then 0


def soft_cross_entropy(
    scores: mx.nd.NDArray, teacher: mx.nd.NDArray, temperature: float = 1.0
) -> mx.nd.NDArray:
    r"""Compute the cross-entropy of the softened classes of student and teacher.

    .. math:: -\tau^2 \sum_k \mathrm{softmax}(t / \tau)_k \log \mathrm{softmax}(s / \tau)_k

    Hinton et al. (2015), section 2; with :math:`\tau^2` the gradients keep their size.

    Parameters
    ----------
    scores, teacher : NDArray, shape (..., K)
        Logits s of the student and t of the teacher.
    temperature : float
        :math:`\tau`.

    Returns
    -------
    NDArray, shape (...)
    """
    shares = nd.softmax(teacher / temperature)
    return -(temperature**2) * (shares * nd.log_softmax(scores / temperature)).sum(axis=-1)


def soft_binary_cross_entropy(
    scores: mx.nd.NDArray, teacher: mx.nd.NDArray, temperature: float = 1.0
) -> mx.nd.NDArray:
    r"""Average over the labels the binary cross-entropy of student and teacher.

    Each label is a choice of two classes with the logits (s, 0) and (t, 0), to which
    :func:`soft_cross_entropy` is applied (Hinton et al., 2015, section 2).

    Parameters
    ----------
    scores, teacher : NDArray, shape (N, K)
        Logits of the labels.
    temperature : float

    Returns
    -------
    NDArray, shape (N,)
    """
    shares, x = nd.sigmoid(teacher / temperature), scores / temperature
    losses = nd.relu(x) - x * shares + nd.log1p(nd.exp(-nd.abs(x)))  # without overflow
    return temperature**2 * losses.mean(axis=1)


def score_error(
    scores: mx.nd.NDArray, teacher: mx.nd.NDArray, temperature: float = 1.0
) -> mx.nd.NDArray:
    """Compute half the squared difference of scores: (N, 1) -> (N,); no temperature.

    Of logits it is the limit of :func:`soft_cross_entropy` at high temperatures (Hinton et al.,
    2015, section 2.1).
    """
    return 0.5 * nd.square(scores - teacher).mean(axis=1)


def vector_error(
    scores: mx.nd.NDArray, teacher: mx.nd.NDArray, temperature: float = 1.0
) -> mx.nd.NDArray:
    """Add up the squared differences of vectors, (N, C) -> (N,); no temperature.

    Reimers and Gurevych (2020), section 2, have the mean over the units; of vectors of length 1 the
    sum is 2 less twice the cosine, whatever their width.
    """
    return nd.square(scores - teacher).sum(axis=1)


def soft_token_cross_entropy(
    scores: mx.nd.NDArray, teacher: mx.nd.NDArray, temperature: float, counted: mx.nd.NDArray
) -> mx.nd.NDArray:
    """Average :func:`soft_cross_entropy` over the counted tokens of each sequence.

    Parameters
    ----------
    scores, teacher : NDArray, shape (N, T, K)
    temperature : float
    counted : NDArray, shape (N, T)
        1 where a token counts, else 0.

    Returns
    -------
    NDArray, shape (N,)
    """
    losses = soft_cross_entropy(scores, teacher, temperature) * counted
    return losses.sum(axis=1) / nd.maximum(counted.sum(axis=1), 1)


def soft_span_cross_entropy(
    scores: mx.nd.NDArray, teacher: mx.nd.NDArray, temperature: float, counted: mx.nd.NDArray
) -> mx.nd.NDArray:
    """Average :func:`soft_cross_entropy` over begin and end, whose classes are the tokens.

    Parameters
    ----------
    scores, teacher : NDArray, shape (N, T, 2)
        Logits of begin and end.
    temperature : float
    counted : NDArray, shape (N, T)
        1 for the tokens of a sequence, 0 for its padding.

    Returns
    -------
    NDArray, shape (N,)
    """
    masked = nd.expand_dims((1 - counted) * _MASKED, axis=1)  # (N, 1, T)
    student, teacher = (
        nd.broadcast_add(array.transpose((0, 2, 1)) / temperature, masked)
        for array in (scores, teacher)
    )
    # The scores are divided already.
    return temperature**2 * soft_cross_entropy(student, teacher).mean(axis=1)


class SoftLoss(NamedTuple):
    """The loss of one form of scores.

    ``loss(scores, teacher, temperature)`` gives a value for each sequence, (N,); where there are
    scores of tokens, with ``counted`` as a further argument. ``has_temperature`` tells if the
    temperature has an influence, ``by_label`` that the tokens without a label do not count,
    ``of_vectors`` that what is compared are vectors of texts.
    """

    title: str
    loss: Callable[..., mx.nd.NDArray]
    of_tokens: bool = False
    has_temperature: bool = True
    by_label: bool = False
    of_vectors: bool = False

    def __call__(
        self,
        scores: mx.nd.NDArray,
        teacher: mx.nd.NDArray,
        temperature: float,
        counted: Optional[mx.nd.NDArray] = None,
    ) -> mx.nd.NDArray:
        """Compute the loss of each sequence, (N,)."""
        more = (counted,) if self.of_tokens else ()
        return self.loss(scores, teacher, temperature, *more)


#: Losses of a student's scores by the name of their form.
SOFT_LOSSES: Mapping[str, SoftLoss] = {
    'classes': SoftLoss('soft cross-entropy', soft_cross_entropy),
    'labels': SoftLoss('soft binary cross-entropy', soft_binary_cross_entropy),
    'score': SoftLoss('squared error', score_error, has_temperature=False),
    'vector': SoftLoss(
        'squared distance of vectors', vector_error, has_temperature=False, of_vectors=True
    ),
    'tags': SoftLoss(
        'soft cross-entropy of each token', soft_token_cross_entropy, of_tokens=True, by_label=True
    ),
    'span': SoftLoss(
        'soft cross-entropy of begin and end', soft_span_cross_entropy, of_tokens=True
    ),
}
