"""Fine-tuning from data files to a folder that ``load_pipeline`` opens."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Optional, Union

import mxnet as mx

from .._internal.errors import ArgumentError
from .._internal.files import portable_path
from .._internal.suggestions import did_you_mean
from ..data import get_task
from ..training import TrainingOptions
from ..zoo import ARCHITECTURES, WEIGHTS, find_model, hub_names
from .folder import TaskFolder, has_task, read_task
from .frozen import FEW_SHOT_DEFAULTS, HeadOptions, check_head_options
from .registry import TASKS, TaskSpec, get_spec
from .run import FineTuned, Run, run_job
from .start import Start

# Data options that a job takes from the settings itself.
_FROM_SETTINGS = {'scheme', 'labels', 'pooling', 'normalize'}


def finetune(
    task: str,
    model: Optional[Union[str, Path]] = None,
    *,
    output_dir: Union[str, Path],
    train: Optional[Union[str, Path]] = None,
    dev: Optional[Union[str, Path]] = None,
    test: Optional[Union[str, Path]] = None,
    **options: Any,
) -> FineTuned:
    """Fine-tune a BERT, evaluate it, and write a folder that ``load_pipeline`` opens.

    Parameters
    ----------
    task : str
        'text-classification', 'text-regression', 'multi-label-classification', 'multiple-choice',
        'question-answering', 'token-classification', 'text-ranking' or 'sentence-similarity'; or a
        task of GLUE such as 'MRPC', whose files are in ``data_dir`` or $GLUE_DIR.
    model : str or Path, optional
        What to start from: a model of the zoo, 'NAME/DATASET', NAME, or its name on the hub such as
        'bert-base-uncased'; a fine-tuned folder; a checkpoint's path; 'hf://owner/name'. By default
        GluonNLP's where it can be fetched, else the model that needs no download.
    output_dir : str or Path
        Made if absent. Gets parameters, ``task.json``, tokenizer, model card, metrics, predictions,
        reports and pictures; for 'sentence-similarity' a folder ``model`` of sentence-transformers.
    train, dev, test : str or Path, optional
        The files: tables, lines, SQuAD's layout or tagged sentences. That for test is predicted.
    **options
        Fields of the task's data options, such as ``text_column``, ``max_len`` and ``batch_size``;
        of :class:`.Start`, such as ``from_scratch``; of :class:`.TrainingOptions`, such as
        ``epochs`` and ``learning_rate``; of :class:`.HeadOptions`, such as ``freeze_encoder``;
        ``ctx``, ``resume``, ``overwrite``, ``command``; and ``reduction`` from :func:`.connect`, in
        each of several processes, which share each batch.

    Returns
    -------
    FineTuned

    Raises
    ------
    TypeError
        If an option is unknown; the message has the nearest name.
    Interrupted, FloatingPointError, FileNotFoundError, ValueError
        As :func:`run_job`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> table = pathlib.Path(folder.name, 'train.csv')
    >>> _ = table.write_text('text,label\\n' + 'Good,yes\\nBad,no\\n' * 4)
    >>> done = finetune('text-classification', 'bert_2_128_2', train=table, from_scratch=True,
    ...                 bert_dataset='all_minilm_l6_v2', epochs=1, batch_size=4,
    ...                 output_dir=pathlib.Path(folder.name, 'out'))
    >>> done.pipeline('Good').label in ('yes', 'no')
    True
    >>> folder.cleanup()
    """
    files = {'train_file': train, 'dev_file': dev, 'test_file': test}
    options.update({name: value for name, value in files.items() if value is not None})
    run = make_run(task, model, output_dir, options)
    if not run.command:
        run.command = call_text(
            'finetune', [task] if model is None else [task, str(model)], output_dir, options
        )
    return run_job(run)


def make_run(
    task: str, model: Optional[Union[str, Path]], output_dir: Union[str, Path], options: dict
) -> Run:
    """Sort the options of :func:`finetune` into a run.

    Parameters
    ----------
    task, model, output_dir
        As there.
    options : dict of str to object

    Returns
    -------
    Run

    Raises
    ------
    TypeError, ValueError
    """
    spec, options = find_spec(task, dict(options))
    job_class = spec.load('job')
    start, saved = find_start(model, options)
    given = set(options) & {row.name for row in fields(TrainingOptions)}
    if options.get('few_shot') is not None:
        options = {**FEW_SHOT_DEFAULTS, **options}
    parts = {
        'data': job_class.Data,
        'start': Start,
        'options': TrainingOptions,
        'head': HeadOptions,
        'run': Run,
    }
    names = {part: {row.name for row in fields(kind)} for part, kind in parts.items()}
    names['run'] = {'ctx', 'resume', 'overwrite', 'stem', 'arguments', 'command', 'reduction'}
    sorted_options = sort_options(names, options, spec.name)
    start = replace(start, **sorted_options['start'])
    if saved is None and start.model_parameters and has_task(start.model_parameters):
        saved = read_task(start.model_parameters)
    head = HeadOptions(**sorted_options['head'])
    check_head_options(head, spec, given, saved)
    data = job_class.Data(**{**saved_data(job_class, saved), **sorted_options['data']})
    further = sorted_options['run']
    ctx = further.pop('ctx', mx.cpu())
    return Run(
        job_class(_same_task(spec, saved), data, saved),
        start,
        Path(output_dir),
        TrainingOptions(**sorted_options['options']),
        list(ctx) if isinstance(ctx, (list, tuple)) else [ctx],
        head=head,
        **further,
    )


def sort_options(
    names: dict[str, set[str]], options: dict[str, Any], what: str
) -> dict[str, dict[str, Any]]:
    """Sort options by the first part that has a field of their name.

    Raises
    ------
    TypeError
        If none has; the message has the nearest name, and tells of ``what`` it is no option.
    """
    parts: dict[str, dict[str, Any]] = {part: {} for part in names}
    for name, value in options.items():
        part = next((part for part in names if name in names[part]), None)
        if part is None:
            known = sorted(set().union(*names.values()))
            raise TypeError(
                f'{name} is no option of {what}{did_you_mean(name, known)}; there are: '
                f'{", ".join(known)}'
            )
        parts[part][name] = value
    return parts


def find_spec(task: str, options: dict[str, Any]) -> tuple[TaskSpec, dict[str, Any]]:
    """Look a task up by its name, or by that of a GLUE task, which becomes an option."""
    try:
        return get_spec(task), options
    except ValueError as error:
        try:
            row = get_task(task)
        except ValueError:
            raise error from None
    spec = TASKS['text-regression' if row.is_regression else 'text-classification']
    return spec, {'task_name': row.name, **options}


def find_start(
    model: Optional[Union[str, Path]], options: dict[str, Any]
) -> tuple[Start, Optional[TaskFolder]]:
    """Tell what a model names: a row of the zoo, a fine-tuned folder, or a checkpoint."""
    if model is None:
        return Start(), None
    if str(model) in hub_names():
        key = find_model(str(model))
        if key is not None:
            return Start(*key), None
    name, _, dataset = str(model).partition('/')
    if name in ARCHITECTURES:
        if dataset and (name, dataset) not in WEIGHTS and not options.get('from_scratch'):
            trained = [data for other, data in WEIGHTS if other == name]
            raise ValueError(
                f'model={model!r}: {name} was not trained on {dataset!r}'
                f'{did_you_mean(dataset, trained)} (there are: {", ".join(trained) or "none"})'
            )
        return Start(bert_model=name, bert_dataset=dataset or None), None
    if not str(model).startswith('hf://') and Path(model).exists() and has_task(model):
        saved = read_task(model)
        return Start(model_parameters=saved.parameters), saved
    if not str(model).startswith('hf://') and not Path(model).exists():
        raise FileNotFoundError(
            f'model={str(model)!r}: no such file or folder, and no model of the zoo'
            f'{did_you_mean(str(model), [*ARCHITECTURES, *hub_names()])}'
        )
    return Start(pretrained_bert_parameters=str(model)), None


def _same_task(spec, saved):
    if saved is not None and saved.task != spec.name:
        raise ArgumentError(
            'model_parameters',
            f'was trained for {saved.task}, this run is for {spec.name}',
            saved.parameters,
        )
    return spec


def saved_data(job_class: Any, saved: Any) -> dict[str, Any]:
    """Collect the data options that stand beside trained parameters: as in their training.

    Parameters
    ----------
    job_class : type of Job
    saved : TaskFolder, Teacher or None

    Returns
    -------
    dict of str to object
    """
    if saved is None:
        return {}
    names = {row.name for row in fields(job_class.Data)} - _FROM_SETTINGS
    values = {name: value for name, value in saved.settings.items() if name in names}
    if 'batch_size' in saved.settings:
        values['dev_batch_size'] = saved.settings['batch_size']
        del values['batch_size']
    return values


def call_text(function: str, names: list[str], output_dir: Any, options: dict[str, Any]) -> str:
    """Write a call of a function of this package, for the model card.

    Parameters
    ----------
    function : str
    names : list of str
        The arguments by position.
    output_dir : str or Path
    options : dict of str to object

    Returns
    -------
    str
    """
    arguments = [_literal(name) for name in names]
    arguments += [
        f'{name}={_literal(value)}'
        for name, value in options.items()
        if name not in ('ctx', 'arguments', 'reduction')
    ]
    return f'gluon_bert.{function}({", ".join(arguments)}, output_dir={_literal(output_dir)})'


def _literal(value):
    if isinstance(value, (list, tuple)):
        return f'[{", ".join(map(_literal, value))}]'
    return repr(portable_path(value) if isinstance(value, (str, Path)) else value)
