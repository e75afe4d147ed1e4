"""The choice of the head that a graph computes."""

from __future__ import annotations

from typing import Mapping, NamedTuple, Optional

from .._internal.suggestions import did_you_mean
from ..checkpoint.schema import Checkpoint

NO_HEAD = 'none'


class Head(NamedTuple):
    """A head: its name in a sentence, and whether it is fine-tuned, and so the one to export."""

    title: str
    is_fine_tuned: bool


HEADS: Mapping[str, Head] = {
    'classifier': Head('the classifier', True),
    'tagger': Head('the scores of tags', True),
    'span': Head('the scores of answers', True),
    'masked_lm': Head('the masked-language-model head', False),
    'next_sentence': Head('the next-sentence head', False),
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
    present = [NO_HEAD, *(name for name in HEADS if name in checkpoint.heads)]
    if head is None:
        tuned = [name for name in present[1:] if HEADS[name].is_fine_tuned]
        return next(iter(tuned), NO_HEAD)
    if head not in present:
        hint = did_you_mean(str(head), present)
        raise ValueError(f'head={head!r}{hint}: this network has {", ".join(present)}')
    return head
