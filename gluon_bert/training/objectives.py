"""Losses, and the objectives that :func:`.fit` minimises.

:data:`OBJECTIVES` holds the rows by name, each an :class:`.Objective`.
"""

from __future__ import annotations

from typing import Any, Callable, Tuple, Union

import mxnet as mx

from .._internal.suggestions import unknown_name
from .labels import FINITE, FLAGS, check_labels, class_limits, position_limits, tag_limits
from .masked_words import masked_word_loss as masked_word_loss
from .ranking import LIST_LOSSES, binary_cross_entropy
from .replaced_tokens import replaced_token_loss
from .sentence_objectives import SENTENCE_LOSSES, make_sentence_objective
from .terms import LossTerm as LossTerm
from .terms import Objective as Objective
from .terms import Term as Term
from .terms import count_masked_words, count_tokens


def cross_entropy(scores: mx.nd.NDArray, labels: mx.nd.NDArray) -> mx.nd.NDArray:
    """Compute the softmax cross-entropy: scores (N, K), class numbers (N,) -> losses (N,).

    Raises
    ------
    LabelError
        If a label is not the number of a class.
    """
    check_labels(labels, class_limits(scores.shape[1]))
    return -mx.nd.pick(mx.nd.log_softmax(scores), labels)


def squared_error(scores: mx.nd.NDArray, labels: mx.nd.NDArray) -> mx.nd.NDArray:
    """Compute half the squared difference: scores (N, 1), values (N,) -> (N,).

    This is GluonNLP's L2Loss.
    """
    check_labels(labels, FINITE)
    return 0.5 * mx.nd.square(scores.reshape((-1,)) - labels)


def span_loss(scores: mx.nd.NDArray, spans: mx.nd.NDArray) -> mx.nd.NDArray:
    """Average the cross-entropies of begin and end (Devlin et al., 2019, section 4.2).

    Parameters
    ----------
    scores : NDArray, shape (N, T, 2)
        Logits of begin and end.
    spans : NDArray, shape (N, 2)
        Positions of the first and the last token of the answer; (0, 0) where there is none.

    Returns
    -------
    NDArray, shape (N,)

    Raises
    ------
    LabelError
        If a position is none of the sequence.
    """
    check_labels(spans, position_limits(scores.shape[1]))
    log_probabilities = mx.nd.log_softmax(scores, axis=1)  # (N, T, 2)
    begin_and_end = mx.nd.pick(log_probabilities.transpose((0, 2, 1)), spans)  # (N, 2)
    return -begin_and_end.mean(axis=1)


def tag_loss(scores: mx.nd.NDArray, tags: mx.nd.NDArray) -> mx.nd.NDArray:
    """Average the cross-entropy over the tagged tokens of each sequence.

    Parameters
    ----------
    scores : NDArray, shape (N, T, K)
        Logits.
    tags : NDArray, shape (N, T)
        Tag numbers; a negative one is left out (padding, special tokens, later pieces of words).

    Returns
    -------
    NDArray, shape (N,)

    Raises
    ------
    LabelError
        If a tag has no score.
    """
    check_labels(tags, tag_limits(scores.shape[2]))
    counted = tags >= 0  # (N, T)
    losses = -mx.nd.pick(mx.nd.log_softmax(scores), mx.nd.maximum(tags, 0)) * counted
    return losses.sum(axis=1) / mx.nd.maximum(counted.sum(axis=1), 1)


def multi_label_loss(scores: mx.nd.NDArray, labels: mx.nd.NDArray) -> mx.nd.NDArray:
    """Average the binary cross-entropy of a sigmoid over the classes.

    Parameters
    ----------
    scores : NDArray, shape (N, K)
        Logits.
    labels : NDArray, shape (N, K)
        1 where a class applies, else 0.

    Returns
    -------
    NDArray, shape (N,)
    """
    check_labels(labels, FLAGS)
    # -y log s(x) - (1 - y) log(1 - s(x)), without overflow
    losses = mx.nd.relu(scores) - scores * labels + mx.nd.log1p(mx.nd.exp(-mx.nd.abs(scores)))
    return losses.mean(axis=1)


def _one(name, loss):
    return Objective(name, {'loss': LossTerm(loss)})


_MASKED_WORDS = LossTerm(
    lambda outputs, words, weights, *others: masked_word_loss(outputs.masked_lm, words, weights),
    count_masked_words,
)
_NEXT_SENTENCE = LossTerm(
    lambda outputs, words, weights, follows: cross_entropy(outputs.next_sentence, follows)
)

#: Objectives by name.
OBJECTIVES = {
    objective.name: objective
    for objective in (
        _one('cross_entropy', cross_entropy),
        _one('squared_error', squared_error),
        _one('span', span_loss),
        # A mean over sequences of means over words, as GluonNLP's script has it: a word of a short
        # sentence weighs more.
        _one('tags', tag_loss),
        _one('multi_label', multi_label_loss),
        # Of a cross-encoder; labels are the relevance of each document, and for those of lists the
        # number of the list.
        _one('binary_cross_entropy', binary_cross_entropy),
        *(Objective(name, {'loss': LossTerm(*row)}) for name, row in LIST_LOSSES.items()),
        # Of a BertForPretraining; labels are the masked words and their weights (N, M).
        Objective('masked_words', {'masked_words': _MASKED_WORDS}, lazy_scores=True),
        # The same and, as third labels (N,), 0 where the second text follows the first.
        Objective(
            'pretraining',
            {'masked_words': _MASKED_WORDS, 'next_sentence': _NEXT_SENTENCE},
            lazy_scores=True,
        ),
        # The same, but 1 where the two segments are swapped (Lan et al., 2020, section 3.1).
        Objective(
            'sentence_order',
            {'masked_words': _MASKED_WORDS, 'sentence_order': _NEXT_SENTENCE},
            lazy_scores=True,
        ),
        # Of a BertForReplacedTokens (Clark et al., 2020, section 2: lambda is 50).
        Objective(
            'replaced_tokens',
            {
                'masked_words': _MASKED_WORDS,
                'replaced_tokens': LossTerm(
                    lambda outputs, words, weights, *others: replaced_token_loss(
                        outputs, words, weights
                    ),
                    count_tokens,
                    weight=50.0,
                ),
            },
        ),
    )
}
# Of vectors of sentences, with the options by default; pairs, and for 'triplet' triplets.
OBJECTIVES.update(
    {
        row.name: make_sentence_objective(row.name, max(2, row.columns[0]))
        for row in SENTENCE_LOSSES.values()
    }
)


def make_objective(loss: Union[str, Objective, Callable[..., mx.nd.NDArray]]) -> Objective:
    """Make an objective of a loss.

    Parameters
    ----------
    loss : Objective, str or callable
        A name of :data:`OBJECTIVES`; or ``loss(outputs, *labels)``, with one value for each
        sequence, shape (N,).

    Returns
    -------
    Objective

    Raises
    ------
    ValueError
        If there is no such name.
    """
    if isinstance(loss, Objective):
        return loss
    if not isinstance(loss, str):
        return _one(getattr(loss, '__name__', 'loss'), loss)
    if loss not in OBJECTIVES:
        raise unknown_name('loss', loss, OBJECTIVES)
    return OBJECTIVES[loss]


def as_tuple(labels: Any) -> Tuple[mx.nd.NDArray, ...]:
    """Make a tuple of the labels of a batch, which may be one array, or None."""
    if labels is None:
        return ()
    return tuple(labels) if isinstance(labels, (tuple, list)) else (labels,)
