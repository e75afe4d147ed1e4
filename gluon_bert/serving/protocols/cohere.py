"""Rerank as Cohere and Jina ask for it."""

from __future__ import annotations

from typing import Any

from ..fields import MODEL, TEXT, TOP_K, TRUNCATE, Field, flag_field, kind, texts
from ..operations import RERANKERS
from ..replies import Reply, json_reply
from ..service import ServiceCall
from .base import Endpoint, Protocol
from .tei import rank

COHERE = Protocol(
    'cohere',
    'Cohere',
    lambda error: {'message': error.message},
    {'type': 'object', 'properties': {'message': {'type': 'string'}}},
)


async def answer_rerank(call: ServiceCall) -> Reply:
    """Answer with the documents in the order of their scores for the query."""
    body, documents = call.body, call.body['documents']
    ranked = await rank(call, body['query'], documents, body['truncate'])
    rows: list[dict[str, Any]] = []
    for number, score in ranked[: body['top_n']]:
        rows.append({'index': number, 'relevance_score': score})
        if body['return_documents']:
            rows[-1]['document'] = {'text': documents[number]}
    usage = {'billed_units': {'search_units': 1}, 'tokens': {'input_tokens': call.tokens}}
    return json_reply({'id': call.id, 'model': call.model.name, 'results': rows, 'meta': usage})


def _documents(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise ValueError(f': expected a list, got {kind(value)}')
    return texts([_document(item) for item in value])


def _document(item):
    is_object = isinstance(item, dict) and set(item) == {'text'}
    return item['text'] if is_object else item


ENDPOINTS = (
    Endpoint(
        '/v1/rerank',
        answer_rerank,
        COHERE,
        'Documents in the order of their scores for a query, by a model of pairs with one score',
        {
            'query': TEXT,
            'documents': Field(
                _documents,
                {
                    'type': 'array',
                    'minItems': 1,
                    'items': {
                        'oneOf': [
                            {'type': 'string'},
                            {'type': 'object', 'properties': {'text': {'type': 'string'}}},
                        ]
                    },
                },
                'texts, or objects with a text',
            ),
            'model': MODEL,
            'top_n': TOP_K.but(about='documents at most'),
            'return_documents': flag_field('repeat each document'),
            'truncate': TRUNCATE,
        },
        {'query': 'Who sleeps?', 'documents': ['A cat sleeps.', 'Shares fell.'], 'top_n': 1},
        RERANKERS,
    ),
)
