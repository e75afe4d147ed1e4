"""Train an encoder on few examples by pairs of them (SetFit: Tunstall et al., 2022)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mxnet import nd

from ..modeling.embedder import BertEmbedder
from ..training import TrainingOptions, fit
from ..training.sentence_objectives import make_sentence_objective

logger = logging.getLogger(__name__)


def choose_examples(
    labels: Sequence[int], names: Sequence[str], count: int, seed: int
) -> list[int]:
    """Choose a number of examples of each class.

    Parameters
    ----------
    labels : sequence of int
    names : sequence of str
        Of the classes, for the message.
    count : int
        Of each class.
    seed : int

    Returns
    -------
    list of int
        Their numbers, in order.

    Raises
    ------
    ValueError
        If a class has fewer.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    chosen: list[int] = []
    for label in sorted(set(labels)):
        members = [int(i) for i in order if labels[i] == label]
        if len(members) < count:
            raise ValueError(
                f'class {names[label]!r} has {len(members)} examples, '
                f'few_shot={count} needs as many'
            )
        chosen += members[:count]
    return sorted(chosen)


def make_pairs(labels: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pair each example with some of its class and some of the others.

    Parameters
    ----------
    labels : numpy.ndarray, shape (N,)
        Two examples of each class, or more.
    count : int
        Pairs of either sort for each example.
    seed : int

    Returns
    -------
    pairs : numpy.ndarray of int, shape (2 * N * count, 2)
    scores : numpy.ndarray, shape (2 * N * count,)
        1 for two of one class, else 0.
    """
    draw = np.random.default_rng(seed)
    pairs, scores = [], []
    numbers = np.arange(len(labels))
    for number, label in enumerate(labels):
        same = numbers[(labels == label) & (numbers != number)]
        for partners, score in ((same, 1.0), (numbers[labels != label], 0.0)):
            # Each partner once before any is drawn again.
            rounds = [draw.permutation(partners) for _ in range(-(-count // len(partners)))]
            pairs += [(number, partner) for partner in np.concatenate(rounds)[:count]]
            scores += [score] * count
    return np.array(pairs), np.array(scores, 'float32')


class PairData:
    """Batches of pairs of texts with scores: the first texts, and below them the second ones.

    Parameters
    ----------
    data : SequenceData
        With the texts; its batch size is that of pairs.
    pairs : numpy.ndarray of int, shape (pairs, 2)
    scores : numpy.ndarray, shape (pairs,)
    seed : int
        Of their order.
    """

    def __init__(self, data: Any, pairs: np.ndarray, scores: np.ndarray, seed: int) -> None:
        self._data, self._pairs, self._scores, self._seed = data, pairs, scores, seed

    def __len__(self) -> int:
        return len(self._pairs)

    def fingerprint(self) -> dict[str, Any]:
        """Describe what the batches depend on; see :meth:`.SequenceData.fingerprint`."""
        return {
            **self._data.fingerprint(),
            'pairs': self._pairs.tolist(),
            'scores': self._scores.tolist(),
            'pair_seed': self._seed,
        }

    def training_batches(self, epoch: int) -> list[np.ndarray]:
        """Shuffle the pairs by seed and epoch: list of index arrays."""
        order = np.random.default_rng([self._seed, epoch]).permutation(len(self._pairs))
        size = self._data.batch_size
        return [order[begin : begin + size] for begin in range(0, len(order), size)]

    def load(self, indices: Sequence[int]) -> tuple[tuple, Any]:
        """Load a batch: inputs of 2 N sequences, and the scores (N,)."""
        numbers = self._pairs[np.asarray(indices)].T.ravel()
        return self._data.load(numbers)[0], nd.array(self._scores[np.asarray(indices)])


def train_contrastive(
    network: Any,
    data: Any,
    options: TrainingOptions,
    folder: Path,
    pairs: int,
    resume: bool = False,
    overwrite: bool = False,
) -> None:
    """Train the encoder of a classifier so that texts of one class have a cosine of 1, others of 0.

    Parameters
    ----------
    network : VectorClassifier
    data : SequenceData
        With the classes as labels.
    options : TrainingOptions
    folder : Path
        Of the run.
    pairs : int
        See :func:`make_pairs`.
    resume, overwrite : bool
        As for :func:`.fit`.
    """
    numbers, scores = make_pairs(np.asarray(data.labels), pairs, options.seed)
    examples = PairData(data, numbers, scores, options.seed)
    logger.info('%d pairs of %d texts', len(examples), len(data))
    fit(
        BertEmbedder(network.bert, (network.pooling,), network.normalize),
        examples,
        make_sentence_objective('cosine'),
        options,
        folder,
        resume=resume,
        overwrite=overwrite,
    )
