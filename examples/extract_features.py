"""Write what chosen layers of a BERT give for each token of each line of a file.

    python3 extract_features.py --input_file=input.txt --output_file=output.jsonl \\
        --vocab_file=$BERT_BASE_DIR/vocab.txt --bert_config_file=$BERT_BASE_DIR/bert_config.json \\
        --init_checkpoint=$BERT_BASE_DIR/bert_model.ckpt --layers=-1,-2,-3,-4 \\
        --max_seq_length=128 --batch_size=8

    python3 extract_features.py --input_file input.txt --output_file output.npz --layers=-1

The flags are those of Google's script of this name; without --init_checkpoint the model comes
from the zoo. A line is a text, or two with ' ||| ' between them. Formats:

  jsonl    a JSON object a line, as Google's: linex_index, features: token, layers: index, values
           rounded to 6 digits
  npz      values (tokens, layers, units), tokens, line_starts, layers; line i has the rows from
           line_starts[i] to line_starts[i + 1]
  parquet  a row a token: line, position, token, layer_-1 and so on; needs pyarrow
"""

import argparse
import contextlib
import json
import re
import sys
from pathlib import Path

import numpy as np

import gluon_bert as gb
from common import cli, peer_flags, vector_files
from gluon_bert._internal.files import atomic_path

FORMATS = ('jsonl', 'npz', 'parquet')
ROW_GROUP = 100  # lines written together to a parquet file

logger = cli.logger


def layer_list(text):
    """An argument such as -1,-2."""
    try:
        return [int(part) for part in text.split(',')]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f'{text}: expected whole numbers with commas between them'
        ) from None


def make_parser():
    parser = cli.make_parser(__doc__)
    group = parser.add_argument_group('data')
    group.add_argument('--input_file', required=True, type=Path, help='text, UTF-8')
    group.add_argument('--output_file', required=True, type=Path, help='is written')
    group.add_argument(
        '--format', choices=FORMATS, help="of the output (default: as its name ends, else Google's)"
    )
    group.add_argument(
        '--layers',
        type=layer_list,
        default='-1,-2,-3,-4',
        metavar='LIST',
        help='0 is the first, -1 the last; write --layers=-1,-2',
    )
    group.add_argument(
        '--max_seq_length',
        type=cli.positive,
        default=128,
        help='tokens of a sequence, special tokens included; longer ones are cut',
    )
    group.add_argument('--batch_size', type=cli.positive, default=32, help='lines in a batch')
    group = parser.add_argument_group("Google's checkpoint")
    group.add_argument(
        '--init_checkpoint', metavar='PATH', help='bert_model.ckpt, or whatever load_model takes'
    )
    group.add_argument(
        '--bert_config_file',
        type=Path,
        metavar='FILE',
        help='its configuration (default: the one beside it)',
    )
    group.add_argument(
        '--vocab_file',
        type=Path,
        metavar='FILE',
        help='its vocabulary (default: the one beside it)',
    )
    group.add_argument(
        '--do_lower_case',
        type=peer_flags.truth,
        nargs='?',
        const=True,
        metavar='BOOL',
        help='lower-case the text (default: as the model was trained)',
    )
    vector_files.add_model_arguments(parser)
    vector_files.add_run_arguments(parser)
    return parser


def main(argv=None):
    args = make_parser().parse_args(joined_layers(sys.argv[1:] if argv is None else argv))
    cli.log_to()
    cli.prepare_engine()
    if (args.bert_config_file or args.vocab_file) and not args.init_checkpoint:
        raise cli.Failure('--bert_config_file and --vocab_file go with --init_checkpoint')
    vector_files.check_output(args.output_file, '--output_file')
    if args.format is None:
        suffix = args.output_file.suffix[1:]
        args.format = suffix if suffix in FORMATS else 'jsonl'
    writer = WRITERS[args.format]
    bert, tokenizer = load_google(args) if args.init_checkpoint else vector_files.load(args)
    from gluon_bert.tasks import start

    with cli.spelled():
        tokenizer = start.with_casing(tokenizer, args.do_lower_case)
    features = gb.layer_features(
        bert,
        tokenizer,
        read_input(args.input_file),
        args.layers,
        args.max_seq_length,
        args.batch_size,
    )
    count = 0
    with (
        writer(args.output_file, args.layers, bert.config.units) as write,
        cli.progress('lines', None) as bar,
    ):
        for count, item in enumerate(features, 1):  # noqa: B007 (used after the loop)
            write(item)
            bar.update()
        if not count:
            raise cli.Failure(f'{args.input_file}: the file has no lines')
    logger.info(
        '%d lines, %d layers of %d units: %s',
        count,
        len(args.layers),
        bert.config.units,
        args.output_file,
    )


def joined_layers(argv):
    """The arguments with '--layers -1,-2' as one, which argparse would take for two flags."""
    argv = list(argv)
    if '--layers' in argv[:-1]:
        place = argv.index('--layers')
        argv[place : place + 2] = [f'--layers={argv[place + 1]}']
    return argv


def load_google(args):
    """The BERT of --init_checkpoint and its tokenizer, the three files wherever they lie."""
    from gluon_bert.tasks import start

    ctx = cli.device(args.gpu)
    with start.gathered(args.init_checkpoint, args.bert_config_file, args.vocab_file) as source:
        bert, tokenizer = gb.load_model(source, task='encoder', ctx=ctx)
    if tokenizer is None:
        raise cli.Failure(f'{args.init_checkpoint}: has no vocabulary beside it; give --vocab_file')
    return bert, tokenizer


def read_input(path):
    """The texts and pairs of the lines."""
    for _, _, line in vector_files.numbered_lines([path]):
        pair = re.match(r'(.*) \|\|\| (.*)$', line.strip(), re.S)
        yield pair.groups() if pair else line.strip()


@contextlib.contextmanager
def jsonl_writer(path, layers, units):
    with atomic_path(path) as part, open(part, 'w', encoding='utf-8') as file:
        index = 0

        def write(item):
            nonlocal index
            values = item.values.astype('float64').round(6).tolist()
            features = [
                {
                    'token': token,
                    'layers': [
                        {'index': layer, 'values': rows[number]}
                        for layer, rows in zip(layers, values)
                    ],
                }
                for number, token in enumerate(item.tokens)
            ]
            file.write(json.dumps({'linex_index': index, 'features': features}) + '\n')
            index += 1

        yield write


@contextlib.contextmanager
def npz_writer(path, layers, units):
    tokens, line_starts = [], [0]
    with vector_files.archive_writer(path, 'values', (len(layers), units)) as (file, arrays):

        def write(item):
            file.write(item.values.transpose(1, 0, 2))
            tokens.extend(item.tokens)
            line_starts.append(len(tokens))

        yield write
        arrays.update(
            tokens=np.array(tokens, 'U'),
            line_starts=np.array(line_starts, 'int64'),
            layers=np.array(layers, 'int64'),
        )


@contextlib.contextmanager
def parquet_writer(path, layers, units):
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise vector_files.MissingPackage(
            f'--format parquet needs the package pyarrow ({error}): pip install '
            f"'gluon_bert[parquet]'"
        ) from None
    vector = pyarrow.list_(pyarrow.float32(), units)
    schema = pyarrow.schema(
        [
            ('line', pyarrow.int64()),
            ('position', pyarrow.int32()),
            ('token', pyarrow.string()),
            *((f'layer_{layer}', vector) for layer in layers),
        ]
    )
    with atomic_path(path) as part, parquet.ParquetWriter(part, schema) as file:
        waiting, index = [], 0

        def flush():
            nonlocal waiting, index
            lengths = [len(item.tokens) for item in waiting]
            columns = [
                np.repeat(np.arange(index, index + len(waiting)), lengths),
                np.concatenate([np.arange(length) for length in lengths]),
                [token for item in waiting for token in item.tokens],
            ]
            columns = [pyarrow.array(column, field.type) for column, field in zip(columns, schema)]
            for rows in np.concatenate([item.values for item in waiting], axis=1):
                columns.append(
                    pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(rows.ravel()), units)
                )
            file.write_table(pyarrow.Table.from_arrays(columns, schema=schema))
            waiting, index = [], index + len(waiting)

        def write(item):
            waiting.append(item)
            if len(waiting) == ROW_GROUP:
                flush()

        yield write
        if waiting:
            flush()


WRITERS = {'jsonl': jsonl_writer, 'npz': npz_writer, 'parquet': parquet_writer}


if __name__ == '__main__':
    sys.exit(cli.run(main))
