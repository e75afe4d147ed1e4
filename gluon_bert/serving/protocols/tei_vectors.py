"""The routes of text-embeddings-inference for vectors."""

from __future__ import annotations

from typing import Any

from ...inference.search import similarity_matrix
from ..fields import (
    DIMENSIONS,
    DIRECTION,
    NORMALIZE,
    PROMPT_NAME,
    TEXT,
    TEXTS,
    TEXTS_OR_IDS,
    TRUNCATE,
    object_field,
)
from ..models import EMBEDDING
from ..operations import embed, embed_tokens
from ..replies import Reply, json_reply
from ..service import ServiceCall
from .base import TEI, Endpoint


def as_list(value: Any) -> list:
    """List the items of a text or of several, of ids or of several lists of ids."""
    return [value] if isinstance(value, str) or isinstance(value[0], int) else list(value)


async def answer_embed(call: ServiceCall) -> Reply:
    """Answer with the vector of each text."""
    body = call.body
    vectors = await embed(
        call,
        as_list(body['inputs']),
        body['truncate'],
        body['normalize'],
        body['prompt_name'],
        body['dimensions'],
    )
    return await call.service.work(vectors.size, json_reply, vectors)


async def answer_embed_all(call: ServiceCall) -> Reply:
    """Answer with the encodings of the tokens of each text."""
    body = call.body
    rows = await embed_tokens(call, as_list(body['inputs']), body['truncate'], body['prompt_name'])
    return await call.service.work(sum(row.size for row in rows), json_reply, rows)


async def answer_similarity(call: ServiceCall) -> Reply:
    """Answer with the similarity of a text to each of others."""
    inputs, parameters = call.body['inputs'], call.body['parameters']
    texts = [inputs['source_sentence'], *inputs['sentences']]
    vectors = await embed(call, texts, parameters['truncate'], None, parameters['prompt_name'])
    function = call.model.encoder.settings.similarity
    return json_reply(similarity_matrix(vectors[:1], vectors[1:], function)[0])


_SIMILARITY = {'truncate': TRUNCATE, 'truncation_direction': DIRECTION, 'prompt_name': PROMPT_NAME}
EMBED_FIELDS = {
    'inputs': TEXTS_OR_IDS,
    'truncate': TRUNCATE,
    'truncation_direction': DIRECTION,
    'normalize': NORMALIZE,
    'prompt_name': PROMPT_NAME,
    'dimensions': DIMENSIONS,
}
SIMILARITY_FIELDS = {
    'inputs': object_field(
        'inputs', {'source_sentence': TEXT, 'sentences': TEXTS}, 'a text, and others'
    ),
    'parameters': object_field('parameters', _SIMILARITY, 'how texts are read'),
}
ENDPOINTS = (
    Endpoint(
        '/embed',
        answer_embed,
        TEI,
        'Vectors of texts',
        EMBED_FIELDS,
        {'inputs': ['A cat sleeps.', 'Shares fell.']},
        (EMBEDDING,),
    ),
    Endpoint(
        '/embed_all',
        answer_embed_all,
        TEI,
        'A vector for each token of texts',
        {key: EMBED_FIELDS[key] for key in EMBED_FIELDS if key not in ('normalize', 'dimensions')},
        {'inputs': 'A cat sleeps.'},
        (EMBEDDING,),
    ),
    Endpoint(
        '/similarity',
        answer_similarity,
        TEI,
        'Similarity of a text to others',
        SIMILARITY_FIELDS,
        {'inputs': {'source_sentence': 'a kitten', 'sentences': ['A cat sleeps.']}},
        (EMBEDDING,),
    ),
)
