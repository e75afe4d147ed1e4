"""The page for people at ``/``: its files, and what it has to know of the models."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from ..attention import attention_length
from ..models import ServedModel
from ..replies import Reply, json_reply
from ..service import ServiceCall
from .base import TEI, Endpoint

_FOLDER = Path(__file__).parents[1] / 'page'
_FILES = {
    '/': ('index.html', 'text/html; charset=utf-8'),
    '/page/page.css': ('page.css', 'text/css; charset=utf-8'),
    '/page/page.js': ('page.js', 'text/javascript; charset=utf-8'),
    '/page/tasks.js': ('tasks.js', 'text/javascript; charset=utf-8'),
    '/page/views.js': ('views.js', 'text/javascript; charset=utf-8'),
    '/page/attention.js': ('attention.js', 'text/javascript; charset=utf-8'),
    '/page/grid.js': ('grid.js', 'text/javascript; charset=utf-8'),
    '/page/icon.svg': ('icon.svg', 'image/svg+xml'),
}
# Nothing but the server's own files, and no text that becomes markup.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS = {
    'content-security-policy': _POLICY,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-cache',
}


@functools.lru_cache(maxsize=len(_FILES))
def _content(name: str) -> bytes:
    return (_FOLDER / name).read_bytes()


def _file_endpoint(path: str, name: str, media_type: str) -> Endpoint:
    async def answer_file(call: ServiceCall) -> Reply:
        return Reply(_content(name), media_type=media_type, headers=dict(_HEADERS))

    about = f'{name} of the page'
    return Endpoint(path, answer_file, TEI, about, is_open=True, media_type=media_type)


def describe_model(model: ServedModel) -> dict[str, Any]:
    """Describe a model as the page needs it to make a form and to show results.

    Parameters
    ----------
    model : ServedModel

    Returns
    -------
    dict
        For JSON.
    """
    settings = model.settings
    row: dict[str, Any] = {
        'name': model.name,
        'task': model.task,
        'reads_pairs': model.reads_pairs,
        'max_length': model.max_length,
        'attention_length': attention_length(model),
        'mask_token': model.tokenizer.vocabulary.mask_token,
    }
    if 'thresholds' in settings:
        row['thresholds'] = dict(zip(settings['labels'], settings['thresholds']))
    if 'range' in settings:
        row['range'] = list(settings['range'])
    return row


async def answer_models(call: ServiceCall) -> Reply:
    """Answer with a row for each model."""
    return json_reply([describe_model(model) for model in call.service.models])


ENDPOINTS = (
    *(_file_endpoint(path, *row) for path, row in _FILES.items()),
    Endpoint('/page/models', answer_models, TEI, 'The models, for the page'),
)
