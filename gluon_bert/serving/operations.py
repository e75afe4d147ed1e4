"""The operations under all protocols: vectors, and results of a pipeline."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

from ..data.choices.examples import ChoiceExample, choice_features
from ..data.features import Features, SentenceTransform
from ..inference.search import unit_rows
from ..inference.sentence_steps import SentenceBatch
from ..pipelines import InputError
from .errors import invalid, not_for_model, too_large, too_long
from .limits import MAX_MASKS, MAX_NUMBERS
from .models import EMBEDDING, PipelineRun, PoolRun, TokenRun
from .service import ServiceCall

RERANKERS = ('text-ranking', 'text-regression')
CLASSIFIERS = ('text-classification', 'multi-label-classification', *RERANKERS)


def check_task(call: ServiceCall, *tasks: str) -> None:
    """Refuse a request that its model was not made for."""
    if call.model.task not in tasks:
        raise not_for_model(
            f'the model {call.model.name} is for {call.model.task}, this route needs '
            f'{" or ".join(tasks)}'
        )


def check_count(call: ServiceCall, items: Sequence[Any]) -> None:
    """Refuse more texts than a request may have, and any where the queue is full."""
    call.service.batcher.check_room()
    limit = call.service.limits.max_client_batch_size
    if len(items) > limit:
        raise too_large(f'{len(items)} texts in one request, at most {limit} are allowed')


async def embed(
    call: ServiceCall,
    items: list,
    truncate: Optional[bool] = None,
    normalize: Optional[bool] = None,
    prompt_name: Optional[str] = None,
    dimensions: Optional[int] = None,
) -> np.ndarray:
    """Compute the vectors of texts, pairs, or lists of token ids.

    Parameters
    ----------
    call : ServiceCall
    items : list of str, of (str, str), or of list of int
    truncate : bool, optional
        Cut what is too long; None is the server's default.
    normalize : bool, optional
    prompt_name : str, optional
    dimensions : int, optional
        Keep the first numbers of each vector, scaled to length 1 where the vector was.

    Returns
    -------
    numpy.ndarray, float32, shape (items, C)
    """
    check_task(call, EMBEDDING)
    check_count(call, items)
    encoder = call.model.encoder
    if dimensions is not None and dimensions > encoder.units:
        raise invalid(f'dimensions: the vectors have {encoder.units} numbers, got {dimensions}')
    batch = await sentence_batch(call, items, truncate, prompt_name)
    outputs = await call.compute(PoolRun(encoder, batch.pooling), batch.features)
    vectors = encoder.steps.vectors(batch, np.stack(outputs), normalize)
    if dimensions is not None and dimensions < vectors.shape[1]:
        lengths = np.linalg.norm(vectors, axis=1)
        vectors = vectors[:, :dimensions]
        if np.allclose(lengths, 1, atol=1e-3):
            vectors = unit_rows(vectors)
    return vectors


async def embed_tokens(
    call: ServiceCall,
    items: list,
    truncate: Optional[bool] = None,
    prompt_name: Optional[str] = None,
) -> list[np.ndarray]:
    """Compute the encodings of all tokens of texts, an array of shape (T, C) for each."""
    check_task(call, EMBEDDING)
    check_count(call, items)
    encoder = call.model.encoder
    batch = await sentence_batch(call, items, truncate, prompt_name)
    numbers = sum(feature.valid_length for feature in batch.features) * call.model.config.units
    if numbers > MAX_NUMBERS:
        raise too_large(f'the answer would have {numbers} numbers, at most {MAX_NUMBERS}')
    return await call.compute(TokenRun(encoder), batch.features)


async def predict(
    call: ServiceCall, items: list, truncate: Optional[bool] = None, top_k: Optional[int] = None
) -> list:
    """Compute the results of the model's pipeline.

    Parameters
    ----------
    call : ServiceCall
    items : list
        As the pipeline is called on.
    truncate : bool, optional
    top_k : int, optional
        Words for a mask, of a pipeline that fills masks.

    Returns
    -------
    list
    """
    check_count(call, items)
    pipeline = call.model.pipeline
    try:
        prepared = await call.read_texts(characters(items), pipeline.prepare, items)
    except InputError as error:
        raise invalid(f'{call.items_name}[{error.number}]: {error.reason}') from None
    except ValueError as error:
        raise invalid(f'{call.items_name}: {error}') from None
    await _check_cut(call, items, prepared.num_cut, truncate)
    masks = sum(map(len, prepared.positions or ()))
    if masks > MAX_MASKS:
        raise too_large(f'{masks} masks in one request, at most {MAX_MASKS} are allowed')
    run = PipelineRun(pipeline)
    outputs = await call.compute(run, prepared.features, prepared.positions)
    tokens = sum(feature.valid_length for feature in prepared.features)
    reader = pipeline
    if top_k is not None:
        reader = copy.copy(pipeline)  # the pipeline is shared by all requests
        reader.top_k = top_k
    return await call.service.work(tokens, reader.results, prepared, outputs)


async def sentence_batch(
    call: ServiceCall,
    items: list,
    truncate: Optional[bool] = None,
    prompt_name: Optional[str] = None,
) -> SentenceBatch:
    """Make the sequences of texts, pairs, or lists of token ids, as for :func:`embed`."""
    steps = call.model.encoder.steps
    try:
        if isinstance(items[0], list):
            batch = _from_ids(call, items, prompt_name)
        else:
            batch = await call.read_texts(characters(items), steps.prepare, items, prompt_name)
    except (TypeError, ValueError) as error:
        raise invalid(str(error)) from None
    await _check_cut(call, items, batch.num_cut, truncate)
    limit = steps.max_length
    if batch.num_cut:  # lists of ids are cut here
        batch = batch._replace(features=[_cut(feature, limit) for feature in batch.features])
    return batch


def _from_ids(call, items, prompt_name):
    """The sequences of token ids, with the special tokens around them where they are missing."""
    steps, vocabulary = call.model.encoder.steps, call.model.tokenizer.vocabulary
    prompt = steps.prompt(name=prompt_name)
    if prompt.text:
        raise invalid('prompt_name: a prompt goes with texts, got token ids')
    begin, end = vocabulary[[vocabulary.cls_token, vocabulary.sep_token]]
    features = []
    for number, ids in enumerate(items):
        wrong = next((i for i in ids if not 0 <= i < len(vocabulary)), None)
        if wrong is not None:
            raise invalid(
                f'{call.items_name}[{number}]: {wrong} is no token id of the model, which has '
                f'{len(vocabulary)}'
            )
        if not (len(ids) > 1 and ids[0] == begin and ids[-1] == end):
            ids = [begin, *ids, end]
        array = np.array(ids, 'int32')
        features.append(Features(array, np.zeros_like(array), len(ids)))
    num_cut = sum(feature.valid_length > steps.max_length for feature in features)
    pooling = steps.read([], None, prompt).pooling
    return SentenceBatch(features, [1] * len(features), num_cut, pooling)


def _cut(feature, limit):
    """A sequence of at most so many tokens, with its last one, which ends it."""
    if feature.valid_length <= limit:
        return feature
    ids = np.append(feature.inputs[: limit - 1], feature.inputs[-1])
    return Features(ids, feature.token_types[:limit], limit)


def accept_cut(call: ServiceCall, num_cut: int, truncate: Optional[bool]) -> bool:
    """Count texts that are cut, if they may be; None is the server's default."""
    if truncate is None:
        truncate = call.service.limits.auto_truncate
    if truncate:
        call.num_cut += num_cut
        call.service.metrics.truncated.add(num_cut)
    return truncate


async def _check_cut(call, items, num_cut, truncate):
    """Refuse texts that are too long, or count those that are cut."""
    if not num_cut or accept_cut(call, num_cut, truncate):
        return
    longest = call.model.settings.get('max_query_length')
    if longest is not None:
        raise too_long(
            f'{num_cut} of {len(items)} questions: more than the {longest} tokens that the model '
            f'reads; truncate=true cuts them'
        )
    limit, tokenizer = call.model.max_length, call.model.tokenizer
    for number, item in enumerate(items):
        tokens = await call.service.work(characters([item]), count_tokens, tokenizer, item)
        if tokens > limit:
            raise too_long(
                f'{call.items_name}[{number}] has {tokens} tokens, the model reads {limit}: '
                f'truncate=true cuts it'
            )
    raise too_long(f'{num_cut} texts have more tokens than the {limit} that the model reads')


def count_tokens(tokenizer: Any, item: Any) -> int:
    """Count the tokens of a text, a pair as a tuple, or a list of ids, special ones included.

    Of an example with choices, those of the longest sequence.
    """
    if isinstance(item, list):
        return len(item) + 2
    transform = SentenceTransform(tokenizer, 2**31 - 1)
    if isinstance(item, ChoiceExample):
        features, _ = choice_features(transform, item)
        return max(feature.valid_length for feature in features)
    texts, pairs = ([item], None) if isinstance(item, str) else ([item[0]], [item[1]])
    return transform.transform_batch(texts, pairs)[0][0].valid_length


def characters(items: Sequence[Any]) -> int:
    """Count the characters of texts, pairs and examples with choices, or the ids of lists."""
    parts = (texts_of(item) for item in items)
    return sum(len(text) for texts in parts for text in texts)


def texts_of(item: Any) -> Sequence[Any]:
    """List the texts of an item, each choice with its context."""
    if isinstance(item, ChoiceExample):
        return [*item.choices, *[item.context, item.question or ''] * len(item.choices)]
    return item if isinstance(item, tuple) else (item,)
