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
    from .sentence_objectives import SENTENCE_LOSSES, make_sentence_objective
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
    'SENTENCE_LOSSES': 'sentence_objectives',
    'TrainingStep': 'step',
    'fit': 'loop',
    'make_sentence_objective': 'sentence_objectives',
    'predict': 'loop',
    'set_seed': 'loop',
}
_MODULES = (
    *('batches', 'class_losses', 'data_parallel', 'distributed', 'files', 'gradient_cache'),
    *('identity', 'labels', 'log', 'loop'),
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
    *('schedule', 'sentence_losses', 'sentence_objectives', 'state', 'step', 'terms'),
)

__all__ = [
    'OBJECTIVES',
    'SENTENCE_LOSSES',
    'FitResult',
    'Interrupted',
    'Objective',
    'Plan',
    'TrainingLog',
    'TrainingOptions',
    'TrainingRun',
    'TrainingStep',
    'fit',
    'make_sentence_objective',
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
