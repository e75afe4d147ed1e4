"""The steps of a pipeline's call: inputs to sequences, and outputs that are computed already."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple, Optional

import numpy as np

from ..data.features import Features
from ..data.streams import Call
from ..kernels.top_words import TopWords

Progress = Optional[Callable[[int], Any]]


class PipelineCall(Call):
    """One call of a pipeline: what computes it, and who hears of its progress.

    Parameters
    ----------
    make_predictor : callable
        Returns the Predictor; called when the first block is computed.
    progress : callable, optional
        ``progress(count)`` is called with the number of inputs done since its last call.
    """

    def __init__(self, make_predictor: Callable[[], Any], progress: Progress = None) -> None:
        self._make_predictor, self._progress = make_predictor, progress

    @functools.cached_property
    def predictor(self) -> Any:
        """The fast form of the network, the same for the whole call."""
        return self._make_predictor()

    def advance(self, count: int) -> None:
        """Report that so many more inputs are done."""
        if self._progress is not None:
            self._progress(count)


class Prepared(NamedTuple):
    """Inputs of a pipeline as the sequences that its network reads.

    ``positions`` says where words are masked in each sequence, for a network that reads it;
    ``num_cut`` is the number of inputs that were cut; ``blocks`` is what the pipeline makes the
    results of.
    """

    features: list[Features]
    positions: Optional[list]
    num_cut: int
    blocks: list[tuple]

    @classmethod
    def join(cls, blocks: list[tuple], parts: list[tuple]) -> Prepared:
        """Join the (features, positions, num_cut) of each block."""
        features: list = []
        positions: list = []
        for more, places, _ in parts:
            features += more
            positions += places or []
        return cls(features, positions or None, sum(part[2] for part in parts), blocks)


class ComputedOutputs:
    """A stand-in for a Predictor whose outputs are computed already.

    Parameters
    ----------
    features : sequence of Features
    outputs : sequence
        One for each of them.
    """

    def __init__(self, features: Sequence[Features], outputs: Sequence[Any]) -> None:
        self._outputs, self._first = list(outputs), 0
        self._numbers = {id(feature): number for number, feature in enumerate(features)}

    def batches(
        self, features: Sequence[Features], batch_size: int = 32
    ) -> Iterator[tuple[np.ndarray, list]]:
        """Yield the outputs of the next sequences, as one batch of a Predictor."""
        first, self._first = self._first, self._first + len(features)
        if len(features):
            yield np.arange(len(features)), self._outputs[first : self._first]

    def batch(self, features: Sequence[Features], positions: Any = None) -> Any:
        """Return the outputs of some of the sequences as those of the next-sentence head."""
        return SimpleNamespace(next_sentence=self._rows(features))

    def top_words(
        self, features: Sequence[Features], positions: Any, k: int, num_words: int
    ) -> list[TopWords]:
        """Return the first ``k`` of the best words that are computed for some of the sequences.

        Raises
        ------
        ValueError
            If there are fewer.
        """
        best = self._rows(features)
        most = min((words.ids.shape[1] for words in best), default=k)
        if k > most:
            raise ValueError(f'top_k={k}: the outputs have the best {most} words for each mask')
        return [TopWords(ids[:, :k], scores[:, :k], sums) for ids, scores, sums in best]

    def _rows(self, features):
        return [self._outputs[self._numbers[id(feature)]] for feature in features]
