"""Folders of transformers as an export: without what transformers has no place for."""

from __future__ import annotations

from dataclasses import replace

from .._internal.files import new_folder
from .._internal.types import PathLike
from ..checkpoint.huggingface.folder import write_huggingface
from ..checkpoint.schema import Checkpoint
from .beside import has_crf, without_crf, write_settings


def write_folder(checkpoint: Checkpoint, folder: PathLike) -> None:
    """Write a folder that transformers, and for a sentence model sentence-transformers, opens.

    As :func:`.write_huggingface`, but for the transitions of a CRF: they are in ``settings.json``,
    and ``task.json`` describes the tagger without them.

    Parameters
    ----------
    checkpoint : Checkpoint
    folder : str or Path
        Made here; it appears when it is whole.

    Raises
    ------
    FileExistsError
        If the folder is there already and not empty.
    ValueError
        If transformers has no such network.
    """
    with new_folder(folder) as whole:
        plain = without_crf(checkpoint)
        if has_crf(checkpoint) and plain.task is not None:
            plain = replace(plain, task={**plain.task, 'crf': False})
        write_huggingface(plain, whole)
        if has_crf(checkpoint):
            write_settings(checkpoint, whole)
