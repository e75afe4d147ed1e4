"""The training loop, its options, objectives and optimizers."""

from .loop import FitResult, Interrupted, fit, predict, set_seed
from .options import Plan

__all__ = ['FitResult', 'Interrupted', 'Plan', 'fit', 'predict', 'set_seed']
