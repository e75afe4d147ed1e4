"""A fine-tuned checkpoint: its task, and how texts are read for it.

One of another maker says less than those of this package; missing settings get the usual defaults.
"""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Optional

from .._internal.engine import cpu
from ..checkpoint import Checkpoint
from ..checkpoint.arrays import shape_of
from ..checkpoint.task_file import task_file_of
from .folder import TaskModel, build_task, read_settings, task_model
from .registry import TASKS, TaskSpec, get_spec

if TYPE_CHECKING:
    import mxnet as mx


def task_of(checkpoint: Checkpoint) -> Optional[str]:
    """Tell what a checkpoint was fine-tuned for.

    Parameters
    ----------
    checkpoint : Checkpoint

    Returns
    -------
    str or None
        A key of ``TASKS``; None if it has no such head.
    """
    if checkpoint.task is not None:
        return get_spec(checkpoint.task.get('task')).name
    for spec in TASKS.values():
        if spec.head.checkpoint in checkpoint.heads:
            size = (*shape_of(checkpoint.arrays, spec.head.weight), 0)[0]
            if spec.is_trained_for(checkpoint, size):
                return spec.name
    return None


def tasks_of(checkpoint: Checkpoint) -> list[str]:
    """List what a checkpoint can be run as: what it was fine-tuned for, then others.

    Parameters
    ----------
    checkpoint : Checkpoint

    Returns
    -------
    list of str
        Keys of ``TASKS``; none if it has no head of a task.
    """
    first = task_of(checkpoint)
    return [] if first is None else [first, *(s.name for s in TASKS.values() if first in s.runs)]


def checkpoint_task(
    checkpoint: Checkpoint,
    ctx: Optional[mx.Context] = None,
    gluon: bool = True,
    task: Optional[str] = None,
) -> TaskModel:
    """Load the network of a fine-tuned checkpoint, with what it takes to use it.

    Parameters
    ----------
    checkpoint : Checkpoint
        With a tokenizer and a head for which :func:`task_of` has a name.
    ctx : mxnet.Context, optional
        By default the CPU.
    gluon : bool
        As for :func:`.build_task`.
    task : str, optional
        Of :func:`tasks_of`; by default the first.

    Returns
    -------
    TaskModel
        Sequences are as long as the tokenizer is set to and the network takes, for
        questions 384 tokens at most. Classes without names are LABEL_0, LABEL_1 and so on. The
        tags of entities are put in the order of :func:`.tag_names`. Beside 'O' or tags of entities,
        other labels, such as 'PER', are types of entity; without them, such as 'NOUN', each is a
        class of its own.

    Raises
    ------
    ValueError
        If its labels are not as many as its classes, or not unique, a score has several outputs,
        sequences would be too short, or there is no tokenizer.
    """
    if gluon and ctx is None:
        ctx = cpu()
    task = task_of(checkpoint) if task is None else task
    if checkpoint.task is not None and task == task_of(checkpoint):
        path = task_file_of(checkpoint.source)
        place = path if path.is_file() else checkpoint.source
        spec, settings = read_settings(checkpoint.task, checkpoint.config, place)
        return build_task(checkpoint, spec, settings, checkpoint.tokenizer, ctx, gluon)
    try:
        if task is None:
            raise ValueError(
                f'has no head of a task (it has: {", ".join(checkpoint.heads) or "none"})'
            )
        derive = TASKS[task].load('checkpoint_settings')
        settings, checkpoint = derive(checkpoint, _longest(checkpoint))
        model = task_model(task, None, checkpoint.tokenizer, settings)
    except ValueError as error:
        raise ValueError(f'{checkpoint.source}: {error}') from None
    return build_task(checkpoint, model.spec, model.settings, checkpoint.tokenizer, ctx, gluon)


def class_labels(checkpoint: Checkpoint, spec: TaskSpec) -> tuple[str, ...]:
    """Name the classes of a checkpoint's head.

    Parameters
    ----------
    checkpoint : Checkpoint
    spec : TaskSpec

    Returns
    -------
    tuple of str
        LABEL_0, LABEL_1 and so on where the checkpoint has no names.

    Raises
    ------
    ValueError
        If there are not as many names as classes.
    """
    count = count_outputs(checkpoint, spec)
    labels = checkpoint.labels or tuple(f'LABEL_{number}' for number in range(count))
    if len(labels) != count:
        raise ValueError(f'has {len(labels)} labels for {count} classes')
    return labels


def check_unique(labels: Sequence[str]) -> None:
    """Raise ValueError if two classes have one name, by which no result could tell them apart."""
    for number, label in enumerate(labels):
        first = labels.index(label)
        if first != number:
            raise ValueError(
                f'classes {first} and {number} have one name, {reprlib.repr(label)}: give them '
                f'different names in id2label of config.json'
            )


def count_outputs(checkpoint: Checkpoint, spec: TaskSpec) -> int:
    """Count the outputs of a checkpoint's head; ValueError if its arrays do not fit."""
    name, units = spec.head.weight, checkpoint.config.units
    shape = shape_of(checkpoint.arrays, name)
    bias = name.replace('weight', 'bias')
    if (
        len(shape) != 2
        or not shape[0]
        or shape[1] != units
        or bias not in checkpoint.arrays
        or (shape_of(checkpoint.arrays, bias) != shape[:1])
    ):
        raise ValueError(
            f'{name} has shape {shape}: expected (classes, {units}), and {bias} beside it'
        )
    return shape[0]


def _longest(checkpoint):
    limits = checkpoint.max_tokens or checkpoint.config.max_length, checkpoint.config.max_length
    if min(limits) < 3:
        raise ValueError(f'sequences of {min(limits)} tokens: expected 3 or more')
    return min(limits)
