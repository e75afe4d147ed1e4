"""Long texts in windows: settings, and training data in which a text counts once."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from .._internal.errors import ArgumentError
from .._internal.progress import progress_bar
from ..data.weighted import WeightedData
from ..data.windows import NoRoomError, WindowTransform

logger = logging.getLogger(__name__)


def window_settings(job: Any) -> dict[str, Any]:
    """Collect the settings of windows: those of the data options, or of saved parameters.

    Parameters
    ----------
    job : TextJob
        Its ``max_len`` is known.

    Returns
    -------
    dict
        Empty if longer texts are cut.

    Raises
    ------
    ArgumentError
        If windows would not overlap, or options do not go together.
    """
    saved = {} if job.saved is None else job.saved.settings
    windows = getattr(job.data, 'windows', None) or saved.get('windows')
    stride, given = getattr(job.data, 'window_stride', None), saved.get('window_stride')
    if windows is None:
        if stride is not None:
            raise ArgumentError('window_stride', 'goes with {windows}', stride)
        return {}
    if job.teacher is not None:
        raise ArgumentError('windows', 'is not for a student of a teacher', windows)
    room = job.data.max_len - 2
    stride = stride or given or max(1, room // 2)
    if not 1 <= stride < room:
        raise ArgumentError(
            'window_stride',
            f'expected 1 to {room - 1}, less than the {room} tokens of a window',
            stride,
        )
    return {'windows': windows, 'window_stride': stride}


def window_data(job: Any, model: Any, seed: int, ctx: Any) -> WeightedData:
    """Make training data of the windows of texts, each with the label of its text.

    Parameters
    ----------
    job : TextJob
    model : TaskModel
    seed : int
    ctx : mxnet.Context or list of them

    Returns
    -------
    WeightedData
        The weights of the windows of a text sum to 1.
    """
    split = job.splits['train']
    features, counts = make_windows(job, model, 'train')
    num_long = int((counts > 1).sum())
    logger.info(
        'train: %d of %d texts are longer than %d tokens: %d windows',
        num_long,
        len(counts),
        model.settings['max_len'],
        len(features),
    )
    labels = np.repeat(job.label_array(split), counts, axis=0)
    data = job.sequence_data(model, features, labels, seed, ctx)
    return WeightedData(data, np.repeat(1 / counts, counts))


def make_windows(job: Any, model: Any, name: str) -> tuple[list, np.ndarray]:
    """Make the windows of a split, and count those of each text.

    Raises
    ------
    ValueError
        If the first text of a pair leaves no room for the second; the message has its row.
    """
    split, settings = job.splits[name], model.settings
    examples = split.examples
    transform = WindowTransform(model.tokenizer, settings['max_len'], settings['window_stride'])
    pairs = [example.pair for example in examples] if settings['pair'] else None
    try:
        with progress_bar(f'{name}: tokens', len(examples)) as bar:
            return transform.windows([one.text for one in examples], pairs, progress=bar.update)
    except NoRoomError as error:
        row = examples[error.number].index
        raise ValueError(f'{split.path}: row {row}: {error.reason}') from None


def check_splits(job: Any, pipeline: Any) -> None:
    """See before training that the pairs of all splits have room in their windows."""
    settings = pipeline.settings
    if settings.get('windows') and settings.get('pair'):
        for name in job.splits:
            make_windows(job, pipeline, name)
