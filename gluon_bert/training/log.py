"""JSON-lines log of a training run."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

from .._internal.files import write_text
from ..plots.curves import count_from_one
from .state import Progress
from .step import StepResult

Row = Dict[str, Any]

logger = logging.getLogger(__name__)


class TrainingLog:
    """The rows of a run, in memory and in a file with one JSON object to a line.

    In the rows epochs count from 1.

    Parameters
    ----------
    path : Path, optional
        Of the file; without it, the rows are in memory alone.
    num_steps : int, optional
        Of the run, if it is known.
    steps_per_epoch : int, optional
        If it is known.
    """

    def __init__(
        self,
        path: Optional[Path],
        num_steps: Optional[int] = None,
        steps_per_epoch: Optional[int] = None,
    ) -> None:
        self._path, self._num_steps = path, num_steps
        self._steps_per_epoch = steps_per_epoch
        self._started = time.perf_counter()
        self.rows: List[Row] = []

    def begin(self, progress: Progress) -> None:
        """Start the file: of a run that is resumed, keep what its state has behind it."""
        self.rows = [
            row
            for row in self._read()
            if row['step'] <= (progress.evaluated_step if 'metrics' in row else progress.step)
        ]
        if self._path is not None:
            write_text(self._path, ''.join(map(_line, self.rows)))

    def log_step(
        self, progress: Progress, result: StepResult, figures: Optional[Dict[str, float]] = None
    ) -> None:
        """Add the losses since the last row, and this step's figures; start new sums of losses."""
        row = {
            'loss': progress.loss_sum / progress.loss_count,
            'learning_rate': result.learning_rate,
            'gradient_norm': result.gradient_norm,
        }
        for name, value in progress.term_sums.items():
            row[f'{name}_loss'] = value / progress.loss_count
        row.update(figures or {})
        progress.loss_sum, progress.loss_count, progress.term_sums = 0.0, 0, {}
        self._append(progress, row)
        self.say_step(progress, row)

    def say_step(self, progress: Progress, row: Row) -> None:
        """Log a row of losses as a line of text."""
        logger.info(
            '[Epoch %s Step %s] loss=%.4f lr=%.3g norm=%.3f',
            self.epoch_number(progress.epoch),
            self.step_number(progress.step),
            row['loss'],
            row['learning_rate'],
            row['gradient_norm'],
        )

    def log_metrics(self, progress: Progress, metrics: Dict[str, float], by_step: bool) -> None:
        """Add an evaluation, at the end of an epoch or ``by_step``."""
        self._append(progress, {'metrics': metrics})
        logger.info(
            '[Epoch %s%s] dev %s',
            self.epoch_number(progress.epoch),
            f' Step {self.step_number(progress.step)}' if by_step else '',
            ' '.join(f'{name}={value:.4f}' for name, value in metrics.items()),
        )

    def metrics(self, epoch: Optional[int], step: Optional[int] = None) -> Dict[str, float]:
        """Find the last evaluation of an epoch from 0, or after a step; empty if there was none."""
        return next(
            (
                row['metrics']
                for row in reversed(self.rows)
                if 'metrics' in row
                and epoch is not None
                and row['epoch'] == epoch + 1
                and step in (None, row['step'])
            ),
            {},
        )

    def epoch_number(self, epoch: int) -> str:
        """Name an epoch, counted from 1, with the number of all if it is known: '2/3'."""
        if self._steps_per_epoch is None or self._num_steps is None:
            return str(epoch + 1)
        return f'{epoch + 1}/{math.ceil(self._num_steps / self._steps_per_epoch)}'

    def step_number(self, step: int, separator: str = '/') -> str:
        """Name a step, with the number of all if it is known: '20/30'."""
        return str(step) if self._num_steps is None else f'{step}{separator}{self._num_steps}'

    def _append(self, progress, values):
        seconds = round(time.perf_counter() - self._started, 3)
        row = {'step': progress.step, 'epoch': progress.epoch + 1, **values, 'seconds': seconds}
        self.rows.append(row)
        if self._path is not None:
            with open(self._path, 'a', encoding='utf-8') as file:
                file.write(_line(row))

    def _read(self):
        if self._path is None or not self._path.is_file():
            return []
        rows = []
        for line in self._path.read_text(encoding='utf-8').split('\n'):
            # A line cut short by a kill is later than the state and not needed.
            with contextlib.suppress(ValueError):
                rows.append(json.loads(line))
        return count_from_one(rows)


def _line(row):
    return json.dumps(row) + '\n'
