"""The training loop, its options, objectives and optimizers."""

from .log import TrainingLog
from .loop import FitResult, Interrupted, fit, predict, set_seed
from .objectives import OBJECTIVES, Objective
from .options import Plan, TrainingOptions
from .run import TrainingRun
from .step import TrainingStep

__all__ = [
    'OBJECTIVES',
    'FitResult',
    'Interrupted',
    'Objective',
    'Plan',
    'TrainingLog',
    'TrainingOptions',
    'TrainingRun',
    'TrainingStep',
    'fit',
    'predict',
    'set_seed',
]
