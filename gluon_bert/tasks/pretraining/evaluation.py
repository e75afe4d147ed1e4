"""Losses and accuracies of pre-training on held-out records, and on batches of the training."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import islice
from typing import Any, Optional

from ...inference.devices import devices_of
from ...kernels.training import make_trainer
from ...training.batches import Batch, read_batches
from ...training.masked_words import masked_word_loss_and_hits
from ...training.objectives import OBJECTIVES, cross_entropy
from ...training.replaced_tokens import replaced_labels, replaced_token_loss
from .objectives import PretrainingObjective


def evaluate(
    network: Any,
    row: PretrainingObjective,
    batches: Iterable[Any],
    encoder: Any = None,
    limit: Optional[int] = None,
) -> dict[str, float]:
    """Compute the losses and accuracies of batches.

    Parameters
    ----------
    network : BertForPretraining or BertForReplacedTokens
    row : PretrainingObjective
    batches : iterable of (inputs, labels)
    encoder : NativeTrainer, optional
        Passed to the network.
    limit : int, optional
        Batches at most.

    Returns
    -------
    dict of str to float
        Accuracy and loss of each term by Google's names, 'masked_lm_accuracy' first: means over
        masked words, sequences or tokens, whatever the batches.

    Raises
    ------
    ValueError
        If there is nothing to count.
    """
    totals = add_up(network, row, filter(None, read_batches(batches)), encoder, limit)
    if not all(count for _, _, count in totals.values()):
        raise ValueError('the held-out data have no masked word')
    return metrics_of(row, totals)


def add_up(
    network: Any,
    row: PretrainingObjective,
    batches: Iterable[Batch],
    encoder: Any = None,
    limit: Optional[int] = None,
) -> dict[str, list[float]]:
    """Add up hits, losses and counts of batches by term; the arguments are as above."""
    totals = {name: [0.0, 0.0, 0.0] for name in OBJECTIVES[row.loss].terms}
    for batch in islice(batches, limit):
        for name, values in _sums(network, row, batch, encoder).items():
            totals[name] = [sum(pair) for pair in zip(values, totals[name])]
    return totals


def metrics_of(row: PretrainingObjective, totals: dict[str, list[float]]) -> dict[str, float]:
    """Compute the means of what :func:`add_up` gives; NaN where nothing was counted."""
    metrics = {}
    for term, (hits, loss, count) in totals.items():
        name = row.terms[term][0]
        for figure, value in (('accuracy', hits), ('loss', loss)):
            metrics[f'{name}_{figure}'] = value / count if count else math.nan
    return metrics


def make_encoder(network: Any, row: PretrainingObjective) -> Any:
    """Make what computes the encodings in an evaluation, where the kernels can."""
    return make_trainer(network, lazy_scores=OBJECTIVES[row.loss].lazy_scores)


def _sums(network, row, batch: Batch, encoder):
    """Hits, summed losses and counts of a batch, by term."""
    objective = OBJECTIVES[row.loss]
    device = devices_of(network)[0]
    inputs, labels = (
        tuple(array.as_in_context(device) for array in arrays)
        for arrays in (batch.inputs, batch.labels)
    )
    counts = objective.counts(inputs, labels)
    outputs = network(*inputs) if encoder is None else network(*inputs, encoder=encoder)
    sums = {}
    for name in objective.terms:
        figures = _FIGURES[name](outputs, *labels)
        loss, hits = (float(array.sum().asscalar()) for array in figures)
        sums[name] = hits, loss, counts[name]
    return sums


def _masked_words(outputs, words, weights, *others):
    return masked_word_loss_and_hits(outputs.masked_lm, words, weights)


def _pairs(outputs, words, weights, labels):
    scores = outputs.next_sentence
    return cross_entropy(scores, labels), scores.argmax(axis=1) == labels


def _tokens(outputs, words, weights, *others):
    """Losses of all tokens, and where it is right that one is replaced or not."""
    labels = replaced_labels(outputs, words, weights)
    hits = ((outputs.replaced > 0) == labels) * outputs.valid
    return replaced_token_loss(outputs, words, weights), hits


# Term of the loss -> losses, and 1 where the network is right.
_FIGURES = {
    'masked_words': _masked_words,
    'next_sentence': _pairs,
    'sentence_order': _pairs,
    'replaced_tokens': _tokens,
}
