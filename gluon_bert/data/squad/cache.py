"""Cache windows in a file, so that a second run need not build them."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import numpy as np
from safetensors import SafetensorError, safe_open

from ..._internal.files import write_tensors
from ..._internal.types import PathLike, Progress
from .windows import Windows, build_windows, special_numbers

if TYPE_CHECKING:
    from ..tokenizers.base import SubwordTokenizer
    from .files import Question


logger = logging.getLogger(__name__)

_VERSION = 2  # to be raised when the same questions give other windows


def cached_windows(
    folder: PathLike,
    questions: list[Question],
    tokenizer: SubwordTokenizer,
    progress: Optional[Progress] = None,
    later: Optional[list[Callable[[], None]]] = None,
    **settings: Any,
) -> Windows:
    """Read the windows of questions from a file in ``folder``, or build and cache them.

    Parameters
    ----------
    folder : str or Path
        Folder of ``windows-<key>.safetensors``. The key is a digest of the questions, the
        tokenizer with its vocabulary and the settings. A damaged file is rewritten.
    questions, tokenizer, progress, **settings
        As for :func:`.build_windows`.
    later : list, optional
        Gets the function that writes the file, which is not called then.

    Returns
    -------
    Windows

    Raises
    ------
    ValueError
        As :func:`.build_windows`.
    """
    key = windows_key(questions, tokenizer, **settings)
    path = Path(folder) / f'windows-{key[:16]}.safetensors'
    if path.is_file():
        try:
            return _read(path, key, questions, tokenizer)
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            logger.warning('%s: damaged (%s), rewritten', path, error)
    windows = build_windows(questions, tokenizer, progress=progress, **settings)

    def write() -> None:
        arrays = {field.name: getattr(windows, field.name) for field in fields(windows)}
        write_tensors(path, arrays, {'key': key})

    if later is None:
        write()
    else:
        later.append(write)
    return windows


def windows_key(questions: list[Question], tokenizer: SubwordTokenizer, **settings: Any) -> str:
    """Compute a digest of everything the windows depend on, as 64 hexadecimal digits.

    Parameters
    ----------
    questions, tokenizer, **settings
        As for :func:`.build_windows`.

    Returns
    -------
    str
    """
    digest = hashlib.sha256(repr((_VERSION, sorted(settings.items()))).encode())
    digest.update(repr(tokenizer.__reduce__()[0]).encode())
    digest.update('\n'.join(tokenizer.vocabulary.idx_to_token).encode())
    for question in questions:
        digest.update(repr(tuple(question)).encode())
    return digest.hexdigest()


def check_windows(windows: Windows, questions: list[Question], tokenizer: SubwordTokenizer) -> None:
    """Check that windows read from a file are windows of the questions.

    Parameters
    ----------
    windows : Windows
    questions : list of Question
    tokenizer : SubwordTokenizer

    Raises
    ------
    ValueError
        If an array has the wrong type or shape, or a number is out of range.
    """
    for field in fields(windows):
        array = getattr(windows, field.name)
        width = 2 if field.name in ('span', 'token_offsets') else None
        if array.dtype != 'int32' or array.shape[1:] != (() if width is None else (width,)):
            raise ValueError(f'{field.name} has type {array.dtype} and shape {array.shape}')
    contexts = list(dict.fromkeys(question.context for question in questions))
    for bounds, size, number in (
        (windows.query_bounds, len(windows.query_ids), len(questions)),
        (windows.token_bounds, len(windows.token_ids), len(contexts)),
    ):
        if (
            len(bounds) != number + 1
            or bounds[0]
            or bounds[-1] != size
            or (np.diff(bounds) < 0).any()
        ):
            raise ValueError('the texts are not those of the questions')
    one_each = ('start', 'length', 'span')
    if (
        len(windows.paragraph) != len(questions)
        or not np.array_equal(windows.special, special_numbers(tokenizer))
        or not np.array_equal(np.unique(windows.question), np.arange(len(questions)))
        or (np.diff(windows.question) < 0).any()
        or len(windows.token_offsets) != len(windows.token_ids)
        or any(len(getattr(windows, name)) != len(windows) for name in one_each)
    ):
        raise ValueError('the arrays do not fit together')
    _check_range('paragraph', windows.paragraph, len(contexts))
    sizes = np.diff(windows.token_bounds)
    _check_range('start', windows.start, sizes.max() + 1)
    _check_range(
        'length', windows.length, sizes[windows.paragraph[windows.question]] - windows.start + 1
    )
    for name in ('query_ids', 'token_ids'):
        _check_range(name, getattr(windows, name), len(tokenizer.vocabulary))
    _check_range('span', windows.span, (windows.first_token + windows.length)[:, None])
    _check_range(
        'token_offsets',
        windows.token_offsets,
        np.repeat([len(context) + 1 for context in contexts], sizes)[:, None],
    )


def _check_range(name, values, limit):
    if (values < 0).any() or (values >= limit).any():
        raise ValueError(f'{name} has a number out of range')


def _read(path, key, questions, tokenizer):
    with safe_open(path, 'np') as file:
        if (file.metadata() or {}).get('key') != key:
            raise ValueError('it holds other windows')
        windows = Windows(**{field.name: file.get_tensor(field.name) for field in fields(Windows)})
    check_windows(windows, questions, tokenizer)
    return windows
