"""How a network is trained, as data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class Plan:
    """How a network is trained.

    Epochs and learning rate are within the ranges of Devlin et al. (2019), appendix A.3; warm-up,
    decay, clipping and epsilon are those of their code.

    Parameters
    ----------
    epochs : int
        Passes over the data.
    training_steps : int, optional
        Stop after so many steps instead.
    accumulate : int
        Batches whose gradients are added up to one step.
    optimizer : str
        'bertadam', 'adamw' or 'adam'.
    learning_rate : float
        At its peak.
    epsilon : float
        Of the optimizer.
    weight_decay : float, optional
        By default 0.01, for 'adam' 0.
    warmup_ratio : float
        Fraction of all steps in which the rate rises, in [0, 1].
    max_grad_norm : float
        Longer gradients are scaled down to this Euclidean norm.
    early_stop : int, optional
        Stop after so many evaluations without a better score.
    seed : int
        Of dropout; the data have their own.
    log_interval, checkpoint_interval : int
        In steps.
    dtype : str
        Of the products of the encoder's dense layers, see
        :class:`~gluon_bert.kernels.training.NativeTrainer`: 'float32' or 'bfloat16'. Parameters,
        gradients and moments are float32 in both.
    recompute : bool
        Take less memory: compute what each layer gives a second time, for some sequences at a time,
        instead of keeping it. The result is the same, but for rounding in batches of more than 2048
        tokens. This and 'bfloat16' need the native kernels.
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

    def __post_init__(self):
        for name in (
            'epochs',
            'training_steps',
            'accumulate',
            'early_stop',
            'log_interval',
            'checkpoint_interval',
        ):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f'{name}={value}: expected 1 or more')
        for name in ('learning_rate', 'epsilon', 'max_grad_norm'):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f'{name}={getattr(self, name)}: expected a positive number')
        if self.dtype not in ('float32', 'bfloat16'):
            raise ValueError(f"dtype={self.dtype!r}: expected 'float32' or 'bfloat16'")
        if not 0 <= self.warmup_ratio <= 1:
            raise ValueError(f'warmup_ratio={self.warmup_ratio}: expected a fraction in [0, 1]')
