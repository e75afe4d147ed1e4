"""Files of a training run, and its result."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional

from .._internal.files import write_text

STATE_FILE = 'training_state.safetensors'
METRICS_FILE = 'metrics.jsonl'
CURVE_FILE = 'training_curve.png'
RESULT_FILE = 'result.json'


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

    def parameters_name(self, epoch: int, step: Optional[int] = None) -> str:
        """Name the file of the parameters at the end of an epoch, or after a step of it."""
        return f'{self.name}_{epoch if step is None else f"step{step}"}.params'

    def write_result(self, record: Dict[str, Any]) -> None:
        """Write the result: a :class:`FitResult` as a dict, its path relative to the folder."""
        write_text(self.result, json.dumps(record, indent=1))

    def read_result(self) -> Dict[str, Any]:
        """Read what :meth:`write_result` wrote."""
        return json.loads(self.result.read_text(encoding='utf-8'))

    def fit_result(self, record: Dict[str, Any]) -> FitResult:
        """Make the result of what :meth:`write_result` was given."""
        return FitResult(**{**record, 'best_path': self.folder / record['best_path']})
