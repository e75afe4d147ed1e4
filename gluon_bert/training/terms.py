"""Sums of losses with their counts: the terms of an :class:`Objective`.

A loss is a function of the network's outputs and of the arrays of labels; it gives an array of
values, of which the sum is taken. An :class:`Objective` is a row of such losses, each with the
count that its mean is over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, ClassVar, Dict, Mapping, NamedTuple, Optional, Sequence

import mxnet as mx
from mxnet import autograd


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
    compares : bool
        The losses compare the examples of a batch with each other, so that they depend on where it
        is cut.
    """

    name: str
    terms: Dict[str, LossTerm]
    lazy_scores: bool = False
    compares: bool = False

    adds_gradients: ClassVar[bool] = False
    """Whether :meth:`gradients` adds to the present gradients even for one batch."""

    @property
    def takes_encoder(self) -> bool:
        """True if the network's encodings may be those of a :class:`.NativeTrainer`."""
        return True

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

    def outputs(
        self,
        network: Callable[..., Any],
        inputs: Sequence[mx.nd.NDArray],
        encoder: Optional[object] = None,
    ) -> Any:
        """Run the network: what the losses get first; the arguments are those of :meth:`sums`."""
        return network(*inputs) if encoder is None else network(*inputs, encoder=encoder)

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
        outputs = self.outputs(network, inputs, encoder)
        losses = {name: term.loss(outputs, *labels) for name, term in self.terms.items()}
        for name, values in losses.items():
            # A mean over the batch would be divided by its size a second time.
            if self.terms[name].count is count_sequences and len(values) != len(inputs[0]):
                raise ValueError(
                    f'{name} has shape {values.shape}: expected one value for each of '
                    f'{len(inputs[0])} sequences'
                )
        return {name: values.sum() for name, values in losses.items()}

    def gradients(
        self,
        network: Callable[..., Any],
        inputs: Sequence[mx.nd.NDArray],
        labels: Sequence[mx.nd.NDArray],
        totals: Mapping[str, float],
        encoder: Optional[object] = None,
        counts: bool = True,
    ) -> Dict[str, mx.nd.NDArray]:
        """Compute the gradients of the network's parameters on a batch.

        Parameters
        ----------
        network, inputs, labels, encoder
            As for :meth:`sums`.
        totals : mapping of str to float
            What the sum of each term is divided by.
        counts : bool
            False: the gradients are 0, of a share that only takes part.

        Returns
        -------
        dict of str to NDArray
            What the batch adds to the mean of each term.
        """
        with autograd.record():
            sums = self.sums(network, inputs, labels, encoder)
            terms = {name: value / totals[name] for name, value in sums.items()}
            if not counts:
                terms = {name: term * 0 for name, term in terms.items()}
            loss = self.weighted(terms)
        loss.backward()
        return terms

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
