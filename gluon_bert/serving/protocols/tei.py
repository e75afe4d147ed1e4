"""The routes of text-embeddings-inference."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np

from ... import __version__
from ..._internal.numerics import sigmoid
from ...inference.search import order_by_score
from ..errors import invalid, not_ready, too_large
from ..fields import (
    DIRECTION,
    INPUTS_OR_PAIRS,
    ONE_OR_TEXTS,
    TEXT,
    TEXTS,
    TRUNCATE,
    Field,
    flag_field,
    texts_or_ids,
)
from ..limits import MAX_TOKENS
from ..metrics import MEDIA_TYPE
from ..models import SPARSE
from ..operations import CLASSIFIERS, RERANKERS, check_count, check_task, predict
from ..replies import Reply, json_reply, text_reply
from ..service import ServiceCall
from .base import TEI, Endpoint
from .tei_vectors import as_list

_RAW = flag_field('scores as the network gives them, not as probabilities')


def pair_items(call: ServiceCall, inputs: Any) -> tuple[list, bool]:
    """List the inputs of a classifier, and tell if it is one alone.

    For a model that reads pairs, a list of two texts is one pair; for another, two texts.
    """
    if isinstance(inputs, str):
        return [inputs], True
    if call.model.reads_pairs and len(inputs) == 2 and all(isinstance(i, str) for i in inputs):
        return [tuple(inputs)], True
    items = [(item,) if isinstance(item, str) else tuple(item) for item in inputs]
    return [item if len(item) == 2 else item[0] for item in items], False


def label_rows(call: ServiceCall, result: Any, raw: bool = False) -> list[dict[str, Any]]:
    """List the labels of a result with their scores, the highest first."""
    if hasattr(result, 'value'):
        score = result.value if raw else getattr(result, 'score', result.value)
        return [{'label': 'LABEL_0', 'score': score}]
    if hasattr(result, 'follows'):
        shares = {'follows': result.probability, 'random': 1 - result.probability}
    else:
        shares = result.probabilities
    if raw:
        raise invalid('raw_scores: the model gives probabilities, got true')
    rows = [{'label': label, 'score': share} for label, share in shares.items()]
    return sorted(rows, key=lambda row: -row['score'])


async def answer_predict(call: ServiceCall) -> Reply:
    """Answer with the labels of each text or pair."""
    check_task(call, *CLASSIFIERS, 'next-sentence')
    items, is_one = pair_items(call, call.body['inputs'])
    results = await predict(call, items, call.body['truncate'])
    rows = [label_rows(call, result, call.body['raw_scores']) for result in results]
    return json_reply(rows[0] if is_one else rows)


async def rank(
    call: ServiceCall, query: str, texts: list[str], truncate: Optional[bool], raw: bool = False
) -> list[tuple[int, float]]:
    """Score texts for a query by a model that reads pairs, the best first."""
    check_task(call, *RERANKERS)
    results = await predict(call, [(query, text) for text in texts], truncate)
    values = np.array([row.value for row in results])
    scores = (values if raw else sigmoid(values)).tolist()
    return [(number, scores[number]) for number in order_by_score(values)]


async def answer_rerank(call: ServiceCall) -> Reply:
    """Answer with the texts in the order of their scores for the query."""
    body, texts = call.body, call.body['texts']
    ranked = await rank(call, body['query'], texts, body['truncate'], body['raw_scores'])
    return json_reply(
        [
            {
                'index': number,
                'score': score,
                **({'text': texts[number]} if body['return_text'] else {}),
            }
            for number, score in ranked
        ]
    )


async def answer_tokenize(call: ServiceCall) -> Reply:
    """Answer with the tokens of each text and their places in it."""
    inputs = call.body['inputs']
    texts = [inputs] if isinstance(inputs, str) else inputs
    check_count(call, texts)
    special = call.body['add_special_tokens']
    size = sum(map(len, texts))
    return await call.read_texts(size, _tokens_reply, call.model.tokenizer, texts, special)


def _tokens_reply(tokenizer, texts, add_special):
    # A character is four bytes at most, and so many tokens; ids alone take less memory.
    if 4 * sum(map(len, texts)) > MAX_TOKENS:
        count = sum(map(len, tokenizer.encode_ids(texts)))
        if count > MAX_TOKENS:
            raise too_large(f'the answer would have {count} tokens, at most {MAX_TOKENS}')
    # One by one, the library would hold Python's lock for all of a text.
    rows = tokenizer.encode_batch(texts)
    return json_reply([_tokens(tokenizer.vocabulary, row, add_special) for row in rows])


def _tokens(vocabulary, encoded, add_special):
    rows = [
        {'id': number, 'text': token, 'special': False, 'start': start, 'stop': stop}
        for number, token, (start, stop) in zip(encoded.ids, encoded.tokens, encoded.offsets)
    ]
    if not add_special:
        return rows
    begin, end = (
        {'id': vocabulary[token], 'text': token, 'special': True, 'start': None, 'stop': None}
        for token in (vocabulary.cls_token, vocabulary.sep_token)
    )
    return [begin, *rows, end]


async def answer_decode(call: ServiceCall) -> Reply:
    """Answer with the text of token ids."""
    items = as_list(call.body['ids'])
    check_count(call, items)
    tokenizer, skip = call.model.tokenizer, call.body['skip_special_tokens']
    size = sum(map(len, items))
    try:
        rows = await call.service.work(
            size, lambda: [tokenizer.decode(ids, skip_special_tokens=skip) for ids in items]
        )
        return json_reply(rows)
    except ValueError as error:
        raise invalid(str(error)) from None


async def answer_info(call: ServiceCall) -> Reply:
    """Answer with what the model and the bounds are."""
    model, limits = call.model, call.service.limits
    return json_reply(
        {
            'model_id': model.name,
            'model_sha': None,
            'model_dtype': (model.source.precision or 'float32'),
            'model_type': _model_type(model),
            'models': [{'name': row.name, 'task': row.task} for row in call.service.models],
            'max_concurrent_requests': limits.max_concurrent_requests,
            'max_input_length': model.max_length,
            'max_batch_tokens': limits.max_batch_tokens,
            'max_batch_requests': None,
            'max_client_batch_size': limits.max_client_batch_size,
            'max_queue_tokens': call.service.batcher.max_queue_tokens,
            'tokens_per_second': round(call.service.batcher.tokens_per_second),
            'auto_truncate': limits.auto_truncate,
            'tokenization_workers': 2,
            'version': f'gluon_bert {__version__}',
            'docker_label': None,
        }
    )


def _model_type(model):
    """The type of a model as text-embeddings-inference gives it; that of others by their task."""
    if model.encoder is not None:
        return {'embedding': {'pooling': '+'.join(model.encoder.settings.modes)}}
    if model.task == SPARSE:
        return {'embedding': {'pooling': 'splade'}}
    if 'labels' in model.settings:
        return {'classifier': _label_ids(model.settings['labels'])}
    if model.reads_pairs and 'max_len' in model.settings:
        return {'reranker': _label_ids(['LABEL_0'])}
    return {model.task: {}}


def _label_ids(labels):
    numbered = list(enumerate(labels))
    return {
        'id2label': {str(number): label for number, label in numbered},
        'label2id': {label: number for number, label in numbered},
    }


async def answer_health(call: ServiceCall) -> Reply:
    """Answer 200 while the server takes requests, else 503."""
    if not call.service.is_healthy:
        raise not_ready()
    return text_reply('')


async def answer_metrics(call: ServiceCall) -> Reply:
    """Answer with the counts of this process."""
    return text_reply(call.service.metrics.text(), media_type=MEDIA_TYPE)


def _check_ids(value):
    if not isinstance(value, list) or not value:
        raise ValueError(': expected a list of token ids, or of such lists, not empty')
    if isinstance(value[0], str):
        raise ValueError('[0]: expected a token id, got a string')
    return texts_or_ids(value)


_PREDICT = {
    'inputs': INPUTS_OR_PAIRS,
    'truncate': TRUNCATE,
    'truncation_direction': DIRECTION,
    'raw_scores': _RAW,
}
RERANK_FIELDS = {
    'query': TEXT,
    'texts': TEXTS,
    'truncate': TRUNCATE,
    'truncation_direction': DIRECTION,
    'raw_scores': _RAW,
    'return_text': flag_field('repeat each text'),
}
ENDPOINTS = (
    Endpoint(
        '/predict',
        answer_predict,
        TEI,
        'Labels of texts or pairs with their scores',
        _PREDICT,
        {'inputs': 'A fine film.'},
        (*CLASSIFIERS, 'next-sentence'),
    ),
    Endpoint(
        '/rerank',
        answer_rerank,
        TEI,
        'Texts in the order of their scores for a query, by a model of pairs with one score',
        RERANK_FIELDS,
        {'query': 'Who sleeps?', 'texts': ['A cat sleeps.', 'Shares fell.']},
        RERANKERS,
    ),
    Endpoint(
        '/tokenize',
        answer_tokenize,
        TEI,
        'Tokens of texts',
        {
            'inputs': ONE_OR_TEXTS,
            'add_special_tokens': flag_field('with those that the model reads', True),
        },
        {'inputs': 'A cat sleeps.'},
    ),
    Endpoint(
        '/decode',
        answer_decode,
        TEI,
        'Texts of token ids',
        {
            'ids': Field(_check_ids, {'type': 'array'}, 'token ids, or several lists of them'),
            'skip_special_tokens': flag_field('leave out such as [CLS]', True),
        },
        {'ids': [101, 1037, 4937, 102]},
    ),
    Endpoint('/info', answer_info, TEI, 'The model and the bounds'),
    Endpoint('/health', answer_health, TEI, '200 while ready, else 503', is_open=True),
    Endpoint('/ping', answer_health, TEI, '200 while ready, else 503', is_open=True),
    Endpoint('/metrics', answer_metrics, TEI, 'Counts for Prometheus', media_type=MEDIA_TYPE),
)
