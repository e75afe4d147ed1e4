"""A training run with the log, the evaluations and the checkpoints of pre-training."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from ..._internal.errors import ArgumentError
from ...training import TrainingLog, TrainingOptions, TrainingRun
from ...training.batches import Batch
from ...training.files import RunFiles
from ...training.log import Row
from ...training.objectives import OBJECTIVES
from ...training.reduction import Reduction, sum_numbers
from ...training.state import Progress
from ...training.step import StepResult
from .evaluation import add_up, evaluate, make_encoder, metrics_of
from .objectives import PRETRAINING_OBJECTIVES, PretrainingObjective
from .options import PretrainingData

logger = logging.getLogger(__name__)

CHECKPOINTS = 'checkpoints'  # a folder in that of the run
_CHECKPOINT = re.compile(r'\d{7,}\.params')


class PretrainingLog(TrainingLog):
    """The log of a run, with lines in the form of GluonNLP's run_pretraining.py.

    Parameters
    ----------
    row : PretrainingObjective
    path, num_steps
        As for :class:`.TrainingLog`.
    """

    def __init__(
        self, row: PretrainingObjective, path: Optional[Path], num_steps: Optional[int]
    ) -> None:
        super().__init__(path, num_steps)
        self._objective = row

    def say_step(self, progress: Progress, row: Row) -> None:
        """Log the losses and, in percent, the accuracies since the last row."""
        parts = []
        for term, (name, short) in self._objective.terms.items():
            loss = row.get(f'{term}_loss', row['loss'])
            parts.append(f'{short}_loss={loss:7.5f}')
            if f'{name}_accuracy' in row:
                parts.append(f'{short}_acc={100 * row[f"{name}_accuracy"]:4.2f}')
        logger.info(
            '[step %s]\t%s\tthroughput=%.1fK tks/s\tlr=%.7f time=%.2f, latency=%.1f ms/step',
            progress.step,
            '\t'.join(parts),
            row['tokens_per_second'] / 1000,
            row['learning_rate'],
            row['interval_seconds'],
            row['seconds_per_step'] * 1000,
        )

    def log_metrics(self, progress: Progress, metrics: dict[str, float], by_step: bool) -> None:
        """Add an evaluation, and log it a line to a metric as Google's script does."""
        self._append(progress, {'metrics': metrics})
        logger.info('***** Eval results *****')
        for name, value in sorted({**metrics, 'global_step': progress.step}.items()):
            logger.info('  %s = %s', name, value if name == 'global_step' else f'{value:.6g}')


class PretrainingRun(TrainingRun):
    """A run of pre-training: the parameters in its end are its result, not the best ones.

    Parameters
    ----------
    network : BertForPretraining or BertForReplacedTokens
    streams : list of PretrainingStream
        Of the phases.
    settings : list of PretrainingData
        Of the phases; what is not of a phase is as in the first one.
    options : list of TrainingOptions
    files : RunFiles
    held_out : PretrainingStream, optional
        Evaluated on.
    identity, reduction : optional
        As for :class:`.TrainingRun`.

    Attributes
    ----------
    evaluates_start : bool
        Evaluate before the first step, too: what training gains is then in the log. False unless
        set.
    """

    evaluates_start = False

    def __init__(
        self,
        network: Any,
        streams: Sequence[Any],
        settings: Sequence[PretrainingData],
        options: Sequence[TrainingOptions],
        files: RunFiles,
        held_out: Any = None,
        identity: Optional[dict[str, Any]] = None,
        reduction: Optional[Reduction] = None,
    ) -> None:
        self._settings, self._held_out = settings[0], held_out
        self._most_masks = [row.max_predictions_per_seq for row in settings]
        self._row = PRETRAINING_OBJECTIVES[self._settings.objective]
        self._tokens, self._steps, self._since = 0, 0, time.perf_counter()
        self._accuracies: dict[str, float] = {}
        held_out_metrics = None if held_out is None else self._evaluate_held_out
        objective = OBJECTIVES[self._row.loss]
        super().__init__(
            network, streams, objective, options, files, held_out_metrics, reduction, identity
        )
        self._encoder = make_encoder(network, self._row)

    def make_log(self) -> PretrainingLog:
        """Make the log; only process 0 writes it."""
        path = self.files.metrics if self.reduction.rank == 0 else None
        return PretrainingLog(self._row, path, self.num_steps)

    def _evaluate_held_out(self, network):
        limit, began = self._settings.eval_steps, time.perf_counter()
        batches = self._held_out.batches()
        metrics = evaluate(network, self._row, batches, self._encoder, limit)
        self._since += time.perf_counter() - began  # no time of the steps
        return metrics

    def score(self, metrics: dict[str, float]) -> Optional[float]:
        """Take the last parameters."""
        return None

    def start(self, resume: bool = False, overwrite: bool = False) -> None:
        """Begin or continue, see :meth:`.TrainingRun.start`."""
        super().start(resume, overwrite)
        self._since = time.perf_counter()
        if self.reduction.rank == 0 and not self.progress.step:
            for path in self._checkpoints():
                path.unlink()
            # A run that was killed before its first step may have logged it.
            if self.evaluates_start and self.evaluate and not self.log.metrics(0, 0):
                self.log.log_metrics(self.progress, self.evaluate(self.network), by_step=True)

    def step(self, batches: Sequence[Optional[Batch]]) -> StepResult:
        """Make one step, and measure its batches if it is to be logged."""
        mine = self.phase.shares(batches)
        self._check_masks(mine)
        done = self.progress.phase_step + 1
        is_last = self.phase.options.hours is None and done == self.phase.num_steps
        is_due = (self.progress.step + 1) % self.options.log_interval == 0 or is_last
        self._tokens += sum(int(batch.inputs[2].sum().asscalar()) for batch in mine)
        self._steps += 1
        if is_due and not self._settings.no_accuracy:
            self._accuracies = self._measure(mine)
        return super().step(batches)

    def _measure(self, batches):
        """Compute the accuracies of a step's batches, over all processes."""
        totals = add_up(self.network, self._row, batches, self._encoder)
        sums = iter(
            sum_numbers(self.reduction, [value for row in totals.values() for value in row])
        )
        totals = {name: [next(sums) for _ in row] for name, row in totals.items()}
        metrics = metrics_of(self._row, totals)
        return {name: value for name, value in metrics.items() if name.endswith('_accuracy')}

    def _check_masks(self, batches):
        most = self._most_masks[self.progress.phase]
        for batch in batches:
            if most is not None and batch.inputs[3].shape[1] > most:
                raise ArgumentError(
                    'max_predictions_per_seq',
                    f'a record has {batch.inputs[3].shape[1]} masked tokens',
                    most,
                )

    def figures(self) -> dict[str, float]:
        """Give the accuracies of this step's batches, and the speed since the last row."""
        now = time.perf_counter()
        (tokens,) = sum_numbers(self.reduction, [self._tokens])
        seconds, steps = max(now - self._since, 1e-9), self._steps
        figures = {
            **self._accuracies,
            'interval_seconds': seconds,
            'tokens_per_second': tokens / seconds,
            'seconds_per_step': seconds / steps,
        }
        self._tokens, self._steps, self._since, self._accuracies = 0, 0, now, {}
        return figures

    def _save(self):
        """Save the state and, where they are asked for, the parameters under GluonNLP's name."""
        step, keep = self.progress.step, self._settings.keep_checkpoints
        is_due = keep and step and step % self.options.checkpoint_interval == 0
        if is_due and self.reduction.rank == 0:
            folder = self.files.folder / CHECKPOINTS
            folder.mkdir(exist_ok=True)
            self.network.save_parameters(folder / f'{step:07d}.params')
        super()._save()
        if is_due and self.reduction.rank == 0:
            for path in self._checkpoints()[:-keep]:
                path.unlink()

    def _checkpoints(self):
        """The checkpoints there are, the oldest first."""
        folder = self.files.folder / CHECKPOINTS
        paths = folder.iterdir() if folder.is_dir() else ()
        return sorted(
            (path for path in paths if _CHECKPOINT.fullmatch(path.name)),
            key=lambda path: int(path.stem),
        )
