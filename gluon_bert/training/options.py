"""Options of training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from .._internal.checks import (
    check_choice,
    check_fraction,
    check_not_negative,
    check_positive,
    check_positive_number,
    check_range,
)
from .._internal.errors import ArgumentError
from .schedule import SCHEDULES

OPTIMIZERS = ('bertadam', 'adam', 'adamw', 'lamb')
DTYPES = ('float32', 'bfloat16')


@dataclass(frozen=True)
class TrainingOptions:
    """Options of training.

    Epochs and learning rate are within the ranges of Devlin et al. (2019), appendix A.3; warm-up,
    decay, clipping and epsilon are those of their code.

    Parameters
    ----------
    epochs : int
        Passes over the data.
    training_steps : int, optional
        Stop after this number of steps instead. Needed for data of unknown length.
    hours : float, optional
        Train for this time instead: the rate follows the time passed, that of earlier parts of a
        resumed run included.
    accumulate : int
        Batches whose gradients are added up to one step.
    accumulate_from : int, optional
        Begin with this number of batches, which then grows evenly to ``accumulate``.
    ramp_ratio : float
        Fraction of the run in which it does, in [0, 1].
    optimizer : str
        'bertadam', 'adamw', 'adam' or 'lamb'.
    learning_rate : float
        At its peak.
    epsilon : float
        Of the optimizer.
    weight_decay : float, optional
        By default 0.01, for 'adam' 0.
    schedule : str
        Of the learning rate after the warm-up: 'linear' to 0, 'constant', 'cosine' to 0, or
        'polynomial': the square root of what is left, as in NVIDIA's recipe for LAMB.
    warmup_ratio : float
        Fraction of all steps, or of the time, in which the rate rises, in [0, 1].
    max_grad_norm : float
        Longer gradients are scaled down to this Euclidean norm.
    early_stop : int, optional
        Stop after this number of evaluations without a better score.
    seed : int
        Of dropout. In :func:`.finetune` and ``gluon-bert train`` also of the head's first
        parameters and of the order of the batches.
    log_interval, checkpoint_interval : int
        In steps.
    dtype : str
        Of the products of the encoder's dense layers, see
        :class:`~gluon_bert.kernels.training.NativeTrainer`: 'float32' or 'bfloat16'. Parameters,
        gradients and moments are float32 in both.
    recompute : bool
        Take less memory: compute each layer's results a second time in the backward pass, for some
        sequences at a time, instead of keeping them. The result is the same, but for rounding in
        batches of more than 2048 tokens. This and 'bfloat16' need the native kernels.
    evaluate_every : int, optional
        Evaluate after each of this number of steps and after the last one, instead of at the end
        of each epoch.
    bias_correction : bool
        Correct the moments' bias in 'bertadam', too, which so becomes 'adamw'; the other optimizers
        always do. It steadies fine-tuning on few examples (Zhang et al., 2021, section 4).
    layer_decay : float
        Factor of the learning rate from each layer of the encoder to the one below it, in (0, 1]:
        the top layer and the head have the full rate, the embeddings the least (Zhang et al., 2021,
        section 6; Howard and Ruder, 2018, section 3.2).

    Raises
    ------
    ValueError
        If a value is out of range or unknown.
    """

    epochs: int = 3
    training_steps: Optional[int] = None
    accumulate: int = 1
    optimizer: str = 'bertadam'
    learning_rate: float = 5e-5
    epsilon: float = 1e-6
    weight_decay: Optional[float] = None
    warmup_ratio: float = 0.1
    max_grad_norm: float = 1.0
    early_stop: Optional[int] = None
    seed: int = 2
    log_interval: int = 10
    checkpoint_interval: int = 500
    dtype: str = 'float32'
    recompute: bool = False
    evaluate_every: Optional[int] = None
    hours: Optional[float] = None
    schedule: str = 'linear'
    accumulate_from: Optional[int] = None
    ramp_ratio: float = 0.0
    bias_correction: bool = False
    layer_decay: float = 1.0

    def __post_init__(self) -> None:
        check_positive(
            epochs=self.epochs,
            training_steps=self.training_steps,
            accumulate=self.accumulate,
            accumulate_from=self.accumulate_from,
            early_stop=self.early_stop,
            log_interval=self.log_interval,
            checkpoint_interval=self.checkpoint_interval,
            evaluate_every=self.evaluate_every,
        )
        check_positive_number(
            learning_rate=self.learning_rate, epsilon=self.epsilon, max_grad_norm=self.max_grad_norm
        )
        if not 0 < self.layer_decay <= 1:
            reason = 'expected a number above 0, 1 at most'
            raise ArgumentError('layer_decay', reason, self.layer_decay)
        check_fraction(warmup_ratio=self.warmup_ratio, ramp_ratio=self.ramp_ratio)
        check_not_negative(weight_decay=self.weight_decay)
        check_range(0, 2**31 - 1, seed=self.seed)
        check_choice(OPTIMIZERS, optimizer=self.optimizer)
        check_choice(DTYPES, dtype=self.dtype)
        check_choice(tuple(SCHEDULES), schedule=self.schedule)
        if self.hours is not None:
            check_positive_number(hours=self.hours)
            if self.training_steps is not None:
                raise ArgumentError('hours', 'does not go with {training_steps}', self.hours)
        if (self.accumulate_from is None) != (self.ramp_ratio == 0):
            name = 'ramp_ratio' if self.accumulate_from is None else 'accumulate_from'
            other = {'ramp_ratio': 'accumulate_from', 'accumulate_from': 'ramp_ratio'}[name]
            raise ArgumentError(name, f'goes with {{{other}}}', getattr(self, name))
        if self.accumulate_from is not None and self.accumulate_from > self.accumulate:
            reason = f'expected at most the {self.accumulate} of {{accumulate}}'
            raise ArgumentError('accumulate_from', reason, self.accumulate_from)

    @property
    def ramps(self) -> bool:
        """True if the number of batches of a step grows."""
        return self.ramp_ratio > 0 and self.accumulate_from not in (None, self.accumulate)


Plan = TrainingOptions  # the name of 0.1.0
