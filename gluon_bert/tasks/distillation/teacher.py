"""The teacher of a distillation: a fine-tuned network, or an encoder."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
from mxnet import nd

from ..._internal.errors import ArgumentError
from ..._internal.files import portable_path
from ...checkpoint import Checkpoint
from ...checkpoint.sentence import Normalize
from ...data.features import Features, pad_batch
from ...inference.predictor import Predictor
from ...inference.trained import TrainedNetwork
from ...training.distillation_objective import LayerPairs
from ...training.identity import digest_of_arrays
from ...zoo import open_checkpoint
from ..checkpoint import checkpoint_task, task_of
from ..folder import TaskModel, has_task, load_task
from ..registry import TASKS, TaskSpec, get_spec

_BATCH = 32  # sequences that are computed at once


class Teacher:
    """A trained network whose outputs a student learns.

    Parameters
    ----------
    source : str
        Its name, for messages and the model card.
    model : TaskModel
        With a :class:`.TrainedNetwork`.
    """

    def __init__(self, source: str, model: TaskModel) -> None:
        self.source, self.model = source, model

    @property
    def spec(self) -> TaskSpec:
        """The row of its task."""
        return self.model.spec

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of its task."""
        return self.model.settings

    @property
    def checkpoint(self) -> Checkpoint:
        """Its arrays and what belongs to them."""
        return self.model.network.checkpoint

    @property
    def config(self) -> Any:
        """Its BertConfig."""
        return self.model.network.config

    @property
    def width(self) -> int:
        """The number of scores of a text or token, or of units of a vector."""
        pooling = self.settings.get('pooling', ())
        return self.spec.size(self.settings) or self.config.units * len(pooling)

    @functools.cached_property
    def digest(self) -> str:
        """A digest of its configuration and parameters."""
        arrays = self.model.network.checkpoint_arrays()
        return digest_of_arrays(
            [
                np.frombuffer(repr((self.model.task, self.config.to_dict())).encode(), 'uint8'),
                *(arrays[name] for name in sorted(arrays)),
            ]
        )

    def check_lengths(self, features: Sequence[Features]) -> None:
        """Raise ValueError if a sequence is longer than it takes."""
        longest = max(feature.valid_length for feature in features)
        if longest > self.config.max_length:
            raise ArgumentError(
                'max_len', f'the teacher takes at most {self.config.max_length} tokens', longest
            )

    @functools.cached_property
    def _predictor(self) -> Predictor:
        return Predictor(self.model.network)

    def scores(self, features: Sequence[Features]) -> Iterator[tuple[np.ndarray, Any]]:
        """Compute the scores of sequences, batch by batch.

        Yields
        ------
        indices : numpy.ndarray of int
        rows : sequence of numpy.ndarray
            For each of them (K,), or (T, K) with scores of tokens.
        """
        features = self._readable(features)
        pooling = self.settings.get('pooling') if not self.spec.head.checkpoint else None
        if pooling is None:
            yield from self._predictor.batches(features, _BATCH)
            return
        for indices, vectors in self._predictor.batches(features, _BATCH, '+'.join(pooling)):
            yield indices, Normalize()(vectors) if self.settings['normalize'] else vectors

    def states(
        self, features: Sequence[Features], layers: LayerPairs
    ) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
        """Compute what its layers give, batch by batch, by MXNet's operators.

        Yields
        ------
        indices : numpy.ndarray of int
        rows : list of numpy.ndarray, shape (T, W)
            As the states of a :class:`.Lesson`.
        """
        bert = getattr(self.model.network.gluon, 'bert', self.model.network.gluon)
        features = self._readable(features)
        order = np.argsort([feature.valid_length for feature in features], kind='stable')
        for begin in range(0, len(order), _BATCH):
            indices = order[begin : begin + _BATCH]
            batch = [features[number] for number in indices]
            tap = layers.teacher_tap(bert)
            with bert.lock:
                tap(*(nd.array(array, dtype='float32') for array in pad_batch(batch, 0)))
                parts = [tap.hidden[layer] for _, layer in layers.hidden] + tap.query_key_value
                states = nd.concat(*parts, dim=2).asnumpy()
            yield indices, [row[: one.valid_length] for row, one in zip(states, batch)]

    def _readable(self, features):
        """The sequences without the token types that it does not have."""
        if self.config.num_token_types > 1:
            return features
        return [one._replace(token_types=np.zeros_like(one.token_types)) for one in features]


def open_teacher(
    source: Union[str, Path], task: Optional[str] = None, root: Optional[Union[str, Path]] = None
) -> Teacher:
    """Open a teacher.

    Parameters
    ----------
    source : str or Path
        A fine-tuned folder or checkpoint; for 'sentence-similarity' any checkpoint or a model of
        the zoo.
    task : str, optional
        For which it must have been trained; by default what it was trained for.
    root : str or Path, optional
        Folder of the zoo's cache.

    Returns
    -------
    Teacher

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such network, or it is not of the task.
    """
    name = portable_path(source)
    wanted = None if task is None else get_spec(task)
    if has_task(source):
        model = load_task(source, gluon=False)
    else:
        checkpoint = open_checkpoint(source, root)
        is_encoder = task_of(checkpoint) is None or (
            wanted is not None and not wanted.head.checkpoint
        )
        open_model = _encoder if is_encoder else functools.partial(checkpoint_task, gluon=False)
        model = open_model(checkpoint)
    if wanted is not None and wanted.name != model.task:
        was = (
            f'was trained for {model.task}'
            if model.spec.head.checkpoint
            else 'has no head of a task'
        )
        raise ArgumentError('teacher', f'{was}, not for {wanted.name}', name)
    if not model.spec.soft_loss:
        raise ArgumentError('teacher', f'was trained for {model.task}, which has no students', name)
    if model.settings.get('crf'):
        raise ArgumentError('teacher', 'has a CRF, and so no scores of single tokens', name)
    return Teacher(name, model)


def _encoder(checkpoint):
    """The model of an encoder: its vectors are pooled as a sentence model says, else the mean."""
    if checkpoint.tokenizer is None:
        raise ValueError(f'{checkpoint.source}: has no vocabulary beside it')
    sentence = checkpoint.sentence
    settings: dict[str, Any] = {'pooling': ['mean'], 'normalize': True}
    limit = checkpoint.max_tokens
    if sentence is not None:
        for module in sentence.modules:
            if not isinstance(module, Normalize):
                raise ValueError(
                    f'{checkpoint.source}: has the module {type(module).__name__} after its '
                    f'pooling, which a student has not'
                )
        settings = {'pooling': [*sentence.modes], 'normalize': bool(sentence.modules)}
        limit = sentence.max_length or limit
    longest = checkpoint.config.max_length
    settings['max_len'] = min(limit or 128, longest)
    spec = next(spec for spec in TASKS.values() if not spec.head.checkpoint)
    network = TrainedNetwork(checkpoint, 'encoder')
    return TaskModel(spec.name, network, checkpoint.tokenizer, settings)
