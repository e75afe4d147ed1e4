"""List the models of the zoo.

Reads only the tables and the names and sizes of cached files. A size is that of the download, or,
if that is unknown, with ~ that of the parameters in single precision. --format json and tsv also
have the family, the heads, the sources, the licence and the name on the Hugging Face hub.

examples:
  gluon-bert list --name 'bert_*' --max-params 30M --sort params
  gluon-bert list --language zh
"""

from __future__ import annotations

import argparse
import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Optional

from ..families import FAMILIES
from ..modeling.counts import count_parameters
from ..zoo import (
    DATASET_ALIASES,
    VOCABULARIES,
    WEIGHTS,
    family_of,
    get_config,
    hub_names,
    list_models,
)
from ..zoo.schema import GluonFile, HubFile, InstalledFile, ZipArchive
from .cache_contents import cached_row
from .output import columns, note, say, size_text

if TYPE_CHECKING:
    from ..config import BertConfig
    from ..zoo.schema import Weights


SOURCES = {'gluonnlp': GluonFile, 'hub': HubFile, 'zip': ZipArchive, 'installed': InstalledFile}
_HEADS = ('pooler', 'next_sentence', 'masked_lm')
_FACTORS = {'k': 1e3, 'm': 1e6, 'g': 1e9, 'b': 1e9}


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument('--name', metavar='GLOB', default='*', help='architectures that match')
    parser.add_argument('--dataset', metavar='GLOB', default='*', help='data sets that match')
    parser.add_argument('--family', choices=FAMILIES, help='models of this family')
    parser.add_argument(
        '--language',
        choices=sorted({row.language for row in VOCABULARIES.values()}),
        help='models for this language',
    )
    parser.add_argument('--source', choices=SOURCES, help='models available from this source')
    parser.add_argument('--head', choices=_HEADS, help='models with this trained head')
    parser.add_argument(
        '--max-params',
        metavar='N',
        type=_number,
        help='models with at most N parameters, such as 30M',
    )
    parser.add_argument('--cached', action='store_true', help='models that are already on disk')
    parser.add_argument('--root', help='folder of the cache (default: $MXNET_HOME/models)')
    parser.add_argument(
        '--sort', choices=('name', 'params'), default='name', help='order (default: name)'
    )
    parser.add_argument(
        '--format',
        choices=('table', 'json', 'tsv'),
        default='table',
        help='table for people, or json or tsv for programs (default: table)',
    )


def run(args: Namespace) -> int:
    """Run the subcommand."""
    models = [model for model in map(_describe, list_models()) if _wanted(model, args)]
    for model in models:
        _add_cached(model, args.root)
    if args.cached:
        models = [model for model in models if model['cached'] or model['installed']]
    if args.sort == 'params':
        models.sort(key=lambda model: model['parameters'])
    if not models:
        note('no model matches')
    _WRITERS[args.format](models)
    return 0


def source_names(row: Weights) -> list[str]:
    """List a row's kinds of source, each once, in the row's order."""
    kinds = {kind: name for name, kind in SOURCES.items()}
    files = [source[0] if isinstance(source, tuple) else source for source in row.sources]
    return list(dict.fromkeys(kinds[type(file)] for file in files))


def expected_size(config: BertConfig, heads: Iterable[str]) -> int:
    """Compute the bytes of all parameters in single precision."""
    return 4 * sum(count_parameters(config, heads).values())


def download_size(row: Weights) -> Optional[int]:
    """Return the bytes of the first file whose size is known, or None."""
    sizes = [getattr(source, 'size', None) for source in row.sources]
    return next((size for size in sizes if size), None)


def _describe(key):
    row = WEIGHTS[key]
    hub = {key: name for name, key in reversed(hub_names().items()) if '/' in name}
    config = get_config(key.name, VOCABULARIES[key.dataset_name].size)
    return {
        'name': key.name,
        'dataset_name': key.dataset_name,
        'language': VOCABULARIES[key.dataset_name].language,
        'family': family_of(key.name),
        'parameters': row.num_params,
        'download_bytes': download_size(row),
        'float32_bytes': expected_size(config, row.heads),
        'heads': list(row.heads),
        'sources': source_names(row),
        'hub_name': hub.get(key),
        'licence': row.licence,
    }


def _add_cached(model, root):
    cached = cached_row(model['name'], model['dataset_name'], root)
    model['cached'] = cached.usable
    model['cached_bytes'] = cached.size
    model['installed'] = cached.installed is not None


def _wanted(model, args):
    dataset = DATASET_ALIASES.get(args.dataset, args.dataset)
    return (
        fnmatchcase(model['name'], args.name)
        and fnmatchcase(model['dataset_name'], dataset)
        and args.language in (None, model['language'])
        and args.family in (None, model['family'])
        and (args.source is None or args.source in model['sources'])
        and (args.head is None or args.head in model['heads'])
        and (args.max_params is None or model['parameters'] <= args.max_params)
    )


def _write_table(models):
    rows = [('model', 'data set', 'language', 'params', 'size', 'cached')]
    for model in models:
        download = model['download_bytes']
        rows.append(
            (
                model['name'],
                model['dataset_name'],
                model['language'],
                f'{model["parameters"] / 1e6:.1f}M',
                size_text(download) if download else f'~{size_text(model["float32_bytes"])}',
                _cached_text(model),
            )
        )
    for line in columns(rows, right=(3, 4)):
        say(line)


def _cached_text(model):
    if model['cached']:
        return size_text(model['cached_bytes'])
    if model['installed']:
        return 'installed'
    return 'partial' if model['cached_bytes'] else '-'


def _write_tsv(models):
    keys = list(models[0]) if models else ()
    for cells in [keys, *(model.values() for model in models)]:
        say('\t'.join(map(_cell, cells)))


def _cell(value):
    if isinstance(value, bool):
        return 'yes' if value else 'no'
    return ' '.join(value) if isinstance(value, list) else '' if value is None else str(value)


def _write_json(models):
    say(json.dumps(models, indent=1))


_WRITERS = {'table': _write_table, 'tsv': _write_tsv, 'json': _write_json}


def _number(text):
    try:
        factor = _FACTORS.get(text[-1:].lower(), 1)
        value = float(text[:-1] if factor != 1 else text) * factor
    except ValueError:
        value = -1
    if not 0 < value < float('inf'):
        raise argparse.ArgumentTypeError(f'{text!r}: expected a number such as 30M or 110000000')
    return value
