"""Losses, and the objectives that :func:`.fit` minimises.

A loss is a function of the network's outputs and of the arrays of labels; it gives an array of
values, of which the sum is taken. An :class:`Objective` is a row of such losses, each with the
count that its mean is over. :data:`OBJECTIVES` holds the rows by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import mxnet as mx

from .._internal.suggestions import unknown_name
from .labels import FINITE, FLAGS, check_labels, class_limits, position_limits, tag_limits
from .masked_words import masked_word_loss as masked_word_loss
from .replaced_tokens import replaced_token_loss


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


class Term(NamedTuple):
    """One loss of a batch: ``sum``, an NDArray of shape (1,), and the ``count`` of its mean."""

    sum: mx.nd.NDArray
    count: float  # type: ignore[assignment]


def count_sequences(inputs: Sequence[mx.nd.NDArray], labels: Sequence[mx.nd.NDArray]) -> int:
    """Count the sequences of a batch."""
    return len(inputs[0])


def count_tokens(inputs: Sequence[mx.nd.NDArray], labels: Sequence[mx.nd.NDArray]) -> float:
    """Count the tokens of a batch: add up the lengths, its third array of inputs."""
    return float(inputs[2].sum().asscalar())


def count_masked_words(inputs: Sequence[mx.nd.NDArray], labels: Sequence[mx.nd.NDArray]) -> float:
    """Count the masked words of a batch: add up their weights, its second array of labels."""
    return float(labels[1].sum().asscalar())


@dataclass(frozen=True)
class LossTerm:
    """One loss of an objective.

    Parameters
    ----------
    loss : callable
        ``loss(outputs, *labels)`` gives values that are added up: one for each sequence, (N,), or
        one for each thing that is counted.
    count : callable
        ``count(inputs, labels)`` is what the mean of a batch is over.
    weight : float
        Of the mean in the sum of the terms.
    """

    loss: Callable[..., mx.nd.NDArray]
    count: Callable[..., float] = count_sequences
    weight: float = 1.0


@dataclass(frozen=True)
class Objective:
    """The weighted sum of some terms, each a mean over what it counts, which training minimises.

    Sums and counts are added up over the batches of a step, its devices and its processes, and
    divided only then. So the mean is over all that a step counts, wherever the cuts fall.

    Parameters
    ----------
    name : str
    terms : dict of str to LossTerm
    lazy_scores : bool
        The losses give the output ``masked_lm`` to :func:`.masked_word_loss` and no other function,
        so that it need not be an array: with the native kernels it is a
        :class:`~gluon_bert.kernels.masked_words.MaskedScores`.
    """

    name: str
    terms: Dict[str, LossTerm]
    lazy_scores: bool = False

    def weighted(self, terms: Mapping[str, Any]) -> Any:
        """Add up the terms of the loss, NDArrays or numbers, with their weights."""
        first, *others = (
            value if self.terms[name].weight == 1 else value * self.terms[name].weight
            for name, value in terms.items()
        )
        for other in others:
            first = first + other
        return first

    def counts(
        self, inputs: Sequence[mx.nd.NDArray], labels: Sequence[mx.nd.NDArray]
    ) -> Dict[str, float]:
        """Count what the mean of each term is over, from a batch alone."""
        return {name: term.count(inputs, labels) for name, term in self.terms.items()}

    def sums(
        self,
        network: Callable[..., Any],
        inputs: Sequence[mx.nd.NDArray],
        labels: Sequence[mx.nd.NDArray],
        encoder: Optional[object] = None,
    ) -> Dict[str, mx.nd.NDArray]:
        """Compute the sum of each term, an NDArray of shape (1,).

        Parameters
        ----------
        network : BertBlock
        inputs, labels : sequence of NDArray
            Of a batch, or of a device's share of one.
        encoder : NativeTrainer, optional
            Passed to the network's call.

        Raises
        ------
        ValueError
            If a loss that is a mean over sequences has not one value for each.
        """
        outputs = network(*inputs) if encoder is None else network(*inputs, encoder=encoder)
        losses = {name: term.loss(outputs, *labels) for name, term in self.terms.items()}
        for name, values in losses.items():
            # A mean over the batch would be divided by its size a second time.
            if self.terms[name].count is count_sequences and len(values) != len(inputs[0]):
                raise ValueError(
                    f'{name} has shape {values.shape}: expected one value for each of '
                    f'{len(inputs[0])} sequences'
                )
        return {name: values.sum() for name, values in losses.items()}

    def __call__(
        self,
        network: Callable[..., Any],
        inputs: Sequence[mx.nd.NDArray],
        labels: Sequence[mx.nd.NDArray],
        encoder: Optional[object] = None,
    ) -> Dict[str, Term]:
        """Compute the terms of a batch: the arguments are those of :meth:`sums`.

        Returns
        -------
        dict of str to Term
        """
        counts = self.counts(inputs, labels)
        sums = self.sums(network, inputs, labels, encoder)
        return {name: Term(value, counts[name]) for name, value in sums.items()}


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
