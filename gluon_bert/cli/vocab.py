"""Learn a vocabulary from texts, for a BERT that is trained from scratch.

FILE has UTF-8 text in lines; it may be compressed (.gz), and - stands for standard input. The
folder that is written is a tokenizer for gluon_bert and transformers: vocab.txt for WordPiece,
spiece.model with ALBERT's special tokens for SentencePiece. The same texts give the same files.

examples:
  gluon-bert vocab corpus.txt --size 8192 --output my_vocabulary
  gluon-bert vocab corpus.txt --size 8192 --cased --unused 99 --output my_cased_vocabulary
  gluon-bert vocab corpus.txt --size 8192 --kind sentencepiece --output my_pieces
"""

from __future__ import annotations

import argparse
import gzip
import inspect
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

from .._internal.errors import ArgumentError
from .._internal.files import new_folder
from .output import note, say, size_text

_KINDS = ('wordpiece', 'sentencepiece')
# Argument of the learners -> flag, where they differ.
_FLAGS = {'num_unused': 'unused', 'max_characters': 'sample'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument('files', nargs='+', metavar='FILE', help='text in lines; - is stdin')
    parser.add_argument('--output', required=True, type=Path, metavar='FOLDER', help='a new folder')
    parser.add_argument('--size', required=True, type=int, metavar='N', help='tokens, all counted')
    parser.add_argument('--kind', choices=_KINDS, default=_KINDS[0], help='default: wordpiece')
    parser.add_argument(
        '--cased',
        dest='lower',
        action='store_false',
        help='keep capitals and accents (default: text is lower-cased, accents are removed)',
    )
    parser.add_argument(
        '--strip_accents',
        action=argparse.BooleanOptionalAction,
        default=None,
        help='remove accents (default: unless --cased)',
    )
    parser.add_argument(
        '--unused',
        dest='num_unused',
        type=int,
        metavar='N',
        help='tokens [unused0], [unused1], ... to be replaced by others later; 99 in the '
        'vocabularies of Google (default: 0)',
    )
    parser.add_argument(
        '--extra_tokens', nargs='+', metavar='TOKEN', help='further special tokens, never split'
    )
    parser.add_argument(
        '--character_coverage',
        type=float,
        metavar='X',
        help='fraction of the characters of the text that must be in the vocabulary (default: 1 '
        'for wordpiece, 0.9995 for sentencepiece)',
    )
    wordpiece = parser.add_argument_group('wordpiece')
    wordpiece.add_argument(
        '--min_frequency',
        type=int,
        metavar='N',
        help='do not join pairs of pieces that are rarer (default: 2)',
    )
    wordpiece.add_argument(
        '--no_split_chinese',
        dest='split_chinese',
        action='store_false',
        default=None,
        help='do not make each Chinese character a word',
    )
    sentencepiece = parser.add_argument_group('sentencepiece')
    sentencepiece.add_argument(
        '--sample',
        dest='max_characters',
        type=int,
        metavar='N',
        help='learn from lines of this many characters, at random if there are more '
        '(default: 50000000, which takes 1.2 GB)',
    )


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    from ..data import learn_sentencepiece, learn_wordpiece

    learners: dict = {'wordpiece': learn_wordpiece, 'sentencepiece': learn_sentencepiece}
    learn = learners[args.kind]
    options, target = _options(args, learn), args.output.expanduser()
    with new_folder(target) as folder:
        try:
            tokenizer = learn(_lines(args.files), args.size, **options)
        except ArgumentError as error:
            raise ValueError(error.message_with(_flag)) from None
        except ImportError as error:
            raise ValueError(str(error)) from None
        tokenizer.save(folder)
    note(f'{len(tokenizer.vocabulary)} tokens')
    for path in sorted(target.iterdir()):
        say(f'{path}: {size_text(path.stat().st_size)}')
    return 0


def _options(args, learn):
    """Return the options that were given; ValueError if one is for the other kind."""
    names = ('strip_accents', 'num_unused', 'extra_tokens', 'character_coverage')
    names += ('min_frequency', 'split_chinese', 'max_characters')
    options = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    for name in options:
        if name not in inspect.signature(learn).parameters:
            raise ValueError(f'{_flag(name)} is not for --kind {args.kind}')
    return {'lower': args.lower, **options}


def _flag(name):
    return '--no_split_chinese' if name == 'split_chinese' else f'--{_FLAGS.get(name, name)}'


def _lines(names: list[str]) -> Iterator[str]:
    """Yield the lines of files, with a progress bar; all files must be there."""
    from .._internal.progress import progress_bar
    from ..data.classification.lines import lines_of
    from ..pipelines.inputs import STANDARD_INPUT
    from .texts import existing

    paths = [None if name == '-' else existing(name, 'FILE') for name in names]
    with progress_bar('lines') as bar:
        for path in paths:
            if path is None:
                lines = lines_of(sys.stdin.buffer, STANDARD_INPUT)
            else:
                lines = _lines_of_file(path)
            for _, line in lines:
                yield line
                bar.update()


def _lines_of_file(path):
    from ..data.classification.lines import lines_of

    is_packed = path.suffix == '.gz'
    with gzip.open(path) if is_packed else open(path, 'rb') as file:
        try:
            yield from lines_of(file, path)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(f'{path}: not a gzip file, or a damaged one: {error}') from None
