"""Attention of all layers and heads on a text or a pair, computed in the queue of all requests."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Optional

import numpy as np

from ..data.features import Features, SentenceTransform
from ..inference.attention import Attention, attention_probabilities, describe_attention, supports
from .errors import invalid, too_long
from .limits import MAX_ATTENTION, MAX_NUMBERS
from .models import ServedModel
from .operations import accept_cut, characters, check_count, count_tokens
from .replies import Reply
from .service import ServiceCall


class AttentionRun(NamedTuple):
    """Compute the attention of a network, (L, H, T, T) of each sequence."""

    network: Any
    weight: int = 4
    """The time of a token, in tokens that the kernels compute."""

    def __call__(self, features: list[Features], positions: Optional[list]) -> Sequence[Any]:
        """Compute the probabilities."""
        outputs = [attention_probabilities(self.network, feature) for feature in features]
        if not all(np.isfinite(output).all() for output in outputs):
            raise ArithmeticError('attention probabilities that are no numbers')
        return outputs


def network_of(model: ServedModel) -> Any:
    """Return the network of a model."""
    return model.encoder.steps.predictor.trained if model.encoder else model.pipeline.trained


def attention_length(model: ServedModel) -> int:
    """Count the tokens of the longest sequence whose attention a request may ask for."""
    config = model.config
    most = math.isqrt(MAX_NUMBERS // (config.num_layers * config.num_heads))
    return min(MAX_ATTENTION, model.max_length, most)


async def attend(
    call: ServiceCall,
    texts: Sequence[str],
    write: Callable[[Attention], Reply],
    truncate: Optional[bool] = None,
) -> Reply:
    """Answer with the attention of the model on a text or on a pair of texts.

    Parameters
    ----------
    call : ServiceCall
    texts : sequence of str
        One or two.
    write : callable
        Makes the answer, in a thread where it is long.
    truncate : bool, optional
        Cut what is too long; None is the server's default.

    Returns
    -------
    Reply
    """
    check_count(call, [texts])
    model, is_pair = call.model, len(texts) == 2 and bool(texts[1])
    if not supports(model.config):
        raise invalid(f'the attention of the model {model.name} cannot be computed')
    try:
        transform = SentenceTransform(model.tokenizer, attention_length(model))
        (features,), num_cut = await call.read_texts(
            characters(texts), transform.transform_batch, *([text] for text in texts)
        )
    except ValueError as error:
        raise invalid(f'inputs: {error}') from None
    if num_cut and not accept_cut(call, num_cut, truncate):
        item = texts[0] if len(texts) == 1 else tuple(texts)
        count = await call.read_texts(characters(texts), count_tokens, model.tokenizer, item)
        raise too_long(
            f'inputs has {count} tokens, attention is computed of at most {transform.max_length}: '
            f'truncate=true cuts it'
        )
    size = model.config.num_layers * model.config.num_heads * features.valid_length**2
    with call.service.reserve(4 * size):
        (probabilities,) = await call.compute(AttentionRun(network_of(model)), [features])
        attention = describe_attention(model.tokenizer, features, probabilities, is_pair)
        return await call.service.work(size, write, attention)
