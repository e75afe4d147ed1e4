"""What the example scripts share: arguments, the device, the log, errors in one line.

Nothing here imports MXNet before the arguments are known: it reads its environment variables when
it is imported.
"""

import argparse
import contextlib
import logging
import sys
from pathlib import Path

from tqdm import tqdm

from common import peer_flags

# The scripts take device, devices and prepare_engine from here.
from gluon_bert._internal.engine import device, devices, gpu_indices, prepare_engine  # noqa: F401
from gluon_bert._internal.errors import ArgumentError
from gluon_bert._internal.suggestions import unknown_name
from gluon_bert.cli.output import error_text
from gluon_bert.cli.training_flags import add_comm_flags
from gluon_bert.zoo import ARCHITECTURES, DATASET_ALIASES, VOCABULARIES, hub_names

# GluonNLP's scripts start from the first; where it cannot be had, from the second, which needs no
# download but the package registry.
from gluon_bert.zoo import DEFAULT as DEFAULT_MODEL
from gluon_bert.zoo import OFFLINE_DEFAULT as OFFLINE_MODEL

logger = logging.getLogger('examples')


class Failure(Exception):
    """A wrong argument that argparse cannot see."""


def positive(text):
    """An argument that is a whole number above 0."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'{text}: expected 1 or more')
    return value


def fraction(text):
    """An argument from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f'{text}: expected a fraction from 0 to 1')
    return value


def one_of(kind, names, others=()):
    """An argument that is one of many names; a wrong one is told the nearest."""

    def parse(text):
        if text not in names and text not in others:
            raise argparse.ArgumentTypeError(str(unknown_name(kind, text, sorted(names), others)))
        return text

    return parse


def make_parser(doc):
    """A parser whose help is the script's docstring followed by the defaults."""

    class Formatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
        def _get_help_string(self, action):
            # 'default: None' or 'default: False' says nothing.
            if action.default is None or isinstance(action.default, bool):
                return action.help
            return super()._get_help_string(action)

    return peer_flags.Parser(description=doc, formatter_class=Formatter)


def add_model_arguments(parser):
    """Which network, and which parameters it starts from."""
    group = parser.add_argument_group('model')
    group.add_argument(
        '--bert_model',
        type=one_of('model', ARCHITECTURES, hub_names()),
        metavar='NAME',
        help='architecture, or a name on the hub such as bert-base-uncased '
        f'(default: {DEFAULT_MODEL[0]} where its weights can be '
        f'had, else {OFFLINE_MODEL[0]}, which needs no download)',
    )
    datasets = {**VOCABULARIES, **DATASET_ALIASES}
    group.add_argument(
        '--bert_dataset',
        type=one_of('data set', datasets),
        metavar='NAME',
        help=f'what it was trained on (default: {DEFAULT_MODEL[1]}, or '
        f'{OFFLINE_MODEL[1]} with the latter)',
    )
    group.add_argument('--root', help='folder of local weights (default: $MXNET_HOME/models)')
    group.add_argument(
        '--pretrained_bert_parameters',
        metavar='PATH',
        help='start from this BERT instead: a .params file of --bert_model, a '
        'folder of Hugging Face or TensorFlow, or hf://owner/name',
    )
    group.add_argument(
        '--model_parameters',
        metavar='FILE',
        type=Path,
        help='start from this .params file of the whole fine-tuned network',
    )
    group.add_argument('--from_scratch', action='store_true', help='start from random parameters')
    group.add_argument(
        '--vocab_file',
        metavar='FILE',
        type=Path,
        help='of --from_scratch, such as a vocab.txt (default: that of '
        '--bert_dataset), or of a TensorFlow checkpoint (default: beside it)',
    )
    group.add_argument(
        '--bert_config_file',
        metavar='FILE',
        type=Path,
        help='of a TensorFlow checkpoint (default: beside it)',
    )
    group.add_argument(
        '--do_lower_case',
        metavar='BOOL',
        type=peer_flags.truth,
        nargs='?',
        const=True,
        help='of a folder or TensorFlow checkpoint: lower-case the text '
        '(default: as it was trained)',
    )


def add_training_arguments(parser):
    """How to train; the flags are GluonNLP's."""
    group = parser.add_argument_group('training')
    group.add_argument(
        '--optimizer',
        default='bertadam',
        choices=['bertadam', 'adam', 'adamw', 'lamb'],
        help='bertadam: no bias correction, decoupled decay; adam: bias correction; adamw: both; '
        'lamb: for large batches',
    )
    group.add_argument('--epochs', type=positive, default=3, help='passes over the data')
    group.add_argument('--training_steps', type=positive, help='stop after so many steps instead')
    group.add_argument(
        '--batch_size',
        type=positive,
        default=32,
        help='sequences in a batch, on all devices together',
    )
    group.add_argument(
        '--accumulate', type=positive, default=1, help='batches whose gradients make one step'
    )
    group.add_argument('--lr', type=float, default=3e-5, help='peak learning rate')
    group.add_argument(
        '--warmup_ratio',
        type=fraction,
        default=0.1,
        help='fraction of the steps in which the rate rises',
    )
    group.add_argument('--epsilon', type=float, default=1e-6, help='of the optimizer')
    group.add_argument('--wd', type=float, help='weight decay (default: 0.01, for adam 0)')
    group.add_argument(
        '--early_stop', type=positive, help='stop after so many epochs without a better score'
    )
    group.add_argument(
        '--dtype',
        default='float32',
        type=peer_flags.one_dtype('float32', 'bfloat16'),
        help='of the products of dense layers: float32, or bfloat16 with weights in '
        'float32, which needs the native kernels',
    )
    group.add_argument(
        '--recompute',
        action='store_true',
        help='take less memory and more time, with the same result; needs the native kernels',
    )
    group.add_argument('--seed', type=int, default=2, help='of head, order and dropout')
    group.add_argument('--log_interval', type=positive, default=10, help='steps')
    group.add_argument(
        '--checkpoint_interval',
        type=positive,
        default=500,
        help='steps between savings of the whole state',
    )


def add_run_arguments(parser):
    """Where to run and what to do with earlier results."""
    group = parser.add_argument_group('run')
    group.add_argument(
        '--output_dir', default='./output_dir', type=Path, help='gets everything the run writes'
    )
    group.add_argument(
        '--resume', action='store_true', help='resume the run in output_dir, or give its result'
    )
    group.add_argument(
        '--overwrite', action='store_true', help='start anew, and replace the run in output_dir'
    )
    place = group.add_mutually_exclusive_group()
    place.add_argument(
        '--gpu',
        nargs='?',
        type=gpu_indices,
        const=0,
        metavar='INDEX,...',
        help='run on a GPU, the first one when no index is given, or on several '
        'that share each batch, such as 0,1',
    )
    place.add_argument(
        '--cpu_workers',
        type=positive,
        metavar='N',
        help='share each batch among so many workers on the CPU',
    )
    add_comm_flags(group)
    group.add_argument('--traceback', action='store_true', help='show where an error came from')


def make_output_dir(folder):
    """Make the folder and see that files can be written there."""
    with spelled():
        from gluon_bert.tasks.run import make_folder

        make_folder(folder)


@contextlib.contextmanager
def spelled(flags=None):
    """Tell a wrong argument of the library by the flag that it came from.

    ``flags`` has the names that are not those of the flags.
    """
    try:
        yield
    except ArgumentError as error:
        names = flags or {}
        raise Failure(error.message_with(lambda name: f'--{names.get(name, name)}')) from None


def log_to(path=None):
    """Log to standard error, and to a file where one is given."""
    handlers = [logging.StreamHandler()]
    if path:
        handlers.append(logging.FileHandler(path, encoding='utf-8'))
    logging.basicConfig(
        level=logging.INFO,
        format='%(asctime)s %(message)s',
        datefmt='%H:%M:%S',
        handlers=handlers,
        force=True,
    )
    logging.captureWarnings(True)


def progress(desc, total):
    """A progress bar, quiet where standard error is not a terminal."""
    return tqdm(desc=desc, total=total, disable=not sys.stderr.isatty(), leave=False)


def run(main, argv=None):
    """Run a script's main(argv): an error is one line and exit code 2, an interrupt 130."""
    argv = sys.argv[1:] if argv is None else argv
    try:
        main(argv)
    except KeyboardInterrupt:
        return 130
    except (Failure, ValueError, OSError, FloatingPointError) as error:
        if '--traceback' in argv:
            raise
        print(f'{Path(sys.argv[0]).name}: error: {error_text(error)}', file=sys.stderr)
        return 2
    except Exception as error:
        # Interrupted is known once MXNet is loaded; nothing but training raises it.
        if type(error).__name__ != 'Interrupted':
            raise
        again = ' '.join(
            [
                sys.argv[0],
                *(item for item in argv if item not in ('--resume', '--overwrite')),
                '--resume',
            ]
        )
        print(f'{error}; everything is saved. Go on with:\n  python {again}', file=sys.stderr)
        return 130
    return 0
