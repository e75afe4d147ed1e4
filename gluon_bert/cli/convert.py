"""Convert a checkpoint to another format.

OUT is a file for GluonNLP's format, <stem>.params, else a folder. It is written atomically and read
back; a difference in any bit is an error.

examples:
  gluon-bert convert NAME DATASET model.params
  gluon-bert convert uncased_L-12_H-768_A-12 folder --to huggingface
  gluon-bert convert old.params folder --config bert_config.json --cased
"""

from __future__ import annotations

import glob
import os
import shutil
import tempfile
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path

from .._internal.files import is_running
from .comparing import names_of_both, same_bits, with_dtype
from .models import add_config_arguments, read_model
from .output import note, say, size_text

_FORMATS = ('gluonnlp', 'huggingface', 'tensorflow')
# Files that a folder to be replaced may hold.
_REPLACEABLE = (
    *('*.safetensors', '*.safetensors.index.json', '*.bin', '*.bin.index.json'),
    *('*.index', '*.data-*', '*.meta', 'checkpoint', 'config.json', 'bert_config.json'),
    *('task.json', 'precision.json', 'vocab.txt', 'vocab.json', 'merges.txt', '*.model', '*.vocab'),
    *('tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json', 'added_tokens.json'),
    *('modules.json', 'sentence_*_config.json', 'config_sentence_transformers.json'),
    *('spiece.model', 'generation_config.json', 'source.json'),
)
# Fields of a checkpoint that are read back as they were.
_COMPARED = (
    *('config', 'family', 'task', 'problem_type', 'head_dropout', 'sentence'),
    *('score_activation', 'sparse', 'token_vectors'),
)
# Endings of files that are none of OUT's formats.
_OTHER_FILES = frozenset(
    '.onnx .bin .safetensors .pt .pth .ckpt .h5 .hdf5 .keras .pb .tflite .mlmodel .gguf .ggml '
    '.msgpack .npz .npy .pkl .pickle .zip .tar .gz .tgz .mar .json .jsonl .yaml .yml .xml .index '
    '.meta .txt .csv .tsv .md .vocab .model .spiece .py .so'.split()
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
    add_config_arguments(parser)
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
    _check_name(target, to)
    _finish(target)
    _refuse(_places(target, to), args.overwrite)
    model = read_model(args.paths[:-1])
    checkpoint = _changed(model.checkpoint(args.root, args.config, args.num_heads), args)
    _check_task(checkpoint)
    target.parent.mkdir(parents=True, exist_ok=True)
    prefix = f'.{target.name}.{os.getpid()}.'
    with tempfile.TemporaryDirectory(prefix=prefix, dir=target.parent) as temporary:
        _write(checkpoint, Path(temporary) / 'new', target, to, args)
    return 0


def _check_name(target, to):
    """Raise ValueError if a path is not one to write a format to."""
    if target.suffix.lower() in _OTHER_FILES:
        raise ValueError(
            f'{target}: a {target.suffix} file is not written; OUT is a name that ends in .params '
            f'for GluonNLP, or a folder for --to huggingface and tensorflow'
        )
    if (target.suffix == '.params') != (to == 'gluonnlp'):
        raise ValueError(
            f'{target}: --to gluonnlp needs a name that ends in .params; other formats a folder'
        )
    for place in target.parents:
        if place.exists() and not place.is_dir():
            raise ValueError(f'{target}: {place} is a file, there can be no folder in it')
    if target.exists() and target.is_dir() == (to == 'gluonnlp'):
        what = 'folder; --to gluonnlp writes a file' if target.is_dir() else 'file; OUT is a folder'
        raise ValueError(f'{target}: is a {what}')


def _places(target, to):
    """The paths that the output may take, and those that would be read with it."""
    suffixes = ('.json', '.vocab', '.tokenizer') if to == 'gluonnlp' else ()
    return [target, *map(target.with_suffix, suffixes)]


def _finish(target):
    """Finish what a killed process left beside the target: put back what it had taken away."""
    for left in target.parent.glob(f'.{glob.escape(target.name)}.*.*'):
        process = left.name[len(target.name) + 2 :].partition('.')[0]
        if not left.is_dir() or not process.isdecimal() or is_running(int(process)):
            continue
        if (left / 'old').exists() and not target.exists():
            os.rename(left / 'old', target)
        shutil.rmtree(left)


def _write(checkpoint, folder, target, to, args):
    """Write into a folder of its own, check it, and move it to its destination."""
    from ..checkpoint import write_checkpoint

    if to == 'gluonnlp':
        folder.mkdir()
    written = folder / target.name if to == 'gluonnlp' else folder
    write_checkpoint(checkpoint, written, to)
    if not args.no_check:
        _check(checkpoint, written, to)
    size = sum(path.stat().st_size for path in folder.rglob('*') if path.is_file())
    if to == 'gluonnlp':
        _move(folder, target, to)
    else:
        if target.exists():
            os.rename(target, folder.with_name('old'))
        os.rename(folder, target)
    say(f'{target}: {to}, {len(checkpoint.arrays)} arrays, {size_text(size)}')
    if not args.no_check:
        say('read back: equal bit by bit')


def _move(folder, target, to):
    """Move the files of GluonNLP's format; without its .json a file is refused, so that is last."""
    for place in reversed(_places(target, to)):
        if place.is_dir():
            shutil.rmtree(place)
        elif place != target:
            place.unlink(missing_ok=True)
    names = sorted(
        (path.name for path in folder.iterdir()), key=lambda name: name.endswith('.json')
    )
    for name in names:
        os.replace(folder / name, target.with_name(name))


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
                if not _is_module(path)
                and (path.is_dir() or not any(map(path.match, _REPLACEABLE)))
            ]
            if strange:
                raise ValueError(
                    f'{target}: has {strange[0]}, which is not part of a checkpoint; not replaced'
                )
        elif target.suffix == '.json':
            _refuse_others(target)


def _is_module(path):
    """Tell if a path is the folder of a module of sentence-transformers."""
    files = ('config.json', 'model.safetensors', 'pytorch_model.bin')
    return (
        path.is_dir()
        and path.name.partition('_')[0].isdecimal()
        and all(file.name in files for file in path.iterdir())
    )


def _refuse_others(path):
    """Raise ValueError if a file is not the description of a .params file."""
    from ..checkpoint.gluonnlp.description import read_description

    try:
        read_description(path)
    except ValueError as error:
        raise ValueError(f'{error}; not replaced') from None


def _check_task(checkpoint):
    """Raise ValueError if the settings of a fine-tuned network are damaged."""
    if checkpoint.task is not None:
        from ..tasks.folder import read_settings

        read_settings(checkpoint.task, checkpoint.config, checkpoint.source)


def _changed(checkpoint, args):
    """Apply the case and the type that were asked for."""
    tokenizer = checkpoint.tokenizer
    if args.lower is not None:
        from ..data import BertTokenizer

        if not isinstance(tokenizer, BertTokenizer):
            has = type(tokenizer).__name__ if tokenizer else 'none'
            raise ValueError(f'--lower and --cased are for a WordPiece tokenizer; IN has {has}')
        checkpoint = replace(checkpoint, tokenizer=tokenizer.with_lower(args.lower))
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
        for field in _COMPARED
        if getattr(expected, field) != getattr(again, field)
    ]
    if expected.labels and expected.labels != again.labels:
        problems.append('the labels differ')
    if not _is_like(expected.tokenizer, again.tokenizer):
        problems.append('the tokenizer differs')
    if problems:
        raise ValueError(
            f'the output differs when read back: {problems[0]}'
            f'{f" and {len(problems) - 1} more" if problems[1:] else ""}'
        )


def _is_like(first, second):
    return first is second if first is None else first.is_like(second)


def _as_kept(checkpoint, to):
    """Return the checkpoint as a format keeps it; report what the format has no place for."""
    from ..checkpoint.arrays import with_names
    from ..checkpoint.gluonnlp.files import without_single_token_type

    if to != 'huggingface':
        checkpoint = replace(checkpoint, sentence=None, sparse=None, token_vectors=None)
    if to != 'tensorflow':
        return without_single_token_type(checkpoint) if to == 'gluonnlp' else checkpoint
    if checkpoint.task is not None:
        note('TensorFlow has no place for the task, its labels and settings: task.json has them')
        return checkpoint
    if checkpoint.labels:
        note('not written: the labels, for which TensorFlow has no place')
    for title, array in (('tagger', 'tag_classifier.'), ('head of choices', 'choice_classifier.')):
        if f'{array}weight' in checkpoint.arrays:
            note(f'the {title} has the names of a classifier, as in the usual TensorFlow scripts')
            names = {name.replace(array, 'classifier.1.'): name for name in checkpoint.arrays}
            checkpoint = replace(checkpoint, arrays=with_names(checkpoint.arrays, names))
    if checkpoint.score_activation is not None:
        note('not written: that it is a cross-encoder, for which TensorFlow has no place')
    return replace(checkpoint, labels=(), problem_type='', dropout=None, score_activation=None)
