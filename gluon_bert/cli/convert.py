"""Convert a checkpoint to another format.

OUT is a file for GluonNLP's format, <stem>.params, else a folder. It is written atomically and read
back; a difference in any bit is an error.

examples:
  gluon-bert convert NAME DATASET model.params
  gluon-bert convert uncased_L-12_H-768_A-12 folder --to huggingface
  gluon-bert convert old.params folder --config bert_config.json --cased
"""

from __future__ import annotations

import os
import tempfile
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path

from .comparing import names_of_both, same_bits, with_dtype
from .models import read_model
from .output import note, say, size_text

_FORMATS = ('gluonnlp', 'huggingface', 'tensorflow')
# Files that a folder to be replaced may hold.
_REPLACEABLE = (
    '*.safetensors',
    '*.bin',
    '*.index',
    '*.data-*',
    '*.meta',
    '*.json',
    '*.txt',
    '*.model',
    '*.vocab',
    'checkpoint',
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        'paths',
        nargs='+',
        metavar='IN OUT',
        help='IN is a MODEL, see gluon-bert --help; OUT a file or folder',
    )
    parser.add_argument(
        '--to',
        choices=_FORMATS,
        help='format of OUT (default: gluonnlp if it ends in .params, else huggingface)',
    )
    parser.add_argument(
        '--config',
        metavar='FILE',
        help='hyper-parameters of a .params file without a configuration',
    )
    case = parser.add_mutually_exclusive_group()
    case.add_argument(
        '--lower',
        action='store_true',
        default=None,
        help='make the tokenizer lower-case text, whatever IN states',
    )
    case.add_argument(
        '--cased',
        action='store_false',
        dest='lower',
        help='make the tokenizer preserve case, whatever IN states',
    )
    parser.add_argument(
        '--dtype', choices=('float32', 'float16'), help='type of the numbers (default: as in IN)'
    )
    parser.add_argument('--overwrite', action='store_true', help='replace OUT if it exists')
    parser.add_argument('--no-check', action='store_true', help='do not read OUT back')
    parser.add_argument('--root', help='folder of the cache (default: $MXNET_HOME/models)')


def run(args: Namespace) -> int:
    """Run the subcommand."""
    if len(args.paths) < 2:
        raise ValueError('expected IN and OUT')
    target = Path(os.path.abspath(os.path.expanduser(args.paths[-1])))
    to = args.to or ('gluonnlp' if target.suffix == '.params' else 'huggingface')
    if (target.suffix == '.params') != (to == 'gluonnlp'):
        raise ValueError(
            f'{target}: --to gluonnlp needs a name that ends in .params; other formats a folder'
        )
    _refuse([target], args.overwrite)
    model = read_model(args.paths[:-1])
    checkpoint = _changed(model.checkpoint(args.root, args.config), args)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f'.{target.name}.', dir=target.parent) as temporary:
        _write(checkpoint, Path(temporary) / 'new', target, to, args)
    return 0


def _write(checkpoint, folder, target, to, args):
    """Write into a folder of its own, check it, and move it to its destination."""
    from ..checkpoint import write_checkpoint

    if to == 'gluonnlp':
        folder.mkdir()
    written = folder / target.name if to == 'gluonnlp' else folder
    write_checkpoint(checkpoint, written, to)
    if not args.no_check:
        _check(checkpoint, written, to)
    size = sum(path.stat().st_size for path in folder.iterdir())
    if to == 'gluonnlp':
        moves = {path: target.with_name(path.name) for path in sorted(folder.iterdir())}
        stale = target.with_suffix('.vocab')  # left from a replaced file; it would be read with OUT
        _refuse([*moves.values(), stale], args.overwrite)
        stale.unlink(missing_ok=True)
        for path, place in moves.items():
            os.replace(path, place)
    else:
        if target.exists():
            os.rename(target, folder.with_name('old'))
        os.rename(folder, target)
    say(f'{target}: {to}, {len(checkpoint.arrays)} arrays, {size_text(size)}')
    if not args.no_check:
        say('read back: equal bit by bit')


def _refuse(targets, overwrite):
    """Raise ValueError if the output would replace a file that must not be replaced."""
    for target in targets:
        if not target.exists() or (target.is_dir() and not any(target.iterdir())):
            continue
        if not overwrite:
            raise ValueError(f'{target}: already exists; pass --overwrite to replace it')
        if target.is_dir():
            strange = [
                path.name
                for path in sorted(target.iterdir())
                if path.is_dir() or not any(map(path.match, _REPLACEABLE))
            ]
            if strange:
                raise ValueError(
                    f'{target}: has {strange[0]}, which is not part of a checkpoint; not replaced'
                )


def _changed(checkpoint, args):
    """Apply the case and the type that were asked for."""
    if args.lower is not None:
        from ..data import BertTokenizer

        if not isinstance(checkpoint.tokenizer, BertTokenizer):
            has = type(checkpoint.tokenizer).__name__ if checkpoint.tokenizer else 'none'
            raise ValueError(f'--lower and --cased are for a WordPiece tokenizer; IN has {has}')
        checkpoint = replace(
            checkpoint, tokenizer=BertTokenizer(checkpoint.tokenizer.vocab, lower=args.lower)
        )
    if args.dtype:
        checkpoint = with_dtype(checkpoint, args.dtype)
    return checkpoint


def _check(checkpoint, written, to):
    """Raise ValueError if the files read back differ from what was written."""
    from ..checkpoint import read_checkpoint

    expected, again = _as_kept(checkpoint, to), read_checkpoint(written)
    names, lost, new = names_of_both(expected.arrays, again.arrays)
    problems = [f'{name} is missing' for name in lost] + [f'{name} is new' for name in new]
    problems += [
        f'{name} differs'
        for name in names
        if not same_bits(expected.arrays[name], again.arrays[name])
    ]
    problems += [
        f'{field} was {getattr(expected, field)}, is {getattr(again, field)}'
        for field in ('config', 'family')
        if getattr(expected, field) != getattr(again, field)
    ]
    if expected.labels and expected.labels != again.labels:
        problems.append('the labels differ')
    if _vocabulary(expected) != _vocabulary(again):
        problems.append('the vocabulary differs')
    if problems:
        raise ValueError(
            f'the output differs when read back: {problems[0]}'
            f'{f" and {len(problems) - 1} more" if problems[1:] else ""}'
        )


def _vocabulary(checkpoint):
    tokenizer = checkpoint.tokenizer
    return tokenizer and (tokenizer.vocab.idx_to_token, tokenizer.lower)


def _as_kept(checkpoint, to):
    """Return the checkpoint as a format keeps it; report what the format has no place for."""
    from ..checkpoint.arrays import with_names
    from ..checkpoint.gluonnlp.files import without_single_token_type

    if to != 'tensorflow':
        return without_single_token_type(checkpoint) if to == 'gluonnlp' else checkpoint
    if checkpoint.labels:
        note('not written: the labels, for which TensorFlow has no place')
    if 'tagger' in checkpoint.heads:
        note('the tagger has the names of a classifier, as in the usual scripts for TensorFlow')
        checkpoint = replace(
            checkpoint,
            arrays=with_names(
                checkpoint.arrays,
                {
                    name.replace('tag_classifier.', 'classifier.1.'): name
                    for name in checkpoint.arrays
                },
            ),
        )
    return replace(checkpoint, labels=())
