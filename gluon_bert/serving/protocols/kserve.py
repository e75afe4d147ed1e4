"""KServe's v2 protocol (Open Inference Protocol) with tensors of texts, as JSON."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ... import __version__
from ..._internal.suggestions import unknown_name
from ..errors import ServiceError, invalid, not_for_model, not_ready
from ..fields import TEXT, TRUNCATE, Field, kind, object_field, read_fields, text, texts
from ..models import EMBEDDING
from ..operations import embed, predict
from ..replies import Reply, json_reply
from ..service import ServiceCall
from .base import PLAIN_SCHEMA, Endpoint, Protocol

_NAME = 'gluon_bert'
_TYPES = {'f': 'FP32', 'i': 'INT64'}


def _error(error: ServiceError) -> dict[str, str]:
    return {'error': error.message}


KSERVE = Protocol('kserve', "KServe's v2", _error, PLAIN_SCHEMA)


def _shape(value: Any) -> list[int]:
    if not isinstance(value, list) or not all(type(size) is int and size >= 0 for size in value):
        raise ValueError(f': expected a list of sizes, got {kind(value)}')
    return value


def _bytes(value: Any) -> str:
    if value != 'BYTES':
        raise ValueError(': expected BYTES, as inputs are texts')
    return value


_TENSOR = {
    'name': TEXT,
    'shape': Field(_shape, {'type': 'array', 'items': {'type': 'integer'}}, '[N], or [N, 1]'),
    'datatype': Field(_bytes, {'enum': ['BYTES']}),
    'data': Field(texts, {'type': 'array', 'items': {'type': 'string'}}, 'N texts'),
}


def _tensors(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not 1 <= len(value) <= 2:
        raise ValueError(': expected one tensor of texts, or two for pairs')
    rows = [read_fields(row, _TENSOR, f'inputs[{i}].') for i, row in enumerate(value)]
    for number, row in enumerate(rows):
        if np.prod(row['shape'], dtype=object) != len(row['data']):
            raise invalid(f'inputs[{number}].shape: does not fit {len(row["data"])} texts')
    return rows


def _outputs(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise ValueError(f': expected a list, got {kind(value)}')
    names = [text(row.get('name') if isinstance(row, dict) else row) for row in value]
    if len(set(names)) < len(names):
        raise ValueError(': expected each name once')
    return names


async def answer_infer(call: ServiceCall) -> Reply:
    """Answer with tensors of what the task of the model gives."""
    if call.model.reads_choices:
        raise not_for_model(
            f'the model {call.model.name} is for {call.model.task}, whose inputs are no tensors of '
            f'texts: POST /models/{call.model.name} answers'
        )
    columns = _columns(call.model, call.body['inputs'])
    if len({len(column) for column in columns}) > 1:
        raise invalid('inputs: the two tensors have different sizes')
    items = columns[0] if len(columns) == 1 else list(zip(*columns))
    truncate = call.body['parameters']['truncate']
    if call.model.task == EMBEDDING:
        arrays: dict[str, Any] = {'embedding': await embed(call, items, truncate)}
    else:
        arrays = _arrays(call.model.pipeline, await predict(call, items, truncate))
    wanted = call.body['outputs'] or list(arrays)
    wrong = next((name for name in wanted if name not in arrays), None)
    if wrong is not None:
        raise invalid(f'outputs: there is no {wrong[:80]!r} (allowed: {", ".join(arrays)})')
    answer = {
        'model_name': call.model.name,
        'model_version': '1',
        'id': call.body['id'] or call.id,
        'outputs': [_tensor(name, arrays[name]) for name in wanted],
    }
    return await call.service.work(
        sum(np.size(arrays[name]) for name in wanted), json_reply, answer
    )


def _input_names(model):
    return ('text', 'pair') if model.pipeline is None else model.pipeline.keys


def _columns(model, rows) -> list[list[str]]:
    """The texts of each tensor, in the order in which the model reads them."""
    names, columns = _input_names(model), {row['name']: row['data'] for row in rows}
    for name in columns:
        if name not in names:
            raise invalid(f'inputs: {unknown_name("tensor", name[:80], names)}')
    if len(columns) < len(rows) or names[0] not in columns:
        raise invalid(f'inputs: expected one tensor {names[0]!r}, and each name once')
    return [columns[name] for name in names if name in columns]


def _arrays(pipeline, results) -> dict[str, Any]:
    """Tensors of results: of labels and numbers where they have these, else of JSON."""
    if hasattr(results[0], 'value'):
        names = [name for name in ('score', 'value') if hasattr(results[0], name)]
        return {
            name: np.array([getattr(row, name) for row in results], 'float32') for name in names
        }
    if hasattr(results[0], 'probabilities'):
        shares = [list(row.probabilities.values()) for row in results]
        return {
            'label': [row.label for row in results],
            'probabilities': np.array(shares, 'float32'),
        }
    rows = (pipeline.as_json(row) for row in results)
    return {'result': [json.dumps(row, ensure_ascii=False) for row in rows]}


def _tensor(name, values):
    if isinstance(values, list):
        return {'name': name, 'datatype': 'BYTES', 'shape': [len(values)], 'data': values}
    datatype = _TYPES[values.dtype.kind]
    return {
        'name': name,
        'datatype': datatype,
        'shape': list(values.shape),
        'data': values.reshape(-1),
    }


async def answer_server(call: ServiceCall) -> Reply:
    """Answer with the name and version of the server."""
    return json_reply({'name': _NAME, 'version': __version__, 'extensions': []})


async def answer_live(call: ServiceCall) -> Reply:
    """Answer that the process lives."""
    return json_reply({'live': True})


async def answer_ready(call: ServiceCall) -> Reply:
    """Answer whether requests are taken, with 200 or 503."""
    if not call.service.is_healthy:
        raise not_ready()
    return json_reply({'ready': True})


async def answer_metadata(call: ServiceCall) -> Reply:
    """Answer with the tensors of a model."""
    model = call.model
    inputs = [{'name': name, 'datatype': 'BYTES', 'shape': [-1]} for name in _input_names(model)]
    if model.task == EMBEDDING:
        outputs = [('embedding', 'FP32', [-1, model.encoder.units])]
    elif 'labels' in model.settings:
        size = len(model.settings['labels'])
        outputs = [('label', 'BYTES', [-1]), ('probabilities', 'FP32', [-1, size])]
    else:
        outputs = _OUTPUTS.get(model.task, [('result', 'BYTES', [-1])])
    keys = 'name', 'datatype', 'shape'
    return json_reply(
        {
            'name': model.name,
            'versions': ['1'],
            'platform': _NAME,
            'inputs': inputs,
            'outputs': [dict(zip(keys, row)) for row in outputs],
        }
    )


_OUTPUTS: dict[str, list] = {
    'text-regression': [('value', 'FP32', [-1])],
    'text-ranking': [('score', 'FP32', [-1]), ('value', 'FP32', [-1])],
}
_MODEL = '/v2/models/{name}'
ENDPOINTS = (
    Endpoint('/v2', answer_server, KSERVE, 'The server'),
    Endpoint('/v2/health/live', answer_live, KSERVE, 'The process lives', is_open=True),
    Endpoint('/v2/health/ready', answer_ready, KSERVE, '200 while ready, else 503', is_open=True),
    Endpoint(_MODEL, answer_metadata, KSERVE, 'The tensors of a model'),
    Endpoint(f'{_MODEL}/ready', answer_ready, KSERVE, '200 while ready, else 503'),
    Endpoint(
        f'{_MODEL}/infer',
        answer_infer,
        KSERVE,
        'What the task of the model gives, as tensors',
        {
            'id': TEXT.but(default=None),
            'inputs': Field(_tensors, {'type': 'array'}, 'a tensor of texts; two for pairs'),
            'outputs': Field(_outputs, {'type': 'array'}, 'names of tensors', None),
            'parameters': object_field('parameters', {'truncate': TRUNCATE}, ''),
        },
        {'inputs': [{'name': 'text', 'shape': [1], 'datatype': 'BYTES', 'data': ['A film.']}]},
    ),
)
