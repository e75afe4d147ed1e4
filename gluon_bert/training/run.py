"""A training run: steps, evaluations, the log and the state that it is resumed from."""

from __future__ import annotations

import logging
import math
import threading
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Union

import mxnet as mx

from .._internal.progress import progress_bar
from ..plots import plot_training
from .batches import Batch, open_batches, read_batches
from .files import FitResult, RunFiles
from .log import TrainingLog
from .objectives import Objective
from .options import TrainingOptions
from .reduction import DeviceReduction, Reduction, share, sum_numbers
from .state import Progress, load_state, save_state
from .step import StepResult, TrainingStep

logger = logging.getLogger(__name__)


class Interrupted(Exception):
    """Training was stopped by a signal; its state is saved and it can be resumed."""


class TrainingRun:
    """One training run, see :func:`.fit` for the arguments.

    Parameters
    ----------
    network : BertBlock
    data : SequenceData
    loss : Objective, str or callable
    options : TrainingOptions
    files : RunFiles
    evaluate : callable, optional
    reduction : Reduction, optional
    """

    def __init__(
        self,
        network: Any,
        data: Any,
        loss: Union[str, Objective, Callable[..., mx.nd.NDArray]],
        options: TrainingOptions,
        files: RunFiles,
        evaluate: Optional[Callable[[Any], Dict[str, float]]] = None,
        reduction: Optional[Reduction] = None,
    ) -> None:
        self.network, self.options = network, options
        self.files, self.evaluate = files, evaluate
        self.reduction = DeviceReduction() if reduction is None else reduction
        self.batches = open_batches(data, self.reduction.rank, self.reduction.size)
        self.steps_per_epoch, self.num_steps = self._count_steps()
        self.training_step = TrainingStep(network, loss, options, self.num_steps, self.reduction)
        self._check_batch_size()
        self.settings = {
            **asdict(options),
            'sequences': len(data) if hasattr(data, '__len__') else None,
            'name': files.name,
            'native_kernels': self.training_step.encoder is not None,
            'devices': len(self.training_step.devices),
        }
        if self.reduction.size > 1:
            self.settings['processes'] = self.reduction.size
        self.progress = Progress()
        self.log = TrainingLog(
            files.metrics if self.reduction.rank == 0 else None,
            self.num_steps,
            self.steps_per_epoch,
        )
        self._is_stopping = False

    def _count_steps(self):
        """Count the steps of an epoch, None if unknown, and of the run."""
        options, num_batches = self.options, self.batches.num_batches
        if num_batches is None:
            if options.training_steps is None:
                raise ValueError(
                    'training_steps is needed: the number of batches in the data is not known'
                )
            return None, options.training_steps
        steps_per_epoch = math.ceil(num_batches / (options.accumulate * self.reduction.size))
        return steps_per_epoch, options.training_steps or options.epochs * steps_per_epoch

    def _check_batch_size(self):
        largest, devices = getattr(self.batches, 'largest_batch', None), self.training_step.devices
        if largest is not None and largest < len(devices):
            raise ValueError(
                f'{len(devices)} devices share each batch, but no batch has more than {largest} '
                f'sequences; use fewer devices or a larger batch size'
            )

    def start(self, resume: bool = False, overwrite: bool = False) -> None:
        """Begin the run, or continue the one whose state is in the folder.

        Parameters
        ----------
        resume, overwrite : bool

        Raises
        ------
        ValueError
            If there is a state and neither is set, or it belongs to another run.
        """
        files, writes = self.files, self.reduction.rank == 0
        has_state = share(self.reduction, writes and files.state.is_file())
        if has_state and not overwrite:
            if not resume:
                raise ValueError(
                    f'{files.state}: there is an unfinished run; resume or overwrite it, '
                    f'or choose another folder'
                )
            self.progress = load_state(
                files.state,
                self.settings,
                self.training_step.parameters,
                self.training_step.trainer,
            )
            self.batches.load_state_dict(self.progress.batches)
            self.log.begin(self.progress.step)
            logger.info('resumed at step %d of %d', self.progress.step, self.num_steps)
        else:
            if writes:
                files.state.unlink(missing_ok=True)
            self.log.begin()
        if writes:
            files.result.unlink(missing_ok=True)

    def train(self, stop: Optional[threading.Event] = None) -> None:
        """Train to the end.

        Parameters
        ----------
        stop : threading.Event, optional
            Ends the run after the step under way, once it is set.

        Raises
        ------
        Interrupted
            If it was; the state is saved.
        """
        stop = threading.Event() if stop is None else stop
        progress = self.progress
        while not self._is_over() or progress.position:
            if not self._is_over():
                self._train_epoch(stop)
            if not progress.position:
                raise ValueError('the training data have no batch')
            self._end_epoch()
            self._check(stop)

    def _train_epoch(self, stop):
        """Make the steps left in this epoch, until it ends or the run is over."""
        progress, batches = self.progress, read_batches(self.batches)
        bar = progress_bar(
            f'epoch {self.log.epoch_number(progress.epoch)}',
            self.steps_per_epoch,
            initial=progress.position,
        )
        with bar:
            while not self._is_over():
                group = self._next_group(batches, stop)
                if group is None:
                    return
                result = self.step(group)
                bar.set_postfix(loss=f'{result.loss:.4f}', refresh=False)
                bar.update()
                self._after_step(stop)

    def _next_group(self, batches: Iterator[Batch], stop: threading.Event) -> Optional[List[Batch]]:
        """Read the batches of the next step; None at the end of the epoch."""
        group = list(islice(batches, self.options.accumulate))
        if self.reduction.size == 1:
            return group or None
        # All processes end the epoch together, and stop after the same step.
        total, stopping = sum_numbers(self.reduction, [len(group), stop.is_set()])
        self._is_stopping = self._is_stopping or stopping > 0
        return group if total else None

    def step(self, batches: List[Batch]) -> StepResult:
        """Make one step on batches of this process, and log it when it is due."""
        progress = self.progress
        result = self.training_step(batches, progress.step)
        progress.step += 1
        progress.position += 1
        progress.loss_sum += result.loss
        progress.loss_count += 1
        if len(result.terms) > 1:
            for name, value in result.terms.items():
                progress.term_sums[name] = progress.term_sums.get(name, 0.0) + value
        if progress.step % self.options.log_interval == 0 or progress.step == self.num_steps:
            self.log.log_step(progress, result)
        return result

    def _after_step(self, stop):
        """Evaluate or save, if it is due; stop, if that was asked for."""
        progress, options = self.progress, self.options
        last = progress.step == self.num_steps or progress.position == self.steps_per_epoch
        if options.evaluate_every and progress.step % options.evaluate_every == 0:
            previous = self._evaluate()
            self._save()
            self._end_evaluation(previous)
        elif self._should_stop(stop) or (
            progress.step % options.checkpoint_interval == 0 and not last
        ):
            self._save()
        self._check(stop)

    def _end_epoch(self):
        """End the epoch, or the run in the middle of one; evaluate where it is due."""
        progress, previous = self.progress, None
        by_epoch = not self.options.evaluate_every
        is_due = (by_epoch or self._is_over()) and progress.evaluated_step < progress.step
        if is_due:
            previous = self._evaluate()
        progress.epoch += 1
        progress.position = 0
        self._save()
        if is_due:
            self._end_evaluation(previous)

    def _evaluate(self) -> Optional[str]:
        """Evaluate; if the score is the best, save the parameters. Return the former best file."""
        progress, metrics = self.progress, {}
        if self.evaluate and self.reduction.rank == 0:
            metrics = {name: float(value) for name, value in self.evaluate(self.network).items()}
        metrics = share(self.reduction, metrics)
        if metrics:
            self.log.log_metrics(progress, metrics, bool(self.options.evaluate_every))
        score = next(iter(metrics.values()), None)
        previous, progress.evaluated_step = progress.best_file, progress.step
        if score is None or _is_higher(score, progress.best_score):
            step = progress.step if self.options.evaluate_every else None
            progress.best_epoch, progress.best_step = progress.epoch, progress.step
            progress.best_score = score
            progress.best_file = self.files.parameters_name(progress.epoch, step)
            progress.evaluations_without_gain = 0
            if self.reduction.rank == 0:
                self.network.save_parameters(self.files.folder / progress.best_file)
        else:
            progress.evaluations_without_gain += 1
        return previous

    def _end_evaluation(self, previous):
        """Remove the former best file, and draw the log."""
        if self.reduction.rank:
            return
        # Only now: until the state is saved, the former best file is what a resumed run has.
        if previous is not None and previous != self.progress.best_file:
            (self.files.folder / previous).unlink(missing_ok=True)
        plot_training(self.log.rows, self.files.curve)

    def finish(self) -> FitResult:
        """Load the best parameters, write the result and remove the state.

        Returns
        -------
        FitResult
        """
        progress = self.progress
        record = {
            'best_epoch': progress.best_epoch,
            'best_metrics': self.log.metrics(progress.best_epoch, progress.best_step),
            'best_path': progress.best_file,
            'steps': progress.step,
        }
        result = self.files.fit_result(share(self.reduction, record))
        load_best(self.network, result.best_path, self.reduction)
        if self.reduction.rank == 0:
            self.files.write_result(record)
            self.files.state.unlink(missing_ok=True)
        return result

    def _is_over(self):
        progress, patience = self.progress, self.options.early_stop
        has_stalled = patience is not None and progress.evaluations_without_gain >= patience
        return has_stalled or progress.step >= self.num_steps

    def _should_stop(self, stop):
        # Of several processes, all must know.
        return self._is_stopping or (self.reduction.size == 1 and stop.is_set())

    def _check(self, stop):
        if self._should_stop(stop):
            raise Interrupted(f'stopped after step {self.progress.step} of {self.num_steps}')

    def _save(self):
        if self.reduction.rank == 0:
            self.progress.batches = self.batches.state_dict()
            state, step = self.files.state, self.training_step
            save_state(state, self.progress, self.settings, step.parameters, step.trainer)


def _is_higher(score, best):
    """Compare two scores, of which the second may not be there; any is higher than NaN."""
    return best is None or score > best or (math.isnan(best) and not math.isnan(score))


def load_best(network: Any, path: Path, reduction: Reduction) -> None:
    """Load parameters that process 0 has written, in all processes."""
    if reduction.rank == 0:
        network.load_parameters(path)
    if reduction.size > 1:
        parameters = network._collect_params_with_prefix().values()
        reduction.broadcast([parameter.list_data() for parameter in parameters])
