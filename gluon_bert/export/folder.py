"""The folder of an export: made whole or not at all, with what its format has no place for."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict

from .._internal.files import staging_folder
from .._internal.types import PathLike
from ..checkpoint.arrays import with_names
from ..checkpoint.schema import Checkpoint

SETTINGS_FILE = 'settings.json'
_CRF = ('crf.transitions', 'crf.begin', 'crf.end')


@contextlib.contextmanager
def new_folder(path: PathLike) -> Iterator[Path]:
    """Yield an empty folder; it takes its place at ``path`` unless the block fails.

    Raises
    ------
    FileExistsError
        If something is there already, an empty folder excepted.
    """
    path = Path(os.path.abspath(path))
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise FileExistsError(f'{path}: is there already; give another name or remove it')
    path.parent.mkdir(parents=True, exist_ok=True)
    with staging_folder(path) as temporary:
        whole = temporary / 'folder'
        whole.mkdir()
        yield whole
        os.replace(whole, path)


def without_crf(checkpoint: Checkpoint) -> Checkpoint:
    """Leave out the transitions of a CRF, for which the formats have no place."""
    kept = {name: name for name in checkpoint.arrays if name not in _CRF}
    return replace(checkpoint, arrays=with_names(checkpoint.arrays, kept))


def write_settings(checkpoint: Checkpoint, folder: Path) -> Dict[str, Any]:
    """Write what reading texts and results needs besides the scores, if there is anything.

    Parameters
    ----------
    checkpoint : Checkpoint
    folder : Path

    Returns
    -------
    dict
        What was written: the task with its settings, such as windows and thresholds, and the
        transitions of a CRF.
    """
    settings: Dict[str, Any] = dict(checkpoint.task or {})
    if checkpoint.labels:
        settings.setdefault('labels', list(checkpoint.labels))
    settings.update(
        (name, checkpoint.arrays[name].tolist()) for name in _CRF if name in checkpoint.arrays
    )
    if settings:
        text = json.dumps(settings, indent=1, ensure_ascii=False) + '\n'
        (folder / SETTINGS_FILE).write_text(text, encoding='utf-8')
    return settings
