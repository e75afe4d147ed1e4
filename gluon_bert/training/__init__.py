"""The training loop, its options, objectives and optimizers."""

from .loop import FitResult, Interrupted, fit, predict, set_seed
from .options import Plan, TrainingOptions

__all__ = ['FitResult', 'Interrupted', 'Plan', 'TrainingOptions', 'fit', 'predict', 'set_seed']
