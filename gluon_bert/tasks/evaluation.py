"""Dev sets for fine-tuned pipelines: inputs, right answers, and the score of the task."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import numpy as np

from .base import DevSet, DevSource
from .registry import TASKS

__all__ = ['DevSet', 'features_of', 'read_dev']


def read_dev(
    pipeline: Any,
    path: Optional[str | Path] = None,
    data_dir: Optional[str | Path] = None,
    text: Optional[str] = None,
    pair: Optional[str] = None,
    label: str = 'label',
) -> DevSet:
    """Read the dev set of a pipeline's task.

    Parameters
    ----------
    pipeline : TaskPipeline
    path : str or Path, optional
        A table of texts with labels or scores; for questions SQuAD's layout; for entities a file of
        :func:`.read_tagged`.
    data_dir : str or Path, optional
        Without ``path``, for a GLUE task: its folder; by default the one in $GLUE_DIR.
    text, pair, label : str, optional
        Columns of a table.

    Returns
    -------
    DevSet

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, it is malformed, or it has no right answers.
    """
    spec = TASKS[pipeline.task]
    if path is None and not spec.reads_glue:
        raise ValueError(f'for {spec.name} the file of the dev set must be named')
    return spec.load('job').dev_set(pipeline, DevSource(path, data_dir, text, pair, label))


def features_of(pipeline: Any, inputs: list, max_sequences: int = 128) -> list:
    """Make the sequences of a pipeline's inputs, as the network reads them.

    Parameters
    ----------
    pipeline : TaskPipeline
    inputs : list
    max_sequences : int
        Maximum number of sequences, sampled evenly by length.

    Returns
    -------
    list of Features
        By length.
    """
    features = sorted(pipeline.features(inputs), key=lambda feature: feature.valid_length)
    if len(features) <= max_sequences:
        return features
    chosen = np.linspace(0, len(features) - 1, max_sequences).round().astype(int)
    return [features[i] for i in chosen]
