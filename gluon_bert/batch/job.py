"""A stage over files, shard by shard: what is done is kept, and joined at the end."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union

from .._internal.checks import check_positive
from .._internal.files import atomic_path, expand_paths
from .._internal.progress import progress_bar
from .._internal.types import PathLike
from .._internal.work_folder import WorkFolder
from .._internal.workers import Workers, as_workers
from ..data.classification.parts import FilePart
from ..inference.digest import digest_of_json
from .shards import Shard, ShardWork, read_counts, state_of
from .stages import Stage

SHARD_SIZE = 1 << 20  # bytes of input
_MAX_SHARDS = 10_000  # about; shards of larger files are larger

logger = logging.getLogger(__name__)


class BatchSummary(NamedTuple):
    """Counts of a job; ``num_kept`` shards were complete when it began."""

    num_results: int
    num_cut: int
    num_shards: int
    num_kept: int


class ShardedJob(contextlib.AbstractContextManager):
    """The shards of a stage over files, for an engine of your own; else :func:`run_batch`.

    The shards and a description of the job are in the folder ``<output>.work`` until
    :meth:`join`. A job that was interrupted goes on if the next one is of the same inputs, model
    and options; another one is refused, and names what differs.

    Parameters
    ----------
    stage : Stage
    inputs : str, Path or sequence of them
        Files or patterns.
    output : str or Path
        A file for the results of one file of inputs, in their order; its ending says the form. Or a
        folder, for several: each gets a file of its own, with an ending more.
    shard_size : int
        Bytes of input in a shard, about; 1 MiB by default, more where there would be over 10000.
        Files that cannot be cut between lines are one shard.
    overwrite : bool
        Replace files of results, and start anew if the folder is of another job.
    form : str, optional
        Of the files of results, one of the stage's ``forms``; by default as the name of the file
        ends, in a folder the first.

    Raises
    ------
    FileExistsError, FileNotFoundError
    ValueError
        When it is entered: if a file of inputs is empty, has a line that is too long or would be
        overwritten, the form of the output is unknown, or the folder is of another job.

    Examples
    --------
    >>> with ShardedJob(stage, 'a.txt', 'a.jsonl') as job:  # doctest: +SKIP
    ...     for shard in job.missing():
    ...         job.work(shard)
    ...     job.join()
    """

    def __init__(
        self,
        stage: Stage,
        inputs: Any,
        output: PathLike,
        shard_size: Optional[int] = None,
        overwrite: bool = False,
        form: Optional[str] = None,
    ) -> None:
        check_positive(shard_size=shard_size)
        self.stage, self._overwrite = stage, overwrite
        self._inputs = [Path(path) for path in expand_paths(inputs)]
        self.outputs, self.form, self._made = _outputs(stage, self._inputs, os.fspath(output), form)
        total = sum(path.stat().st_size for path in self._inputs)
        self._size = shard_size or max(SHARD_SIZE, total // _MAX_SHARDS)
        self._work_path = os.fspath(output).rstrip(os.sep) + '.work'
        self._shards: list[list[Shard]] = []  # of each file of inputs
        self._folder: Any = None
        self._num_kept = 0

    def __enter__(self) -> ShardedJob:
        states = [state_of(path) for path in self._inputs]
        parts = [_cut(self.stage, path, self._size) for path in self._inputs]
        description = {
            'version': 1,
            'stage': self.stage.name,
            **self.stage.describe(),
            'shard_size': self._size,
            'output': [os.path.basename(path) for path in self.outputs],
            'inputs': [[path.name, *state] for path, state in zip(self._inputs, states)],
        }
        key = digest_of_json(description)
        self.work = ShardWork(self.stage, key)
        count, form = 0, self.stage.shard_form(self.form)
        for rows, state in zip(parts, states):
            self._shards.append([])
            for part in rows:
                place = os.path.join(self._work_path, f'{{}}-{key[:8]}-{count:06d}')
                files = place.format('shard') + f'.{form}', place.format('done')
                self._shards[-1].append(Shard(part, form, *files, state))
                count += 1
        if self._made is not None:
            os.makedirs(self._made, exist_ok=True)
        try:
            self._folder = WorkFolder(
                self._work_path, self.outputs, description, self._overwrite
            ).__enter__()
        except BaseException:
            self._remove_empty()
            raise
        self._num_kept = len(self.shards) - len(self.missing())
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._folder.__exit__(kind, error, trace)
        self._remove_empty()

    @property
    def shards(self) -> list[Shard]:
        """All shards, in the order of the inputs."""
        return [shard for row in self._shards for shard in row]

    def missing(self) -> list[Shard]:
        """List the shards whose results are not complete."""
        if self._folder.result is not None:
            return []
        return [shard for shard in self.shards if not os.path.exists(shard.marker)]

    def join(self) -> BatchSummary:
        """Join the results of all shards in order, and remove the folder when the job is left.

        Raises
        ------
        RuntimeError
            If a shard is not complete.
        """
        if self._folder.result is not None:
            return BatchSummary(*self._folder.result)
        missing = self.missing()
        if missing:
            raise RuntimeError(f'{len(missing)} of {len(self.shards)} shards are not complete')
        counts = []
        for path, shards in zip(self._inputs, self._shards):
            rows = [read_counts(shard) for shard in shards]
            if not any(row.num_results for row in rows):
                raise ValueError(f'{path}: is empty')
            counts += rows
        for output, shards in zip(self.outputs, self._shards):
            with atomic_path(output) as temporary:
                self.stage.join([shard.target for shard in shards], temporary, self.form)
        num_results, num_cut = (sum(column) for column in zip(*counts))
        summary = BatchSummary(num_results, num_cut, len(counts), self._num_kept)
        self._folder.end(list(summary))
        return summary

    def _remove_empty(self):
        if self._made is not None:
            with contextlib.suppress(OSError):
                os.rmdir(self._made)


def run_batch(
    stage: Stage,
    inputs: Any,
    output: PathLike,
    *,
    shard_size: Optional[int] = None,
    num_workers: Union[int, Workers] = 1,
    overwrite: bool = False,
    form: Optional[str] = None,
) -> BatchSummary:
    """Run a stage over files in processes of this machine, or on a cluster.

    The results are those of one process, whatever the shards and workers. An interrupted call is
    resumed by the same call: shards that are complete are kept.

    Parameters
    ----------
    stage, inputs, output, shard_size, overwrite, form
        As for :class:`ShardedJob`.
    num_workers : int or Workers
        Processes of this machine; or workers of another engine, such as
        ``Workers(8, engine='ray')``.

    Returns
    -------
    BatchSummary

    Raises
    ------
    FileExistsError, FileNotFoundError, ValueError
        As for :class:`ShardedJob`; or if an input cannot be read: the message names file and line.
    ChildProcessError
        If a worker ended, for lack of memory for instance, and no other could do its work.
    ModuleNotFoundError
        If the engine is not installed.

    Examples
    --------
    >>> import gluon_bert as gb
    >>> from gluon_bert.batch import EmbedStage, Workers, run_batch
    >>> stage = EmbedStage(gb.SentenceEncoder('all_minilm_l6_v2'))
    >>> run_batch(stage, 'lines.txt', 'lines.npy', num_workers=2)  # doctest: +SKIP
    """
    workers = as_workers(num_workers)
    with ShardedJob(stage, inputs, output, shard_size, overwrite, form) as job:
        missing = job.missing()
        if 0 < len(missing) < workers.num_workers:
            counts = len(missing), workers.num_workers
            logger.warning('%d shards: only as many of the %d workers have work', *counts)
        total = sum(shard.size for shard in missing)
        with progress_bar('inputs', total, unit='B', unit_scale=True) as bar:
            for _ in workers.run(job.work, missing, bar.update):
                pass
        return job.join()


def _outputs(stage, inputs, output, form):
    """Files of results, their form, and the folder to make for them, if any."""
    is_folder = len(inputs) > 1 or os.path.isdir(output) or output.endswith(os.sep)
    if form is None:
        form = stage.forms[0] if is_folder else os.path.splitext(output)[1][1:].lower()
    if form not in stage.forms:
        raise ValueError(
            f'{output}: expected a name that ends in one of '
            f'{", ".join("." + name for name in stage.forms)}, or a folder'
        )
    if is_folder and os.path.exists(output) and not os.path.isdir(output):
        raise ValueError(
            f'{output}: is a file, expected a folder for {len(inputs)} files of results'
        )
    parent = os.path.dirname(os.path.abspath(output.rstrip(os.sep)))
    if not os.path.isdir(parent):
        raise ValueError(f'{output}: there is no folder {parent}')
    outputs = _names(inputs, output, form) if is_folder else [output]
    for name in outputs:
        for path in inputs:
            if os.path.exists(name) and path.samefile(name):
                raise ValueError(f'{name}: is a file of inputs, which would be overwritten')
    return outputs, form, output if is_folder and not os.path.isdir(output) else None


def _names(inputs, folder, form):
    names: dict[str, Path] = {}
    for path in inputs:
        name = os.path.join(folder, f'{path.name}.{form}')
        if name in names:
            raise ValueError(f'{names[name]} and {path}: both would have results in {name}')
        names[name] = path
    return [*names]


def _cut(stage, path, size):
    if path.is_dir():
        raise ValueError(f'{path}: is a folder')
    parts = stage.cut(path, size)
    if not parts or not path.stat().st_size:
        raise ValueError(f'{path}: is empty')
    if len(parts) == 1 and not isinstance(parts[0], FilePart) and path.stat().st_size > 2 * size:
        logger.warning('%s: is one shard: a file of its form is not cut between lines', path)
    return parts
