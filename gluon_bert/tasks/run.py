"""One run of fine-tuning: read, build, train, evaluate, predict, write the folder."""

from __future__ import annotations

import contextlib
import json
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union

import mxnet as mx

from .._internal.errors import ArgumentError
from ..modeling.bert import BertBlock, BertModel
from ..training import FitResult, TrainingOptions, fit
from .base import Job
from .folder import TaskModel, save_task, save_tokenizer, task_model
from .model_card import write_card
from .start import Contexts, Start

logger = logging.getLogger(__name__)


@dataclass
class Run:
    """A run of fine-tuning, or of evaluation and prediction alone.

    Parameters
    ----------
    job : Job
        Its task and data.
    start : Start
        The network it begins from.
    output_dir : Path
        Gets everything that is written.
    options : TrainingOptions
    ctx : list of mxnet.Context
    resume, overwrite : bool
        As for :func:`.fit`.
    stem : str, optional
        Of the parameter files; by default the task's.
    arguments : dict, optional
        Written to ``arguments.json``.
    command : list of str, or str
        For the model card.
    """

    job: Job
    start: Start
    output_dir: Path
    options: TrainingOptions = field(default_factory=TrainingOptions)
    ctx: list = field(default_factory=lambda: [mx.cpu()])
    resume: bool = False
    overwrite: bool = False
    stem: Optional[str] = None
    arguments: Optional[dict[str, Any]] = None
    command: Union[list[str], str] = ''


class FineTuned(NamedTuple):
    """A finished run: its folder, pipeline, the best epoch's result, and metrics by split."""

    folder: Path
    pipeline: Any
    result: Optional[FitResult]
    metrics: dict[str, dict[str, float]]


def run_job(run: Run) -> FineTuned:
    """Carry out a run: read, train, evaluate, predict, and write the folder.

    Parameters
    ----------
    run : Run

    Returns
    -------
    FineTuned

    Raises
    ------
    Interrupted, FloatingPointError
        As :func:`.fit`.
    FileNotFoundError, ValueError
        If data, model or settings are not as they must be.
    """
    job, folder = run.job, Path(run.output_dir)
    make_folder(folder)
    if job.saved is None:
        run.start.choose_model()
    job.read()
    with _log_file(folder / job.log_file):
        if run.arguments is not None:
            text = json.dumps(run.arguments, indent=1, default=str)
            (folder / 'arguments.json').write_text(text + '\n', encoding='utf-8')
        model = _build(run)
        pipeline = model.spec.load('pipeline')(model)
        job.prepare(pipeline, folder)
        result = None
        if job.trains:
            result, model, pipeline = _train(run, model, pipeline)
        splits = job.write(pipeline, folder)
        if job.trains:
            write_card(folder, model, splits, run.command)
    metrics = {split.name: split.metrics for split in splits if split.metrics}
    return FineTuned(folder, pipeline, result, metrics)


def make_folder(folder: Path) -> None:
    """Make an output folder and see that files can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ArgumentError(
            'output_dir', f'cannot write there ({error.strerror})', folder
        ) from None


def _build(run: Run) -> TaskModel:
    """Make the network with its tokenizer, and how it reads texts."""
    job, start, ctx = run.job, run.start, run.ctx
    saved, spec = job.saved, job.spec
    if saved is not None:
        bert, tokenizer = BertModel(saved.config, use_pooler=spec.head.pooled), saved.tokenizer
        base = saved.settings.get('base')
    else:
        bert, tokenizer = start.load_bert(ctx, run.options.seed, spec.head.pooled)
        base = start.base
    settings = {
        name: value for name, value in job.settings(bert.config, base).items() if value is not None
    }
    network = spec.make_network(bert, settings)
    mx.random.seed(run.options.seed)
    _initialize_head(network, bert, ctx)
    parameters = start.model_parameters or (saved and saved.parameters)
    if parameters:
        network.load_parameters(parameters, ctx=ctx)
    job.before_training(
        task_model(spec.name, network, tokenizer, settings), run.options.learning_rate
    )
    network.hybridize(static_alloc=True)
    return task_model(spec.name, network, tokenizer, settings)


def _initialize_head(network: BertBlock, bert: BertModel, ctx: Contexts) -> None:
    """Draw the parameters that are not the BERT's, in their order."""
    of_bert = {id(parameter) for parameter in bert.collect_params().values()}
    for parameter in network.collect_params().values():
        if id(parameter) not in of_bert:
            parameter.initialize(ctx=ctx)


def _train(run: Run, model: TaskModel, pipeline: Any) -> tuple[FitResult, TaskModel, Any]:
    """Train; the network ends with the parameters of the best evaluation."""
    job, folder = run.job, Path(run.output_dir)
    data = job.training_data(model, pipeline, run.options.seed, run.ctx)
    if not job.can_evaluate:
        logger.warning('no data to evaluate on: the last epoch will be kept')
    save_tokenizer(folder, model.tokenizer)
    result = fit(
        model.network,
        data,
        job.objective(model),
        run.options,
        folder,
        name=run.stem or job.stem,
        evaluate=(lambda network: job.evaluate(pipeline)) if job.can_evaluate else None,
        resume=run.resume,
        overwrite=run.overwrite,
    )
    chosen = job.after_training(pipeline)
    if chosen:
        model = task_model(model.task, model.network, model.tokenizer, {**model.settings, **chosen})
        pipeline = model.spec.load('pipeline')(model)
    save_task(folder, model, result.best_path.name)
    logger.info('best epoch %d: %s', result.best_epoch + 1, result.best_path)
    return result, model, pipeline


@contextlib.contextmanager
def _log_file(path: Path) -> Iterator[None]:
    """Write what the package logs to a file meanwhile."""
    package = logging.getLogger(__name__.partition('.')[0])
    handler, level = logging.FileHandler(path, encoding='utf-8'), package.level
    handler.setFormatter(logging.Formatter('%(asctime)s %(message)s', '%H:%M:%S'))
    package.addHandler(handler)
    if package.getEffectiveLevel() > logging.INFO:
        package.setLevel(logging.INFO)
    try:
        yield
    finally:
        package.removeHandler(handler)
        package.setLevel(level)
        handler.close()
