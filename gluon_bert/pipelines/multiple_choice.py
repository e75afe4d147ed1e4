"""A context with choices to the most probable choice."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

import numpy as np

from .._internal.numerics import softmax
from ..data.choices.examples import ChoiceExample, check_choices, choice_features
from ..data.features import SentenceTransform
from ..data.streams import chunk
from ..tasks.folder import TaskModel
from .base import InputError, TaskPipeline


class Choice(NamedTuple):
    """The most probable choice, its number from 0, its probability, and those of all choices.

    The probabilities are in the order of the choices and sum to 1.
    """

    choice: str
    number: int
    probability: float
    probabilities: list[float]


class MultipleChoicePipeline(TaskPipeline):
    """The most probable of several choices that go with a context.

    Called on a tuple of a context and a list of choices, or on a dict with ``context``, ``choices``
    and, in front of each choice, ``question``, it returns a :class:`Choice`; see :class:`Pipeline`
    for lists and iterators. Contexts with longer choices are cut, ``num_cut`` counts them.

    Parameters
    ----------
    model : TaskModel
        Of the task 'multiple-choice'.
    batch_size : int, optional
        As for :class:`TaskPipeline`; sequences, of which each choice is one.
    """

    task = 'multiple-choice'
    keys = ('context', 'question', 'choices')

    def __init__(self, model: TaskModel, batch_size: Optional[int] = None) -> None:
        super().__init__(model, batch_size)
        self._transform = SentenceTransform(model.tokenizer, self.settings['max_len'])

    def as_example(self, item: Any) -> ChoiceExample:
        """Make an example of an input, checked.

        Raises
        ------
        ValueError
            If the input is not as the pipeline is called on, there are fewer than two choices, or
            one is empty.
        """
        if isinstance(item, ChoiceExample):
            return item._replace(choices=check_choices(item.choices))
        parts = _of_dict(item) if isinstance(item, dict) else item
        if not isinstance(parts, tuple) or len(parts) not in (2, 3):
            raise ValueError(
                f'expected a tuple of a context and a list of choices, or a dict, got '
                f'{type(item).__name__}'
            )
        context, question, choices = parts if len(parts) == 3 else (parts[0], None, parts[1])
        for name, text in (('context', context), ('question', question or '')):
            if not isinstance(text, str):
                raise ValueError(f'{name} must be a string, got {type(text).__name__}')
        if not isinstance(choices, (list, tuple)):
            raise ValueError(f'choices must be a list of strings, got {type(choices).__name__}')
        return ChoiceExample(context, question or None, check_choices(choices))

    def _as_input(self, item, number):
        try:
            return self.as_example(item)
        except ValueError as error:
            raise InputError(number, str(error)) from None

    def _is_one(self, inputs):
        return isinstance(inputs, tuple)

    def _blocks(self, inputs):
        for block in chunk(inputs, self.batch_size * self.look_ahead, _num_characters):
            yield (block,)

    def _prepare(self, block):
        features, num_cut = [], 0
        for example in block:
            sequences, is_cut = choice_features(self._transform, example)
            features.append(sequences)
            num_cut += is_cut
        return block, features, num_cut

    def _features(self, block, features, num_cut):
        return list(itertools.chain.from_iterable(features))

    def _sequences(self, block, features, num_cut):
        return self._features(block, features, num_cut), None, num_cut

    def _results(self, call, block, features, num_cut):
        self._count_cut(call, num_cut)
        scores = np.concatenate(self._outputs(call, self._features(block, features, num_cut)))
        ends = np.cumsum([len(example.choices) for example in block])
        call.advance(len(block))
        return [
            _best(example.choices, row) for example, row in zip(block, np.split(scores, ends[:-1]))
        ]


def _of_dict(item):
    wrong = next((key for key in item if key not in MultipleChoicePipeline.keys), None)
    if wrong is not None:
        raise ValueError(f'unknown key {wrong!r}: expected context, choices and question')
    context, question = item.get('context'), item.get('question')
    if context is None:  # a question alone is what the choices go with
        context, question = question, None
    if context is None or item.get('choices') is None:
        raise ValueError(f'has no {"choices" if context is not None else "context"!r}')
    return context, question, item['choices']


def _best(choices: Sequence[str], scores: np.ndarray) -> Choice:
    shares = softmax(scores[None])[0]
    number = int(scores.argmax())
    return Choice(choices[number], number, float(shares[number]), shares.tolist())


def _num_characters(example):
    texts = len(example.context) + len(example.question or '')
    return texts * len(example.choices) + sum(map(len, example.choices))
