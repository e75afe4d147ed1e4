"""Settings beside an export: what its format has no place for."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict

from ..checkpoint.arrays import with_names
from ..checkpoint.huggingface.folder import describe_huggingface
from ..checkpoint.huggingface.sentence_files import write_sentence_files
from ..checkpoint.schema import Checkpoint

logger = logging.getLogger(__name__)

SETTINGS_FILE = 'settings.json'
_CRF = ('crf.transitions', 'crf.begin', 'crf.end')


def has_crf(checkpoint: Checkpoint) -> bool:
    """Tell if a tagger has the transitions of a CRF."""
    return _CRF[0] in checkpoint.arrays


def without_crf(checkpoint: Checkpoint) -> Checkpoint:
    """Leave out the transitions of a CRF, for which the formats have no place."""
    kept = {name: name for name in checkpoint.arrays if name not in _CRF}
    return replace(checkpoint, arrays=with_names(checkpoint.arrays, kept))


def write_description(checkpoint: Checkpoint, folder: Path) -> None:
    """Write what describes a graph: config.json, the files of the tokenizer, the settings.

    For a sentence model the files of sentence-transformers, too.

    Parameters
    ----------
    checkpoint : Checkpoint
    folder : Path

    Raises
    ------
    ValueError
        If transformers has no such network.
    """
    sentence = checkpoint.sentence
    longest = (sentence and sentence.max_length) or checkpoint.max_tokens
    if checkpoint.tokenizer is None:
        logger.warning('%s: no tokenizer, so none is written', checkpoint.source or 'the model')
    describe_huggingface(replace(without_crf(checkpoint), max_tokens=longest), folder)
    write_settings(checkpoint, folder)


def write_settings(checkpoint: Checkpoint, folder: Path) -> None:
    """Write what reading texts and results needs besides the scores, if there is anything.

    ``settings.json`` has the task with its settings, such as windows and thresholds, the labels,
    and the transitions of a CRF. The settings of a sentence model stand in the files of
    sentence-transformers, ``modules.json`` and those that it names.

    Parameters
    ----------
    checkpoint : Checkpoint
    folder : Path
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
    if checkpoint.sentence is not None:
        write_sentence_files(checkpoint.sentence, folder, checkpoint.config.units)
