"""Load a folder, a checkpoint or a model of the zoo as a pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, Union

from .._internal.engine import check_context, is_cpu
from ..checkpoint import Checkpoint
from ..config import BertConfig
from ..inference.precision_file import resolve_precision
from ..inference.predictor import Predictor
from ..inference.sentence_encoder import SentenceEncoder
from ..inference.trained import TrainedNetwork
from ..tasks.checkpoint import checkpoint_task, tasks_of
from ..tasks.folder import TaskModel, has_task, load_task
from ..tasks.registry import get_spec
from ..zoo.opening import open_checkpoint
from .base import Pipeline, TaskPipeline
from .pretraining import FillMaskPipeline, NextSentencePipeline
from .sparse import SparsePipeline
from .zero_shot import EntailmentPipeline, SimilarityZeroShotPipeline, ZeroShotPipeline

if TYPE_CHECKING:
    import mxnet as mx

PRETRAINED = {
    pipeline.task: pipeline for pipeline in (FillMaskPipeline, NextSentencePipeline, SparsePipeline)
}


def load_pipeline(
    source: Union[str, Path],
    ctx: Optional[mx.Context] = None,
    batch_size: Optional[int] = None,
    task: Optional[str] = None,
    root: Union[str, Path, None] = None,
    precision: Optional[str] = None,
    config: Union[BertConfig, str, Path, None] = None,
    num_heads: Optional[int] = None,
) -> Pipeline:
    """Load a fine-tuned or pre-trained model as a pipeline.

    Parameters
    ----------
    source : str or Path
        A folder that a fine-tuning script wrote. Or a checkpoint, fine-tuned or pre-trained: a
        folder or file of :func:`.read_checkpoint`, such as transformers writes, or
        'hf://owner/name'. Or a model of the zoo: 'name/data_set' or its name on the hub, such as
        'bert-base-uncased', unless a file or folder has this name.
    ctx : mxnet.Context, optional
        By default the CPU, where the native kernels run the network without MXNet. Where they
        cannot, MXNet runs it, and the log says why.
    batch_size : int, optional
        Sequences computed at once; by default as in the evaluations of the training, else 32.
    task : str, optional
        By default what it was fine-tuned for; of a pre-trained model 'fill-mask', if it can do
        that, or 'next-sentence'. 'zero-shot-classification' for a classifier of natural-language
        inference, or a sentence model.
    root : str or Path, optional
        Of the zoo's cache, for a model of the zoo.
    precision : str, optional
        Of the dense layers, on the CPU with the native kernels: 'float32', the default; 'bfloat16'
        or 'int8', in which the layers listed in ``precision.json`` of the folder stay in float32,
        without that file none; or 'saved', the precision of that file.
    config, num_heads
        Of a .params file beside which no file states them; see :func:`.open_checkpoint`.

    Returns
    -------
    RankingPipeline, ClassificationPipeline, RegressionPipeline, MultipleChoicePipeline, \
QuestionPipeline, EntityPipeline, FillMaskPipeline, NextSentencePipeline or ZeroShotPipeline

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such source, it is damaged, or is not for the task; or a lower precision is
        asked for that cannot be had.
    """
    check_context(ctx)
    if not Path(source).exists() or not has_task(source):
        checkpoint = open_checkpoint(source, root, config, num_heads)
        return checkpoint_pipeline(checkpoint, ctx, batch_size, task, precision)
    if config is not None or num_heads is not None:
        raise ValueError(f'{source}: is a fine-tuned folder, whose task.json has a configuration')
    model = load_task(source, ctx, gluon=not is_cpu(ctx))
    if task == EntailmentPipeline.task and model.task == EntailmentPipeline.reads:
        return _frozen(EntailmentPipeline(model, batch_size), precision, source)
    if _task_name(task) not in (None, model.task):
        raise ValueError(f'task={task!r}: {source} was fine-tuned for {model.task}')
    return _frozen(task_pipeline(model, batch_size), precision, source)


def task_pipeline(model: TaskModel, batch_size: Optional[int] = None) -> TaskPipeline:
    """Make the pipeline of a network with its settings, such as one in training.

    Parameters
    ----------
    model : TaskModel
    batch_size : int, optional
        As for :func:`load_pipeline`.

    Returns
    -------
    ClassificationPipeline, RegressionPipeline, QuestionPipeline or EntityPipeline
    """
    return model.spec.load('pipeline')(model, batch_size)


def checkpoint_pipeline(
    checkpoint: Checkpoint,
    ctx: Optional[mx.Context] = None,
    batch_size: Optional[int] = None,
    task: Optional[str] = None,
    precision: Optional[str] = None,
) -> Pipeline:
    """Make the pipeline of a checkpoint, fine-tuned or pre-trained.

    Parameters
    ----------
    checkpoint : Checkpoint
        With a tokenizer.
    ctx, batch_size, task, precision
        As for :func:`load_pipeline`.

    Returns
    -------
    Pipeline
        As for :func:`load_pipeline`; see :func:`.checkpoint_task` for what a checkpoint of another
        maker leaves open.

    Raises
    ------
    ValueError
        If it is not for the task, or has no tokenizer.
    """
    able = [name for name, pipeline in PRETRAINED.items() if pipeline.head in checkpoint.heads]
    fine_tuned = tasks_of(checkpoint)
    if task == ZeroShotPipeline.task:
        return _zero_shot(checkpoint, fine_tuned, ctx, batch_size, precision)
    if checkpoint.sparse is not None and SparsePipeline.task in able:
        able = [SparsePipeline.task, *able]
    able = [*fine_tuned, *dict.fromkeys(able)]
    if not able:
        raise ValueError(
            f'{checkpoint.source}: has no head to predict with (it has: '
            f'{", ".join(checkpoint.heads) or "none"}); expected a folder of a '
            f'fine-tuning script, or a checkpoint with one of the heads classifier, '
            f'span, tagger, masked_lm, next_sentence'
        )
    task = _task_name(task)
    if task not in (None, *able):
        raise ValueError(f'task={task!r}: {checkpoint.source} is for {" and ".join(able)}')
    if checkpoint.tokenizer is None:
        raise ValueError(f'{checkpoint.source}: has no vocabulary beside it')
    if (task or able[0]) in fine_tuned:
        model = checkpoint_task(checkpoint, ctx, not is_cpu(ctx), task)
        return _frozen(task_pipeline(model, batch_size), precision, checkpoint.source)
    network: Any
    if is_cpu(ctx):
        network = TrainedNetwork(checkpoint, 'pretraining')
    else:
        from ..modeling.build import build_network

        network = build_network(checkpoint, 'pretraining', ctx)
    tokenizer: Any = checkpoint.tokenizer
    pipeline = PRETRAINED[task or able[0]](
        network, tokenizer, 32 if batch_size is None else batch_size
    )
    return _frozen(pipeline, precision, checkpoint.source)


def _zero_shot(checkpoint, fine_tuned, ctx, batch_size, precision):
    """The pipeline of a checkpoint that names labels it was not trained for."""
    if checkpoint.tokenizer is None:
        raise ValueError(f'{checkpoint.source}: has no vocabulary beside it')
    if EntailmentPipeline.reads in fine_tuned:
        model = checkpoint_task(checkpoint, ctx, not is_cpu(ctx), EntailmentPipeline.reads)
        return _frozen(EntailmentPipeline(model, batch_size), precision, checkpoint.source)
    if checkpoint.sentence is None:
        raise ValueError(
            f'task={ZeroShotPipeline.task!r}: {checkpoint.source} is neither a classifier of '
            f'natural-language inference nor a sentence model (its heads: '
            f'{", ".join(checkpoint.heads) or "none"})'
        )
    network: Any = TrainedNetwork(checkpoint, 'encoder')
    if not is_cpu(ctx):
        from ..modeling.build import build_network

        network = build_network(checkpoint, 'encoder', ctx)
    predictor: Any = _predictor(network, precision, checkpoint.source)
    encoder = SentenceEncoder(predictor, checkpoint.tokenizer)
    return SimilarityZeroShotPipeline(encoder, 32 if batch_size is None else batch_size)


def _task_name(task):
    """The name of a task by one of its aliases; others are left for the caller to refuse."""
    try:
        return task if task is None else get_spec(task).name
    except ValueError:
        return task


def _frozen(pipeline, precision, source):
    """A pipeline with its Predictor in a precision."""
    return pipeline.freeze(_predictor(pipeline.trained, precision, source))


def _predictor(network, precision, source):
    path = Path(source)
    folder = path if path.is_dir() else path.parent if path.is_file() else None
    return Predictor(network, precision=resolve_precision(precision, folder, network.config))
