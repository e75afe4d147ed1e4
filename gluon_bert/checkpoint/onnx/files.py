"""Read an ONNX file of a BERT as a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..._internal.packages import import_package
from ..._internal.types import PathLike
from ...config import BertConfig
from ...data import read_max_tokens, read_tokenizer
from ..arrays import Arrays
from ..huggingface.config import read_config
from ..schema import Checkpoint, check_vocab_size
from ..tensor_file import existing, printable
from .graph import Stored, find_arrays

_MAX_BYTES = (2 << 30) - 1  # of a protocol buffer
_EXTERNAL = 1  # onnx.TensorProto.EXTERNAL
_FLOATS = {1: 4, 10: 2}  # onnx.TensorProto.FLOAT and FLOAT16 -> bytes of a value


def read_onnx(path: PathLike) -> Checkpoint:
    """Read an ONNX file of a BERT, with the files of transformers beside it.

    Parameters
    ----------
    path : str or Path
        A file, or a folder with one. config.json and the files of the tokenizer are in the same
        folder or, as optimum and transformers.js have them, in the one above.

    Returns
    -------
    Checkpoint
        The encoder, and its pooler if there is one; further layers of the file are left out.

    Raises
    ------
    FileNotFoundError
        If there is no such file, or no config.json.
    ValueError
        If the file is damaged, or not one of such a network, in float32 or float16.
    ImportError
        If the package onnx is not installed.
    """
    file = _find_file(Path(path))
    folders = [
        folder for folder in (file.parent, file.parent.parent) if (folder / 'config.json').is_file()
    ]
    if not folders:
        raise FileNotFoundError(
            f'{file}: has no config.json beside it or in the folder above, which states the '
            f'attention heads and the activation'
        )
    described = read_config(folders[0] / 'config.json')
    arrays = read_onnx_arrays(file, described.config)
    tokenizer = read_tokenizer(folders[0])
    check_vocab_size(tokenizer, described.config.vocab_size, folders[0])
    return Checkpoint(
        arrays,
        described.config,
        described.family,
        tokenizer,
        source=str(path),
        max_tokens=read_max_tokens(folders[0]),
    )


def read_onnx_arrays(path: PathLike, config: BertConfig) -> Arrays:
    """Read the arrays of an encoder from an ONNX file, by their places in its graph.

    Parameters
    ----------
    path : str or Path
    config : BertConfig

    Returns
    -------
    Arrays
        By the common names of :mod:`gluon_bert.checkpoint.names`, in float32.

    Raises
    ------
    ValueError, ImportError
        As :func:`read_onnx`.
    """
    path = existing(path)
    graph = _read_graph(path)
    try:
        stored = find_arrays(graph, config)
        for array in stored.values():
            _check_stored(array.tensor)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None
    return Arrays({name: (array.shape, _reader(array)) for name, array in stored.items()})


def _find_file(path):
    if not path.is_dir():
        return existing(path)
    files = sorted(path.glob('*.onnx'))
    if len(files) != 1:
        names = ', '.join(printable(file.name) for file in files[:4]) or 'nothing'
        raise ValueError(f'{path}: expected one file *.onnx (there is: {names}); name it')
    return files[0]


def _read_graph(path: Path) -> Any:
    size = path.stat().st_size
    if size > _MAX_BYTES:
        raise ValueError(f'{path}: has {size} bytes, an ONNX file at most {_MAX_BYTES}')
    onnx = import_package('onnx', 'ONNX files')
    from google.protobuf.message import DecodeError  # of onnx's requirements

    try:
        # Files beside it, which it may name, are not opened.
        model = onnx.load_model_from_string(path.read_bytes())
    except DecodeError:
        raise ValueError(f'{path}: is no ONNX file, or is damaged') from None
    if not model.graph.node:
        raise ValueError(f'{path}: is no ONNX file: it has no graph')
    if model.functions:
        raise ValueError(f'{path}: its graph calls functions: export with the operators inline')
    return model.graph


def _check_stored(tensor):
    name = printable(tensor.name) or 'a constant'
    if tensor.data_location == _EXTERNAL:
        raise ValueError(f'{name} is in another file: save the model with its weights inside')
    if tensor.data_type not in _FLOATS:
        raise ValueError(f'{name} is of data type {tensor.data_type}: expected float32 or float16')
    count = int(np.prod([int(size) for size in tensor.dims], dtype=object))
    raw = tensor.raw_data
    held = len(raw) / _FLOATS[tensor.data_type] if raw else _plain_count(tensor)
    if held != count:
        raise ValueError(
            f'{name} holds {held:g} values, its shape {tuple(tensor.dims)} has {count}'
        )


def _plain_count(tensor):
    return len(tensor.float_data) or len(tensor.int32_data)


def _reader(stored: Stored):
    def read() -> np.ndarray:
        from onnx import numpy_helper

        array = numpy_helper.to_array(stored.tensor)
        return np.array(array.T if stored.transposed else array, 'float32', order='C')

    return read
