"""Networks in the formats of other runtimes."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, List, Mapping, NamedTuple, Optional, Tuple

from .._internal.files import new_folder
from .._internal.suggestions import did_you_mean, unknown_name
from .._internal.types import PathLike
from ..checkpoint.schema import Checkpoint
from ..checkpoint.task_file import has_task, task_file_of
from ..zoo.fetch.errors import explain_disk_full

if TYPE_CHECKING:
    from .limits import Limit

__all__ = ['EXPORTS', 'Export', 'export']

_OF_A_GRAPH = (
    *('scheme', 'crf', 'windows', 'answers', 'thresholds', 'temperature', 'range', 'pairs'),
    *('pooling', 'prompts', 'prompt_tokens', 'similarity', 'lower'),
)


class Export(NamedTuple):
    """A format to export to.

    Parameters
    ----------
    writer : str
        Place, 'module:function', of the writer: ``(checkpoint, folder, **options)``.
    interface : str
        Place of the function that describes what was written, of
        :mod:`gluon_bert.export.interfaces`.
    title, library : str
        For people, and the Hugging Face hub's name of the package that reads it.
    meaning : str
        For the help text.
    options : tuple of str
        Those that the writer takes.
    lacks : tuple of str
        What the format has no place for, of :data:`gluon_bert.export.limits.PARTS`.
    """

    writer: str
    interface: str
    title: str
    library: str
    meaning: str
    options: Tuple[str, ...] = ()
    lacks: Tuple[str, ...] = ()


EXPORTS: Mapping[str, Export] = {
    'onnx': Export(
        'export.onnx:write_onnx',
        'export.interfaces:describe_onnx',
        'ONNX',
        'onnx',
        'for onnxruntime, OpenVINO, transformers.js',
        ('head', 'opset', 'dtype', 'pooling', 'normalize', 'calibration'),
        _OF_A_GRAPH,
    ),
    'openvino': Export(
        'export.openvino:write_openvino',
        'export.interfaces:describe_openvino',
        'OpenVINO',
        'openvino',
        'for OpenVINO and optimum',
        ('head', 'dtype', 'pooling', 'normalize'),
        _OF_A_GRAPH,
    ),
    'ctranslate2': Export(
        'export.ctranslate2:write_ctranslate2',
        'export.interfaces:describe_ctranslate2',
        'CTranslate2',
        'ctranslate2',
        'for CTranslate2',
        ('quantization',),
        ('labels', 'length', 'tokenizer', *_OF_A_GRAPH),
    ),
    'symbol': Export(
        'export.symbol:write_symbol',
        'export.interfaces:describe_symbol',
        "MXNet's symbol",
        'mxnet',
        "for MXNet's C and Java interfaces",
        ('head', 'probabilities'),
        ('labels', 'length', 'tokenizer', *_OF_A_GRAPH),
    ),
    'huggingface': Export(
        'export.huggingface:write_folder',
        'export.interfaces:describe_huggingface',
        'transformers',
        'transformers',
        'for transformers and sentence-transformers',
        (),
        ('scheme', 'crf', 'windows', 'answers', 'thresholds', 'temperature', 'range', 'pairs'),
    ),
}
"""Format -> its row."""


def export(
    checkpoint: Checkpoint, folder: PathLike, to: str, options: Optional[Mapping[str, Any]] = None
) -> List[Limit]:
    """Write a network in the format of another runtime, with a model card.

    Parameters
    ----------
    checkpoint : Checkpoint
        As :func:`~gluon_bert.zoo.open_checkpoint` opens it.
    folder : str or Path
        Made here, outside the folder of the checkpoint; it appears when it is whole.
    to : str
        A key of :data:`EXPORTS`.
    options : mapping of str to object, optional
        Arguments of the format's writer.

    Returns
    -------
    list of Limit
        What the format has no place for, and the file beside it that has it. The card,
        ``README.md``, says the same.

    Raises
    ------
    FileExistsError
        If the folder is there already and not empty.
    OSError
        If the disk is full.
    ImportError
        If a package that the format needs is not installed.
    ValueError
        If there is no such format, it does not take an option, or has no place for the network; or
        a fine-tuned network is without its tokenizer, or its settings are damaged.
    """
    if to not in EXPORTS:
        raise unknown_name('format', to, EXPORTS)
    row, options = EXPORTS[to], dict(options or {})
    for name in options:
        if name not in row.options:
            hint = did_you_mean(name, row.options)
            raise ValueError(
                f'{name} is no option of {to}{hint} (allowed: {", ".join(row.options) or "none"})'
            )
    _check_place(checkpoint, folder)
    _check_task(checkpoint)
    from .card import write_card
    from .limits import limits_of

    place = Path(os.path.abspath(folder))
    with explain_disk_full(place.parent), new_folder(folder) as whole:
        _load(row.writer)(checkpoint, whole, **options)
        interface = _load(row.interface)(checkpoint, whole, options)
        limits = limits_of(checkpoint, whole, row.lacks, interface)
        write_card(whole, checkpoint, place.name, row, interface, limits)
    return limits


def _load(place):
    module, _, function = place.partition(':')
    return getattr(importlib.import_module(f'gluon_bert.{module}'), function)


def _check_place(checkpoint, folder):
    """Raise ValueError if a folder lies in that of the model, which it would change."""
    source = Path(checkpoint.source or os.devnull)
    source = source if source.is_dir() or not has_task(source) else source.parent
    inside, target = (Path(os.path.realpath(path)) for path in (source, folder))
    if source.is_dir() and inside in (target, *target.parents):
        raise ValueError(
            f'{folder}: lies in {source}, the folder of the model; name one outside it'
        )


def _check_task(checkpoint):
    """Raise ValueError if a fine-tuned network is not whole."""
    if checkpoint.task is None:
        return
    from ..tasks.folder import read_settings

    path = task_file_of(checkpoint.source)
    read_settings(checkpoint.task, checkpoint.config, path if path.is_file() else checkpoint.source)
    if checkpoint.tokenizer is None:
        raise ValueError(
            f'{checkpoint.source}: the fine-tuned model has no tokenizer: its folder is not whole'
        )
