"""The network that is pre-trained, from a trained model or from random parameters."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Optional

import mxnet as mx
import numpy as np

from ..._internal.errors import ArgumentError
from ...checkpoint import Checkpoint
from ...config import BertConfig
from ...modeling.bert import BertModel
from ...modeling.heads import BertForPretraining
from ...modeling.replaced_tokens import BertForReplacedTokens
from ..start import Start
from .objectives import PRETRAINING_OBJECTIVES
from .options import PretrainingData

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PretrainingModel:
    """A network with what is written beside it.

    Parameters
    ----------
    network : BertForPretraining or BertForReplacedTokens
    tokenizer : SubwordTokenizer
    family : str
        Of :data:`.FAMILIES`.
    config : BertConfig
        As it is written: with the dropout of the model that training started from.
    base : str
        What training started from; empty for random parameters.
    untrained : mapping of str to numpy.ndarray
        Arrays of the start that are written as they were: a pooler that no loss reads.
    """

    network: Any
    tokenizer: Any
    family: str
    config: BertConfig
    base: str = ''
    untrained: Mapping[str, np.ndarray] = field(default_factory=dict)


def make_network(start: Start, data: PretrainingData, ctx: list, seed: int) -> PretrainingModel:
    """Make the network that an objective trains.

    Parameters
    ----------
    start : Start
        Its names are filled in.
    data : PretrainingData
    ctx : list of mxnet.Context
    seed : int
        Of random parameters.

    Returns
    -------
    PretrainingModel

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such model, or the objective does not fit it.
    """
    row = PRETRAINING_OBJECTIVES[data.objective]
    with _opened(start) as (checkpoint, config, family, tokenizer):
        _check(config, tokenizer, data)
        if checkpoint is not None and checkpoint.sentence is not None:
            logger.warning(
                '%s: pooling and modules of the sentence model are left out: they would be those '
                'of another encoder',
                checkpoint.source,
            )
        if row.replaces:
            family = 'electra'
            config = replace(config, pooler_activation='gelu')
        trained = config if data.dropout is None else replace(config, dropout=data.dropout)
        bert = BertModel(trained, use_pooler=row.labels_pairs)
        if row.replaces:
            network: Any = BertForReplacedTokens(bert, data.generator_size)
        else:
            network = BertForPretraining(bert, use_classifier=row.labels_pairs)
        _set_parameters(network, checkpoint, ctx, seed)
        untrained = _untrained(checkpoint, row, config)
    network.hybridize(static_alloc=True)
    base = '' if checkpoint is None else checkpoint.source
    return PretrainingModel(network, tokenizer, family, config, base, untrained)


@contextlib.contextmanager
def _opened(start: Start) -> Iterator[tuple[Optional[Checkpoint], BertConfig, str, Any]]:
    if start.from_scratch:
        yield None, *start.describe_random()
        return
    with start.open() as checkpoint:
        if checkpoint.tokenizer is None:
            raise ValueError(f'{checkpoint.source}: has no vocabulary beside it')
        yield checkpoint, checkpoint.config, checkpoint.family, checkpoint.tokenizer


def _check(config, tokenizer, data):
    """Refuse a vocabulary without what pre-training needs, and sequences that are too long."""
    vocabulary = tokenizer.vocabulary
    for name, token in (('mask', vocabulary.mask_token), ('padding', vocabulary.padding_token)):
        if token is None:
            raise ValueError(
                f'the vocabulary has no {name} token: pre-training needs a vocabulary with one, '
                f'such as gluon-bert vocab makes'
            )
    check_length(data.max_seq_length, config)


def check_length(length: Optional[int], config: BertConfig) -> None:
    """Refuse sequences that are longer than the model takes."""
    if length is not None and length > config.max_length:
        raise ArgumentError(
            'max_seq_length', f'the model takes {config.max_length} tokens at most', length
        )


def _set_parameters(network, checkpoint, ctx, seed):
    """Load what the checkpoint has, and draw the rest in its order."""
    if checkpoint is not None:
        network.load_checkpoint(checkpoint, ctx=ctx, allow_missing=True)
    mx.random.seed(seed)
    drawn = []
    for name, parameter in network._collect_params_with_prefix().items():
        if parameter._data is None:
            parameter.initialize(ctx=ctx)
            drawn.append(name.partition('.')[0] if not name.startswith('bert.pooler') else 'pooler')
    if checkpoint is not None and drawn:
        logger.warning(
            '%s has no %s: randomly initialised',
            checkpoint.source,
            ' and no '.join(dict.fromkeys(drawn)),
        )


def _untrained(checkpoint, row, config):
    """The pooler of the start, where the objective trains none."""
    if checkpoint is None or row.labels_pairs or row.replaces or 'pooler' not in checkpoint.heads:
        return {}
    return {name: np.array(checkpoint.arrays[name]) for name in ('pooler.weight', 'pooler.bias')}
