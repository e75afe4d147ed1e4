"""OpenAI's embeddings and list of models."""

from __future__ import annotations

from typing import Any

from ..errors import ServiceError, invalid, not_found
from ..fields import DIMENSIONS, ENCODING_FORMAT, MODEL, TEXT, TEXTS_OR_IDS, TRUNCATE
from ..models import EMBEDDING
from ..operations import check_task, embed
from ..replies import Reply, base64_text, json_reply
from ..service import ServiceCall
from .base import Endpoint, Protocol
from .tei_vectors import as_list

_TYPES = {401: 'authentication_error', 429: 'rate_limit_error'}


def _error(error: ServiceError) -> dict[str, Any]:
    is_ours = error.status >= 500
    kind = _TYPES.get(error.status, 'server_error' if is_ours else 'invalid_request_error')
    return {
        'error': {'message': error.message, 'type': kind, 'param': None, 'code': error.kind.lower()}
    }


OPENAI = Protocol(
    'openai',
    'OpenAI',
    _error,
    {
        'type': 'object',
        'properties': {
            'error': {
                'type': 'object',
                'properties': {'message': {'type': 'string'}, 'type': {'type': 'string'}},
            }
        },
    },
)


async def answer_embeddings(call: ServiceCall) -> Reply:
    """Answer with the vector of each text, as numbers or in base64."""
    body = call.body
    items, is_packed = as_list(body['input']), body['encoding_format'] == 'base64'
    check_task(call, EMBEDDING)
    _check_ids(call, items)
    vectors = await embed(call, items, body['truncate'], dimensions=body['dimensions'])
    values = [base64_text(row) for row in vectors] if is_packed else vectors
    rows = [
        {'object': 'embedding', 'index': number, 'embedding': value}
        for number, value in enumerate(values)
    ]
    usage = {'prompt_tokens': call.tokens, 'total_tokens': call.tokens}
    answer = {'object': 'list', 'data': rows, 'model': call.model.name, 'usage': usage}
    return await call.service.work(vectors.size, json_reply, answer)


def _check_ids(call, items):
    """Refuse token ids without the model's special tokens: they may be those of OpenAI's models."""
    vocabulary = call.model.tokenizer.vocabulary
    first, last = vocabulary.cls_token, vocabulary.sep_token
    begin, end = vocabulary[[first, last]]
    for number, ids in enumerate(items):
        if isinstance(ids, list) and not (len(ids) > 1 and ids[0] == begin and ids[-1] == end):
            raise invalid(
                f'input[{number}]: expected a text, or token ids of this model from {first} '
                f'({begin}) to {last} ({end}); OpenAIEmbeddings of LangChain sends texts with '
                f'check_embedding_ctx_length=False'
            )


def _entry(model):
    return {'id': model.name, 'object': 'model', 'created': model.created, 'owned_by': 'local'}


async def answer_models(call: ServiceCall) -> Reply:
    """Answer with the names of all models."""
    rows = [_entry(model) for model in call.service.models]
    return json_reply({'object': 'list', 'data': rows})


async def answer_model(call: ServiceCall) -> Reply:
    """Answer with one model."""
    return json_reply(_entry(call.model))


def check_model(name: str, models: Any) -> None:
    """Raise the 404 of a model that is not served."""
    if name not in models:
        names = ', '.join(model.name for model in models)
        raise not_found(f'model {name[:80]!r} is not served here (allowed: {names})')


ENDPOINTS = (
    Endpoint(
        '/v1/embeddings',
        answer_embeddings,
        OPENAI,
        'Vectors of texts',
        {
            'input': TEXTS_OR_IDS.but(
                about='a text or several, or token ids as /tokenize gives them'
            ),
            'model': MODEL,
            'encoding_format': ENCODING_FORMAT,
            'dimensions': DIMENSIONS,
            'user': TEXT.but(about='not used', default=None),
            'truncate': TRUNCATE,
        },
        {'input': ['A cat sleeps.', 'Shares fell.']},
        (EMBEDDING,),
    ),
    Endpoint('/v1/models', answer_models, OPENAI, 'The models that are served'),
    Endpoint('/v1/models/{name}', answer_model, OPENAI, 'A model'),
)
