"""The training loop, its options, objectives and optimizers.

The options are read without MXNet; it is imported with the rest.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .log import TrainingLog
    from .loop import FitResult, Interrupted, fit, predict, set_seed
    from .objectives import OBJECTIVES
    from .options import Plan, TrainingOptions
    from .run import TrainingRun
    from .step import TrainingStep
    from .terms import Objective

# Name that is imported when it is first used -> its module.
_HOMES = {
    'FitResult': 'loop',
    'Interrupted': 'loop',
    'OBJECTIVES': 'objectives',
    'Objective': 'terms',
    'Plan': 'options',
    'TrainingLog': 'log',
    'TrainingOptions': 'options',
    'TrainingRun': 'run',
    'TrainingStep': 'step',
    'fit': 'loop',
    'predict': 'loop',
    'set_seed': 'loop',
}
_MODULES = (
    *('batches', 'data_parallel', 'distributed', 'files', 'identity', 'labels', 'log', 'loop'),
    *(
        'masked_words',
        'objectives',
        'optimizer',
        'options',
        'phases',
        'previous',
        'reduction',
        'replaced_tokens',
        'run',
    ),
    *('schedule', 'state', 'step', 'terms'),
)

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


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f'.{name}', __name__)
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    value = getattr(importlib.import_module('.' + _HOMES[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
