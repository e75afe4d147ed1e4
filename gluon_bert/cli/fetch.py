"""Fetch models into the cache, verify them, and print their paths.

Interrupted downloads are resumed. Models of the hub (hf://) go into the cache of the hub's client.

examples:
  gluon-bert fetch NAME DATASET
  gluon-bert fetch --vocab-only NAME/DATASET NAME/DATASET
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from ..zoo import VOCABULARIES, list_models
from ..zoo.fetch.store import fetch_vocabulary
from .models import Model, read_models
from .output import error_text, note, say


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        'models', nargs='*', metavar='MODEL', help='NAME DATASET, NAME/DATASET or hf://owner/name'
    )
    parser.add_argument('--root', help='folder of the cache (default: $MXNET_HOME/models)')
    parser.add_argument('--all', action='store_true', help='every model of the zoo')
    parser.add_argument('--vocab-only', action='store_true', help='vocabularies, no parameters')


def run(args: Namespace) -> int:
    """Run the subcommand."""
    models = read_models(args.models)
    if args.all == bool(models):
        raise ValueError('expected either models or --all')
    if args.all:
        models = [Model(f'{key.name}/{key.dataset_name}', key=key) for key in list_models()]
    for model in models:
        if model.path is not None:
            raise ValueError(f'{model.text}: already on disk')
    failed = [model for model in models if not _fetch(model, args, alone=len(models) == 1)]
    if failed:
        raise ValueError(
            f'{len(failed)} of {len(models)} could not be fetched: '
            f'{", ".join(model.text for model in failed)}'
        )
    return 0


def _fetch(model, args, alone):
    """Fetch one model; report the reason and return False if it fails."""
    try:
        for path in _paths(model, args):
            say(path)
    except (ValueError, OSError) as error:
        if args.traceback or alone:
            raise
        note(f'{model.text}: {error_text(error)}')
        return False
    return True


def _paths(model, args):
    if model.key is None:
        return [model.folder()]
    from ..zoo.checkpoints import fetch_model, read_tokenizer_of

    if not args.vocab_only:
        return fetch_model(*model.key, root=args.root)
    dataset_name = model.key.dataset_name
    read_tokenizer_of(dataset_name, args.root)
    return fetch_vocabulary(dataset_name, VOCABULARIES[dataset_name], args.root).paths
