"""A shard of a job: a part of a file of inputs, and the work that makes its results."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union

from .._internal.files import atomic_path, write_text
from .._internal.json import read_object
from ..data.classification.parts import FilePart
from ..inference.digest import digest_of_json
from .stages import Stage


class Shard(NamedTuple):
    """A part of a file of inputs, and where its results go."""

    source: Union[FilePart, Path]
    form: str
    target: str
    marker: str
    """File that is there when the results are complete, with their counts."""
    state: tuple[int, int]
    """Size and time of the file of inputs, which must not change."""

    @property
    def size(self) -> int:
        """Bytes of the inputs."""
        if isinstance(self.source, FilePart):
            return self.source.end - self.source.start
        return self.state[0]


class ShardCounts(NamedTuple):
    """Numbers of results, and of inputs that were cut for being too long."""

    num_results: int
    num_cut: int


# Digest -> stage that was unpickled in this process, the last one.
_OPENED: dict[str, Stage] = {}


class ShardWork:
    """Make the results of a shard; what is complete is kept.

    It can be pickled, by any engine: the stage travels with it, and is made once in a process.

    Parameters
    ----------
    stage : Stage
    key : str
        A digest of what the results depend on.
    """

    def __init__(self, stage: Stage, key: str) -> None:
        self._stage: Optional[Stage] = stage
        self._key, self._pickled = key, b''
        self._described = digest_of_json(stage.describe())

    def __reduce__(self) -> tuple:
        pickled = self._pickled or pickle.dumps(self._stage)
        return _restore, (pickled, self._key, self._described)

    def __call__(self, shard: Shard, report: Optional[Callable[[int], Any]] = None) -> ShardCounts:
        """Make the results of a shard.

        Parameters
        ----------
        shard : Shard
        report : callable, optional
            Is called with the number of bytes of input that are done.

        Returns
        -------
        ShardCounts

        Raises
        ------
        ValueError, OSError
            If an input cannot be read; the message names file and line. Or if the file of the
            inputs has changed.
        """
        if not os.path.exists(shard.marker):
            if state_of(shard.source) != shard.state:
                raise ValueError(f'{shard.source}: has changed since the job began')
            with atomic_path(shard.target) as temporary:
                counts = ShardCounts(*self._open().write(shard.source, temporary, shard.form))
            write_text(shard.marker, json.dumps(counts._asdict()))
        if report is not None:
            report(shard.size)
        return read_counts(shard)

    def _open(self) -> Stage:
        if self._stage is None:
            if self._key not in _OPENED:
                stage = pickle.loads(self._pickled)
                if digest_of_json(stage.describe()) != self._described:
                    raise ValueError('the model has changed since the job began')
                _OPENED.clear()
                _OPENED[self._key] = stage
            self._stage = _OPENED[self._key]
        return self._stage


def _restore(pickled, key, described):
    work = ShardWork.__new__(ShardWork)
    work._stage, work._pickled, work._key, work._described = None, pickled, key, described
    return work


def state_of(path: Any) -> tuple[int, int]:
    """Return the size and the time of a file."""
    stat = os.stat(path)
    return stat.st_size, stat.st_mtime_ns


def read_counts(shard: Shard) -> ShardCounts:
    """Read the counts of a shard that is complete."""
    return ShardCounts(**read_object(shard.marker))
