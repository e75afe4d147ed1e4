"""The lines of a file that are most similar in meaning to each query.

Each result is a line: score, line number, text; after the query if there are several. Vectors of
the lines that gluon-bert embed wrote save computing them again.

examples:
  gluon-bert search all_minilm_l6_v2 lines.txt "a kitten on the couch" -k 3
  gluon-bert search all_minilm_l6_v2 lines.txt "a kitten" --vectors vectors.npy --jsonl
"""

from __future__ import annotations

import argparse
import json

import numpy as np

from .embed import add_encoder_arguments, encoded, lines_of_file, make_encoder
from .output import say
from .texts import existing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_encoder_arguments(parser)
    parser.add_argument('corpus', metavar='FILE', help='lines of text to search in')
    parser.add_argument('queries', nargs='+', metavar='QUERY', help='what to search for')
    parser.add_argument(
        '--vectors', metavar='NPY', help='vectors of the lines, by gluon-bert embed'
    )
    parser.add_argument('-k', type=int, metavar='N', help='lines for a query (default: 10)')
    parser.add_argument('--jsonl', action='store_true', help='write a JSON object a result')


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    lines = list(lines_of_file(existing(args.corpus, 'FILE')))
    if not lines:
        raise ValueError(f'{args.corpus}: is empty')
    if args.k is not None and not 1 <= args.k <= len(lines):
        raise ValueError(f'-k {args.k}: expected 1 to {len(lines)}, the lines of {args.corpus}')
    encoder = make_encoder(args)
    for query, numbers, scores in zip(args.queries, *_search(args, encoder, lines)):
        if len(args.queries) > 1 and not args.jsonl:
            say(f'# {query}')
        for number, score in zip(numbers.tolist(), scores.tolist()):
            if args.jsonl:
                values = {'query': query, 'score': round(score, 6), 'line': number + 1}
                say(json.dumps({**values, 'text': lines[number]}))
            else:
                say(f'{score:.4f}\t{number + 1}\t{lines[number]}')
    return 0


def _search(args, encoder, lines):
    if args.vectors is None:
        names = [
            name for name in ('document', 'passage', 'corpus') if name in encoder.settings.prompts
        ]
        vectors = np.concatenate(list(encoded(encoder, lines, names[0] if names else None)))
    else:
        from ..inference.search import open_vectors

        vectors = open_vectors(existing(args.vectors, '--vectors'))
        if len(vectors) != len(lines):
            raise ValueError(
                f'--vectors {args.vectors}: has {len(vectors)} vectors for the {len(lines)} lines '
                f'of {args.corpus}: they do not belong together'
            )
    return encoder.search(args.queries, vectors, args.k)
