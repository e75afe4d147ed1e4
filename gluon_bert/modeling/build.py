"""Networks built from checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Optional, Union

import mxnet as mx

from .._internal.engine import check_context
from ..checkpoint.arrays import shape_of
from ..checkpoint.schema import Checkpoint
from .bert import BertBlock, BertModel
from .chain import transitions_of
from .heads import BertClassifier, BertForPretraining, BertForQA, BertTagger
from .kinds import default_task as default_task
from .kinds import find_kind
from .multiple_choice import BertForMultipleChoice
from .tagging import BertCrfTagger
from .vector_classifier import VectorClassifier, vector_options


def _rows(checkpoint, name):
    return shape_of(checkpoint.arrays, name)[0]


def _tagger(bert, checkpoint):
    rows, dropout = _rows(checkpoint, 'tag_classifier.weight'), checkpoint.head_dropout
    if 'crf.transitions' not in checkpoint.arrays:
        return BertTagger(bert, rows, dropout)
    return BertCrfTagger(bert, rows, transitions_of(checkpoint), dropout)


_MAKERS: Mapping[str, Callable[[BertModel, Checkpoint], BertBlock]] = {
    'encoder': lambda bert, checkpoint: bert,
    'pretraining': lambda bert, checkpoint: BertForPretraining(
        bert,
        use_classifier='next_sentence' in checkpoint.heads,
        use_decoder='masked_lm' in checkpoint.heads,
    ),
    'classifier': lambda bert, checkpoint: BertClassifier(
        bert, _rows(checkpoint, 'classifier.1.weight'), dropout=checkpoint.head_dropout
    ),
    'vector_classifier': lambda bert, checkpoint: VectorClassifier(
        bert, _rows(checkpoint, 'classifier.1.weight'), **vector_options(checkpoint.task)
    ),
    'choice': lambda bert, checkpoint: BertForMultipleChoice(bert, checkpoint.head_dropout),
    'span': lambda bert, checkpoint: BertForQA(bert),
    'tagger': _tagger,
}


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
        'classifier' (:class:`.BertClassifier`), 'vector_classifier'
        (:class:`.VectorClassifier`), 'choice' (:class:`.BertForMultipleChoice`), 'span'
        (:class:`.BertForQA`) or 'tagger' (:class:`.BertTagger`, with a CRF
        :class:`.BertCrfTagger`); by default the head that the checkpoint was fine-tuned with, else
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
    check_context(ctx)
    make = _MAKERS[find_kind(checkpoint, task)]
    network = make(
        BertModel(
            checkpoint.config, use_pooler='pooler' in checkpoint.heads, sentence=checkpoint.sentence
        ),
        checkpoint,
    )
    network.load_checkpoint(checkpoint, ctx=mx.cpu() if ctx is None else ctx)
    network.hybridize()
    return network
