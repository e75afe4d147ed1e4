"""Show a model's hyper-parameters, parameters by kind of layer, sizes and sources.

The files of a model of the zoo need not exist; of a checkpoint only the headers are read.

examples:
  gluon-bert info NAME DATASET --draw network.svg
  gluon-bert info folder/with/checkpoint --json
"""

from __future__ import annotations

import json
import math
from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from typing import TYPE_CHECKING

from ..modeling.counts import count_parameters, title_of
from ..zoo import VOCABULARIES, WEIGHTS, family_of, get_config
from ..zoo.fetch.local_files import files_of
from ..zoo.fetch.sources import url_of
from ..zoo.schema import GluonFile
from .cache_contents import cached_row
from .listing import SOURCES
from .models import add_config_arguments, read_model
from .output import columns, note, say, size_text

if TYPE_CHECKING:
    from ..checkpoint.schema import Checkpoint


_UNSEEN = ('config', 'parameters', 'total', 'sources', 'name', 'dataset_name')
_SIZES = {
    'float32_bytes': 'size as float32',
    'file_bytes': 'size of the file',
    'cached_bytes': 'size in the cache',
}
_KINDS = {
    'BertTokenizer': 'wordpiece',
    'BytePairTokenizer': 'byte_pair',
    'SentencePieceTokenizer': 'sentencepiece',
}


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument('model', nargs='+', metavar='MODEL', help='see gluon-bert --help')
    parser.add_argument('--root', help='folder of the cache (default: $MXNET_HOME/models)')
    add_config_arguments(parser)
    parser.add_argument(
        '--draw', metavar='FILE', help='draw the network into this .svg, .png or .pdf file'
    )
    parser.add_argument('--json', action='store_true', help='write JSON')


def run(args: Namespace) -> int:
    """Run the subcommand."""
    model = read_model(args.model)
    if model.key is not None:
        config, facts = _of_row(model.key, args.root)
        title, num_classes = ', '.join(model.key), 2
    else:
        checkpoint = model.checkpoint(config=args.config, num_heads=args.num_heads)
        num_classes = class_number(checkpoint)
        config, facts = _of_checkpoint(checkpoint, model.folder(), num_classes)
        title = model.text
    if args.draw:
        from ..plots.network import draw_network

        draw_network(config, args.draw, facts['heads'], title, num_classes)
        note(f'drawn: {args.draw}')
    if args.json:
        say(json.dumps(facts, indent=1))
    else:
        _write(title, facts)
    return 0


def class_number(checkpoint: Checkpoint) -> int:
    """Count the classes of a checkpoint's classifier or tagger; 2 if it has neither."""
    from ..checkpoint.arrays import shape_of

    for weight in ('classifier.1.weight', 'tag_classifier.weight'):
        if weight in checkpoint.arrays:
            return shape_of(checkpoint.arrays, weight)[0]
    return 2


def _of_row(key, root):
    """Collect the configuration and facts of a row."""
    row, vocabulary = WEIGHTS[key], VOCABULARIES[key.dataset_name]
    config = get_config(key.name, vocabulary.size)
    cached = cached_row(*key, root)
    counts = count_parameters(config, row.heads)
    return config, {
        'name': key.name,
        'dataset_name': key.dataset_name,
        'description': row.description,
        'family': family_of(key.name),
        'config': asdict(config),
        'heads': list(row.heads),
        'parameters': counts,
        'total': sum(counts.values()),
        'float32_bytes': 4 * sum(counts.values()),
        'cached': [str(path) for path, _ in cached.files],
        'cached_bytes': cached.size,
        'vocabulary': {
            'kind': vocabulary.kind,
            'size': vocabulary.size,
            'lowercase': vocabulary.lowercase,
            'ids': "GluonNLP's of 2018" if vocabulary.swapped else 'as published',
        },
        'licence': row.licence,
        'citation': row.citation,
        'page': row.source,
        'sources': [_source(file) for source in row.sources for file in files_of(source)],
    }


def _source(file):
    kinds = {kind: name for name, kind in SOURCES.items()}
    digest = ('sha1', file.sha1) if isinstance(file, GluonFile) else ('sha256', file.sha256)
    return {
        'kind': kinds[type(file)],
        'address': url_of(file),
        digest[0]: digest[1],
        'bytes': getattr(file, 'size', None),
        'lacks': list(getattr(file, 'lacks', ())),
    }


def _of_checkpoint(checkpoint, path, num_classes):
    """Collect the configuration and facts of a checkpoint."""
    from ..checkpoint import find_format
    from ..checkpoint.arrays import shape_of

    config, tokenizer = checkpoint.config, checkpoint.tokenizer
    counts = count_parameters(config, checkpoint.heads, num_classes)
    facts = {
        'path': str(path),
        'format': find_format(path),
        'family': checkpoint.family,
        'config': asdict(config),
        'heads': list(checkpoint.heads),
        'parameters': counts,
        'total': sum(counts.values()),
        'arrays': len(checkpoint.arrays),
        'type': str(checkpoint.arrays['encoder.layer_norm.gamma'].dtype),
        'float32_bytes': 4 * sum(counts.values()),
        'file_bytes': _size_of(path),
        'vocabulary': None,
        'labels': list(checkpoint.labels),
        'problem_type': checkpoint.problem_type,
        'max_tokens': checkpoint.max_tokens,
        'head_dropout': checkpoint.dropout,
        'task': None if checkpoint.task is None else dict(checkpoint.task),
    }
    rest = _size(shape_of(checkpoint.arrays, name) for name in checkpoint.arrays) - facts['total']
    if rest:
        facts['parameters']['other'] = rest
        facts['total'] += rest
    if tokenizer is not None:
        facts['vocabulary'] = {
            'kind': _KINDS[type(tokenizer).__name__],
            'size': len(tokenizer.vocabulary),
            'lowercase': tokenizer.lower,
        }
    return config, facts


def _size(shapes):
    return sum(math.prod(shape) for shape in shapes)


def _size_of(path):
    """Sum the bytes of the files that hold the arrays."""
    if path.is_file():
        return path.stat().st_size
    patterns = (
        ('*.safetensors', '*.bin', '*.params', '*.ckpt*.index', '*.ckpt*.data-*')
        if path.is_dir()
        else (f'{path.name}.index', f'{path.name}.data-*')
    )
    folder = path if path.is_dir() else path.parent
    return sum(file.stat().st_size for pattern in patterns for file in folder.glob(pattern))


def _write(title, facts):
    from .. import kernels

    say(title)
    rows = [
        (f'  {_SIZES.get(name, name)}', _text(name, value))
        for name, value in facts.items()
        if name not in _UNSEEN and value not in ([], None, 0, title)
    ]
    say('\n'.join(columns(rows)))
    say('\nconfiguration (units: width of the model; hidden_size: of the feed-forward layer)')
    say('\n'.join(columns([(f'  {name}', str(value)) for name, value in facts['config'].items()])))
    say('\nparameters')
    total = facts['total']
    rows = [
        (f'  {title_of(kind)}', f'{count:,}', f'{count / total:6.2%}')
        for kind, count in facts['parameters'].items()
    ]
    say('\n'.join(columns([*rows, ('  total', f'{total:,}', '')], right=(1, 2))))
    if 'sources' in facts:
        say('\nsources, in the order they are tried')
        for source in facts['sources']:
            say(f'  {source["kind"]}: {source["address"]}')
            for line in _details(source):
                say(f'    {line}')
    say(f'\nkernels: {kernels.describe()}')


def _details(source):
    for name in ('sha256', 'sha1'):
        if source.get(name):
            yield f'{name} {source[name]}'
    if source['bytes']:
        yield f'{source["bytes"]} bytes'
    if source['lacks']:
        yield f'lacks {", ".join(map(title_of, source["lacks"]))}'


def _text(name, value):
    if name in _SIZES:
        return size_text(value)
    if name == 'vocabulary':
        return ', '.join(
            [
                value['kind'],
                f'{value["size"]:,} tokens',
                'lower-cased' if value['lowercase'] else 'cased',
                *([f'ids {value["ids"]}'] if 'ids' in value else ()),
            ]
        )
    if name == 'task':
        settings = [f'{key} {setting}' for key, setting in value.items() if key != 'task']
        return f'{value["task"]}: {", ".join(settings)}'
    return ', '.join(map(str, value)) if isinstance(value, list) else str(value)
