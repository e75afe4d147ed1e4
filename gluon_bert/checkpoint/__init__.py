"""Readers and writers of checkpoints: GluonNLP's, Hugging Face's and TensorFlow's; ONNX is read.

A checkpoint of any format is read into a :class:`Checkpoint` and written from one.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Callable, Optional

from .._internal.types import PathLike
from .schema import Checkpoint
from .task_file import has_task, read_task_file
from .tensor_file import printable

__all__ = ['FORMATS', 'Checkpoint', 'find_format', 'read_checkpoint', 'write_checkpoint']

logger = logging.getLogger(__name__)

FORMATS = ('gluonnlp', 'huggingface', 'tensorflow')  # read and written; ONNX is read alone


def find_format(path: PathLike) -> str:
    """Find the format of the checkpoint at a path.

    Parameters
    ----------
    path : str or Path
        A folder, a file in it, or the prefix of a TensorFlow checkpoint.

    Returns
    -------
    str
        One of ``FORMATS``, or 'onnx'.

    Raises
    ------
    FileNotFoundError
        If there is nothing.
    ValueError
        If nothing there is a checkpoint, or files of several formats are.
    """
    place = _place_of(Path(path))
    if place.is_dir():
        names = [file.name for file in place.iterdir()]
        formats = {_format_of(name) for name in names} - {None}
        if len(formats) > 1:
            formats.discard('onnx')  # an export beside the checkpoint that it was made from
        if len(formats) != 1:
            listing = ', '.join(map(printable, sorted(names)[:10])) or 'nothing'
            what = f'checkpoints of {" and ".join(sorted(formats))}' if formats else 'no checkpoint'
            raise ValueError(
                f'{place}: holds {what} (there is: {listing}); expected '
                f'model.safetensors, pytorch_model.bin, *.ckpt.index, *.params or *.onnx'
            )
        return formats.pop()
    if place.is_file():
        name = _format_of(place.name)
        if name is None:
            raise ValueError(
                f'{place}: expected a file named *.safetensors, *.bin, *.index, *.params or *.onnx'
            )
        return name
    if place.with_name(place.name + '.index').is_file():
        return 'tensorflow'
    raise FileNotFoundError(f'{place}: no such file or folder')


def read_checkpoint(
    path: PathLike, meanwhile: Optional[Callable[[Checkpoint], object]] = None, **options: Any
) -> Checkpoint:
    """Read a checkpoint of any format.

    Parameters
    ----------
    path : str or Path
        A fine-tuned folder of this package, in any of the formats; a Hugging Face folder, a folder
        or prefix of a TensorFlow checkpoint, a .params file of GluonNLP or a folder with one, an
        ONNX file with config.json beside it or a folder with one.
    meanwhile : callable, optional
        Called with the arrays and the configuration as a :class:`Checkpoint`, before the tokenizer
        is read where the format allows: what it starts in a thread runs beside that.
    options
        Passed on to the reader: :func:`.read_gluonnlp`, :func:`.read_huggingface`,
        :func:`.read_onnx` or :func:`.read_tensorflow`.

    Returns
    -------
    Checkpoint

    Raises
    ------
    FileNotFoundError, ValueError
        If there is none, or it is damaged or of an unknown kind.
    """
    name, path = find_format(path), _place_of(Path(path))
    if name == 'gluonnlp':
        from .gluonnlp.files import read_gluonnlp

        checkpoint = read_gluonnlp(_only_params(Path(path)), **options)
    elif name == 'huggingface':
        from .huggingface.folder import read_huggingface

        return read_huggingface(path, meanwhile, **options)
    elif name == 'onnx':
        from .onnx.files import read_onnx

        checkpoint = read_onnx(path, **options)
    else:
        from .tensorflow.folder import read_tensorflow

        checkpoint = read_tensorflow(path, **options)
    if meanwhile is not None:
        meanwhile(checkpoint)
    return checkpoint


def write_checkpoint(checkpoint: Checkpoint, path: PathLike, format: Optional[str] = None) -> None:
    """Write a checkpoint.

    Parameters
    ----------
    checkpoint : Checkpoint
    path : str or Path
        ``<stem>.params`` for GluonNLP's format, else a folder that is not there yet.
    format : str, optional
        One of ``FORMATS``; by default 'gluonnlp' for a path that ends in .params, else
        'huggingface'.

    Raises
    ------
    ValueError
        If the path is taken, or the format has no place for such a network.
    """
    if format is None:
        format = 'gluonnlp' if str(path).endswith('.params') else 'huggingface'
    if format not in FORMATS:
        raise ValueError(f'format={format!r}: expected one of {FORMATS}')
    vectors = checkpoint.sentence, checkpoint.sparse, checkpoint.token_vectors
    if format != 'huggingface' and any(settings is not None for settings in vectors):
        logger.warning(
            "%s: left out: pooling, length and modules of the sentence model; only Hugging Face's "
            'format has a place for them',
            path,
        )
    if format == 'gluonnlp':
        from .gluonnlp.files import write_gluonnlp

        write_gluonnlp(checkpoint, path)
    elif format == 'huggingface':
        from .huggingface.folder import write_huggingface

        write_huggingface(checkpoint, path)
    else:
        from .tensorflow.folder import write_tensorflow

        write_tensorflow(checkpoint, path)


def _place_of(path):
    """The checkpoint of a folder: what its task.json or modules.json names; else the path."""
    from .huggingface.sentence_files import transformer_folder

    if path.is_dir():
        path = transformer_folder(path)
    if path.is_dir() and has_task(path):
        described = read_task_file(path)
        path = described.parameters
        if not (path.is_file() or path.with_name(path.name + '.index').is_file()):
            raise FileNotFoundError(
                f'{path}: no such parameter file, which {described.path.name} names'
            )
    return path


def _format_of(name):
    if name.endswith(('.safetensors', '.safetensors.index.json', '.bin', '.bin.index.json')):
        return 'huggingface'
    if name.endswith('.params'):
        return 'gluonnlp'
    if name.endswith('.onnx'):
        return 'onnx'
    return 'tensorflow' if name.endswith('.index') else None


def _only_params(path):
    if path.is_file():
        return path
    files = sorted(path.glob('*.params'))
    if len(files) > 1:
        raise ValueError(
            f'{path}: holds {len(files)} .params files '
            f'({", ".join(printable(file.name) for file in files[:4])}); name one'
        )
    return files[0]
