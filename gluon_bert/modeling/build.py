"""The network that a checkpoint asks for."""

from __future__ import annotations

import mxnet as mx

from ..checkpoint.arrays import shape_of
from .bert import BertModel
from .heads import BertClassifier, BertForPretraining, BertForQA, BertTagger

TASKS = ('encoder', 'pretraining', 'classifier', 'questions', 'tagger')

# Task -> the head of a checkpoint that it needs.
_NEEDED = {'classifier': 'classifier', 'questions': 'span', 'tagger': 'tagger'}


def default_task(checkpoint):
    """The task of ``TASKS`` that a checkpoint was fine-tuned for, else 'encoder'."""
    return next((task for task, head in _NEEDED.items() if head in checkpoint.heads), 'encoder')


def build_network(checkpoint, task=None, ctx=None):
    """The network of a checkpoint with its parameters, hybridized.

    Parameters
    ----------
    checkpoint : Checkpoint
    task : str, optional
        'encoder' (:class:`.BertModel`), 'pretraining' (:class:`.BertForPretraining`),
        'classifier' (:class:`.BertClassifier`), 'questions' (:class:`.BertForQA`) or 'tagger'
        (:class:`.BertTagger`); by default the head that the checkpoint was fine-tuned with, else
        the encoder.
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
    heads = checkpoint.heads
    task = task or default_task(checkpoint)
    if task not in TASKS:
        raise ValueError(f'task={task!r}: expected one of {TASKS}')
    if task == 'pretraining' and not {'masked_lm', 'next_sentence'} & set(heads):
        raise ValueError(_lacks(checkpoint, task, 'masked_lm or next_sentence'))
    if task in _NEEDED and _NEEDED[task] not in heads:
        raise ValueError(_lacks(checkpoint, task, _NEEDED[task]))
    network = _assemble(checkpoint, task)
    network.load_checkpoint(checkpoint, ctx=mx.cpu() if ctx is None else ctx)
    network.hybridize()
    return network


def _assemble(checkpoint, task):
    heads = checkpoint.heads
    bert = BertModel(checkpoint.config, use_pooler='pooler' in heads)
    if task == 'encoder':
        return bert
    if task == 'pretraining':
        return BertForPretraining(
            bert, use_classifier='next_sentence' in heads, use_decoder='masked_lm' in heads
        )
    if task == 'questions':
        return BertForQA(bert)
    if task == 'tagger':
        return BertTagger(bert, shape_of(checkpoint.arrays, 'tag_classifier.weight')[0])
    return BertClassifier(bert, shape_of(checkpoint.arrays, 'classifier.1.weight')[0])


def _lacks(checkpoint, task, needed):
    return (
        f'{checkpoint.source}: has no {needed} head for task={task!r}; it has '
        f'{", ".join(checkpoint.heads) or "none"}'
    )
