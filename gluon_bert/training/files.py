"""Files of a training run, and its result."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional, Tuple

from .._internal.files import remove_leftovers, write_text

STATE_FILE = 'training_state.safetensors'
METRICS_FILE = 'metrics.jsonl'
CURVE_FILE = 'training_curve.png'
RESULT_FILE = 'result.json'
RESULT_VERSION = 2  # 0.1 wrote no version, and counted epochs from 0


class FitResult(NamedTuple):
    """Result of :func:`.fit`.

    ``best_epoch`` counts from 0; ``best_metrics`` are its evaluation, empty without one;
    ``best_path`` is the file with its parameters; ``steps`` is the number of steps made in all.
    """

    best_epoch: int
    best_metrics: Dict[str, float]
    best_path: Path
    steps: int


@dataclass(frozen=True)
class RunFiles:
    """The files of a training run.

    Parameters
    ----------
    folder : Path
    name : str
        Stem of the files of parameters.
    """

    folder: Path
    name: str = 'model'

    @property
    def state(self) -> Path:
        """The state of the run, until it is complete."""
        return self.folder / STATE_FILE

    @property
    def metrics(self) -> Path:
        """The log."""
        return self.folder / METRICS_FILE

    @property
    def curve(self) -> Path:
        """The picture of the log."""
        return self.folder / CURVE_FILE

    @property
    def result(self) -> Path:
        """The result, once the run is complete."""
        return self.folder / RESULT_FILE

    @property
    def has_run(self) -> bool:
        """True if a run has begun here."""
        return self.state.is_file() or self.result.is_file()

    def parameters_name(self, epoch: int, step: Optional[int] = None) -> str:
        """Name the file of the parameters at the end of an epoch, or after a step of it."""
        return f'{self.name}_{epoch if step is None else f"step{step}"}.params'

    def stale(self, keep: Optional[str] = None) -> Tuple[str, ...]:
        """Name the files of parameters that are there, but for the one to ``keep``."""
        pattern = re.compile(rf'{re.escape(self.name)}_(step)?\d+\.params')
        paths = sorted(self.folder.iterdir()) if self.folder.is_dir() else []
        return tuple(
            path.name for path in paths if pattern.fullmatch(path.name) and path.name != keep
        )

    def clean(self, stale: Tuple[str, ...] = ()) -> None:
        """Remove files of an earlier run, and temporary files of processes that were killed."""
        for name in stale:
            (self.folder / name).unlink(missing_ok=True)
        remove_leftovers(self.folder)

    def write_result(self, record: Dict[str, Any]) -> None:
        """Write the result.

        Parameters
        ----------
        record : dict
            The fields of a :class:`FitResult`, the path relative to the folder; ``identity``,
            ``trained`` and ``final`` of the run. In the file epochs count from 1.
        """
        content = {'version': RESULT_VERSION, **record, 'best_epoch': record['best_epoch'] + 1}
        write_text(self.result, json.dumps(content, indent=1) + '\n')

    def read_result(self) -> Dict[str, Any]:
        """Read what :meth:`write_result` wrote.

        Raises
        ------
        ValueError
            If the file is damaged, or does not tell what the run was.
        """
        try:
            record = json.loads(self.result.read_text(encoding='utf-8'))
            version = record.get('version', 1)
            if version == RESULT_VERSION:
                record['best_epoch'] -= 1
                self.fit_result(record)
                if Path(record['best_path']).name != record['best_path']:
                    raise ValueError(f'best_path is {record["best_path"]!r}')
                if {'identity', 'trained', 'final'} <= record.keys():
                    return record
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f'{self.result}: not the result of a run ({error})') from None
        raise ValueError(
            f'{self.result}: another version of gluon_bert wrote it, and what the run was trained '
            f'on cannot be compared; use the network as it is, or overwrite the run'
        )

    def fit_result(self, record: Dict[str, Any]) -> FitResult:
        """Make the result of what :meth:`write_result` was given."""
        fields = {name: record[name] for name in FitResult._fields}
        return FitResult(**{**fields, 'best_path': self.folder / fields['best_path']})
