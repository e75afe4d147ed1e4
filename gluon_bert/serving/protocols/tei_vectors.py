"""The routes of text-embeddings-inference for vectors."""

from __future__ import annotations

from typing import Any

from ...inference.search import similarity_matrix
from ..fields import (
    DIMENSIONS,
    DIRECTION,
    NORMALIZE,
    ONE_OR_TEXTS,
    PROMPT_NAME,
    TEXT,
    TEXTS,
    TEXTS_OR_IDS,
    TRUNCATE,
    object_field,
)
from ..models import EMBEDDING, SPARSE
from ..operations import check_task, embed, embed_tokens, predict
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


async def answer_embed_sparse(call: ServiceCall) -> Reply:
    """Answer with the words that weigh something in each text, and their weights."""
    check_task(call, SPARSE)
    results = await predict(call, as_list(call.body['inputs']), call.body['truncate'])
    size = sum(len(row.indices) for row in results)
    return await call.service.work(size, _sparse_reply, results)


def _sparse_reply(results):
    rows = [zip(row.indices.tolist(), row.values.tolist()) for row in results]
    return json_reply([[{'index': i, 'value': value} for i, value in row] for row in rows])


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
        '/embed_sparse',
        answer_embed_sparse,
        TEI,
        'Sparse vectors of texts: ids of words and weights',
        {'inputs': ONE_OR_TEXTS, 'truncate': TRUNCATE, 'truncation_direction': DIRECTION},
        {'inputs': 'A cat sleeps.'},
        (SPARSE,),
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
