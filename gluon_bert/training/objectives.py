"""Losses: what :func:`gluon_bert.training.loop.fit` is given; one value for each sequence."""

import mxnet as mx


def cross_entropy(scores, labels):
    """Softmax cross-entropy: scores (N, K), class numbers (N,) -> losses (N,)."""
    return -mx.nd.pick(mx.nd.log_softmax(scores), labels)


def squared_error(scores, labels):
    """Half the squared difference, GluonNLP's L2Loss: scores (N, 1), values (N,) -> (N,)."""
    return 0.5 * mx.nd.square(scores.reshape((-1,)) - labels)


def span_loss(scores, spans):
    """The mean cross-entropy of begin and end (Devlin et al., 2019, section 4.2).

    Parameters
    ----------
    scores : NDArray, shape (N, T, 2)
        Logits of begin and end.
    spans : NDArray, shape (N, 2)
        Positions of the first and the last token of the answer; (0, 0) where there is none.

    Returns
    -------
    NDArray, shape (N,)
    """
    log_probabilities = mx.nd.log_softmax(scores, axis=1)  # (N, T, 2)
    begin_and_end = mx.nd.pick(log_probabilities.transpose((0, 2, 1)), spans)  # (N, 2)
    return -begin_and_end.mean(axis=1)


def tag_loss(scores, tags):
    """The mean cross-entropy over the tagged tokens of each sequence.

    Parameters
    ----------
    scores : NDArray, shape (N, T, K)
        Logits.
    tags : NDArray, shape (N, T)
        Tag numbers; a negative one is left out (padding, special tokens, later pieces of words).

    Returns
    -------
    NDArray, shape (N,)
    """
    counted = tags >= 0  # (N, T)
    losses = -mx.nd.pick(mx.nd.log_softmax(scores), mx.nd.maximum(tags, 0)) * counted
    return losses.sum(axis=1) / mx.nd.maximum(counted.sum(axis=1), 1)


def multi_label(scores, labels):
    """Compute the mean binary cross-entropy over the labels: (N, K), 0 or 1 (N, K) -> (N,)."""
    # log(1 + e^s) - s y, without overflow
    losses = mx.nd.relu(scores) - scores * labels + mx.nd.Activation(-scores.abs(), 'softrelu')
    return losses.mean(axis=1)
