"""List the contents of the cache, or clear it.

States: complete, fetched completely; partial, an interrupted download that the next fetch resumes;
user, a file of the zoo that you or GluonNLP put there; unknown, no file of the zoo. clear removes
complete and partial files, never user or unknown files.

examples:
  gluon-bert cache
  gluon-bert cache clear --dataset '*multilingual*' --yes
"""

from __future__ import annotations

import shutil
import sys
from argparse import ArgumentParser, Namespace
from fnmatch import fnmatchcase

from ..zoo import DATASET_ALIASES
from ..zoo.fetch.cache import locked
from ..zoo.fetch.store import clear
from .cache_contents import cache_contents, root_folder, unknown_files
from .output import columns, note, say, size_text


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        'action', nargs='?', choices=('list', 'clear'), default='list', help='default: list'
    )
    parser.add_argument('--root', help='folder of the cache (default: $MXNET_HOME/models)')
    parser.add_argument(
        '--name', metavar='GLOB', help='only parameters of matching architectures, no vocabularies'
    )
    parser.add_argument(
        '--dataset', metavar='GLOB', default='*', help='only files of matching data sets'
    )
    parser.add_argument('--partial', action='store_true', help='only interrupted downloads')
    parser.add_argument('--yes', action='store_true', help='clear without asking')


def run(args: Namespace) -> int:
    """Run the subcommand."""
    everything = cache_contents(args.root)
    chosen = [cached for cached in everything if _wanted(cached, args)]
    return (_list if args.action == 'list' else _clear)(everything, chosen, args)


def _wanted(cached, args):
    dataset = DATASET_ALIASES.get(args.dataset, args.dataset)
    return (
        fnmatchcase(cached.dataset_name, dataset)
        and (args.name is None or fnmatchcase(cached.name or '', args.name))
        and (not args.partial or any(state == 'partial' for _, state in cached.files))
    )


def _list(everything, chosen, args):
    rows = [
        (cached.entry.key, _count(cached.files), size_text(cached.size), cached.state)
        for cached in chosen
    ]
    total = sum(cached.size for cached in chosen)
    if args.name is None and args.dataset == '*' and not args.partial:
        for name, paths in unknown_files(args.root, everything).items():
            size = sum(path.stat().st_size for path in paths)
            total += size
            rows.append((name, _count(paths), size_text(size), 'unknown'))
    say(f'{root_folder(args.root)}: {size_text(total) if rows else "nothing"}')
    if rows:
        for line in columns([('name', 'files', 'size', 'state'), *rows], right=(1, 2)):
            say(f'  {line}')
    return 0


def _clear(_, chosen, args):
    doomed = [(cached, _doomed(cached, args.partial)) for cached in chosen]
    doomed = [(cached, paths) for cached, paths in doomed if paths]
    if not doomed:
        note(f'{root_folder(args.root)}: nothing to clear')
        return 0
    for cached, paths in doomed:
        note(f'{cached.entry.key}: {_count(paths)} files, {size_text(_size(paths))}')
    if not args.yes and not _agreed(f'remove them from {root_folder(args.root)}? [y/N] '):
        note('nothing removed')
        return 0
    freed = shared = 0
    for cached, paths in doomed:
        sizes = {path: (path.stat().st_size, path.stat().st_nlink) for path in paths}
        _remove(cached, args.partial)
        for path, (size, links) in sizes.items():
            if not path.exists():
                freed += size if links == 1 else 0
                shared += size if links > 1 else 0
    say(f'freed {size_text(freed)}')
    if shared:
        note(
            f'{size_text(shared)} more are still used by another folder with the same files, such '
            f"as the cache of the hub's client"
        )
    return 0


def _doomed(cached, only_partial):
    states = ('partial',) if only_partial else ('complete', 'partial')
    return [path for path, state in cached.files if state in states]


def _remove(cached, only_partial):
    entry = cached.entry
    begun = all(entry.downloads in path.parents for path in _doomed(cached, only_partial))
    if only_partial and begun:
        with locked(entry):
            shutil.rmtree(entry.downloads, ignore_errors=True)
    else:
        clear(cached.name, cached.dataset_name, entry.row, entry.root)


def _agreed(question):
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ('y', 'yes')


def _count(files):
    return str(len(files))


def _size(paths):
    return sum(path.stat().st_size for path in paths)
