"""From the flags of a script that trains to a run of the library, and back to its errors."""

import dataclasses
import sys

import gluon_bert as gb
from common import cli
from gluon_bert.cli.training_flags import pop_reduction

# Flags whose field in the library has another name.
OPTIONS = {'learning_rate': 'lr', 'weight_decay': 'wd'}


def recall(parser, argv, tasks, settings):
    """Parse the arguments, and read what stands beside the parameters that they name, or None.

    Flags that are not given are as they were in the training: ``settings`` has the flags' names by
    those of the settings.
    """
    args = parser.parse_args(argv)
    source = getattr(args, 'load_checkpoint_prefix', None) or args.model_parameters
    if source is None or not gb.task_folder.has_task(source):
        return args, None
    saved = gb.task_folder.read_task(source)
    if saved.task not in tasks:
        raise cli.Failure(
            f'{source}: was trained for {saved.task}, this script is for {" and ".join(tasks)}'
        )
    parser.set_defaults(
        **{flag: saved.settings[name] for name, flag in settings.items() if name in saved.settings}
    )
    return parser.parse_args(argv), saved


def fields_of(kind, args, names=None):
    """Make a dataclass from the flags that are its fields; ``names`` has flags by other fields."""
    names = names or {}
    flags = {row.name: names.get(row.name, row.name) for row in dataclasses.fields(kind)}
    return kind(
        **{name: getattr(args, flag) for name, flag in flags.items() if hasattr(args, flag)}
    )


def run(args, task, saved, names=None, trains=True, stem=None):
    """Carry out the run that the arguments describe.

    ``names`` has the flags whose field in the task's data options has another name.
    """
    from gluon_bert.tasks import registry, start
    from gluon_bert.tasks.run import Run, run_job

    spec = registry.get_spec(task)
    job_class = spec.load('job')
    with cli.spelled({**OPTIONS, **(names or {})}):
        job = job_class(spec, fields_of(job_class.Data, args, names), saved, trains)
        run = Run(
            job,
            fields_of(start.Start, args),
            args.output_dir,
            fields_of(gb.training.TrainingOptions, args, OPTIONS),
            cli.devices(args),
            args.resume,
            args.overwrite,
            stem=stem,
            arguments=vars(args),
            command=['python', *sys.argv],
        )
        with pop_reduction(dict(vars(args))) as run.reduction:
            return run_job(run)
