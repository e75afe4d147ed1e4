"""Draw the top layers of a trained BERT anew before it is fine-tuned."""

from __future__ import annotations

import logging
from typing import Any

import mxnet as mx

from .._internal.errors import ArgumentError

logger = logging.getLogger(__name__)


def reinitialize(bert: Any, num_layers: int, ctx: Any, seed: int) -> None:
    """Draw the parameters of the top layers, and of the pooler, anew.

    Zhang et al. (2021), section 5: the layers nearest to the pre-training's own task are a worse
    start on few examples than random ones.

    Parameters
    ----------
    bert : BertModel
    num_layers : int
        From the top; 0 for none.
    ctx : mxnet.Context or list of them
    seed : int

    Raises
    ------
    ValueError
        If there are not as many layers with their own parameters.
    """
    if not num_layers:
        return
    most = 0 if bert.config.share_layers else len(bert.layers)
    if not 0 < num_layers <= most:
        reason = f'expected 0 to {most}, the layers of the model with their own parameters'
        raise ArgumentError('reinit_layers', reason, num_layers)
    mx.random.seed(seed)
    pooler = [bert.pooler] if bert.use_pooler else []
    for block in [*list(bert.layers)[-num_layers:], *pooler]:
        block.initialize(force_reinit=True, ctx=ctx)
    logger.info(
        'drawn anew: the top %d of %d layers%s',
        num_layers,
        len(bert.layers),
        ' and the pooler' * bool(pooler),
    )
