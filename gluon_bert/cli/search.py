"""The lines of a file that are most similar in meaning to each query.

Each result is a line: score, line number, text; after the query if there are several. --rerank
ranks the best of them by a cross-encoder. --vectors names what saves computing the vectors of the
lines again: a file of gluon-bert embed, or a folder, which is made here, and extended when lines
were added at the end of FILE.

examples:
  gluon-bert search all_minilm_l6_v2 lines.txt "a kitten on the couch" -k 3
  gluon-bert search all_minilm_l6_v2 lines.txt "a kitten" --vectors vectors.npy --jsonl
  gluon-bert search all_minilm_l6_v2 lines.txt "a kitten" --vectors folder --type int8
  gluon-bert search all_minilm_l6_v2 lines.txt "a kitten" --rerank output/ranker
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from .embed import add_encoder_arguments, encoded, make_encoder
from .output import say
from .texts import existing

_TYPES = ('float32', 'float16', 'int8', 'binary')
_INDEXES = ('exact', 'faiss', 'usearch')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_encoder_arguments(parser)
    parser.add_argument('corpus', metavar='FILE', help='lines of text to search in')
    parser.add_argument('queries', nargs='+', metavar='QUERY', help='what to search for')
    parser.add_argument(
        '--vectors',
        metavar='PATH',
        help='vectors of the lines: a .npy file of gluon-bert embed, or a folder, which is made',
    )
    parser.add_argument(
        '--type',
        choices=_TYPES,
        help='of the vectors in the folder; the best of binary ones are scored by int8 '
        '(default: float32, or as it has them)',
    )
    parser.add_argument(
        '--index',
        choices=_INDEXES,
        default='exact',
        help='of the folder: all vectors, or a graph of them by faiss or usearch, which is '
        'approximate and an extra (default: exact)',
    )
    parser.add_argument(
        '--rerank', metavar='MODEL', help='rank the best by this cross-encoder, a name or folder'
    )
    parser.add_argument(
        '--candidates', type=int, metavar='N', help='lines that it ranks (default: 100)'
    )
    parser.add_argument('-k', type=int, metavar='N', help='lines for a query (default: 10)')
    parser.add_argument('--jsonl', action='store_true', help='write a JSON object a result')


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    from ..inference.text_corpus import TextCorpus
    from ..pipelines.retrieval import CANDIDATES, Retriever

    corpus = TextCorpus(existing(args.corpus, 'FILE'))
    _check(args, len(corpus.lines))
    reranker = _open_reranker(args)
    encoder = make_encoder(args)
    retriever = Retriever(encoder, corpus.lines, _vectors(args, encoder, corpus), reranker)
    k = min(10, len(corpus.lines)) if args.k is None else args.k
    candidates = max(k, CANDIDATES) if args.candidates is None else args.candidates
    for query, hits in zip(args.queries, retriever.search(args.queries, k, candidates)):
        if len(args.queries) > 1 and not args.jsonl:
            say(f'# {query}')
        for hit in hits:
            _write(args, query, hit)
    return 0


def _write(args, query, hit):
    if not args.jsonl:
        say(f'{hit.score:.4f}\t{hit.number + 1}\t{hit.text}')
        return
    values: dict[str, Any] = {'query': query, 'score': round(hit.score, 6)}
    if args.rerank:
        values['similarity'] = round(hit.similarity, 6)
    say(json.dumps({**values, 'line': hit.number + 1, 'text': hit.text}))


def _is_folder(args):
    return args.vectors is not None and Path(args.vectors).suffix.lower() != '.npy'


def _check(args, num_lines):
    """Refuse what does not go together, before anything is computed."""
    if args.k is not None and not 1 <= args.k <= num_lines:
        raise ValueError(f'-k {args.k}: expected 1 to {num_lines}, the lines of {args.corpus}')
    for flag in ('type', 'index'):
        value = getattr(args, flag)
        if value not in (None, 'exact') and not _is_folder(args):
            raise ValueError(f'--{flag} {value}: needs a folder, --vectors FOLDER')
    if args.candidates is not None:
        if args.rerank is None:
            raise ValueError(f'--candidates {args.candidates}: needs --rerank')
        least = args.k or min(10, num_lines)
        if args.candidates < least:
            raise ValueError(
                f'--candidates {args.candidates}: expected {least} or more, the lines for a query'
            )


def _open_reranker(args):
    if args.rerank is None:
        return None
    from ..pipelines.ranking import CrossEncoder

    return CrossEncoder(args.rerank)


def _vectors(args, encoder, corpus):
    """The vectors of the lines, as they are or computed; or an index of them."""
    from ..inference.text_corpus import document_prompt, open_corpus_vectors

    def encode(lines):
        return encoded(encoder, lines, document_prompt(encoder))

    if args.vectors is None:
        return np.concatenate(list(encode(corpus.lines)))
    if _is_folder(args):
        from ..inference.search_indexes import open_index

        folder = Path(args.vectors).expanduser()
        return open_index(
            args.index, open_corpus_vectors(folder, corpus, encoder, encode, args.type)
        )
    from ..inference.search import open_vectors

    vectors = open_vectors(existing(args.vectors, '--vectors'))
    if len(vectors) != len(corpus.lines):
        raise ValueError(
            f'--vectors {args.vectors}: has {len(vectors)} vectors for the {len(corpus.lines)} '
            f'lines of {args.corpus}: they do not belong together'
        )
    return vectors
