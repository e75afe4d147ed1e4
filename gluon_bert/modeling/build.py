"""Networks built from checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Optional, Union

import mxnet as mx

from .._internal.engine import check_context
from ..checkpoint.arrays import shape_of
from ..checkpoint.schema import Checkpoint
from ..data import valid_transitions
from .bert import BertBlock, BertModel
from .heads import BertClassifier, BertForPretraining, BertForQA, BertTagger
from .tagging import BertCrfTagger


class NetworkKind(NamedTuple):
    """A kind of network: the heads of a checkpoint that it needs one of, and how it is made."""

    heads: tuple[str, ...]
    make: Callable[[BertModel, Checkpoint], BertBlock]


def _rows(checkpoint, name):
    return shape_of(checkpoint.arrays, name)[0]


def _tagger(bert, checkpoint):
    rows, dropout = _rows(checkpoint, 'tag_classifier.weight'), checkpoint.head_dropout
    if 'crf.transitions' not in checkpoint.arrays:
        return BertTagger(bert, rows, dropout)
    scheme = (checkpoint.task or {}).get('scheme')
    transitions = valid_transitions(checkpoint.labels, scheme) if scheme else None
    return BertCrfTagger(bert, rows, transitions, dropout)


# Named by the head of :attr:`.Checkpoint.heads`, but for the encoder alone and pre-training.
NETWORKS = {
    'encoder': NetworkKind((), lambda bert, checkpoint: bert),
    'pretraining': NetworkKind(
        ('masked_lm', 'next_sentence'),
        lambda bert, checkpoint: BertForPretraining(
            bert,
            use_classifier='next_sentence' in checkpoint.heads,
            use_decoder='masked_lm' in checkpoint.heads,
        ),
    ),
    'classifier': NetworkKind(
        ('classifier',),
        lambda bert, checkpoint: BertClassifier(
            bert, _rows(checkpoint, 'classifier.1.weight'), dropout=checkpoint.head_dropout
        ),
    ),
    'span': NetworkKind(('span',), lambda bert, checkpoint: BertForQA(bert)),
    'tagger': NetworkKind(('tagger',), _tagger),
}
_ALIASES = {'questions': 'span'}  # of 0.1


def default_task(checkpoint: Checkpoint) -> str:
    """Name the kind of network that a checkpoint was fine-tuned as, else 'encoder'."""
    return next((head for head in checkpoint.heads if head in NETWORKS), 'encoder')


def build_network(
    checkpoint: Checkpoint,
    task: Optional[str] = None,
    ctx: Optional[Union[mx.Context, list]] = None,
) -> BertBlock:
    """Build the network of a checkpoint with its parameters, hybridized.

    Parameters
    ----------
    checkpoint : Checkpoint
    task : str, optional
        'encoder' (:class:`.BertModel`), 'pretraining' (:class:`.BertForPretraining`),
        'classifier' (:class:`.BertClassifier`), 'span' (:class:`.BertForQA`) or 'tagger'
        (:class:`.BertTagger`, with a CRF :class:`.BertCrfTagger`); by default the head that the
        checkpoint was fine-tuned with, else the encoder.
    ctx : mxnet.Context or list of them, optional
        By default the CPU.

    Returns
    -------
    BertBlock

    Raises
    ------
    ValueError
        If the checkpoint has no head for the task; the message says which it has.
    """
    check_context(ctx)
    task = _ALIASES.get(task, task) if task else default_task(checkpoint)
    if task not in NETWORKS:
        raise ValueError(f'task={task!r}: expected one of {tuple(NETWORKS)}')
    kind = NETWORKS[task]
    if kind.heads and not set(kind.heads) & set(checkpoint.heads):
        raise ValueError(
            f'{checkpoint.source}: has no {" or ".join(kind.heads)} head for task={task!r}; it has '
            f'{", ".join(checkpoint.heads) or "none"}'
        )
    network = kind.make(
        BertModel(
            checkpoint.config, use_pooler='pooler' in checkpoint.heads, sentence=checkpoint.sentence
        ),
        checkpoint,
    )
    network.load_checkpoint(checkpoint, ctx=mx.cpu() if ctx is None else ctx)
    network.hybridize()
    return network
