"""Look up a row of the model zoo, get its files, build the network.

The tables are read without MXNet; it is imported when a model is built.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .checkpoints import fetch_model, fetch_repository, zoo_checkpoint
    from .models import get_model, get_tokenizer, get_vocab, load_model
    from .opening import open_checkpoint
    from .rows import (
        ModelName,
        expand_name,
        family_of,
        find_model,
        get_config,
        hub_names,
        list_models,
        resolve,
        resolve_dataset,
    )
    from .tables.architectures import ARCHITECTURES, FAMILIES
    from .tables.names import DATASET_ALIASES, DEFAULT, DEFAULT_CASED, OFFLINE_DEFAULT
    from .tables.vocabularies import VOCABULARIES
    from .tables.weights import WEIGHTS

_NAMES = {
    'checkpoints': ('fetch_model', 'fetch_repository', 'zoo_checkpoint'),
    'models': ('get_model', 'get_tokenizer', 'get_vocab', 'load_model'),
    'opening': ('open_checkpoint',),
    'rows': (
        'ModelName',
        'expand_name',
        'family_of',
        'find_model',
        'get_config',
        'hub_names',
        'list_models',
        'resolve',
        'resolve_dataset',
    ),
    'tables.architectures': ('ARCHITECTURES', 'FAMILIES'),
    'tables.names': ('DATASET_ALIASES', 'DEFAULT', 'DEFAULT_CASED', 'OFFLINE_DEFAULT'),
    'tables.vocabularies': ('VOCABULARIES',),
    'tables.weights': ('WEIGHTS',),
}
# Name that is imported when it is first used -> its module.
_HOMES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [
    'ARCHITECTURES',
    'DATASET_ALIASES',
    'DEFAULT',
    'DEFAULT_CASED',
    'FAMILIES',
    'ModelName',
    'OFFLINE_DEFAULT',
    'VOCABULARIES',
    'WEIGHTS',
    'expand_name',
    'family_of',
    'find_model',
    'get_config',
    'hub_names',
    'list_models',
    'resolve',
    'resolve_dataset',
    *_HOMES,
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    value = getattr(importlib.import_module('.' + _HOMES[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
