"""Calibration texts of a file, as the sequences that a network reads."""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ..pipelines.inputs import InputSource, read_items

if TYPE_CHECKING:
    from ..checkpoint.schema import Checkpoint
    from ..data import Features

_MOST_INPUTS = 10_000  # that calibration sequences are chosen from


def calibration_inputs(args: argparse.Namespace, path: Path, pipeline: Any) -> list:
    """Read the inputs of a calibration file.

    Parameters
    ----------
    args : argparse.Namespace
        With format, text_column, pair_column.
    path : Path
    pipeline : Pipeline

    Returns
    -------
    list

    Raises
    ------
    ValueError
        If the file is empty, or not as the pipeline reads it.
    """
    source = InputSource((), path, args.format, args.text_column, args.pair_column)
    items = read_items(source, pipeline)
    inputs = [item.input for item in itertools.islice(items, _MOST_INPUTS)]
    if not inputs:
        raise ValueError(f'{path}: is empty')
    return inputs


def calibration_features(
    args: argparse.Namespace, path: Path, checkpoint: Checkpoint
) -> list[Features]:
    """Read a calibration file for a checkpoint, as the pipeline of its task would.

    Parameters
    ----------
    args, path
        As for :func:`calibration_inputs`.
    checkpoint : Checkpoint

    Returns
    -------
    list of Features
        At most 128, of all lengths.

    Raises
    ------
    ValueError
        If the checkpoint has no tokenizer, or the file is not as its task reads it.
    """
    from ..pipelines.loading import checkpoint_pipeline
    from ..tasks.checkpoint import task_of
    from ..tasks.evaluation import features_of

    if checkpoint.tokenizer is None:
        raise ValueError(f'{checkpoint.source}: has no tokenizer to read calibration texts with')
    pipeline: Any
    if task_of(checkpoint) is None:
        pipeline = SimpleNamespace(task=None, settings={}, features=_plain_features(checkpoint))
    else:
        pipeline = checkpoint_pipeline(checkpoint)
    return features_of(pipeline, calibration_inputs(args, path, pipeline))


def _plain_features(checkpoint):
    """The sequences of texts and pairs, for a network without a task."""
    from ..data import SentenceTransform

    longest = (checkpoint.sentence and checkpoint.sentence.max_length) or checkpoint.max_tokens
    most = checkpoint.config.max_length
    transform = SentenceTransform(checkpoint.tokenizer, min(longest or most, most))
    return lambda inputs: [
        transform(item) if isinstance(item, str) else transform(*item) for item in inputs
    ]
