"""Prepare a distillation: compare teacher and student, choose layers, make data and objective."""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Optional

import numpy as np

from ..._internal.errors import ArgumentError
from ..._internal.files import portable_path
from ...checkpoint import Checkpoint
from ...modeling.distilled import DistilledNetwork
from ...training.distillation import SOFT_LOSSES
from ...training.distillation_objective import LayerPairs, LossWeights, make_distillation_objective
from ..model_card import plain_text
from .data import LessonData
from .options import ALPHA, NO_CACHE, TEMPERATURE, DistillationOptions
from .outputs import TeacherOutputs, outputs_key
from .teacher import Teacher

logger = logging.getLogger(__name__)

SCORES, STATES = 'teacher_scores.bin', 'teacher_states.bin'

# Settings in which the outputs of student and teacher are one thing.
_OUTPUT_SETTINGS = ('labels', 'kinds', 'scheme')


class Training(NamedTuple):
    """The network, its data and its objective, as :class:`.TrainingRun` takes them."""

    network: Any
    data: Any
    objective: Any


@dataclass
class Distillation:
    """A distillation, as a part of a :class:`.Run`.

    Parameters
    ----------
    teacher : Teacher
    options : DistillationOptions
    student : str
        Its origin, for the model card.
    layers : Checkpoint, optional
        Of the layers of the teacher that the student is made of.
    weights : LossWeights
        Chosen by :meth:`prepare`.
    """

    teacher: Teacher
    options: DistillationOptions
    student: str
    layers: Optional[Checkpoint] = None
    weights: LossWeights = field(default_factory=LossWeights)

    def prepare(self, run: Any, model: Any, pipeline: Any) -> Training:
        """Make what the student is trained by; nothing is written.

        Parameters
        ----------
        run : Run
        model : TaskModel
            With the student.
        pipeline : TaskPipeline
            Of the student.

        Returns
        -------
        Training

        Raises
        ------
        ValueError
            If teacher, student and data do not belong together.
        """
        teacher, form = self.teacher, model.spec.soft_loss
        _check_student(teacher, model)
        layers = self._layers(model.network.config)
        if layers is not None and (run.options.dtype != 'float32' or run.options.recompute):
            name = 'recompute' if run.options.recompute else 'dtype'
            raise ArgumentError(name, 'is not for {relation_weight} and {hidden_weight}')
        if getattr(run.job.data, 'class_weights', None) is not None:
            raise ArgumentError('class_weights', 'is not for a student of a teacher')
        data, num_labelled = self._sequences(run, model, pipeline)
        teacher.check_lengths(data.features)
        key = outputs_key(teacher, data.features, layers)
        self.weights = self._weights(SOFT_LOSSES[form], num_labelled > 0)
        scores = states = None
        if self.weights.alpha:
            of_tokens = SOFT_LOSSES[form].of_tokens
            scores = self._outputs(teacher.scores, data, teacher.width, of_tokens, SCORES, key, run)
        if layers is not None:
            compute = functools.partial(teacher.states, layers=layers)
            states = self._outputs(compute, data, layers.width, True, STATES, key, run)
        objective = make_distillation_objective(
            form, self.weights, run.job.objective(model) if num_labelled else None, layers
        )
        lessons = LessonData(data, num_labelled, key, scores, states, SOFT_LOSSES[form].by_label)
        return Training(self._network(model, layers, run.ctx), lessons, objective)

    def load_head(self, network: Any, ctx: Any) -> None:
        """Load the head of the teacher into a student made of its layers."""
        layers = self.layers
        # A head that reads pooled encodings is of no use to one that reads the pooler.
        if layers is not None and not layers.reads_vectors:
            network.load_checkpoint(layers, ctx=ctx, allow_missing=True)

    def card(self) -> str:
        """Write what the model card tells of the distillation."""
        teacher, weights = self.teacher, self.weights
        form = SOFT_LOSSES[teacher.spec.soft_loss]
        rows: list[tuple[str, object]] = [
            (
                'Teacher',
                f'{teacher.source}, {teacher.config.num_layers} layers of '
                f'{teacher.config.units} units',
            ),
            ('Student', self.student),
            (f"Weight of the teacher's scores, {form.title}", weights.alpha),
            ('Temperature', weights.temperature if form.has_temperature else 0),
            ('Weight of relations (MiniLMv2)', weights.relations),
            ('Weight of hidden states (TinyBERT)', weights.hidden),
            ('Texts without labels', ', '.join(map(portable_path, self.options.files()))),
        ]
        lines = [f'| {name} | {plain_text(value)} |' for name, value in rows if value]
        return '\n'.join(['## Distillation', '', '| | |', '|---|---|', *lines])

    def _folder(self, run):
        """The folder of the teacher's outputs; None if they are computed for each batch."""
        place = self.options.teacher_cache
        if place is not None and str(place) == NO_CACHE:
            return None
        return Path(run.output_dir if place is None else place)

    def _outputs(self, compute, data, width, of_tokens, name, key, run):
        folder = self._folder(run)
        path = None if folder is None else folder / name
        outputs = TeacherOutputs(compute, data.features, width, of_tokens, path, key, run.overwrite)
        outputs.check()
        return outputs

    def _sequences(self, run, model, pipeline):
        """All sequences, those with labels first, and how many these are."""
        job, seed, features, labels = run.job, run.options.seed, [], None
        if 'train' in job.splits:
            data = job.training_data(model, pipeline, seed, run.ctx)
            features, labels = data.features, data.labels
        num_labelled = len(features) if labels is not None else 0
        if self.options.files():
            more, blank = job.unlabelled_data(self.options.files(), model, pipeline)
            logger.info('unlabelled: %d sequences', len(more))
            labels, features = _join(labels, blank, len(more)), [*features, *more]
        if not features:
            raise ArgumentError('train_file', 'is needed, or {unlabelled} texts')
        return job.sequence_data(model, features, labels, seed, run.ctx), num_labelled

    def _weights(self, form, has_labels):
        options = self.options
        if options.temperature is not None and not form.has_temperature:
            raise ArgumentError('temperature', f'is not for the {form.title}', options.temperature)
        temperature = TEMPERATURE if options.temperature is None else options.temperature
        alpha = options.alpha
        if alpha is None:
            alpha = ALPHA if has_labels else 1.0
        elif not has_labels and 0 < alpha < 1:
            raise ArgumentError('alpha', 'weighs labels, and there are none', alpha)
        return LossWeights(alpha, temperature, options.relation_weight, options.hidden_weight)

    def _layers(self, student):
        """The layers that are compared; None without."""
        options, teacher = self.options, self.teacher.config
        if not options.relation_weight and not options.hidden_weight:
            return None
        relations, heads = None, options.relation_heads or teacher.num_heads
        if options.relation_weight:
            last = teacher.num_layers - 1
            layer = last if options.teacher_layer is None else options.teacher_layer
            if not 0 <= layer <= last:
                raise ArgumentError('teacher_layer', f'expected 0 to {last}', layer)
            relations = student.num_layers, layer + 1
            for who, units in (('teacher', teacher.units), ('student', student.units)):
                if units % heads:
                    raise ArgumentError(
                        'relation_heads', f'does not divide the {units} units of the {who}', heads
                    )
        hidden = []
        if options.hidden_weight:
            if student.num_layers > teacher.num_layers:
                raise ArgumentError(
                    'hidden_weight',
                    f'the student has {student.num_layers} layers, the teacher '
                    f'{teacher.num_layers}',
                    options.hidden_weight,
                )
            hidden = [
                (number, round(number * teacher.num_layers / student.num_layers))
                for number in range(student.num_layers + 1)
            ]
        return LayerPairs(teacher.units, tuple(hidden), relations, heads)

    def _network(self, model, layers, ctx):
        """The network that is trained: with projections, where those are needed."""
        of_vectors = SOFT_LOSSES[model.spec.soft_loss].of_vectors
        has_hidden = layers is not None and bool(layers.hidden)
        if layers is not None:
            # With static memory MXNet's gradients are wrong where an output of a block that was
            # compiled by itself has two uses: here the next layer and a loss.
            model.network.hybridize()
        units = self.teacher.config.units
        differs = units != model.network.config.units
        if not has_hidden and not (of_vectors and differs):
            return model.network
        if of_vectors and differs and len(model.settings['pooling']) > 1:
            raise ArgumentError(
                'pooling', f'expected one way: the teacher has {units} units, the student others'
            )
        network = DistilledNetwork(model.network, units, has_hidden, of_vectors)
        for parameter in network.new_parameters():
            parameter.initialize(ctx=ctx)
        return network


def _check_student(teacher: Teacher, model: Any) -> None:
    """Refuse a student of another task, other labels or another vocabulary."""
    if model.task != teacher.spec.name:
        raise ArgumentError(
            'teacher',
            f'was trained for {teacher.spec.name}, these data are for {model.task}',
            teacher.source,
        )
    for name in _OUTPUT_SETTINGS:
        if teacher.settings.get(name) != model.settings.get(name):
            raise ArgumentError(
                'teacher',
                f'has other {name} than the student: {teacher.settings.get(name)} and '
                f'{model.settings.get(name)}',
                teacher.source,
            )
    ours, theirs = model.tokenizer, teacher.model.tokenizer
    same_tokens = ours.vocabulary.idx_to_token == theirs.vocabulary.idx_to_token
    if not same_tokens or type(ours) is not type(theirs) or ours.lower != theirs.lower:
        raise ArgumentError(
            'student',
            f'has another vocabulary than the teacher, {_tokens(ours)} and {_tokens(theirs)}: '
            f'both must give a text the same ids',
        )


def _tokens(tokenizer):
    casing = 'lower-cased' if tokenizer.lower else 'cased'
    return f'{len(tokenizer.vocabulary)} tokens {casing}'


def _join(labels, blank, count):
    """The labels of all sequences: those without get ``blank`` ones, or 0."""
    if blank is not None:
        return [*(labels or ()), *blank]
    if labels is None:
        return None
    return np.concatenate([labels, np.zeros((count, *labels.shape[1:]), labels.dtype)])
