"""Make a vector of each line of text, compare pairs of lines, or search for similar lines.

    python3 embed_sentences.py corpus.txt --output corpus.npy
    python3 embed_sentences.py corpus.txt --search corpus.npy --query "a cat sleeps" -k 5
    python3 embed_sentences.py pairs.tsv --pairs --output cosines.tsv
    zcat corpus.gz | python3 embed_sentences.py --output corpus.npy --pooling max

Lines come from files, or from standard input where none is given; any number, at constant memory.
Row i belongs to line i; empty lines count. Formats of the output:

  npy    vectors (lines, units), float32; what --search reads
  npz    the same as the array 'vectors'
  jsonl  a JSON object a line: text, vector
  tsv    a line of numbers for each line

--pairs reads two texts a line, with a TAB between them, and writes the cosine of each pair.
--search takes the model and the pooling that the vectors were made with from the file beside them;
with the lines that the vectors belong to given too, it shows them: cosine, line number, line.
"""

import argparse
import collections
import contextlib
import itertools
import json
import sys
from pathlib import Path

import gluon_bert as gb
from common import cli, vector_files
from gluon_bert._internal.files import atomic_path
from gluon_bert.inference.search import cosine, cosine_search, open_vectors

FORMATS = ('npy', 'npz', 'jsonl', 'tsv')
RECALLED = (
    'bert_model',
    'bert_dataset',
    'root',
    'pretrained_bert_parameters',
    'model_parameters',
    'pooling',
    'max_seq_length',
)

logger = cli.logger


def make_parser():
    parser = cli.make_parser(__doc__)
    parser.add_argument('files', nargs='*', type=Path, help='lines of text, UTF-8')
    group = parser.add_argument_group('output')
    group.add_argument(
        '--output',
        metavar='FILE',
        type=Path,
        help='is written (default, for --pairs and --search: standard output)',
    )
    group.add_argument('--format', choices=FORMATS, help='default: as the name of --output ends')
    group.add_argument('--pairs', action='store_true', help='write the cosine of pairs instead')
    group = parser.add_argument_group('vectors')
    group.add_argument(
        '--pooling',
        help='mean, cls, max, pooler or mean_of_layer:-2 (default: as the model says, else mean)',
    )
    group.add_argument(
        '--normalize',
        action=argparse.BooleanOptionalAction,
        default=True,
        help='scale vectors to length 1',
    )
    group.add_argument(
        '--max_seq_length',
        '--max_len',
        type=cli.positive,
        help='tokens of a sequence, special tokens included (default: as the model says)',
    )
    group.add_argument(
        '--long',
        choices=['cut', 'windows'],
        default='cut',
        help='what is done with longer lines: cut, or the mean of windows',
    )
    group.add_argument('--batch_size', type=cli.positive, default=32, help='lines in a batch')
    group = parser.add_argument_group('search')
    group.add_argument('--search', metavar='FILE', type=Path, help='a .npy file written before')
    group.add_argument('--query', nargs='+', metavar='TEXT', help='what to search for')
    group.add_argument('-k', type=cli.positive, default=10, help='lines to show for a query')
    vector_files.add_model_arguments(parser)
    vector_files.add_run_arguments(parser)
    return parser


def main(argv=None):
    parser = make_parser()
    args = parser.parse_args(argv)
    if bool(args.search) != bool(args.query):
        parser.error('--search and --query go together')
    if args.search and args.pairs:
        parser.error('--pairs does not go with --search')
    if not (args.search or args.pairs or args.output):
        parser.error('--output must be given, or --pairs or --search')
    cli.log_to()
    cli.prepare_engine()
    if args.output:
        vector_files.check_output(args.output)
    if args.search:
        search(args)
    elif args.pairs:
        compare_pairs(args)
    else:
        embed(args)


def make_encoder(args):
    bert, tokenizer = vector_files.load(args)
    return gb.SentenceEncoder(
        bert,
        tokenizer,
        args.pooling,
        args.normalize,
        args.max_seq_length,
        args.batch_size,
        args.long,
    )


def embed(args):
    """Write the vector of each line."""
    form = vector_files.choose_format(args.output, args.format, FORMATS)
    encoder = make_encoder(args)
    count = write_vectors(encoder, args.files, args.output, form)
    if form == 'npy':
        settings = {name: getattr(args, name) for name in (*RECALLED, 'normalize', 'long')}
        vector_files.describe_vectors(
            args.output,
            {
                name: str(value) if isinstance(value, Path) else value
                for name, value in settings.items()
            },
        )
    tell_cut(encoder, count)
    logger.info('%d vectors of %d units: %s', count, encoder.units, args.output)


def write_vectors(encoder, files, output, form):
    """Write the vector of each line of the files, and give their number."""
    texts = (line for _, _, line in vector_files.numbered_lines(files))
    count, kept = 0, collections.deque()
    if form == 'jsonl':
        texts = vector_files.remembered(texts, kept)
    with WRITERS[form](output, encoder.units) as write, cli.progress('lines', None) as bar:
        for vectors in encoder.encode_stream(texts):
            write(vectors, kept)
            count += len(vectors)
            bar.update(len(vectors))
        check_not_empty(count, files)
    return count


def check_not_empty(count, files):
    if not count:
        raise cli.Failure(f'{", ".join(map(str, files)) or "standard input"}: no lines')


def tell_cut(encoder, count):
    if encoder.num_cut:
        logger.warning(
            '%d of %d texts were longer than the longest sequence and were cut; '
            '--long windows reads them whole',
            encoder.num_cut,
            count,
        )


def compare_pairs(args):
    """Write the cosine of the two texts of each line."""
    encoder = make_encoder(args)
    count = 0
    with output_text(args.output) as file, cli.progress('pairs', None) as bar:
        vectors = itertools.chain.from_iterable(encoder.encode_stream(read_pairs(args.files)))
        for first, second in zip(vectors, vectors):
            file.write(f'{cosine(first, second):.6f}\n')
            count += 1
            bar.update()
        check_not_empty(count, args.files)
    tell_cut(encoder, 2 * count)


def read_pairs(files):
    """The two texts of each line, one after the other."""
    for path, number, line in vector_files.numbered_lines(files):
        pair = line.split('\t')
        if len(pair) != 2:
            raise ValueError(
                f'{path}:{number}: has {len(pair) - 1} TABs, expected one, between two texts'
            )
        yield from pair


def search(args):
    """Write the lines most similar to each query."""
    vectors = open_vectors(args.search)
    recall(args)
    encoder = make_encoder(args)
    if vectors.shape[1] != encoder.units:
        raise cli.Failure(
            f'--search {args.search}: has vectors of {vectors.shape[1]} units, the '
            f'model makes {encoder.units}; name the model that made them'
        )
    found, cosines = cosine_search(encoder.encode(args.query), vectors, args.k)
    lines = {}
    if args.files:
        wanted, number = set(found.ravel().tolist()), -1
        for number, (_, _, line) in enumerate(vector_files.numbered_lines(args.files)):
            if number in wanted:
                lines[number] = line
        if number + 1 != len(vectors):
            raise cli.Failure(
                f'{", ".join(map(str, args.files))}: {number + 1} lines, but '
                f'{args.search} has {len(vectors)} vectors: they do not belong '
                f'together'
            )
    with output_text(args.output) as file:
        for query, numbers, values in zip(args.query, found.tolist(), cosines):
            if len(args.query) > 1:
                file.write(f'# {query}\n')
            for number, value in zip(numbers, values):
                text = f'\t{lines[number]}' if lines else ''
                file.write(f'{value:.4f}\t{number + 1}{text}\n')


def recall(args):
    """Take from beside the vectors how they were made, unless the model is given."""
    if any(
        getattr(args, name)
        for name in ('bert_model', 'bert_dataset', 'pretrained_bert_parameters', 'model_parameters')
    ):
        return
    kept = vector_files.read_description(args.search)
    for name in RECALLED:
        value = kept.get(name)
        if value is None or getattr(args, name) is not None:
            continue
        if not isinstance(value, int if name == 'max_seq_length' else str):
            raise ValueError(f'{args.search}.json: {name} is {str(value)[:80]!r}')
        setattr(args, name, Path(value) if name == 'model_parameters' else value)


@contextlib.contextmanager
def output_text(path):
    """A text file that is renamed to ``path`` in the end, or standard output."""
    if path is None:
        yield sys.stdout
        return
    with atomic_path(path) as part, open(part, 'w', encoding='utf-8') as file:
        yield file


@contextlib.contextmanager
def npy_writer(path, units):
    with vector_files.array_writer(path, (units,)) as file:
        yield lambda vectors, texts: file.write(vectors)


@contextlib.contextmanager
def npz_writer(path, units):
    with vector_files.archive_writer(path, 'vectors', (units,)) as (file, _):
        yield lambda vectors, texts: file.write(vectors)


@contextlib.contextmanager
def jsonl_writer(path, units):
    with output_text(path) as file:

        def write(vectors, texts):
            for row in vectors.tolist():
                numbers = ', '.join(f'{value:.9g}' for value in row)
                text = json.dumps(texts.popleft(), ensure_ascii=False)
                file.write(f'{{"text": {text}, "vector": [{numbers}]}}\n')

        yield write


@contextlib.contextmanager
def tsv_writer(path, units):
    with output_text(path) as file:

        def write(vectors, texts):
            for row in vectors.tolist():
                file.write('\t'.join(f'{value:.9g}' for value in row) + '\n')

        yield write


WRITERS = {'npy': npy_writer, 'npz': npz_writer, 'jsonl': jsonl_writer, 'tsv': tsv_writer}


if __name__ == '__main__':
    sys.exit(cli.run(main))
