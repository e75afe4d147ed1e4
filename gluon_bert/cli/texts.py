"""Arguments that name the inputs of a command."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..pipelines.inputs import FORMATS, InputSource


def add_format_arguments(parser: Any, option: str) -> None:
    """Declare the format and the columns of the file that ``option`` names.

    Parameters
    ----------
    parser : argparse.ArgumentParser or a group of its arguments
    option : str
    """
    parser.add_argument('--format', choices=FORMATS, help=f'of {option} (default: by its name)')
    parser.add_argument(
        '--text_column',
        metavar='NAME',
        help='of a table (default: as in training, else sentence, text, ...)',
    )
    parser.add_argument('--pair_column', metavar='NAME', help='of the second text, or the context')


def input_source(args: argparse.Namespace) -> InputSource:
    """Collect the arguments that say where inputs come from."""
    return InputSource(*(getattr(args, name) for name in InputSource._fields))


def existing(text: str, flag: str = '--input') -> Path:
    """Return the path of a file; FileNotFoundError with the flag that named it."""
    path = Path(text).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'{flag} {text}: no such file')
    return path
