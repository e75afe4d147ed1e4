"""A fine-tuned checkpoint of another maker: its task, and how texts are read for it.

It says less than a folder of :mod:`gluon_bert.tasks.folder`; missing settings get the usual
defaults.
"""

from __future__ import annotations

from typing import Optional

import mxnet as mx

from ..checkpoint import Checkpoint
from ..checkpoint.arrays import shape_of
from ..inference.batches import bert_of
from .folder import TaskModel, make_network, task_model
from .registry import TASKS, TaskSpec


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
    for spec in TASKS.values():
        if spec.head.checkpoint in checkpoint.heads:
            size = (*shape_of(checkpoint.arrays, spec.head.weight), 0)[0]
            if spec.is_trained_for(checkpoint.problem_type, size):
                return spec.name
    return None


def checkpoint_task(checkpoint: Checkpoint, ctx: Optional[mx.Context] = None) -> TaskModel:
    """Load the network of a fine-tuned checkpoint, with what it takes to use it.

    Parameters
    ----------
    checkpoint : Checkpoint
        With a tokenizer and a head for which :func:`task_of` has a name.
    ctx : mxnet.Context, optional
        By default the CPU.

    Returns
    -------
    TaskModel
        Hybridized. Sequences are as long as the tokenizer is set to and the network takes, for
        questions 384 tokens at most. Classes without names are LABEL_0, LABEL_1 and so on. The
        tags of entities are put in the order of :func:`.tag_names`; labels that are no tags, such
        as 'NOUN', are types of entity.

    Raises
    ------
    ValueError
        If its labels are not as many as its classes, or not unique, a score has several outputs,
        sequences would be too short, or there is no tokenizer.
    """
    task = task_of(checkpoint)
    try:
        if task is None:
            raise ValueError(
                f'has no head of a task (it has: {", ".join(checkpoint.heads) or "none"})'
            )
        job = TASKS[task].load('job')
        settings, checkpoint = job.checkpoint_settings(checkpoint, _longest(checkpoint))
        model = task_model(task, None, checkpoint.tokenizer, settings)
        network = make_network(task, checkpoint.config, settings)
        bert_of(network, checkpoint.tokenizer)
    except ValueError as error:
        raise ValueError(f'{checkpoint.source}: {error}') from None
    network.load_checkpoint(checkpoint, ctx=mx.cpu() if ctx is None else ctx)
    network.hybridize(static_alloc=True)
    return model._replace(network=network)


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
