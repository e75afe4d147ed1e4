"""Sentence vectors of texts: from arguments, the lines of a file, or standard input.

The model is a folder of sentence-transformers or another checkpoint, or a model of the zoo by its
name; all_minilm_l6_v2 needs no download. Pooling and length are those that the model states.

examples:
  gluon-bert embed all_minilm_l6_v2 "A cat sleeps." "Shares fell." --output vectors.tsv
  gluon-bert embed all_minilm_l6_v2 --input lines.txt --output vectors.npy
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .._internal.files import atomic_path
from ..inference.vector_files import FORMS as FORMATS
from ..inference.vector_files import vector_lines
from .batch import add_batch_arguments, check_files, is_batch, run_files
from .output import note


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_encoder_arguments(parser)
    parser.add_argument('texts', nargs='*', metavar='TEXT', help='default: --input, else stdin')
    parser.add_argument(
        '--input',
        metavar='FILE',
        help='read texts from the lines of this file; several, or patterns, have commas between '
        'them',
    )
    parser.add_argument(
        '--output',
        metavar='FILE',
        help='write here, whole or not at all; a folder for the vectors of several files (default: '
        'standard output, as jsonl)',
    )
    parser.add_argument(
        '--format', choices=FORMATS, help='of the output (default: as the name of --output ends)'
    )
    add_batch_arguments(parser)


def add_encoder_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the model and how it makes vectors."""
    parser.add_argument('model', metavar='MODEL', help='name, folder or hf://owner/name')
    parser.add_argument('--pooling', help='such as mean, cls or cls+mean (default: the model says)')
    parser.add_argument(
        '--normalize',
        action=argparse.BooleanOptionalAction,
        default=None,
        help='scale vectors to length 1 (default: yes, unless the model says otherwise)',
    )
    parser.add_argument('--max_length', type=int, metavar='N', help='tokens of a text')
    parser.add_argument('--batch_size', type=int, default=32, metavar='N', help='default: 32')


def make_encoder(args: argparse.Namespace) -> Any:
    """Open the model of the arguments as a :class:`.SentenceEncoder`."""
    from ..inference.sentence_encoder import SentenceEncoder

    return SentenceEncoder(
        args.model,
        pooling=args.pooling,
        normalize=args.normalize,
        max_length=args.max_length,
        batch_size=args.batch_size,
    )


def lines_of_file(path: Path) -> Iterator[str]:
    """Yield the lines of a text file, trailing blank ones left out."""
    from ..data.classification.lines import drop_trailing_blanks, read_lines

    for _, line in drop_trailing_blanks(read_lines(path), path):
        yield line


def check_output(path: Path) -> None:
    """Raise ValueError if a file could not be written there."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        reason = 'is a folder' if path.is_dir() else 'there is no such folder to write in'
        raise ValueError(f'--output {path}: {reason}')


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    if is_batch(args):
        from ..batch import EmbedStage

        check_files(args)
        return run_files(args, EmbedStage(make_encoder(args)), args.format)
    output = None if args.output is None else Path(args.output).expanduser()
    form = _format(args, output)
    if output is not None:
        check_output(output)
    texts = list(_texts(args))
    if not texts:
        raise ValueError(f'{args.input or "standard input"}: is empty')
    encoder = make_encoder(args)
    vectors = np.concatenate(list(encoded(encoder, texts)))
    if output is None:
        sys.stdout.writelines(vector_lines(texts, vectors, form))
    else:
        with atomic_path(output) as temporary, open(temporary, 'wb') as file:
            if form == 'npy':
                np.save(file, vectors)
            elif form == 'npz':
                np.savez(file, vectors=vectors)
            else:
                file.writelines(line.encode() for line in vector_lines(texts, vectors, form))
        note(f'{len(vectors)} vectors of {vectors.shape[1]} units: {output}')
    return 0


def encoded(encoder: Any, texts: list[str], prompt_name: Any = None) -> Iterator[np.ndarray]:
    """Yield blocks of vectors with a progress bar; note how many texts were cut."""
    from .._internal.progress import progress_bar

    stream = encoder.encode_stream(texts, prompt_name=prompt_name)
    with progress_bar('texts', len(texts)) as bar:
        for block in stream:
            yield block
            bar.update(len(block))
    if stream.num_cut:
        note(f'{stream.num_cut} texts were longer than {encoder.max_length} tokens and were cut')


def _texts(args) -> Iterable[str]:
    if args.texts and args.input:
        raise ValueError('give texts or --input, not both')
    if args.texts:
        return args.texts
    if args.input:
        from .texts import existing

        return lines_of_file(existing(args.input))
    from ..data.classification.lines import drop_trailing_blanks, lines_of
    from ..pipelines.inputs import STANDARD_INPUT

    return (line for _, line in drop_trailing_blanks(lines_of(sys.stdin.buffer, STANDARD_INPUT)))


def _format(args, output):
    if output is None:
        if args.format in ('npy', 'npz'):
            raise ValueError(f'--format {args.format}: needs --output')
        return args.format or 'jsonl'
    form = args.format or output.suffix[1:].lower()
    if form not in FORMATS:
        raise ValueError(f'--output {output}: pass --format, one of {", ".join(FORMATS)}')
    return form
