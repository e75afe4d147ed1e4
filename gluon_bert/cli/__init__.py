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
from .._internal.arguments import Parser
from .output import error_text, say

__all__ = ['COMMANDS', 'GROUPS', 'main', 'make_parser']

# Group -> subcommand -> (module, summary). A module has add_arguments(parser) and run(args).
GROUPS = {
    'models of the zoo': {
        'list': ('listing', 'list the models of the zoo'),
        'info': ('info', 'show hyper-parameters, counts and sources; draw the network'),
        'fetch': ('fetch', 'fetch models into the cache'),
        'cache': ('cache', 'list or clear the cache'),
    },
    'training and prediction': {
        'vocab': ('vocab', 'learn a vocabulary from texts, to train from scratch'),
        'pretraining-data': ('pretraining_data', 'make the records that a BERT is pre-trained on'),
        'pretrain': ('pretrain', 'pre-train on records or texts, from scratch or from a model'),
        'train': ('train', 'fine-tune for a task, from data files to a folder'),
        'tune': ('tune', 'search for the learning rate, epochs and batch size of a fine-tuning'),
        'distill': ('distill', 'train a small network by the outputs of a larger one'),
        'launch': ('launch', 'run a training command in several processes, on one machine or more'),
        'predict': ('predict', 'predict labels, answers, entities or words for texts'),
        'embed': ('embed', 'compute sentence vectors of texts'),
        'search': ('search', 'find and rank the lines of a file for a query'),
        'serve': ('serve', 'serve models over HTTP'),
        'quantize': ('quantize', 'lower the precision of a fine-tuned model without loss'),
        'temperature': ('temperature', 'calibrate the probabilities of a fine-tuned model'),
        'plot': ('plot', 'plot attention, vectors, answers, entities or training runs'),
    },
    'checkpoints': {
        'convert': ('convert', 'convert a checkpoint to another format'),
        'export': ('export', 'export a model to another runtime, such as ONNX'),
        'verify': ('verify', 'verify a file against its row, or compare two checkpoints'),
    },
    'shell': {'completion': ('completion', 'print what makes a shell complete commands')},
}
COMMANDS = {name: row for group in GROUPS.values() for name, row in group.items()}
_WIDTH = max(map(len, COMMANDS))
_INTERRUPTED, _NO_READER = 130, 141  # as a shell reports SIGINT and SIGPIPE
_DESCRIPTION = """\
The zoo of BERT models for Apache MXNet, and checkpoints of GluonNLP, Hugging Face and TensorFlow.

commands:
{commands}
gluon-bert COMMAND --help describes a command.

MODEL is a model of the zoo as two words, NAME DATASET, as one, NAME/DATASET, or by its name on the
Hugging Face hub, such as bert-base-uncased; the path of a checkpoint; or any repository of the hub,
hf://owner/name[@revision]. Write ./ before a path that looks like a name of the zoo.
"""
_EPILOGUE = """\
exit status: 0 success, 1 verify found a difference, 2 wrong input. Results go to standard
output, everything else to standard error.
"""


def make_parser(command: Optional[str] = None) -> ArgumentParser:
    """Build the parser of the command line.

    Parameters
    ----------
    command : str, optional
        The only command whose arguments are declared, so that no other module is imported; '' for
        none. By default all.

    Returns
    -------
    argparse.ArgumentParser
    """
    options: dict = {'formatter_class': argparse.RawDescriptionHelpFormatter}
    parser = Parser(
        prog='gluon-bert',
        usage='gluon-bert COMMAND ...',
        description=_DESCRIPTION.format(commands=_list_commands()),
        epilog=_EPILOGUE,
        **options,
    )
    parser.add_argument('--version', action='version', version=f'gluon-bert {__version__}')
    # The description lists the commands in their groups.
    commands = parser.add_subparsers(dest='command', metavar='COMMAND', help=argparse.SUPPRESS)
    for name, (module_name, _) in COMMANDS.items():
        if command not in (None, name):
            commands.add_parser(name)
            continue
        module = importlib.import_module(f'.{module_name}', __name__)
        subparser = commands.add_parser(
            name, prog=f'gluon-bert {name}', description=inspect.getdoc(module), **options
        )
        module.add_arguments(subparser)
        subparser.add_argument(
            '--traceback', action='store_true', help='show the traceback of an error'
        )
        subparser.set_defaults(run=module.run)
    return parser


def _list_commands():
    lines = []
    for title, group in GROUPS.items():
        lines.append(f'  {title}')
        lines += [f'    {name:<{_WIDTH}}  {summary}' for name, (_, summary) in group.items()]
    return '\n'.join(lines) + '\n'


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
        argv = sys.argv[1:] if argv is None else argv
        parser = make_parser(next((word for word in argv if not word.startswith('-')), ''))
        args = parser.parse_args(argv)
        if args.command is None:
            say(parser.format_help().rstrip())
            return 0
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
