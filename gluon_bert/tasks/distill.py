"""Distillation: train a small network, the student, by what a larger one, the teacher, gives."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, Optional, Union

import mxnet as mx

from .._internal.errors import ArgumentError
from .._internal.files import portable_path
from ..training import TrainingOptions
from .distillation.lesson import Distillation
from .distillation.options import DistillationOptions
from .distillation.student import TeacherLayers, choose_layers, take_layers
from .distillation.teacher import Teacher, open_teacher
from .finetune import call_text, find_spec, find_start, saved_data, sort_options
from .registry import get_spec
from .run import FineTuned, Run, run_job
from .start import Start

__all__ = ['distill', 'make_distillation']


def distill(
    teacher: Union[str, Path],
    student: Optional[Union[str, Path]] = None,
    *,
    output_dir: Union[str, Path],
    train: Optional[Union[str, Path]] = None,
    dev: Optional[Union[str, Path]] = None,
    test: Optional[Union[str, Path]] = None,
    task: Optional[str] = None,
    **options: Any,
) -> FineTuned:
    """Train a student by the outputs of a teacher, and write a folder like :func:`.finetune`.

    Parameters
    ----------
    teacher : str or Path
        A fine-tuned folder or checkpoint of a task; for sentence vectors any checkpoint or model of
        the zoo.
    student : str or Path, optional
        What to start from, as for :func:`.finetune`, such as a small model of the zoo. Without it
        the student is made of layers of the teacher: ``num_layers`` or ``student_layers``.
    output_dir : str or Path
        As for :func:`.finetune`; gets the outputs of the teacher, too.
    train, dev, test : str or Path, optional
        As for :func:`.finetune`. Texts without labels are ``unlabelled``, beside the training file
        or instead of it.
    task : str, optional
        A task as for :func:`.finetune`, GLUE's among them, which must be that of the teacher; by
        default what that was trained for.
    **options
        Fields of :class:`.DistillationOptions`, such as ``alpha``, ``temperature`` and
        ``unlabelled``; others as for :func:`.finetune`. Those that say how texts are read, such as
        ``max_len``, are by default the teacher's.

    Returns
    -------
    FineTuned

    Raises
    ------
    TypeError
        If an option is unknown; the message has the nearest name.
    Interrupted, FloatingPointError, FileNotFoundError, ValueError
        As :func:`.finetune`; also if teacher, student and data do not belong together.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import gluon_bert as gb
    >>> folder = tempfile.TemporaryDirectory()
    >>> table = pathlib.Path(folder.name, 'train.csv')
    >>> _ = table.write_text('text,label\\n' + 'Good,yes\\nBad,no\\n' * 4)
    >>> teacher, student = (pathlib.Path(folder.name, name) for name in ('teacher', 'student'))
    >>> fast = {'train': table, 'epochs': 1, 'batch_size': 4}
    >>> _ = gb.finetune('text-classification', 'bert_2_128_2', from_scratch=True,
    ...                 bert_dataset='all_minilm_l6_v2', output_dir=teacher, **fast)
    >>> done = distill(teacher, num_layers=1, output_dir=student, **fast)
    >>> done.pipeline('Good').label in ('yes', 'no')
    True
    >>> folder.cleanup()
    """
    files = {'train_file': train, 'dev_file': dev, 'test_file': test}
    options.update({name: value for name, value in files.items() if value is not None})
    run = make_distillation(teacher, student, output_dir, task, options)
    if not run.command:
        shown = {'task': task, **options}
        shown = {name: value for name, value in shown.items() if value is not None}
        names = [teacher] if student is None else [teacher, student]
        run.command = call_text('distill', [str(name) for name in names], output_dir, shown)
    return run_job(run)


def make_distillation(
    teacher: Union[str, Path, Teacher],
    student: Optional[Union[str, Path]],
    output_dir: Union[str, Path],
    task: Optional[str],
    options: dict[str, Any],
) -> Run:
    """Sort the options of :func:`distill` into a run.

    Parameters
    ----------
    teacher : str, Path or Teacher
    student, output_dir, task
        As for :func:`distill`.
    options : dict of str to object

    Returns
    -------
    Run

    Raises
    ------
    TypeError, ValueError
    """
    options, name = dict(options), None
    if task is not None:
        wanted, options = find_spec(task, options)
        name = wanted.name
    if not isinstance(teacher, Teacher):
        teacher = open_teacher(teacher, name, options.get('root'))
    spec = get_spec(teacher.model.task)
    job_class = spec.student_job()
    parts = {
        'data': job_class.Data,
        'distillation': DistillationOptions,
        'start': Start,
        'options': TrainingOptions,
        'run': Run,
    }
    names = {part: {row.name for row in fields(kind)} for part, kind in parts.items()}
    names['run'] = {'ctx', 'resume', 'overwrite', 'stem', 'arguments', 'command', 'reduction'}
    names['start'] -= {'model_parameters', 'pretrained_bert_parameters', 'bert_model'}
    given = sort_options(names, options, 'distill')
    distillation = DistillationOptions(**given['distillation'])
    start, origin = _find_student(student, teacher, distillation, given['start'])
    layers = start.checkpoint if isinstance(start, TeacherLayers) else None
    data = job_class.Data(**{**saved_data(job_class, teacher), **given['data']})
    ctx = given['run'].pop('ctx', mx.cpu())
    return Run(
        job_class(spec, data, teacher=teacher),
        start,
        Path(output_dir),
        TrainingOptions(**given['options']),
        list(ctx) if isinstance(ctx, (list, tuple)) else [ctx],
        distillation=Distillation(teacher, distillation, origin, layers),
        **given['run'],
    )


def _find_student(student, teacher, distillation, given):
    """The start of the student, and its origin in words."""
    if not distillation.takes_layers:
        if student is None:
            raise ArgumentError(
                'student', 'is needed, or {num_layers} or {student_layers} of the teacher'
            )
        start, saved = find_start(student, given)
        if saved is not None:  # its BERT; the head is the teacher's in form alone
            start = Start(pretrained_bert_parameters=str(student))
        for name, value in given.items():
            setattr(start, name, value)
        return start, portable_path(student)
    name = 'num_layers' if distillation.num_layers is not None else 'student_layers'
    if student is not None:
        raise ArgumentError(name, f'goes with a student made of the teacher, not with {student}')
    if set(given) - {'root'}:
        raise ArgumentError(min(set(given) - {'root'}), f'does not go with {{{name}}}')
    layers = choose_layers(distillation, teacher.config.num_layers)
    checkpoint = take_layers(teacher.checkpoint, layers)
    base = teacher.settings.get('base')
    start = TeacherLayers(checkpoint=checkpoint, teacher_base=base)
    return start, f'layers {", ".join(map(str, layers))} of the teacher, from 0'
