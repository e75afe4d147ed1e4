"""The chain of tags: which may follow each other, the best ones, and how probable each is.

K tags, W words.
"""

from __future__ import annotations

from typing import Any, List, NamedTuple, Sequence

import numpy as np

from .._internal.numerics import softmax
from ..checkpoint.schema import Checkpoint
from ..data.ner.transitions import valid_transitions

FORBIDDEN = -1e4  # as good as minus infinity, and its gradient is 0, not NaN


class ChainScores(NamedTuple):
    """The scores of a linear-chain CRF: ``transitions`` (K, K), ``begin`` (K,) and ``end`` (K,)."""

    transitions: np.ndarray
    begin: np.ndarray
    end: np.ndarray

    def add(self, transitions: np.ndarray, begin: np.ndarray, end: np.ndarray) -> ChainScores:
        """Return the sums of these scores and others."""
        return ChainScores(self.transitions + transitions, self.begin + begin, self.end + end)

    def decode(self, emissions: np.ndarray) -> np.ndarray:
        """Find the best tags of a sentence that are a valid sequence (Viterbi, 1967).

        Parameters
        ----------
        emissions : numpy.ndarray, shape (W, K)

        Returns
        -------
        numpy.ndarray of int, shape (W,)
        """
        return viterbi(emissions, *self)

    def probabilities(self, emissions: np.ndarray) -> np.ndarray:
        """Compute the probability of each tag of each word, over all sequences of tags.

        Parameters
        ----------
        emissions : numpy.ndarray, shape (W, K)

        Returns
        -------
        numpy.ndarray, shape (W, K)
        """
        return marginals(emissions, *self)


def penalties(num_tags: int, transitions: Any = None) -> ChainScores:
    """Compute what is added to the scores of a chain: 0, or ``FORBIDDEN`` where not valid.

    Parameters
    ----------
    num_tags : int
    transitions : Transitions, optional
        Which tags may follow each other, begin and end a sentence; all by default.

    Returns
    -------
    ChainScores

    Raises
    ------
    ValueError
        If the shapes do not fit, or no tag may begin or end a sentence.
    """
    if num_tags < 1:
        raise ValueError(f'num_tags={num_tags}: expected 1 or more')
    shapes = {'between': (num_tags, num_tags), 'begin': (num_tags,), 'end': (num_tags,)}
    masks = transitions or map(np.ones, shapes.values())
    found = []
    for (name, shape), mask in zip(shapes.items(), masks):
        if np.shape(mask) != shape:
            raise ValueError(f'transitions.{name} has shape {np.shape(mask)}, expected {shape}')
        if not np.any(mask):
            raise ValueError(f'transitions.{name} allows nothing')
        found.append(np.where(np.asarray(mask, bool), 0, FORBIDDEN).astype('float32'))
    return ChainScores(*found)


def viterbi(
    emissions: np.ndarray, transitions: np.ndarray, begin: np.ndarray, end: np.ndarray
) -> np.ndarray:
    """Find the tags with the highest score.

    Parameters
    ----------
    emissions : numpy.ndarray, shape (W, K)
        W is 0 or more.
    transitions : numpy.ndarray, shape (K, K)
        From the first to the second tag.
    begin, end : numpy.ndarray, shape (K,)

    Returns
    -------
    numpy.ndarray of int, shape (W,)

    Examples
    --------
    >>> forbidden = np.array([[0, -1e4], [0, 0]])
    >>> viterbi(np.array([[1.0, 0.0], [0.0, 5.0]]), forbidden, np.zeros(2), np.zeros(2)).tolist()
    [1, 1]
    """
    emissions = np.asarray(emissions, 'float64')
    if not len(emissions):
        return np.zeros(0, int)
    score, sources = emissions[0] + begin, []  # (K,)
    for emission in emissions[1:]:
        paths = score[:, None] + transitions  # (K, K)
        sources.append(paths.argmax(axis=0))
        score = paths.max(axis=0) + emission
    best = [int((score + end).argmax())]
    for source in reversed(sources):
        best.append(int(source[best[-1]]))
    return np.array(best[::-1])


def marginals(
    emissions: np.ndarray, transitions: np.ndarray, begin: np.ndarray, end: np.ndarray
) -> np.ndarray:
    """Compute the probability of each tag of each word: the forward-backward algorithm.

    Parameters
    ----------
    emissions, transitions, begin, end
        As for :func:`viterbi`.

    Returns
    -------
    numpy.ndarray, shape (W, K)
        Each row sums to 1.

    Examples
    --------
    >>> marginals(np.zeros((2, 2)), np.zeros((2, 2)), np.zeros(2), np.log([1, 3])).round(6).tolist()
    [[0.5, 0.5], [0.25, 0.75]]
    """
    emissions = np.asarray(emissions, 'float64')
    before, after = np.zeros_like(emissions), np.zeros_like(emissions)  # (W, K)
    if not len(emissions):
        return emissions
    before[0], after[-1] = begin, end
    for word in range(1, len(emissions)):
        before[word] = np.logaddexp.reduce(
            (before[word - 1] + emissions[word - 1])[:, None] + transitions, axis=0
        )
    for word in range(len(emissions) - 2, -1, -1):
        after[word] = np.logaddexp.reduce(
            transitions + emissions[word + 1] + after[word + 1], axis=1
        )
    total = before + emissions + after
    with np.errstate(invalid='ignore'):  # infinite emissions of a damaged network give NaN
        return np.exp(total - np.logaddexp.reduce(total, axis=1, keepdims=True))


def best_tags(network: Any, scores: Sequence[np.ndarray]) -> List[np.ndarray]:
    """Choose the best tags of sentences, by number.

    Parameters
    ----------
    network : BertTagger, BertCrfTagger or TrainedNetwork
        With a CRF the best valid sequence, else the best tag of each word.
    scores : list of numpy.ndarray, shape (words, K)
        Of the words of each sentence, see :func:`.join_windows`.

    Returns
    -------
    list of numpy.ndarray of int, shape (words,)
    """
    crf = getattr(network, 'crf', None)
    if crf is not None:
        return [crf.decode(row) for row in scores]
    return [row.argmax(axis=1) if len(row) else np.zeros(0, int) for row in scores]


def tag_probabilities(network: Any, scores: np.ndarray) -> np.ndarray:
    """Compute the probability of each tag of each word of a sentence.

    Parameters
    ----------
    network : BertTagger, BertCrfTagger or TrainedNetwork
        With a CRF, over all sequences of tags.
    scores : numpy.ndarray, shape (words, K)
        As for :func:`best_tags`.

    Returns
    -------
    numpy.ndarray, shape (words, K)
    """
    crf = getattr(network, 'crf', None)
    return softmax(scores) if crf is None else crf.probabilities(scores)


def transitions_of(checkpoint: Checkpoint) -> Any:
    """Tell which tags may follow each other, from the task of a checkpoint; None if it has none."""
    scheme = (checkpoint.task or {}).get('scheme')
    return valid_transitions(checkpoint.labels, scheme) if scheme else None
