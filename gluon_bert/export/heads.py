"""The choice of the head that a graph computes."""

from __future__ import annotations

from typing import Callable, Mapping, NamedTuple, Optional

from .._internal.suggestions import did_you_mean
from ..checkpoint.arrays import shape_of
from ..checkpoint.schema import Checkpoint, check_pooler

NO_HEAD = 'none'


class Head(NamedTuple):
    """A head.

    Parameters
    ----------
    title : str
        In a sentence.
    shape : callable
        Checkpoint -> the shape of its scores, as text: N sequences of T tokens.
    is_fine_tuned : bool
        Whether it is the one to export, if no other is asked for.
    has_choices : bool
        Whether transformers' class reads all choices of an example, in an axis of their own.
    """

    title: str
    shape: Callable[[Checkpoint], str]
    is_fine_tuned: bool = False
    has_choices: bool = False


def _rows(checkpoint, name):
    return shape_of(checkpoint.arrays, name)[0]


HEADS: Mapping[str, Head] = {
    'classifier': Head(
        'the classifier', lambda one: f'(N, {_rows(one, "classifier.1.weight")})', True
    ),
    'choice': Head('the scores of choices', lambda one: '(N, 1)', True, has_choices=True),
    'tagger': Head(
        'the scores of tags', lambda one: f'(N, T, {_rows(one, "tag_classifier.weight")})', True
    ),
    'span': Head('the scores of answers', lambda one: '(N, T, 2)', True),
    'masked_lm': Head(
        'the masked-language-model head', lambda one: f'(N, T, {one.config.vocab_size})'
    ),
    'next_sentence': Head('the next-sentence head', lambda one: '(N, 2)'),
}
"""The heads of :attr:`.Checkpoint.heads` that give scores."""


def choose_head(checkpoint: Checkpoint, head: Optional[str] = None) -> str:
    """Choose a head of a checkpoint.

    Parameters
    ----------
    checkpoint : Checkpoint
    head : str, optional
        Of ``HEADS``, or 'none' for the encoder alone. By default the fine-tuned one if there is
        one, else 'none'.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If the network does not have the head; the message says which it has.
    """
    if head != NO_HEAD:
        check_pooler(checkpoint)
    present = [NO_HEAD, *(name for name in HEADS if name in checkpoint.heads)]
    if head is None:
        tuned = [name for name in present[1:] if HEADS[name].is_fine_tuned]
        return next(iter(tuned), NO_HEAD)
    if head not in present:
        hint = did_you_mean(str(head), present)
        raise ValueError(f'head={head!r}{hint}: this network has {", ".join(present)}')
    return head
