"""A training run: steps, evaluations, the log and the state that it is resumed from."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from itertools import islice
from typing import Any, Callable, Dict, Iterator, Mapping, Optional, Sequence, Union

import mxnet as mx

from .._internal.progress import progress_bar
from .._internal.signals import stop_signals
from ..plots import plot_training
from .batches import Batch, read_batches
from .distributed.agreement import agree_on_run
from .files import FitResult, RunFiles
from .identity import digest_of_parameters, make_identity, note_batches
from .labels import named_rows
from .log import TrainingLog
from .options import TrainingOptions
from .phases import Phase, check_batch_sizes, open_phases, total_steps
from .previous import Previous, find_previous, share_previous
from .reduction import DeviceReduction, Reduction, share, sum_numbers
from .state import Progress, load_best, restore_state, save_state
from .step import StepResult, TrainingStep
from .terms import Objective

logger = logging.getLogger(__name__)


class Interrupted(Exception):
    """Training was stopped by a signal; its state is saved and it can be resumed."""


class TrainingRun:
    """One training run, see :func:`.fit` for the arguments.

    Parameters
    ----------
    network : BertBlock
    data : SequenceData, or list of them
        A list has the data of each phase.
    loss : Objective, str or callable
    options : TrainingOptions, or list of them
        A list has those of each phase, whose number of steps or time they bound. The learning rate,
        its schedule and warm-up, and the batches of a step are those of the phase; all else is that
        of the first. The optimizer keeps its state from one phase to the next. The end of a phase
        ends the epoch, too.
    files : RunFiles
    evaluate : callable, optional
    reduction : Reduction, optional
    identity : mapping of str to object, optional
    """

    def __init__(
        self,
        network: Any,
        data: Any,
        loss: Union[str, Objective, Callable[..., mx.nd.NDArray]],
        options: Union[TrainingOptions, Sequence[TrainingOptions]],
        files: RunFiles,
        evaluate: Optional[Callable[[Any], Dict[str, float]]] = None,
        reduction: Optional[Reduction] = None,
        identity: Optional[Mapping[str, Any]] = None,
    ) -> None:
        self.network, self.files, self.evaluate = network, files, evaluate
        self.reduction = DeviceReduction() if reduction is None else reduction
        self.progress = Progress(trained={'batches': 0, 'digest': ''})
        self.phases = open_phases(data, options, self.reduction.rank, self.reduction.size)
        self.options, self.num_steps = self.phases[0].options, total_steps(self.phases)
        most = max(phase.options.accumulate for phase in self.phases)
        self.training_step = TrainingStep(
            network, loss, replace(self.options, accumulate=most), reduction=self.reduction
        )
        check_batch_sizes(self.phases, self.reduction.size * len(self.training_step.devices))
        self.identity = make_identity(self.training_step, self.phases, identity)
        agree_on_run(self.training_step, self.phases, self.identity)
        self._previous: Optional[Previous] = None
        self._finished: Optional[FitResult] = None
        self.log = self.make_log()
        self._is_stopping = False
        self._clock = time.monotonic()

    def make_log(self) -> TrainingLog:
        """Make the log of the run; only process 0 writes it."""
        path = self.files.metrics if self.reduction.rank == 0 else None
        per_epoch = self.phase.steps_per_epoch if len(self.phases) == 1 else None
        return TrainingLog(path, self.num_steps, per_epoch)

    @property
    def phase(self) -> Phase:
        """The phase of the next step; in the end the last one."""
        return self.phases[self.progress.phase]

    def check(self, resume: bool = False, overwrite: bool = False) -> Optional[FitResult]:
        """Compare the run with an earlier one in its folder; nothing is written.

        Parameters
        ----------
        resume, overwrite : bool

        Returns
        -------
        FitResult or None
            That of the earlier run, if it is finished.

        Raises
        ------
        ValueError
            If there is an earlier run and neither is set, or it is not the same.
        """
        arguments = self.identity, self.phase.batches, resume, overwrite
        previous = share_previous(
            self.reduction, self.files, lambda: find_previous(self.files, *arguments)
        )
        self._previous, record = previous, previous.record
        self._finished = None if record is None else self.files.fit_result(record)
        return self._finished

    @property
    def begins_anew(self) -> bool:
        """True if no earlier run is continued or given back, once :meth:`check` was called."""
        return self._finished is None and (self._previous is None or self._previous.state is None)

    def start(self, resume: bool = False, overwrite: bool = False) -> None:
        """Begin the run, or continue the one whose state is in the folder.

        Parameters
        ----------
        resume, overwrite : bool
            As for :meth:`check`, which is called unless it was before.

        Raises
        ------
        ValueError
            As :meth:`check`.
        """
        if self._previous is None:
            self.check(resume, overwrite)
        assert self._previous is not None
        files, writes = self.files, self.reduction.rank == 0
        state, _, stale = self._previous
        if state is not None:
            step = self.training_step
            restore_state(state, step.parameters, step.trainer, self.reduction)
            self.progress = state.progress
            if state.progress.step:
                self.phase.batches.load_state_dict(self.progress.batches)
            logger.info('resumed at step %s', self.log.step_number(self.progress.step, ' of '))
        elif writes:
            files.folder.mkdir(parents=True, exist_ok=True)
            # First of all: from here on the folder is this run's, whatever is still in it.
            self._save()
            files.curve.unlink(missing_ok=True)
        self.log.begin(self.progress)
        self._clock = time.monotonic()
        if writes:
            files.clean(stale)
            files.result.unlink(missing_ok=True)

    def fit(self) -> FitResult:
        """Carry out the run from its start to its end, or give the result of a finished one.

        The first SIGINT or SIGTERM stops it after the step under way; see :func:`.fit`.

        Returns
        -------
        FitResult
        """
        finished = self.check() if self._previous is None else self._finished
        if finished is not None:
            logger.info('the run in %s is complete', self.files.folder)
            load_best(self.network, finished.best_path, self.reduction)
            return finished
        with stop_signals() as stop:
            self.start()
            self.train(stop)
            return self.finish()

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
        while not self._is_over() or self.progress.position:
            if not self._is_over():
                self._train_epoch(stop)
            if not self.progress.position:
                raise ValueError('the training data have no batch')
            self._end_epoch()
            self._check(stop)

    def _train_epoch(self, stop):
        """Make the steps left in this epoch, until it, its phase or the run is over."""
        progress, phase = self.progress, self.phase
        batches = read_batches(phase.batches)
        bar = progress_bar(
            f'epoch {self.log.epoch_number(progress.epoch)}',
            phase.steps_per_epoch,
            initial=progress.position,
        )
        with bar:
            while not self._is_over() and not phase.is_over(progress):
                group = self._next_group(batches, stop)
                if group is None:
                    return
                result = self.step(group)
                bar.set_postfix(loss=f'{result.loss:.4f}', refresh=False)
                bar.update()
                self._after_step(stop)

    def _next_group(self, batches: Iterator[Optional[Batch]], stop: threading.Event) -> Any:
        """Read the batches of the next step; None at the end of the epoch."""
        group = list(islice(batches, self.phase.num_batches(self.progress)))
        self._count_seconds()
        if self.reduction.size == 1:
            return group or None
        # All processes end the epoch together, and stop after the same step.
        total, stopping = sum_numbers(self.reduction, [len(group), stop.is_set()])
        self._is_stopping = self._is_stopping or stopping > 0
        return group if total else None

    def _count_seconds(self):
        """Add the time since the last step, where time bounds the phase."""
        if self.phase.options.hours is not None:
            now = time.monotonic()
            seconds, self._clock = self.progress.seconds + now - self._clock, now
            self.progress.seconds = share(self.reduction, seconds)

    def step(self, batches: Sequence[Optional[Batch]]) -> StepResult:
        """Make one step on batches, or shares of them, of which a process takes its own; log it."""
        progress = self.progress
        if progress.epoch == 0 and progress.trained:
            progress.trained = note_batches(progress.trained, filter(None, batches))
        with named_rows(self.phase.data):
            rate = self.phase.learning_rate(progress)
            result = self.training_step(self.phase.shares(batches), progress.step, rate)
        progress.note_step(result.loss, result.terms)
        self._count_seconds()
        if progress.step % self.options.log_interval == 0 or self._is_over():
            self.log.log_step(progress, result, self.figures())
        return result

    def figures(self) -> Dict[str, float]:
        """Give further figures of the steps since the last row of the log."""
        return {}

    def score(self, metrics: Dict[str, float]) -> Optional[float]:
        """Choose what decides which evaluation is best; None: the last one is."""
        return next(iter(metrics.values()), None)

    def _after_step(self, stop):
        """Evaluate or save, if it is due; stop, if that was asked for."""
        progress, options, phase = self.progress, self.options, self.phase
        last = phase.is_over(progress) or progress.position == phase.steps_per_epoch
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
        if self.phase.is_over(progress) and self.phase is not self.phases[-1]:
            progress.begin_phase()
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
        previous, step = progress.best_file, progress.step if self.options.evaluate_every else None
        name = self.files.parameters_name(progress.epoch, step)
        if progress.note_evaluation(self.score(metrics), name) and self.reduction.rank == 0:
            self.network.save_parameters(self.files.folder / name)
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
        record: Dict[str, Any] = {
            'best_epoch': progress.best_epoch,
            'best_metrics': self.log.metrics(progress.best_epoch, progress.best_step),
            'best_path': progress.best_file,
            'steps': progress.step,
        }
        result = self.files.fit_result(share(self.reduction, record))
        load_best(self.network, result.best_path, self.reduction)
        if self.reduction.rank == 0:
            final = digest_of_parameters(self.training_step.parameters)
            record.update(identity=self.identity, trained=progress.trained, final=final)
            if not self.begins_anew:  # it may have been killed before the last picture
                plot_training(self.log.rows, self.files.curve)
            self.files.write_result(record)
            self.files.state.unlink(missing_ok=True)
        return result

    def _is_over(self):
        progress, patience = self.progress, self.options.early_stop
        has_stalled = patience is not None and progress.evaluations_without_gain >= patience
        return has_stalled or (self.phase is self.phases[-1] and self.phase.is_over(progress))

    def _should_stop(self, stop):
        # Of several processes, all must know.
        return self._is_stopping or (self.reduction.size == 1 and stop.is_set())

    def _check(self, stop):
        if self._should_stop(stop):
            place = self.log.step_number(self.progress.step, ' of ')
            raise Interrupted(f'stopped after step {place}')

    def _save(self):
        if self.reduction.rank == 0:
            self.progress.batches = self.phase.batches.state_dict()
            state, step = self.files.state, self.training_step
            save_state(state, self.progress, self.identity, step.parameters, step.trainer)
