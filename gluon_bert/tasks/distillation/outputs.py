"""The outputs of a teacher for the sequences of a data set, from a file or computed anew."""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np

from ..._internal.progress import progress_bar
from ...data.dataset import digest_of
from ...data.features import Features
from ...training.distillation_objective import LayerPairs
from .cache import WrongCache, read_rows, write_rows
from .teacher import Teacher

logger = logging.getLogger(__name__)

Batches = Callable[[Sequence[Features]], Iterator[tuple[np.ndarray, Any]]]


class TeacherOutputs:
    """One sort of outputs of a teacher, a row for each sequence or for each token.

    Parameters
    ----------
    compute : callable
        ``compute(features)`` gives the outputs batch by batch, see :meth:`.Teacher.scores`.
    features : list of Features
    width : int
        Numbers in a row.
    of_tokens : bool
        Whether there is a row for each token.
    path : Path, optional
        File that keeps the rows, made when the first are asked for; without it they are computed
        each time.
    key : str
        What the rows depend on.
    overwrite : bool
        Replace a file of other rows.
    """

    def __init__(
        self,
        compute: Batches,
        features: list[Features],
        width: int,
        of_tokens: bool,
        path: Optional[Path] = None,
        key: str = '',
        overwrite: bool = False,
    ) -> None:
        self._compute, self._features, self._path, self._key = compute, features, path, key
        self._overwrite = overwrite
        lengths = [feature.valid_length if of_tokens else 1 for feature in features]
        self._bounds = np.concatenate([[0], np.cumsum(lengths)])
        self._shape = int(self._bounds[-1]), width
        self._of_tokens = of_tokens

    def check(self) -> None:
        """Raise ValueError if the file is there, is not to be replaced, and has other rows."""
        if self._path is not None and self._path.exists() and not self._overwrite:
            read_rows(self._path, self._key, self._shape)

    def load(self, indices: Sequence[int], length: int) -> np.ndarray:
        """Load the rows of sequences.

        Parameters
        ----------
        indices : sequence of int
        length : int
            Number T of tokens to which they are padded.

        Returns
        -------
        numpy.ndarray, shape (N, K), or (N, T, K) with a row for each token; 0 in the padding
        """
        if self._path is None:
            features = [self._features[number] for number in indices]
            found: list = [None] * len(features)
            for numbers, rows in self._compute(features):
                for number, row in zip(numbers, rows):
                    found[number] = np.reshape(row, (-1, self._shape[1]))
        else:
            found = [self._stored[slice(*self._bounds[number : number + 2])] for number in indices]
        if not self._of_tokens:
            return np.concatenate(found)
        padded = np.zeros((len(found), length, self._shape[1]), 'float32')
        for target, row in zip(padded, found):
            target[: len(row)] = row
        return padded

    @functools.cached_property
    def _stored(self):
        assert self._path is not None
        if self._path.exists():
            try:
                return read_rows(self._path, self._key, self._shape)
            except WrongCache:
                if not self._overwrite:
                    raise
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_rows(self._path, self._key, self._shape, self._blocks())
        logger.info('outputs of the teacher: %s', self._path)
        return read_rows(self._path, self._key, self._shape)

    def _blocks(self):
        with progress_bar('teacher', len(self._features)) as bar:
            for indices, rows in self._compute(self._features):
                for number, row in zip(indices, rows):
                    yield int(self._bounds[number]), np.reshape(row, (-1, self._shape[1]))
                bar.update(len(indices))


def outputs_key(teacher: Teacher, features: list[Features], layers: Optional[LayerPairs]) -> str:
    """Compute a digest of all that the outputs of a teacher depend on."""
    parts = (
        teacher.digest,
        digest_of([feature.inputs for feature in features]),
        digest_of([feature.token_types for feature in features]),
        layers if layers is None else (layers.hidden, layers.relations),
        {name: teacher.settings.get(name) for name in ('pooling', 'normalize')},
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
