"""Served models: opened, measured, found by name."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Optional

import numpy as np

from .._internal.suggestions import unknown_name
from ..data.features import Features
from ..inference.pooling import Pooling
from ..inference.precision_file import resolve_precision
from ..inference.predictor import Predictor
from ..inference.sentence_encoder import SentenceEncoder
from ..inference.sentence_options import source_of
from ..inference.trained import TrainedNetwork
from ..pipelines import PRETRAINED, Pipeline, SparsePipeline, checkpoint_pipeline, load_pipeline
from ..tasks.checkpoint import task_of
from ..tasks.folder import has_task
from ..tasks.registry import TASKS as SPECS
from ..zoo.opening import open_checkpoint

EMBEDDING = 'feature-extraction'
SPARSE = SparsePipeline.task
TASKS = (EMBEDDING, *PRETRAINED)
_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]{0,99}')
_WARM_UP = 512  # tokens by which the speed is measured


class PoolRun(NamedTuple):
    """Run a sentence encoder: a pooled row for each sequence."""

    encoder: SentenceEncoder
    pooling: Pooling

    def __call__(self, features: list[Features], positions: Optional[list]) -> Any:
        """Compute the rows."""
        return self.encoder.steps.pool(features, self.pooling)


class TokenRun(NamedTuple):
    """Run a sentence encoder: the encodings of all tokens of each sequence."""

    encoder: SentenceEncoder

    def __call__(self, features: list[Features], positions: Optional[list]) -> Sequence[Any]:
        """Compute the encodings, (T, C) each."""
        outputs: list = [None] * len(features)
        for indices, rows in self.encoder.steps.predictor.batches(features):
            for index, row in zip(indices, getattr(rows, 'sequence', rows)):
                outputs[index] = row
        return outputs


class PipelineRun(NamedTuple):
    """Run the network of a pipeline: its output for each sequence."""

    pipeline: Pipeline

    def __call__(self, features: list[Features], positions: Optional[list]) -> Sequence[Any]:
        """Compute the outputs."""
        return self.pipeline.outputs(features, positions)


@dataclass(frozen=True)
class Source:
    """A model to serve.

    Parameters
    ----------
    name : str
        By which requests choose it.
    path : str
        A folder, a file, 'hf://owner/name' or a model of the zoo.
    task : str, optional
        One of ``TASKS``; by default what the model was trained for. A fine-tuned model keeps its
        own, but for its vectors.
    precision : str, optional
        As for :func:`.load_pipeline`.
    """

    name: str
    path: str
    task: Optional[str] = None
    precision: Optional[str] = None


def read_source(word: str, task: Optional[str] = None, precision: Optional[str] = None) -> Source:
    """Read a model's name and path from a word, as the command line has them.

    Parameters
    ----------
    word : str
        NAME=MODEL, or MODEL, whose name is then the last part of its path.
    task, precision : str, optional
        As in :class:`Source`.

    Returns
    -------
    Source

    Raises
    ------
    ValueError
        If the name has other characters than it may.
    """
    name, equals, path = word.partition('=')
    if not equals or not _NAME.fullmatch(name):
        path = word
        name = re.split(r'[/\\]', str(Path(word)))[-1].partition('@')[0]
    if not _NAME.fullmatch(name):
        raise ValueError(f'{word}: write NAME=MODEL, with a name of letters, digits, . _ -')
    return Source(name, path, task, precision)


class ServedModel:
    """A model with its name and what it can do.

    Parameters
    ----------
    source : Source
    encoder : SentenceEncoder, optional
    pipeline : Pipeline, optional
        One of the two.
    """

    def __init__(
        self,
        source: Source,
        encoder: Optional[SentenceEncoder] = None,
        pipeline: Optional[Pipeline] = None,
    ) -> None:
        self.source, self.name = source, source.name
        self.encoder: Any = encoder
        self.pipeline: Any = pipeline
        self.created = int(time.time())
        self.tokens_per_second = 0.0
        """As measured by :meth:`warm_up`."""
        self.task: str = EMBEDDING
        reader: Any = pipeline
        if encoder is not None:
            reader, self.config = encoder.steps, encoder.steps.predictor.config
        else:
            self.task, self.config = reader.task, reader.trained.config
        self.tokenizer: Any = reader.tokenizer

    @property
    def max_length(self) -> int:
        """The longest sequence in tokens, special tokens included."""
        if self.encoder is not None:
            return self.encoder.max_length
        settings = getattr(self.pipeline, 'settings', {})
        names = (name for name in ('max_len', 'max_seq_length') if name in settings)
        return settings.get(next(names, ''), self.config.max_length)

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings of a fine-tuned network."""
        return getattr(self.pipeline, 'settings', {})

    @property
    def reads_pairs(self) -> bool:
        """True if each of its inputs is two texts."""
        return self.settings.get('pair') is True or self.task == 'next-sentence'

    @property
    def reads_choices(self) -> bool:
        """True if each of its inputs is a text with choices."""
        return self.task in SPECS and SPECS[self.task].takes_choices

    def warm_up(self) -> None:
        """Compute something, so that the first request is as fast as others; measure the speed."""
        length = max(3, min(128, self.max_length))
        size = max(1, _WARM_UP // length)
        vocabulary = self.tokenizer.vocabulary
        roles = 'cls_token', 'unknown_token', 'sep_token'
        begin, middle, end = vocabulary[[getattr(vocabulary, role) for role in roles]]
        ids = np.array([begin, *[middle] * (length - 2), end], 'int32')
        features = [Features(ids, np.zeros_like(ids), length)] * size
        positions = [[1] if self.task == 'fill-mask' else []] * size if self.is_pretrained else None
        run: Any = PipelineRun(self.pipeline)
        if self.encoder is not None:
            run = PoolRun(self.encoder, self.encoder.steps.prepare(['']).pooling)
        run(features[:1], positions and positions[:1])
        begun = time.perf_counter()
        run(features, positions)
        self.tokens_per_second = length * size / max(1e-6, time.perf_counter() - begun)

    @property
    def is_pretrained(self) -> bool:
        """True if its pipeline is one of pre-training."""
        return self.task in PRETRAINED


def open_model(source: Source) -> ServedModel:
    """Open a model: a sentence encoder, or the pipeline of what it was fine-tuned for.

    Parameters
    ----------
    source : Source

    Returns
    -------
    ServedModel

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such model, it is damaged, or not for the task.
    """
    path = Path(source.path)
    if path.exists() and has_task(path):
        return _warm(ServedModel(source, pipeline=load_pipeline(path, precision=source.precision)))
    checkpoint = open_checkpoint(source_of(source.path))
    is_plain = task_of(checkpoint) is None and not any(
        pipeline.head in checkpoint.heads for pipeline in PRETRAINED.values()
    )
    is_sentence_model = source.task is None and checkpoint.sentence is not None
    if source.task == EMBEDDING or is_plain or is_sentence_model:
        if checkpoint.tokenizer is None:
            raise ValueError(f'{source.path}: has no tokenizer files')
        folder = path if path.is_dir() else None
        precision = resolve_precision(source.precision, folder, checkpoint.config)
        network = TrainedNetwork(checkpoint, 'encoder')
        predictor: Any = Predictor(network, precision=precision)
        return _warm(ServedModel(source, SentenceEncoder(predictor, checkpoint.tokenizer)))
    task = source.task if task_of(checkpoint) is None else None
    pipeline = checkpoint_pipeline(checkpoint, task=task, precision=source.precision)
    return _warm(ServedModel(source, pipeline=pipeline))


def _warm(model):
    model.warm_up()
    return model


class Models:
    """The models of a server by name; a request keeps the one that it began with.

    Parameters
    ----------
    models : sequence of ServedModel
        One or more, of different names.
    """

    def __init__(self, models: Sequence[ServedModel]) -> None:
        self._models = {model.name: model for model in models}

    def __iter__(self) -> Iterator[ServedModel]:
        return iter(list(self._models.values()))

    def __contains__(self, name: str) -> bool:
        return name in self._models

    def __getitem__(self, name: str) -> ServedModel:
        if name not in self._models:
            raise unknown_name('model', name[:80], self._models)
        return self._models[name]

    def replace(self, model: ServedModel) -> None:
        """Put a model in the place of the one with its name."""
        self._models[model.name] = model


def check_names(sources: Sequence[Source]) -> None:
    """Raise ValueError if two models have one name."""
    names = [source.name for source in sources]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f'{twice}: is the name of two models; write NAME=MODEL to name one')


def open_models(sources: Sequence[Source]) -> Models:
    """Open the models of a server.

    Parameters
    ----------
    sources : sequence of Source
        Of different names.

    Returns
    -------
    Models

    Raises
    ------
    ValueError
        If two have one name, or none is for the task that is asked for; or as :func:`open_model`.
    """
    check_names(sources)
    models = [open_model(source) for source in sources]
    for task in {source.task for source in sources} - {None, *(model.task for model in models)}:
        raise ValueError(f'task={task!r}: none of the models is for it')
    return Models(models)
