"""Networks in the formats of other runtimes."""

from __future__ import annotations

import importlib
from typing import Any, Mapping, NamedTuple, Optional, Tuple

from .._internal.suggestions import unknown_name
from .._internal.types import PathLike
from ..checkpoint.schema import Checkpoint

__all__ = ['EXPORTS', 'Export', 'export']


class Export(NamedTuple):
    """A format to export to: its writer as 'module:function', and the options that it takes."""

    writer: str
    meaning: str
    options: Tuple[str, ...] = ()


EXPORTS: Mapping[str, Export] = {
    'onnx': Export(
        'export.onnx:write_onnx',
        'for onnxruntime, OpenVINO, transformers.js',
        ('head', 'opset', 'dtype', 'pooling', 'normalize'),
    ),
    'openvino': Export(
        'export.openvino:write_openvino',
        "for OpenVINO and optimum, by OpenVINO's converter",
        ('head', 'dtype', 'pooling', 'normalize'),
    ),
    'ctranslate2': Export(
        'export.ctranslate2:write_ctranslate2', 'for CTranslate2', ('quantization',)
    ),
    'symbol': Export(
        'export.symbol:write_symbol', "for MXNet's C and Java interfaces", ('head', 'probabilities')
    ),
    'huggingface': Export('checkpoint.huggingface.folder:write_huggingface', 'for transformers'),
}
"""Format -> its row."""


def export(
    checkpoint: Checkpoint, folder: PathLike, to: str, options: Optional[Mapping[str, Any]] = None
) -> None:
    """Write a network in the format of another runtime.

    Parameters
    ----------
    checkpoint : Checkpoint
        As :func:`~gluon_bert.zoo.open_checkpoint` opens it.
    folder : str or Path
        Made here; it appears when it is whole.
    to : str
        A key of :data:`EXPORTS`.
    options : mapping of str to object, optional
        Arguments of the format's writer.

    Raises
    ------
    FileExistsError
        If the folder is there already and not empty.
    ImportError
        If a package that the format needs is not installed.
    ValueError
        If there is no such format, it does not take an option, or has no place for the network.
    """
    if to not in EXPORTS:
        raise unknown_name('format', to, EXPORTS)
    row, options = EXPORTS[to], dict(options or {})
    for name in options:
        if name not in row.options:
            raise ValueError(
                f'{name} is no option of {to} (allowed: {", ".join(row.options) or "none"})'
            )
    module, _, function = row.writer.partition(':')
    write = getattr(importlib.import_module(f'gluon_bert.{module}'), function)
    write(checkpoint, folder, **options)
