"""One run of fine-tuning: read, build, train, evaluate, predict, write the folder."""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from logging.handlers import MemoryHandler
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union

import mxnet as mx

from .._internal.errors import ArgumentError
from .._internal.files import digest_of_rows, portable_path, write_text
from ..modeling.bert import BertBlock, BertModel
from ..training import FitResult, TrainingOptions, TrainingRun
from ..training.files import RunFiles
from ..training.previous import refuse_unasked
from ..training.reduction import DeviceReduction, Reduction, share
from .base import Job
from .folder import TaskModel, has_task, task_model
from .folds import take_fold
from .frozen import HeadOptions, prepare_head, train_head, vector_settings
from .head import reads_pooler
from .model_card import write_card
from .options import check_taken
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
    reduction : Reduction
        Of several processes, see :func:`.connect`; process 0 evaluates and writes.
    head : HeadOptions
        Whether a linear head is trained instead of the whole network.
    fold : (int, int), optional
        Number, from 0, and count: evaluate on this fold of the training examples, and train on the
        others.
    distillation : Distillation, optional
        The network learns from a teacher, too.
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
    reduction: Reduction = field(default_factory=DeviceReduction)
    head: HeadOptions = field(default_factory=HeadOptions)
    fold: Optional[tuple[int, int]] = None
    distillation: Optional[Any] = None


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
    job, folder, rank = run.job, Path(run.output_dir), run.reduction.rank
    if job.trains:
        _refuse_unasked(folder, run)
    elif run.reduction.size > 1:
        raise ValueError('evaluation and prediction alone run in one process: start no others')
    make_folder(folder)
    if job.saved is None:
        run.start.choose_model()
    gc.collect()  # networks of earlier runs lie in circles of references
    check_taken(job.data, job.spec, run.head.is_used)
    with log_file() as open_log:
        job.read()
        check_taken(job.data, job.spec)  # a GLUE task may be another one than was asked for
        if run.fold is not None:
            take_fold(job, *run.fold, run.options.seed)
        is_linear = job.trains and run.head.is_used
        if is_linear:
            prepare_head(run)
        model = _build(run)
        pipeline = model.spec.load('pipeline')(model)
        job.prepare(pipeline, folder)
        training = _compare(run, model, pipeline) if job.trains and not is_linear else None
        # Up to here nothing is written: the folder may be that of another run.
        is_anew = not run.resume if is_linear else training is not None and training.begins_anew
        open_log(folder / f'{job.log_file}{f".{rank}" if rank else ""}', 'w' if is_anew else 'a')
        if rank == 0:
            _write_arguments(run)
            job.keep_prepared()
        result = None
        if job.trains:
            result, model, pipeline = _train(run, training, model, pipeline)
        splits = job.write(pipeline, folder) if rank == 0 else []
        if job.trains and rank == 0:
            further = [] if run.distillation is None else [run.distillation.card()]
            write_card(job.result_folder(folder), model, splits, run.command, further)
        metrics = {split.name: split.metrics for split in splits if split.metrics}
        metrics = share(run.reduction, metrics)
    return FineTuned(job.result_folder(folder), pipeline, result, metrics)


def _refuse_unasked(folder, run):
    """Refuse to replace what is in the folder, before anything is read."""
    files = RunFiles(folder)
    refuse_unasked(files, run.resume, run.overwrite)
    run.job.refuse_unasked(folder, run.overwrite)


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
        use_pooler = reads_pooler(spec, saved.settings)
        bert, tokenizer = BertModel(saved.config, use_pooler=use_pooler), saved.tokenizer
        base = saved.settings.get('base')
    else:
        use_pooler = spec.head.pooled and not run.head.is_used
        bert, tokenizer = start.load_bert(ctx, run.options.seed, use_pooler)
        base = start.base
    job.start_from(bert)
    settings = {
        name: value for name, value in job.settings(bert.config, base).items() if value is not None
    }
    if job.trains and run.head.is_used:
        settings.update(vector_settings(bert))
    network = spec.make_network(bert, settings)
    mx.random.seed(run.options.seed)
    _initialize_head(network, bert, ctx)
    if run.distillation is not None:
        run.distillation.load_head(network, ctx)
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


def _compare(run: Run, model: TaskModel, pipeline: Any) -> TrainingRun:
    """Make the training run, and compare it with an earlier one in the folder."""
    job, files = run.job, RunFiles(Path(run.output_dir), run.stem or run.job.stem)
    evaluate = (lambda network: job.evaluate(pipeline)) if job.can_evaluate else None
    if evaluate is None and run.options.early_stop:
        raise ArgumentError('early_stop', 'needs data to evaluate on', run.options.early_stop)
    # Names of the run, and how many sequences an evaluation computes at once, change no result.
    settings = {
        name: value for name, value in model.settings.items() if name not in ('name', 'batch_size')
    }
    identity = {
        'task': model.task,
        **settings,
        'tokenizer': digest_of_rows(model.tokenizer.contents().items()),
        'dev data': {name: digest_of_rows(rows) for name, rows in job.dev_examples().items()},
    }
    if run.distillation is None:
        data = job.training_data(model, pipeline, run.options.seed, run.ctx)
        network, objective = model.network, job.objective(model)
    else:
        network, data, objective = run.distillation.prepare(run, model, pipeline)
    training = TrainingRun(
        network, data, objective, run.options, files, evaluate, run.reduction, identity
    )
    training.check(run.resume, run.overwrite)
    return training


def _train(
    run: Run, training: Optional[TrainingRun], model: TaskModel, pipeline: Any
) -> tuple[FitResult, TaskModel, Any]:
    """Train; the network ends with the parameters of the best evaluation.

    Without a TrainingRun a linear head is trained.
    """
    job, folder, writes = run.job, Path(run.output_dir), run.reduction.rank == 0
    if not job.can_evaluate and training is not None:
        logger.warning('no data to evaluate on: the last epoch will be kept')
    if writes and (training is None or training.begins_anew):
        job.clear(folder)
    if writes:
        job.save_first(folder, model)
    result = train_head(run, model, pipeline) if training is None else training.fit()
    chosen = share(run.reduction, job.after_training(pipeline) if writes else {})
    if chosen:
        model = task_model(model.task, model.network, model.tokenizer, {**model.settings, **chosen})
        pipeline = model.spec.load('pipeline')(model)
    if writes:
        job.save(folder, model, result.best_path.name)
    if training is not None:
        logger.info('best epoch %d: %s', result.best_epoch + 1, result.best_path)
    return result, model, pipeline


def _write_arguments(run):
    """Write the arguments, unless those of the training of a network in the folder are there."""
    folder, path = Path(run.output_dir), Path(run.output_dir) / 'arguments.json'
    if run.arguments is None:
        return
    if not run.job.trains and path.is_file() and (has_task(folder) or RunFiles(folder).has_run):
        logger.info('%s: those of the training are kept', path)
        return
    arguments = {name: _portable(value) for name, value in run.arguments.items()}
    write_text(path, json.dumps(arguments, indent=1, default=str) + '\n')


def _portable(value):
    return portable_path(value) if isinstance(value, (str, Path)) else value


class _Formatter(logging.Formatter):
    """Formatter of lines that name no folder of the user."""

    def format(self, record):
        text = super().format(record).replace(f'{os.getcwd()}{os.sep}', '')
        home = os.path.expanduser('~')
        return text if len(home) < 2 else text.replace(home, '~')


@contextlib.contextmanager
def log_file() -> Iterator[Callable[[Path, str], None]]:
    """Keep what the package logs meanwhile, and write it to a file once that is opened.

    Gives the function that opens it, of its path and mode.
    """
    package = logging.getLogger(__name__.partition('.')[0])
    level, never = package.level, logging.CRITICAL + 1
    memory = MemoryHandler(sys.maxsize, never, flushOnClose=False)

    def open_log(path: Path, mode: str) -> None:
        file = logging.FileHandler(path, mode, encoding='utf-8')
        file.setFormatter(_Formatter('%(asctime)s %(message)s', '%H:%M:%S'))
        memory.setTarget(file)
        memory.flush()
        package.removeHandler(memory)
        package.addHandler(file)
        opened.append(file)

    opened: list[logging.Handler] = [memory]
    package.addHandler(memory)
    if package.getEffectiveLevel() > logging.INFO:
        package.setLevel(logging.INFO)
    try:
        yield open_log
    finally:
        package.setLevel(level)
        for handler in opened:
            package.removeHandler(handler)
            handler.close()
