"""The options of pre-training, and its plan of phases.

The fields are keyword arguments of :func:`.pretrain` and flags of ``gluon-bert pretrain``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Optional, Union

from ..._internal.checks import check_choice, check_fraction, check_not_negative, check_positive
from ..._internal.errors import ArgumentError
from ..._internal.suggestions import did_you_mean
from ...training.options import TrainingOptions
from ..options import Checked, option
from .objectives import PRETRAINING_OBJECTIVES

LEARNING_RATE = 1e-4  # Devlin et al. (2019), appendix A.2


# Fields that records leave no sense to.
_OF_MASKS, _OF_TEXTS = ('whole_word_mask', 'masked_lm_prob'), ('text_format', 'short_seq_prob')


def paths(text: str) -> list[str]:
    """Split the files of the command line at their commas."""
    return [name for name in text.split(',') if name]


def _check_objective(objective):
    check_choice(tuple(PRETRAINING_OBJECTIVES), objective=objective)


Paths = Union[str, Path, Sequence[Union[str, Path]]]


@dataclass
class PretrainingData(Checked):
    """The data of pre-training, and what is learned from them."""

    data: Optional[Paths] = option(
        'files of records or patterns, separated by commas: TFRecord, .npz or Parquet', type=paths
    )
    texts: Optional[Paths] = option(
        'files of plain text instead, of which records are made in the output folder', type=paths
    )
    eval_data: Optional[Paths] = option('held-out records, evaluated on', type=paths)
    eval_texts: Optional[Paths] = option('held-out texts', type=paths)
    objective: str = option(
        'pretraining (masked words and next sentence), masked_words, sentence_order or '
        'replaced_tokens',
        'pretraining',
        str,
        check=_check_objective,
    )
    batch_size: int = option(
        'sequences in a batch, on all devices together', 32, int, check=check_positive
    )
    eval_batch_size: int = option(
        'sequences in a batch of evaluation', 32, int, check=check_positive
    )
    eval_steps: Optional[int] = option(
        'batches of an evaluation at most (default: all)', type=int, check=check_positive
    )
    max_seq_length: Optional[int] = option(
        'tokens of a sequence at most; longer records are refused (default: what the model takes; '
        'of texts 128)',
        type=int,
        names=('max_len',),
        check=check_positive,
    )
    max_predictions_per_seq: Optional[int] = option(
        'masked tokens of a sequence at most; records with more are refused (default: as many as '
        'their share asks for)',
        type=int,
        check=check_positive,
    )
    masked_lm_prob: float = option(
        'share of the tokens that are masked, of texts and with dynamic_masking',
        0.15,
        float,
        check=check_fraction,
    )
    text_format: str = option(
        'of texts: lines, a sentence to a line, or text, a paragraph to a line; an empty line ends '
        'a document',
        'lines',
        str,
    )
    short_seq_prob: float = option(
        'of texts: share of documents with shorter sequences', 0.1, float, check=check_fraction
    )
    whole_word_mask: bool = option('mask all pieces of a word together', False)
    dynamic_masking: bool = option('mask records anew in each epoch; texts always are', False)
    shuffle_buffer: int = option(
        'records in memory, among which the order is drawn in each epoch',
        16384,
        int,
        check=check_not_negative,
    )
    dropout: Optional[float] = option(
        "of the network in training (default: the model's)", type=float, check=check_fraction
    )
    generator_size: float = option(
        'of replaced_tokens: units of the generator, as a share of those of the model',
        0.25,
        float,
        check=check_fraction,
    )
    keep_checkpoints: int = option(
        "keep the last ones as GluonNLP's %%07d.params, one each checkpoint_interval",
        0,
        int,
        check=check_not_negative,
    )
    no_accuracy: bool = option('leave the accuracy of the training batches out of the log', False)
    zoo_name: Optional[str] = option(
        "data set's name of the model as a row of the zoo; its files and its row are written",
        type=str,
    )

    def check(self) -> None:
        """Refuse options that do not go together.

        Raises
        ------
        ValueError
        """
        for records, texts in (('data', 'texts'), ('eval_data', 'eval_texts')):
            if getattr(self, records) and getattr(self, texts):
                raise ArgumentError(texts, f'does not go with {{{records}}}')
        if not self.data and not self.texts:
            raise ArgumentError('data', 'is needed: records, or {texts}')
        defaults = {row.name: row.default for row in fields(self)}
        for name in _OF_MASKS:
            if getattr(self, name) != defaults[name] and not (self.texts or self.dynamic_masking):
                raise ArgumentError(
                    name, 'goes with {texts} or {dynamic_masking}: records are masked'
                )
        for name in _OF_TEXTS:
            if getattr(self, name) != defaults[name] and not (self.texts or self.eval_texts):
                raise ArgumentError(name, 'goes with {texts} or {eval_texts}')


@dataclass(frozen=True)
class PretrainingPhase:
    """A phase of pre-training: what differs in it; None is as in the other options.

    Parameters
    ----------
    training_steps : int, optional
    hours : float, optional
        Instead of a number of steps.
    learning_rate, warmup_ratio, schedule, accumulate, accumulate_from, ramp_ratio
        As in :class:`.TrainingOptions`.
    data, texts, batch_size, max_seq_length, max_predictions_per_seq, masked_lm_prob
        As in :class:`PretrainingData`.
    """

    training_steps: Optional[int] = None
    hours: Optional[float] = None
    learning_rate: Optional[float] = None
    warmup_ratio: Optional[float] = None
    schedule: Optional[str] = None
    accumulate: Optional[int] = None
    accumulate_from: Optional[int] = None
    ramp_ratio: Optional[float] = None
    data: Optional[Paths] = None
    texts: Optional[Paths] = None
    batch_size: Optional[int] = None
    max_seq_length: Optional[int] = None
    max_predictions_per_seq: Optional[int] = None
    masked_lm_prob: Optional[float] = None

    def apply(
        self, data: PretrainingData, options: TrainingOptions
    ) -> tuple[PretrainingData, TrainingOptions]:
        """Give the options of this phase."""
        given = {row.name: getattr(self, row.name) for row in fields(self)}
        given = {name: value for name, value in given.items() if value is not None}
        of_options = {row.name for row in fields(options)}
        changes = {name: value for name, value in given.items() if name in of_options}
        if 'hours' in changes:
            changes.setdefault('training_steps', None)
        if 'training_steps' in changes:
            changes.setdefault('hours', None)
        other = {name: value for name, value in given.items() if name not in of_options}
        if 'texts' in other:
            other.setdefault('data', None)
        if 'data' in other:
            other.setdefault('texts', None)
        return replace(data, **other), replace(options, **changes)


@dataclass(frozen=True)
class PretrainingPlan:
    """The phases of pre-training, one after the other.

    Parameters
    ----------
    phases : sequence of PretrainingPhase
        None: one, with the other options as they are.

    Examples
    --------
    >>> plan = PretrainingPlan.parse(['training_steps=900,max_seq_length=128,learning_rate=6e-3',
    ...                               'training_steps=100,max_seq_length=512,learning_rate=4e-3'])
    >>> [phase.max_seq_length for phase in plan.phases]
    [128, 512]
    """

    phases: Sequence[PretrainingPhase] = ()

    @classmethod
    def parse(cls, texts: Sequence[str]) -> PretrainingPlan:
        """Read phases as the command line has them: 'NAME=VALUE,NAME=VALUE'.

        Raises
        ------
        ValueError
            If one cannot be read; the message has the nearest name.
        """
        return cls(tuple(map(_parse_phase, texts)))

    def apply(
        self, data: PretrainingData, options: TrainingOptions
    ) -> list[tuple[PretrainingData, TrainingOptions]]:
        """Give data and options of each phase."""
        return [phase.apply(data, options) for phase in self.phases or (PretrainingPhase(),)]


_KINDS: dict[str, Any] = {
    **dict.fromkeys(
        (
            'training_steps',
            'accumulate',
            'accumulate_from',
            'batch_size',
            'max_seq_length',
            'max_predictions_per_seq',
        ),
        int,
    ),
    **dict.fromkeys(
        ('hours', 'learning_rate', 'warmup_ratio', 'ramp_ratio', 'masked_lm_prob'), float
    ),
    **dict.fromkeys(('schedule', 'data', 'texts'), str),
}


def _parse_phase(text):
    values = {}
    for item in text.split(','):
        name, equals, value = item.strip().partition('=')
        if name not in _KINDS or not equals:
            raise ArgumentError(
                'phase',
                f'expected NAME=VALUE with a name of {", ".join(_KINDS)}'
                f'{did_you_mean(name, _KINDS)}',
                repr(item),
            )
        try:
            values[name] = _KINDS[name](value)
        except ValueError:
            raise ArgumentError('phase', f'{name} is no number', repr(item)) from None
    return PretrainingPhase(**values)
