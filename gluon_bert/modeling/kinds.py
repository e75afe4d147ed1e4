"""Kinds of network around a BERT, one row each."""

from __future__ import annotations

from typing import Mapping, NamedTuple, Tuple

from ..checkpoint.schema import Checkpoint


class Kind(NamedTuple):
    """A kind of network.

    Parameters
    ----------
    heads : tuple of str
        Of :attr:`.Checkpoint.heads`: it needs one of them.
    reads : str
        What its scores are made of: 'sequence', the encodings of the tokens; 'pooled', the vector
        of the pooler; 'vectors', the encodings pooled as a sentence model does; '' where the
        outputs are several.
    dense : str
        The arrays of the dense layer that makes them, without '.weight' and '.bias'.
    """

    heads: Tuple[str, ...]
    reads: str = ''
    dense: str = ''


KINDS: Mapping[str, Kind] = {
    'encoder': Kind(()),
    'pretraining': Kind(('masked_lm', 'next_sentence')),
    'classifier': Kind(('classifier',), 'pooled', 'classifier.1'),
    'vector_classifier': Kind(('classifier',), 'vectors', 'classifier.1'),
    'choice': Kind(('choice',), 'pooled', 'choice_classifier'),
    'span': Kind(('span',), 'sequence', 'span_classifier'),
    'tagger': Kind(('tagger',), 'sequence', 'tag_classifier'),
}
"""Kind -> its row; named by the head of a checkpoint, but for the encoder, pre-training, and a
classifier of pooled encodings."""
_ALIASES = {'questions': 'span'}  # of 0.1


def default_task(checkpoint: Checkpoint) -> str:
    """Name the kind of network that a checkpoint was fine-tuned as, else 'encoder'."""
    if checkpoint.reads_vectors:
        return 'vector_classifier'
    return next((head for head in checkpoint.heads if head in KINDS), 'encoder')


def find_kind(checkpoint: Checkpoint, task: str | None) -> str:
    """Name the kind of network to make of a checkpoint.

    Parameters
    ----------
    checkpoint : Checkpoint
    task : str, optional
        A key of ``KINDS``, or an alias; by default that of :func:`default_task`.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If it is unknown, or the checkpoint has no head for it; the message says which it has.
    """
    name = _ALIASES.get(task, task) if task else default_task(checkpoint)
    if name not in KINDS:
        raise ValueError(f'task={name!r}: expected one of {tuple(KINDS)}')
    heads, reads_vectors = KINDS[name].heads, KINDS[name].reads == 'vectors'
    if 'classifier' in heads and reads_vectors != checkpoint.reads_vectors:
        reads = 'pooled encodings' if checkpoint.reads_vectors else "the pooler's vector"
        raise ValueError(
            f'{checkpoint.source}: its classifier reads {reads}, which is not for task={name!r}'
        )
    if heads and not set(heads) & set(checkpoint.heads):
        raise ValueError(
            f'{checkpoint.source}: has no {" or ".join(heads)} head for task={name!r}; it has '
            f'{", ".join(checkpoint.heads) or "none"}'
        )
    return name
