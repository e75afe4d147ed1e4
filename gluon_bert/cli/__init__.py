"""The console script ``gluon-bert``."""

from __future__ import annotations

import argparse
import importlib
import inspect
import os
import sys
from argparse import ArgumentParser
from typing import Optional

from .. import __version__
from .output import error_text

__all__ = ['COMMANDS', 'main', 'make_parser']

# Subcommand -> (module, summary). A module has add_arguments(parser) and run(args).
COMMANDS = {
    'list': ('listing', 'list the models of the zoo'),
    'info': ('info', 'show hyper-parameters, parameter counts and sources; draw the network'),
    'fetch': ('fetch', 'fetch models into the cache'),
    'train': ('train', 'fine-tune for a task, from data files to a folder'),
    'predict': ('predict', 'predict labels, answers, entities or words for texts'),
    'quantize': ('quantize', 'lower the precision of a fine-tuned model without loss of accuracy'),
    'convert': ('convert', 'convert a checkpoint to another format'),
    'verify': ('verify', 'verify a file against its row, or compare two checkpoints'),
    'plot': ('plot', 'plot attention, vectors, answers, entities or training runs'),
    'cache': ('cache', 'list or clear the cache'),
}
_INTERRUPTED, _NO_READER = 130, 141  # as a shell reports SIGINT and SIGPIPE
_DESCRIPTION = """\
The zoo of BERT models for Apache MXNet, and checkpoints of GluonNLP, Hugging Face and TensorFlow.

MODEL is a model of the zoo as two words, NAME DATASET, or as one, NAME/DATASET; the path of a
checkpoint; or hf://owner/name[@revision], a repository of the Hugging Face hub. Write ./ before a
path that looks like a name of the zoo.
"""
_EPILOGUE = """\
exit status: 0 success, 1 verify found a difference, 2 wrong input. Results go to standard
output, everything else to standard error.
"""


class _Parser(argparse.ArgumentParser):
    """Parser that reports a wrong argument in one line."""

    def __init__(self, **options):
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def error(self, message):
        self.exit(2, f'{self.prog}: error: {message}\n')


def make_parser() -> ArgumentParser:
    """Build the parser of the command line.

    Returns
    -------
    argparse.ArgumentParser
    """
    parser = _Parser(prog='gluon-bert', description=_DESCRIPTION, epilog=_EPILOGUE)
    parser.add_argument('--version', action='version', version=f'gluon-bert {__version__}')
    commands = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')
    for name, (module_name, summary) in COMMANDS.items():
        module = importlib.import_module(f'.{module_name}', __name__)
        command = commands.add_parser(name, help=summary, description=inspect.getdoc(module))
        module.add_arguments(command)
        command.add_argument(
            '--traceback', action='store_true', help='show the traceback of an error'
        )
        command.set_defaults(run=module.run)
    return parser


def main(argv: Optional[list[str]] = None) -> int:
    """Run a command line.

    Parameters
    ----------
    argv : list of str, optional
        By default that of the process.

    Returns
    -------
    int
        The exit status: 0, 1 for a difference that ``verify`` found, 2 for wrong input.
    """
    args = None
    try:
        args = make_parser().parse_args(argv)
        status = args.run(args)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader stopped, as in '| head'. Python would complain when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _NO_READER
    except (ValueError, OSError) as error:
        if args is None or args.traceback:
            raise
        sys.stderr.write(f'gluon-bert {args.command}: error: {error_text(error)}\n')
        return 2
