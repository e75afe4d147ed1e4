"""Examples of multiple choice, and the sequences that a network reads of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

from ..features import Features, SentenceTransform


class ChoiceExample(NamedTuple):
    """A context with choices, of which one is right.

    ``question`` stands in front of each choice, None if there is none; ``label`` is the number of
    the right choice, from 0, or None; ``index`` is the number of the row, from 0.
    """

    context: str
    question: Optional[str]
    choices: tuple[str, ...]
    label: Optional[int] = None
    index: str = ''  # type: ignore[assignment]

    @property
    def pair(self) -> None:
        """Always None, for there is no second text but the choices."""
        return None


def check_choices(choices: Sequence[Any], what: str = 'choice') -> tuple[str, ...]:
    """Check the choices of an example.

    Parameters
    ----------
    choices : sequence
    what : str
        The name of one, for messages.

    Returns
    -------
    tuple of str

    Raises
    ------
    ValueError
        If there are fewer than two, or one is no text or an empty one.
    """
    for number, choice in enumerate(choices):
        if not isinstance(choice, str):
            raise ValueError(f'{what} {number} must be a string, got {type(choice).__name__}')
        if not choice.strip():
            raise ValueError(f'{what} {number} is empty')
    if len(choices) < 2:
        count = 'one' if len(choices) else 'none'
        raise ValueError(f'expected two choices or more, got {count}')
    return tuple(choices)


def choice_features(
    transform: SentenceTransform, example: ChoiceExample
) -> tuple[list[Features], bool]:
    """Make the sequences of an example: its context with each choice, after the question.

    Parameters
    ----------
    transform : SentenceTransform
    example : ChoiceExample

    Returns
    -------
    features : list of Features
        One for each choice.
    is_cut : bool
        Whether one was longer than the network reads.
    """
    before = f'{example.question.rstrip()} ' if example.question else ''
    seconds = [before + choice for choice in example.choices]
    features, num_cut = transform.transform_batch([example.context] * len(seconds), seconds)
    return features, num_cut > 0
