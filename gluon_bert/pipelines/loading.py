"""The pipeline of a folder, a checkpoint or a model of the zoo."""
from __future__ import annotations

from pathlib import Path

import mxnet as mx

from ..networks import build_network
from ..task_folder import has_task, load_task
from ..zoo import ARCHITECTURES, open_checkpoint, resolve, zoo_checkpoint
from .classification import ClassificationPipeline, RegressionPipeline
from .entities import EntityPipeline
from .pretraining import FillMaskPipeline, NextSentencePipeline
from .questions import QuestionPipeline

_FINE_TUNED = {pipeline.task: pipeline for pipeline in (
    ClassificationPipeline, RegressionPipeline, QuestionPipeline, EntityPipeline)}
PRETRAINED = {pipeline.task: pipeline for pipeline in (FillMaskPipeline, NextSentencePipeline)}


def load_pipeline(source, ctx=None, batch_size=None, task=None, root=None):
    """What a fine-tuned folder, or a pre-trained model, is used with.

    Parameters
    ----------
    source : str or Path
        A folder that a fine-tuning script wrote. Or a pre-trained model: 'name/data_set' of the
        zoo, a folder or file of :func:`.read_checkpoint`, or 'hf://owner/name'.
    ctx : mxnet.Context, optional
        By default the CPU.
    batch_size : int, optional
        Sequences computed at once; by default as in the evaluations of the training, else 32.
    task : str, optional
        Of a pre-trained model: 'fill-mask', the default where it can do that, or 'next-sentence'.
    root : str or Path, optional
        Of the zoo's cache, for a model of the zoo.

    Returns
    -------
    ClassificationPipeline, RegressionPipeline, QuestionPipeline, EntityPipeline, FillMaskPipeline \
or NextSentencePipeline

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such source, it is damaged, or is not for the task.
    """
    name, _, dataset_name = str(source).partition('/')
    if name in ARCHITECTURES and dataset_name:
        return checkpoint_pipeline(zoo_checkpoint(*resolve(name, dataset_name), root=root), ctx,
                                   batch_size, task)
    if not Path(source).exists() or not has_task(source):
        return checkpoint_pipeline(open_checkpoint(source), ctx, batch_size, task)
    model = load_task(source, mx.cpu() if ctx is None else ctx)
    if task not in (None, model.task):
        raise ValueError(f'task={task!r}: {source} was fine-tuned for {model.task}')
    return task_pipeline(model, batch_size).freeze()


def task_pipeline(model, batch_size=None):
    """The pipeline of a network with its settings, such as one in training.

    Parameters
    ----------
    model : TaskModel
    batch_size : int, optional
        As for :func:`load_pipeline`.

    Returns
    -------
    ClassificationPipeline, RegressionPipeline, QuestionPipeline or EntityPipeline
    """
    return _FINE_TUNED[model.task](model, batch_size)


def checkpoint_pipeline(checkpoint, ctx=None, batch_size=None, task=None):
    """The pipeline of a pre-trained checkpoint.

    Parameters
    ----------
    checkpoint : Checkpoint
        With a tokenizer.
    ctx, batch_size, task
        As for :func:`load_pipeline`.

    Returns
    -------
    FillMaskPipeline or NextSentencePipeline

    Raises
    ------
    ValueError
        If it is not for the task, or has no tokenizer.
    """
    able = [name for name, pipeline in PRETRAINED.items() if pipeline.head in checkpoint.heads]
    if not able:
        raise ValueError(f'{checkpoint.source}: has no head to predict with (it has: '
                         f'{", ".join(checkpoint.heads) or "none"}); expected a folder of a '
                         f'fine-tuning script, or a masked_lm or next_sentence head')
    if task not in (None, *able):
        raise ValueError(f'task={task!r}: {checkpoint.source} is for {" and ".join(able)}')
    if checkpoint.tokenizer is None:
        raise ValueError(f'{checkpoint.source}: has no vocabulary beside it')
    network = build_network(checkpoint, 'pretraining', ctx)
    return PRETRAINED[task or able[0]](network, checkpoint.tokenizer,
                                       32 if batch_size is None else batch_size).freeze()
