"""The form of a task's row: all that differs from task to task is a field of it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .settings import Setting


@dataclass(frozen=True)
class Head:
    """The head of a task's network.

    Parameters
    ----------
    checkpoint : str
        Its name in :attr:`.Checkpoint.heads`; empty for a network without one, whose files do not
        tell the task.
    weight : str
        The array of a checkpoint that has a row for each output.
    pooled : bool
        Whether it reads the pooled vector; without it the network has no pooler, which would get
        no gradient.
    make : str
        Place of a function ``(bert, size, settings)`` that gives the network.
    """

    checkpoint: str
    weight: str
    pooled: bool
    make: str


@dataclass(frozen=True)
class TaskSpec:
    """A task.

    Parameters
    ----------
    name : str
        In the field's terms, as Hugging Face tags it where it has a tag.
    aliases : tuple of str
        Other names that are read, such as those of gluon_bert 0.1.
    title : str
        For people.
    head : Head
    settings : mapping of str to Setting
        Those that there must be, in ``task.json`` and in memory; ``settings.OPTIONAL`` has more.
    size : callable
        Settings -> number of outputs for a text or token.
    is_trained_for : callable
        ``(checkpoint, size)`` of a :class:`.Checkpoint` with this head -> whether it is of this
        task.
    job : str
        Place of the :class:`.Job`: how data are read, become features and labels, and are
        evaluated.
    checkpoint_settings : str
        Place of a function of :mod:`gluon_bert.tasks.checkpoint_settings`; empty without a head.
    metrics : tuple of str
        By default; the first chooses the epoch.
    objective : str
        Its name in :data:`gluon_bert.training.objectives.OBJECTIVES`.
    soft_loss : str
        The form of its scores, a name of :data:`gluon_bert.training.distillation.SOFT_LOSSES`, by
        which a student learns them; '' if there is none.
    pipeline : str
        Place of the pipeline.
    max_length : str
        The setting that bounds the tokens of a sequence.
    architecture, problem_type, tag : str
        transformers' class without the family, its problem type, and the hub's pipeline tag.
    example : tuple of str
        A call of the pipeline, an argument of ``gluon-bert predict``, and what comes back.
    listed : mapping of str to str
        Settings that a model card lists -> title.
    pictures : mapping of str to str
        Suffix of a split's picture -> what it shows.
    formats : mapping of str to str
        Suffix of a file of inputs -> its format; '' for other suffixes, if there is a default.
    columns : tuple of (str, str), optional
        Usual columns of a table of inputs.
    takes_pairs : bool
        Whether an input can be two texts.
    takes_choices : bool
        Whether an input is a text with a list of choices.
    has_classes : bool
        Whether ``--top_k`` bounds its classes or candidates.
    per_output : tuple of str
        Settings that are lists with an entry for each output.
    reads_glue : bool
        Whether a dev set can be that of the GLUE task of the training.
    runs : tuple of str
        Names of other tasks whose checkpoints it can run, too, where it is asked for.
    takes : tuple of str
        Its data options of those that only some tasks have (``by_row``; see :func:`.option`).
    optional : mapping of str to Setting
        Settings that it may have, beside ``settings.OPTIONAL``: what is chosen on a dev set.
    likelihood : str
        Of its probabilities: a name of :data:`gluon_bert.metrics.calibration.LIKELIHOODS`; '' if
        they cannot be calibrated.
    linear_head : str
        Its name in :data:`gluon_bert.tasks.linear.LINEAR_HEADS`; '' if there is none.
    usage : tuple of str
        Python code and a command that use the folder, with its name as ``{folder}``; empty for
        :func:`.load_pipeline`, ``gluon-bert predict`` and the ``example``.
    student : str
        Place of the job of a student that learns from a teacher; '' for ``job``.
    """

    name: str
    aliases: tuple[str, ...]
    title: str
    head: Head
    settings: Mapping[str, Setting]
    size: Callable[[Mapping[str, Any]], int]
    is_trained_for: Callable[[Any, int], bool]
    job: str
    checkpoint_settings: str
    metrics: tuple[str, ...]
    objective: str
    soft_loss: str
    pipeline: str
    max_length: str
    architecture: str
    problem_type: str
    tag: str
    example: tuple[str, str, str]
    listed: Mapping[str, str] = field(default_factory=dict)
    pictures: Mapping[str, str] = field(default_factory=dict)
    formats: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[str, str] | None = None
    takes_pairs: bool = False
    takes_choices: bool = False
    has_classes: bool = False
    per_output: tuple[str, ...] = ()
    reads_glue: bool = False
    runs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    optional: Mapping[str, Setting] = field(default_factory=dict)
    likelihood: str = ''
    linear_head: str = ''
    usage: tuple[str, ...] = ()
    student: str = ''

    def student_job(self) -> Any:
        """Import the job of a student that learns from a teacher."""
        return self.load('student' if self.student else 'job')

    def load(self, name: str) -> Any:
        """Import the class or function that a field names by its place."""
        module, _, attribute = getattr(self, name).partition(':')
        return getattr(importlib.import_module(module), attribute)

    def make_network(self, bert: Any, settings: Mapping[str, Any]) -> Any:
        """Put the task's head on a BERT.

        Parameters
        ----------
        bert : BertModel
        settings : mapping of str to object

        Returns
        -------
        BertBlock
        """
        module, _, attribute = self.head.make.partition(':')
        make = getattr(importlib.import_module(module), attribute)
        return make(bert, self.size(settings), settings)
