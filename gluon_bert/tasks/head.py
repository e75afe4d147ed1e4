"""The head of a checkpoint, compared with the settings of its task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..checkpoint import Checkpoint
from ..checkpoint.arrays import shape_of
from ..checkpoint.task_file import TASK_FILE
from .registry import TaskSpec


def check_head(checkpoint: Checkpoint, spec: TaskSpec, settings: Mapping[str, Any]) -> None:
    """Raise ValueError unless a checkpoint has the head that the settings of a task describe."""
    arrays = checkpoint.arrays
    weight, rows = spec.head.weight, spec.size(settings)
    shape = (rows, checkpoint.config.units)
    if weight not in arrays or shape_of(arrays, weight) != shape:
        present = (
            f'{weight} of shape {shape_of(arrays, weight)}' if weight in arrays else f'no {weight}'
        )
        raise ValueError(
            f'has {present}; for {spec.name} of {TASK_FILE}, {weight} of shape {shape} is needed'
        )
    transitions = 'crf.transitions'
    if not settings.get('crf'):
        if transitions in arrays:
            raise ValueError(f'has {transitions}, but {TASK_FILE} says that there is no CRF')
    elif transitions not in arrays or shape_of(arrays, transitions) != (rows, rows):
        raise ValueError(f'has no {transitions} of shape {(rows, rows)}')


def network_kind(spec: TaskSpec, settings: Mapping[str, Any]) -> str:
    """Name the kind of network, a key of :data:`.KINDS`, that the settings of a task describe."""
    return 'vector_classifier' if 'pooling' in settings else spec.head.checkpoint


def reads_pooler(spec: TaskSpec, settings: Mapping[str, Any]) -> bool:
    """Tell if the network that the settings of a task describe has a pooler."""
    return spec.head.pooled and 'pooling' not in settings
