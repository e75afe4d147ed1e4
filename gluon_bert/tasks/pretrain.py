"""Pre-training from records or texts to a folder that opens as a model."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union

import mxnet as mx

from .._internal.errors import ArgumentError
from .._internal.files import digest_of_rows, portable_path, write_text
from ..training import FitResult, TrainingOptions
from ..training.files import RunFiles
from ..training.previous import refuse_unasked
from ..training.reduction import DeviceReduction, Reduction, share
from .finetune import find_start, sort_options
from .pretraining.card import write_card
from .pretraining.network import PretrainingModel, make_network
from .pretraining.objectives import PRETRAINING_OBJECTIVES
from .pretraining.options import (
    LEARNING_RATE,
    Paths,
    PretrainingData,
    PretrainingPhase,
    PretrainingPlan,
)
from .pretraining.result import (
    MODEL_FOLDER,
    check_writable,
    check_zoo_name,
    remove_results,
    write_model,
    write_zoo_files,
)
from .pretraining.run import PretrainingRun
from .pretraining.sources import open_held_out, open_stream
from .run import log_file, make_folder
from .start import Start

__all__ = ['Pretrained', 'PretrainingPhase', 'PretrainingPlan', 'pretrain']

logger = logging.getLogger(__name__)

LOG_FILE, STEM = 'pretraining.log', 'bert'
RANK_LOG = 'phase1_log'  # GluonNLP's name; of processes other than the first


@dataclass
class PretrainingJob:
    """A run of pre-training.

    Parameters
    ----------
    start : Start
        The network it begins from.
    data : PretrainingData
    output_dir : Path
        Gets everything that is written.
    options : TrainingOptions
    plan : PretrainingPlan
    ctx : list of mxnet.Context
    resume, overwrite : bool
        As for :func:`.fit`.
    arguments : dict, optional
        Written to ``arguments.json``.
    reduction : Reduction
        Of several processes, see :func:`.connect`.
    """

    start: Start
    data: PretrainingData
    output_dir: Path
    options: TrainingOptions
    plan: PretrainingPlan = field(default_factory=PretrainingPlan)
    ctx: list = field(default_factory=lambda: [mx.cpu()])
    resume: bool = False
    overwrite: bool = False
    arguments: Optional[dict[str, Any]] = None
    reduction: Reduction = field(default_factory=DeviceReduction)


class Pretrained(NamedTuple):
    """A finished run: its folder, that of the model, the result, and the rows for the zoo."""

    folder: Path
    model: Path
    result: FitResult
    zoo_rows: str


def pretrain(
    model: Optional[Union[str, Path]] = None,
    *,
    output_dir: Union[str, Path],
    data: Optional[Paths] = None,
    texts: Optional[Paths] = None,
    plan: Optional[PretrainingPlan] = None,
    **options: Any,
) -> Pretrained:
    """Pre-train a BERT on records or texts, and write a folder that opens as a model.

    Parameters
    ----------
    model : str or Path, optional
        What to start from, as for :func:`.finetune`: a model of the zoo, a checkpoint, a fine-tuned
        folder, whose BERT is taken. With ``from_scratch`` its architecture alone.
    output_dir : str or Path
        Made if absent. Gets the model in ``model``, the log, the metrics and the state of the run.
    data : str, Path or list of them, optional
        Records: TFRecord, .npz or Parquet, or patterns of their names.
    texts : str, Path or list of them, optional
        Plain text instead, a sentence to a line, an empty line between documents; its tokens are
        masked anew in each epoch.
    plan : PretrainingPlan, optional
        Phases with their own length, data, batches and rates.
    **options
        Fields of :class:`.PretrainingData`, such as ``objective``, ``eval_data`` and
        ``batch_size``; of :class:`.Start`, such as ``from_scratch`` and ``vocab_file``; of
        :class:`.TrainingOptions`, such as ``training_steps``, ``optimizer`` and ``evaluate_every``;
        and ``ctx``, ``resume``, ``overwrite``; and ``reduction`` from :func:`.connect`, in each of
        several processes, of which process 0 writes. The learning rate is 1e-4 unless given.

    Returns
    -------
    Pretrained

    Raises
    ------
    TypeError
        If an option is unknown; the message has the nearest name.
    Interrupted, FloatingPointError
        As :func:`.fit`.
    FileNotFoundError, ValueError
        If data, model or options are not as they must be.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> texts = pathlib.Path(folder.name, 'my.txt')
    >>> _ = texts.write_text('A cat sleeps.\\nA dog barks.\\n\\nIt rains.\\n')
    >>> done = pretrain('bert_2_128_2', texts=texts, from_scratch=True, training_steps=1,
    ...                 bert_dataset='all_minilm_l6_v2', objective='masked_words',
    ...                 output_dir=pathlib.Path(folder.name, 'out'))
    >>> [path.name for path in sorted(done.model.glob('*.json'))][0]
    'config.json'
    >>> folder.cleanup()
    """
    files = {'data': data, 'texts': texts}
    options.update({name: value for name, value in files.items() if value is not None})
    return run_pretraining(make_job(model, output_dir, plan, options))


def make_job(
    model: Optional[Union[str, Path]],
    output_dir: Union[str, Path],
    plan: Optional[PretrainingPlan],
    options: dict[str, Any],
) -> PretrainingJob:
    """Sort the options of :func:`pretrain` into a job.

    Raises
    ------
    TypeError, ValueError
    """
    start, saved = find_start(model, options)
    if saved is not None:  # the BERT of a fine-tuned network
        start = Start(pretrained_bert_parameters=str(model))
    parts = {
        'data': PretrainingData,
        'start': Start,
        'options': TrainingOptions,
        'run': PretrainingJob,
    }
    names = {part: {row.name for row in fields(kind)} for part, kind in parts.items()}
    names['run'] = {'ctx', 'resume', 'overwrite', 'arguments', 'reduction'}
    names['start'] -= {'model_parameters', 'reinit_layers'}
    given = sort_options(names, options, 'pretrain')
    ctx = given['run'].pop('ctx', mx.cpu())
    return PretrainingJob(
        replace(start, **given['start']),
        PretrainingData(**given['data']),
        Path(output_dir),
        TrainingOptions(**{'learning_rate': LEARNING_RATE, **given['options']}),
        PretrainingPlan() if plan is None else plan,
        list(ctx) if isinstance(ctx, (list, tuple)) else [ctx],
        **given['run'],
    )


def run_pretraining(job: PretrainingJob) -> Pretrained:
    """Carry out a run of pre-training.

    Parameters
    ----------
    job : PretrainingJob

    Returns
    -------
    Pretrained

    Raises
    ------
    Interrupted, FloatingPointError, FileNotFoundError, ValueError
        As :func:`pretrain`.
    """
    folder, files = job.output_dir, RunFiles(job.output_dir, STEM)
    phases = job.plan.apply(job.data, job.options)
    for data, _ in phases:
        data.check()
    if job.options.early_stop:
        raise ArgumentError('early_stop', 'the last parameters are taken, not the best')
    refuse_unasked(files, job.resume, job.overwrite)
    with log_file() as open_log:
        if not (job.start.from_scratch and job.start.bert_config_file):
            job.start.choose_model()
        model = make_network(job.start, job.data, job.ctx, job.options.seed)
        check_writable(model, job.data.objective, folder, files.has_run)
        if job.data.zoo_name is not None:
            check_zoo_name(model, job.data.zoo_name)
        run = _make_run(job, model, phases, files)
        run.check(job.resume, job.overwrite)
        make_folder(folder)
        rank, mode = job.reduction.rank, 'w' if run.begins_anew else 'a'
        open_log(folder / (f'{RANK_LOG}.{rank}' if rank else LOG_FILE), mode)
        if rank == 0:
            if run.begins_anew:
                remove_results(folder)
            _write_arguments(job)
        result = run.fit()
        rows = _write_results(job, model, result) if rank == 0 else ''
        rows = share(job.reduction, rows)
        logger.info('the model is in %s', folder / MODEL_FOLDER)
    return Pretrained(folder, folder / MODEL_FOLDER, result, rows)


def _write_results(job: PretrainingJob, model: PretrainingModel, result: FitResult) -> str:
    """Write the model; return its rows for the zoo, if they are asked for."""
    written = write_model(model, job.output_dir)
    write_card(written, model, job.data.objective, result)
    if job.data.zoo_name is None:
        return ''
    return write_zoo_files(model, job.output_dir, job.data.zoo_name)


def _make_run(job: PretrainingJob, model: PretrainingModel, phases: list, files: RunFiles):
    seed, ctx = job.options.seed, job.ctx
    # Of texts process 0 makes the records first; then the others find them, or make them, too.
    for turn in (True, False)[: job.reduction.size]:
        if turn == (job.reduction.rank == 0):
            streams = [open_stream(model, data, files.folder, seed, ctx) for data, _ in phases]
            held_out = open_held_out(model, phases[-1][0], files.folder, seed, ctx)
        share(job.reduction, None)
    if held_out is None and job.options.evaluate_every:
        raise ArgumentError('evaluate_every', 'needs {eval_data} or {eval_texts}')
    identity = {
        'task': 'pre-training',
        'tokenizer': digest_of_rows(model.tokenizer.contents().items()),
    }
    settings, options = zip(*phases)
    label = PRETRAINING_OBJECTIVES[job.data.objective].label
    if label and any(data.data or data.eval_data for data in settings):
        logger.warning('the label of a record is taken to be %s', label)
    run = PretrainingRun(
        model.network, streams, settings, options, files, held_out, identity, job.reduction
    )
    run.evaluates_start = bool(model.base)
    return run


def _write_arguments(job):
    if job.arguments is not None:
        text = json.dumps(job.arguments, indent=1, default=lambda value: portable_path(str(value)))
        write_text(job.output_dir / 'arguments.json', text + '\n')
