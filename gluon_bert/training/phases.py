"""The phases of a training run, each with its data, number of steps, rate and batches.

Most runs have one. Pre-training in two phases has short sequences first, then long ones (Devlin et
al., 2019, appendix A.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, List, Optional, Union

from .batches import Batch, BatchIterator, count_steps, open_batches
from .options import TrainingOptions
from .schedule import ramp, share_of_peak

if TYPE_CHECKING:
    from .state import Progress


@dataclass
class Phase:
    """A phase of a run, with its batches open.

    Parameters
    ----------
    data : SequenceData
        As for :func:`.fit`.
    options : TrainingOptions
    batches : BatchIterator
    steps_per_epoch, num_steps : int, optional
        None if unknown, or bounded by time.
    """

    data: Any
    options: TrainingOptions
    batches: BatchIterator
    steps_per_epoch: Optional[int]
    num_steps: Optional[int]

    @property
    def _total(self):
        """The steps of the phase; or its seconds, which count where there are any."""
        return self.num_steps if self.options.hours is None else 3600 * self.options.hours

    def is_over(self, progress: Progress) -> bool:
        """Tell if all its steps are made, or its time has passed."""
        done = progress.phase_step if self.options.hours is None else progress.seconds
        return progress.phase_step > 0 and done >= self._total

    def learning_rate(self, progress: Progress) -> float:
        """Compute the learning rate of the next step."""
        options, total = self.options, self._total
        warmup: float = total * options.warmup_ratio
        done = progress.seconds
        if options.hours is None:
            warmup, done = int(warmup), progress.phase_step + 1
        return options.learning_rate * share_of_peak(options.schedule, done, total, warmup)

    def shares(self, batches: Sequence[Optional[Batch]]) -> List[Batch]:
        """Take this process's shares of batches, where it has one."""
        split = getattr(self.batches, 'split', None)
        if split is not None:
            batches = [split(batch) for batch in batches]
        return [batch for batch in batches if batch is not None]

    def num_batches(self, progress: Progress) -> int:
        """Count the batches of the next step."""
        options = self.options
        if not options.ramps or options.accumulate_from is None:
            return options.accumulate
        done = progress.phase_step if options.hours is None else progress.seconds
        share = done / (self._total * options.ramp_ratio)
        return ramp(options.accumulate_from, options.accumulate, share)


def open_phases(
    data: Any,
    options: Union[TrainingOptions, Sequence[TrainingOptions]],
    rank: int = 0,
    size: int = 1,
) -> List[Phase]:
    """Open the phases of a run.

    Parameters
    ----------
    data : SequenceData, or list of them
        One for each phase.
    options : TrainingOptions, or list of them
        For one phase, or for each. What is not of a phase, such as the optimizer and the seed, is
        that of the first.
    rank, size : int
        Number of this process, and of all.

    Returns
    -------
    list of Phase

    Raises
    ------
    ValueError
        If a phase does not tell how long it is, or there is another number of data than of phases.
    """
    if isinstance(options, TrainingOptions):
        options, data = [options], [data]
    if not options or len(data) != len(options):
        raise ValueError(f'{len(data)} data sets for {len(options)} phases: expected one for each')
    return [_open(row, each, rank, size) for row, each in zip(data, options)]


def _open(data, options, rank, size):
    batches = open_batches(data, rank, size)
    if options.hours is not None:
        return Phase(data, options, batches, None, None)
    if options.ramps and options.training_steps is None:
        raise ValueError('training_steps or hours is needed where the batches of a step grow')
    per_epoch, num_steps = count_steps(batches.num_batches, options)
    return Phase(data, options, batches, None if options.ramps else per_epoch, num_steps)


def check_batch_sizes(phases: Sequence[Phase], num_devices: int) -> None:
    """Refuse batches that have no sequence for each device, of all processes together.

    Raises
    ------
    ValueError
        If no batch of a phase is large enough.
    """
    for phase in phases:
        largest = getattr(phase.batches, 'largest_batch', None)
        if largest is not None and largest < num_devices:
            raise ValueError(
                f'{num_devices} devices share each batch, but no batch has more than {largest} '
                f'sequences; use fewer devices or a larger batch size'
            )


def total_steps(phases: Sequence[Phase]) -> Optional[int]:
    """Count the steps of all phases; None if one is bounded by time."""
    counts = [phase.num_steps for phase in phases]
    return None if None in counts else sum(count or 0 for count in counts)
