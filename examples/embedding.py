"""Make a vector of each word of sentences.

    python3 embedding.py --sentences "GluonNLP is a toolkit that enables easy text preprocessing."

    python3 embedding.py --file lines.txt --oov_way last --output words.jsonl

The flags are those of GluonNLP's script of this name. Sentences and vectors go to standard output
as it prints them, or to --output: .jsonl, a JSON object a line with text, words, num_pieces and
vectors; or .npz, the arrays vectors (words, units), words, num_pieces and line_starts.
"""

import collections
import contextlib
import json
import logging
import sys
from pathlib import Path

import numpy as np

import gluon_bert as gb
from common import cli, peer_flags, vector_files
from gluon_bert._internal.files import atomic_path

FORMATS = ('jsonl', 'npz')

logger = cli.logger


def make_parser():
    parser = cli.make_parser(__doc__)
    group = parser.add_argument_group('data')
    group.add_argument('--sentences', nargs='+', metavar='TEXT', help='texts to read')
    group.add_argument('--file', type=Path, help='a file with a text a line, UTF-8')
    group.add_argument('--output', type=Path, metavar='FILE', help='.jsonl or .npz')
    group.add_argument(
        '--oov_way',
        default='avg',
        choices=['avg', 'sum', 'last', 'pieces'],
        help="of a word of several pieces: their mean or sum, the last one's "
        "vector; or each piece's own",
    )
    group.add_argument(
        '--max_seq_length',
        type=cli.positive,
        default=128,
        help='tokens of a sequence, special tokens included; longer ones are cut',
    )
    group.add_argument('--batch_size', type=cli.positive, default=256, help='texts in a batch')
    group.add_argument(
        '--sentencepiece',
        type=Path,
        metavar='FILE',
        help="SentencePiece model to split words with, in place of the data set's",
    )
    group.add_argument(
        '--dtype', default='float32', type=peer_flags.float32, help='of the numbers: float32'
    )
    vector_files.add_model_arguments(parser)
    vector_files.add_run_arguments(parser)
    parser.add_argument('--verbose', action='store_true', help='log more')
    return parser


def main(argv=None):
    parser = make_parser()
    args = parser.parse_args(argv)
    if not (args.sentences or args.file):
        parser.error('--sentences or --file must be given')
    cli.log_to()
    logger.setLevel(logging.DEBUG if args.verbose else logging.INFO)
    cli.prepare_engine()
    write_results = print_results
    if args.output:
        vector_files.check_output(args.output)
        write_results = WRITERS[vector_files.choose_format(args.output, None, FORMATS)]
    bert, tokenizer = vector_files.load(args)
    if args.sentencepiece:
        tokenizer = gb.data.SentencePieceTokenizer(args.sentencepiece, lower=tokenizer.lower)
    vectors = gb.WordVectors(
        bert,
        tokenizer,
        None if args.oov_way == 'pieces' else args.oov_way,
        args.max_seq_length,
        args.batch_size,
    )
    with write_results(args.output, bert.config.units) as write:
        count, kept = 0, collections.deque()
        for result in vectors.encode_stream(vector_files.remembered(read_texts(args), kept)):
            write(kept.popleft(), result)
            count += 1
        if not count:
            raise cli.Failure(f'{args.file}: the file has no lines')
    if vectors.num_cut:
        logger.warning(
            '%d of %d texts were longer than --max_seq_length %d tokens and were cut',
            vectors.num_cut,
            count,
            args.max_seq_length,
        )
    logger.debug('%d texts', count)


def read_texts(args):
    """The texts of --sentences, then those of --file."""
    yield from args.sentences or ()
    if args.file:
        for _, _, line in vector_files.numbered_lines([args.file]):
            yield line.strip()


@contextlib.contextmanager
def print_results(path, units):
    def write(text, result):
        print(f'Text: {text}')
        print(f'Tokens embedding: {list(result.vectors)}')

    yield write


@contextlib.contextmanager
def jsonl_results(path, units):
    with atomic_path(path) as part, open(part, 'w', encoding='utf-8') as file:

        def write(text, result):
            file.write(
                json.dumps(
                    {
                        'text': text,
                        'words': result.words,
                        'num_pieces': result.num_pieces,
                        'vectors': result.vectors.astype('float64').round(6).tolist(),
                    },
                    ensure_ascii=False,
                )
                + '\n'
            )

        yield write


@contextlib.contextmanager
def npz_results(path, units):
    words, num_pieces, line_starts = [], [], [0]
    with vector_files.archive_writer(path, 'vectors', (units,)) as (file, arrays):

        def write(text, result):
            file.write(result.vectors)
            words.extend(result.words)
            num_pieces.extend(result.num_pieces)
            line_starts.append(len(words))

        yield write
        arrays.update(
            words=np.array(words, 'U'),
            num_pieces=np.array(num_pieces, 'int32'),
            line_starts=np.array(line_starts, 'int64'),
        )


WRITERS = {'jsonl': jsonl_results, 'npz': npz_results}


if __name__ == '__main__':
    sys.exit(cli.run(main))
