"""What the scripts that write vectors share: their model, lines of text, and growing files."""

import contextlib
import json
import struct
import zipfile
from pathlib import Path

import numpy as np

import gluon_bert as gb
from common import cli, training
from gluon_bert._internal.files import atomic_path, staging_folder
from gluon_bert.data.classification.lines import read_lines

STDIN = '/dev/stdin'

_HEADER_SIZE = 128  # bytes; room for any shape


class MissingPackage(cli.Failure, ImportError):
    """An optional package is not installed."""


def add_model_arguments(parser):
    """Which trained network; GluonNLP's names of the flags are accepted too."""
    group = parser.add_argument_group('model')
    group.add_argument(
        '--bert_model',
        '--model',
        metavar='NAME',
        type=cli.one_of('model', gb.zoo.ARCHITECTURES, gb.zoo.hub_names()),
        help='architecture, or a name on the hub such as bert-base-uncased '
        '(default: as for fine-tuning, see cli.py)',
    )
    datasets = {**gb.zoo.VOCABULARIES, **gb.zoo.DATASET_ALIASES}
    group.add_argument(
        '--bert_dataset',
        '--dataset_name',
        metavar='NAME',
        type=cli.one_of('data set', datasets),
        help='what it was trained on',
    )
    group.add_argument('--root', help='folder of local weights (default: $MXNET_HOME/models)')
    group.add_argument(
        '--pretrained_bert_parameters',
        '--params_path',
        metavar='PATH',
        help='take this BERT instead: a .params file of --bert_model, a folder of '
        'Hugging Face or TensorFlow, or hf://owner/name',
    )
    group.add_argument(
        '--model_parameters',
        metavar='FILE',
        type=Path,
        help='take the BERT in this .params file of a fine-tuned network',
    )


def add_run_arguments(parser):
    """Where to run."""
    group = parser.add_argument_group('run')
    group.add_argument(
        '--gpu',
        nargs='?',
        type=int,
        const=0,
        metavar='INDEX',
        help='run on a GPU, the first one when no index is given',
    )
    group.add_argument('--traceback', action='store_true', help='show where an error came from')


def load(args):
    """The BERT of the arguments and its tokenizer; of a fine-tuned network, the BERT in it."""
    from gluon_bert.tasks.start import Start

    ctx = cli.device(args.gpu)
    start = training.fields_of(Start, args)
    with cli.spelled():
        start.choose_model()
        args.bert_model, args.bert_dataset = start.bert_model, start.bert_dataset
        bert, tokenizer = start.load_bert(ctx, seed=0, use_pooler=True)
    if args.model_parameters:
        bert.load_parameters(args.model_parameters, ctx=ctx, ignore_extra=True)
    bert.hybridize()
    return bert, tokenizer


def numbered_lines(paths):
    """The lines of files, or of standard input where there are none: (path, number, line)."""
    for path in paths or [STDIN]:
        for number, line in read_lines(path, max_bytes=float('inf')):
            yield path, number, line


def remembered(texts, kept):
    """The texts, each appended to ``kept`` as it is read."""
    for text in texts:
        kept.append(text)
        yield text


def check_output(path, flag='--output'):
    """Failure if the file could not be made; found before anything is computed."""
    path = Path(path)
    if path.is_dir() or not path.absolute().parent.is_dir():
        reason = 'is a folder' if path.is_dir() else f'there is no folder {path.parent}'
        raise cli.Failure(f'{flag} {path}: {reason}')


def choose_format(path, given, formats):
    """The form of an output file: as given, or as its name ends."""
    if given:
        return given
    found = Path(path).suffix[1:]
    if found not in formats:
        raise cli.Failure(f'--format must be given for {path}: one of {", ".join(formats)}')
    return found


class ArrayFile:
    """A .npy file of float32 rows, whose number is known in the end only.

    Parameters
    ----------
    path : str or Path
    row_shape : tuple of int
        Shape of a row.
    """

    def __init__(self, path, row_shape):
        self._file = open(path, 'wb')  # noqa: SIM115 (closed by close)
        self._row_shape = tuple(row_shape)
        self.num_rows = 0
        self._write_header()

    def write(self, rows):
        """Add rows, shape (n, *row_shape)."""
        rows = np.ascontiguousarray(rows, '<f4')
        if rows.shape[1:] != self._row_shape:
            raise ValueError(f'rows have shape {rows.shape[1:]}, expected {self._row_shape}')
        self._file.write(rows.data)
        self.num_rows += len(rows)

    def close(self):
        """Complete the header and close the file."""
        self._write_header()
        self._file.close()

    def _write_header(self):
        text = repr(
            {'descr': '<f4', 'fortran_order': False, 'shape': (self.num_rows, *self._row_shape)}
        )
        magic = b'\x93NUMPY\x01\x00' + struct.pack('<H', _HEADER_SIZE - 10)
        self._file.seek(0)
        self._file.write(magic + text.ljust(_HEADER_SIZE - 11).encode() + b'\n')


@contextlib.contextmanager
def array_writer(path, row_shape):
    """An :class:`ArrayFile` that is renamed to ``path`` when the block ends well."""
    with atomic_path(path) as part:
        file = ArrayFile(part, row_shape)
        try:
            yield file
        finally:
            file.close()


@contextlib.contextmanager
def archive_writer(path, name, row_shape, **arrays):
    """The same for a .npz file: its growing array, and a dict for others, known in the end."""
    with atomic_path(path) as part, staging_folder(f'{path}.rows') as own:
        with array_writer(Path(own) / 'rows.npy', row_shape) as file:
            yield file, arrays
        with zipfile.ZipFile(part, 'w', zipfile.ZIP_STORED) as archive:
            archive.write(Path(own) / 'rows.npy', f'{name}.npy')
            for key, array in arrays.items():
                with archive.open(f'{key}.npy', 'w', force_zip64=True) as member:
                    np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


def describe_vectors(path, content):
    """Keep how vectors were made beside their file."""
    with atomic_path(f'{path}.json') as part:
        part.write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')


def read_description(path):
    """What :func:`describe_vectors` kept, as far as it is of the right kind; {} if nothing."""
    path = Path(f'{path}.json')
    if not path.is_file():
        return {}
    try:
        with open(path, encoding='utf-8') as file:
            content = json.loads(file.read(1 << 20))
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise ValueError(f'{path}: is not a description of vectors')
    return content
