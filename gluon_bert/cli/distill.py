"""Train a small network, the student, by the outputs of a larger one, the teacher.

TEACHER is a fine-tuned folder or checkpoint of a task; for sentence vectors it is any checkpoint or
model of the zoo. STUDENT is a model of the zoo, such as bert_4_256_4, or a checkpoint; without it,
layers of the teacher. gluon-bert distill TEACHER --help lists the flags for its task.

examples:
  gluon-bert distill teacher --num_layers 3 --train_file train.csv --dev_file dev.csv
  gluon-bert distill teacher bert_4_256_4 --train_file train.csv --unlabelled more.txt
  gluon-bert distill teacher --student_layers 0 2 4 --task MRPC --data_dir glue_data/MRPC
  gluon-bert distill sentence-transformers/all-MiniLM-L6-v2 --num_layers 3 --unlabelled lines.txt
"""

from __future__ import annotations

import argparse
from typing import Any

from .._internal.arguments import Parser
from .._internal.engine import prepare_engine
from .training_flags import (
    OPTIONS,
    add_data_flags,
    add_fields,
    add_run_flags,
    add_start_flags,
    carry_out,
    pop_devices,
    pop_reduction,
)

# Field of DistillationOptions -> (type, help).
_FLAGS: dict[str, tuple[Any, str]] = {
    'num_layers': (int, 'the student is this number of layers of the teacher, evenly spread'),
    'alpha': (
        float,
        "weight of the teacher's scores, from 0 to 1; the labels have the rest (default: 0.5, "
        'without labels 1)',
    ),
    'temperature': (float, 'divide the scores by this before their softmax (default: 2)'),
    'relation_weight': (
        float,
        'weight of the self-attention relations of the last layer (MiniLMv2); 0: none',
    ),
    'relation_heads': (
        int,
        'number of relation heads (default: the number of attention heads of the teacher)',
    ),
    'teacher_layer': (
        int,
        'layer of the teacher, from 0, whose relations are learned (default: the last)',
    ),
    'hidden_weight': (
        float,
        'weight of the embeddings and the encodings of all layers (TinyBERT); 0: none',
    ),
    'teacher_cache': (
        str,
        "folder for the teacher's outputs (default: the output folder); none: compute them for "
        'each batch',
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments; those of a task are read by its own parser."""
    parser.add_argument('teacher', metavar='TEACHER', help='a fine-tuned folder, or an encoder')
    parser.add_argument(
        'rest',
        nargs=argparse.REMAINDER,
        metavar='...',
        help='STUDENT and flags: gluon-bert distill TEACHER --help',
    )


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    prepare_engine(args.rest)
    from ..tasks import distill, finetune
    from ..tasks.distillation.teacher import open_teacher

    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument('--task')
    task = first.parse_known_args(args.rest)[0].task
    preset: dict[str, Any] = {}
    command = ['gluon-bert', 'distill', args.teacher, *args.rest]

    def work():
        nonlocal preset
        spec = None
        if task is not None:
            spec, preset = finetune.find_spec(task, {})
        teacher = open_teacher(args.teacher, spec and spec.name)
        given = make_parser(teacher.spec, preset).parse_args(args.rest)
        return _distill(distill, teacher, vars(given), command)

    return carry_out(work, command)


def make_parser(spec: Any, preset: dict[str, Any]) -> argparse.ArgumentParser:
    """Make the parser of the flags for a teacher of a task.

    Parameters
    ----------
    spec : TaskSpec
    preset : dict of str to object
        Fields of the data options that are not asked for.

    Returns
    -------
    argparse.ArgumentParser
    """
    from ..tasks.distillation.options import DistillationOptions
    from ..training import TrainingOptions

    parser = Parser(
        prog='gluon-bert distill TEACHER',
        usage='%(prog)s [STUDENT] [FLAGS]',
        description=f'{spec.title}.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument('student', nargs='?', metavar='STUDENT', help='a model or a checkpoint')
    parser.add_argument(
        '--task', help="the task, or one of GLUE such as MRPC (default: the teacher's)"
    )
    group = parser.add_argument_group('distillation')
    add_fields(group, DistillationOptions, _FLAGS)
    group.add_argument(
        '--student_layers',
        nargs='+',
        type=int,
        metavar='LAYER',
        help='the student is these layers of the teacher, from 0',
    )
    group.add_argument(
        '--unlabelled',
        nargs='+',
        metavar='FILE',
        help='texts without labels: the lines of a .txt, or tables',
    )
    job = spec.student_job()
    group = parser.add_argument_group('data')
    add_data_flags(group, job.Data, (*preset, *job.not_asked), spec.takes)
    add_start_flags(parser.add_argument_group('student'), ('model_parameters',))
    add_fields(parser.add_argument_group('training'), TrainingOptions, OPTIONS)
    add_run_flags(parser.add_argument_group('run'))
    parser.add_argument('--traceback', action='store_true', help='show where an error came from')
    return parser


def _distill(distill, teacher, options, command):
    options.pop('traceback', None)
    student, folder = options.pop('student', None), options.pop('output_dir')
    arguments = {'teacher': teacher.source, 'student': student, 'output_dir': folder, **options}
    for name in ('gpu', 'cpu_workers'):
        arguments.pop(name, None)
    options.update(ctx=pop_devices(options), command=command, arguments=arguments)
    task = options.pop('task', None)
    with pop_reduction(options) as options['reduction']:
        run = distill.make_distillation(teacher, student, folder, task, options)
        return f'{distill.run_job(run).folder}\n'
