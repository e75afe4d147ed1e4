"""Stages of work on files of inputs: predictions, vectors of texts, features of tokens.

A stage is a function from a part of a file to a file of results. It holds its network, and can be
pickled: the arrays travel with it.
"""

from __future__ import annotations

import json
import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Optional

from .._internal.types import PathLike
from ..data import SentenceTransform
from ..data.classification.lines import read_lines
from ..data.classification.parts import cut_file
from ..data.streams import chunk_texts
from ..inference.checks import bert_of, checked_length, layer_number
from ..inference.digest import (
    describe_precision,
    digest_of_json,
    digest_of_network,
    digest_of_tokenizer,
)
from ..inference.predictor import Predictor
from ..inference.sentence_encoder import SentenceEncoder
from ..inference.sentence_options import open_source
from ..inference.vector_files import ARRAYS, join_vectors, write_vectors
from ..inference.vector_files import FORMS as VECTOR_FORMS
from ..pipelines.base import Pipeline
from ..pipelines.inputs import InputSource, cut_source, predict_items, read_items
from ..pipelines.result_files import FORMS as RESULT_FORMS
from ..pipelines.result_files import json_line

_LOOK_AHEAD = 4  # batches of features; all tokens' vectors of as many are held


class Stage(ABC):
    """A function from a part of a file of inputs to a file of results."""

    name: str
    forms: tuple[str, ...]
    """Endings of the files that it can write, the default first."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Describe all that the results depend on but the inputs, as a JSON object."""

    def cut(self, path: Path, size: int) -> Sequence[Any]:
        """Cut a file into parts of about ``size`` bytes, each a FilePart; or return its path."""
        return cut_file(path, size)

    def shard_form(self, form: str) -> str:
        """Return the form of the files that are joined to one in a form."""
        return form

    @abstractmethod
    def write(self, part: Any, target: PathLike, form: str) -> tuple[int, int]:
        """Write the results of a part of a file: their number, and that of inputs that were cut."""

    def join(self, paths: Sequence[PathLike], target: PathLike, form: str) -> None:
        """Join files of results in their order."""
        with open(target, 'wb') as file:
            for path in paths:
                with open(path, 'rb') as part:
                    shutil.copyfileobj(part, file)


class PredictStage(Stage):
    """The results of a pipeline, an object for each input, as ``gluon-bert predict`` writes them.

    Parameters
    ----------
    pipeline : Pipeline
    top_k : int, optional
        As for :meth:`.Pipeline.as_json`.
    format, text_column, pair_column : str, optional
        Of the inputs, as for :class:`.InputSource`.
    """

    name, forms = 'predict', tuple(form[1:] for form in RESULT_FORMS if form)

    def __init__(
        self,
        pipeline: Pipeline,
        top_k: Optional[int] = None,
        format: Optional[str] = None,
        text_column: Optional[str] = None,
        pair_column: Optional[str] = None,
    ) -> None:
        self.pipeline = pipeline if pipeline.predictor is not None else pipeline.freeze()
        self.top_k, self._source = top_k, InputSource((), None, format, text_column, pair_column)

    def describe(self) -> dict[str, Any]:
        pipeline: Any = self.pipeline
        return {
            'task': pipeline.task,
            'model': digest_of_network(pipeline.trained),
            'tokenizer': digest_of_tokenizer(pipeline.tokenizer),
            'settings': digest_of_json(getattr(pipeline, 'settings', {})),
            'precision': describe_precision(pipeline.predictor),
            'top_k': [self.top_k, getattr(pipeline, 'top_k', None)],
            **{name: getattr(self._source, name) for name in InputSource._fields[2:]},
        }

    def cut(self, path: Path, size: int) -> Sequence[Any]:
        return cut_source(self._source._replace(input=path), self.pipeline, size)

    def shard_form(self, form: str) -> str:
        return 'jsonl'

    def write(self, part: Any, target: PathLike, form: str) -> tuple[int, int]:
        items = read_items(self._source._replace(input=part), self.pipeline)
        with open(target, 'w', encoding='utf-8', newline='') as file:
            return predict_items(
                items, self.pipeline, lambda row: file.write(json_line(row)), self.top_k
            )

    def join(self, paths: Sequence[PathLike], target: PathLike, form: str) -> None:
        if form in ('jsonl', 'ndjson'):
            super().join(paths, target, form)
            return
        with (
            open(target, 'w', encoding='utf-8', newline='') as file,
            RESULT_FORMS[f'.{form}'](file) as write,
        ):
            for path in paths:
                with open(path, encoding='utf-8') as lines:
                    for line in lines:
                        write(json.loads(line))


class EmbedStage(Stage):
    """The vectors of lines of text, as ``gluon-bert embed`` writes them.

    Parameters
    ----------
    encoder : SentenceEncoder
    prompt_name : str, optional
        As for :meth:`.SentenceEncoder.encode`.
    """

    name, forms = 'embed', VECTOR_FORMS

    def __init__(self, encoder: SentenceEncoder, prompt_name: Optional[str] = None) -> None:
        self.encoder, self._prompt_name = encoder, prompt_name
        encoder.steps.prompt(name=prompt_name)  # is checked

    def describe(self) -> dict[str, Any]:
        steps = self.encoder.steps
        return {
            'model': digest_of_network(steps.predictor.trained),
            'tokenizer': digest_of_tokenizer(steps.tokenizer),
            'precision': describe_precision(steps.predictor),
            'num_layers': steps.predictor.num_layers,
            'pooling': steps.pooling.modes,
            'normalize': steps.normalize,
            'modules': [type(module).__name__ for module in steps.settings.modules],
            'max_length': steps.max_length,
            'long': steps.long,
            'prompt_name': self._prompt_name,
        }

    def shard_form(self, form: str) -> str:
        return 'npy' if form in ARRAYS else form

    def write(self, part: Any, target: PathLike, form: str) -> tuple[int, int]:
        texts: list[str] = []  # that have no vector yet

        def read():
            for _, line in read_lines(part):
                texts.append(line)
                yield line

        stream = self.encoder.encode_stream(read(), prompt_name=self._prompt_name)

        def blocks():
            for vectors in stream:
                yield texts[: len(vectors)], vectors
                del texts[: len(vectors)]

        return write_vectors(target, form, blocks(), self.encoder.units), stream.num_cut

    def join(self, paths: Sequence[PathLike], target: PathLike, form: str) -> None:
        join_vectors(paths, target, form)


class FeatureStage(Stage):
    """The encodings of each token in chosen layers, as Google's ``extract_features`` writes them.

    A line is a text, or two with ' ||| ' between them. Each layer has a copy of the weights up to
    it.

    Parameters
    ----------
    model, tokenizer
        As for :class:`.SentenceEncoder`.
    layers : sequence of int
        0 is the first layer after the embeddings, -1 the last.
    max_length : int
        The longest sequence in tokens, special tokens included; longer texts are cut.
    batch_size : int
        Sequences in a batch, where batches are padded.
    """

    name, forms = 'features', ('jsonl',)

    def __init__(
        self,
        model: Any,
        tokenizer: Any = None,
        layers: Sequence[int] = (-1, -2, -3, -4),
        max_length: int = 128,
        batch_size: int = 32,
    ) -> None:
        network, tokenizer = open_source(model, tokenizer)
        bert = bert_of(network, tokenizer)
        if not len(layers):
            raise ValueError('layers must name one layer or more, got none')
        self._layers, self._batch_size = [*layers], batch_size
        # Each stops after its layer; the native kernels give no others.
        self._predictors = [
            Predictor(bert, num_layers=layer_number(bert, layer) + 1) for layer in layers
        ]
        self._tokenizer = tokenizer
        self._transform = SentenceTransform(tokenizer, checked_length(bert, max_length))

    def describe(self) -> dict[str, Any]:
        return {
            'model': digest_of_network(self._predictors[0].trained),
            'tokenizer': digest_of_tokenizer(self._tokenizer),
            'layers': self._layers,
            'max_length': self._transform.max_length,
        }

    def write(self, part: Any, target: PathLike, form: str) -> tuple[int, int]:
        index, num_cut = part.first_line - 1, 0
        lines = (_text_or_pair(line.strip()) for _, line in read_lines(part))
        with open(target, 'w', encoding='utf-8', newline='') as file:
            for block, pairs in chunk_texts(lines, self._batch_size * _LOOK_AHEAD):
                features, count = self._transform.transform_batch(block, pairs)
                num_cut += count
                for row in self._rows(features):
                    file.write(json.dumps({'linex_index': index, 'features': row}) + '\n')
                    index += 1
        return index - part.first_line + 1, num_cut

    def _rows(self, features) -> Iterator[list[dict]]:
        layers = [list(each.stream(features, self._batch_size)) for each in self._predictors]
        for feature, *values in zip(features, *layers):
            rounded = [array.astype('float64').round(6).tolist() for array in values]
            tokens = self._tokenizer.convert_ids_to_tokens(feature.inputs)
            yield [
                {
                    'token': token,
                    'layers': [
                        {'index': layer, 'values': rows[number]}
                        for layer, rows in zip(self._layers, rounded)
                    ],
                }
                for number, token in enumerate(tokens)
            ]


def _text_or_pair(line):
    pair = re.match(r'(.*) \|\|\| (.*)$', line, re.S)
    return line if pair is None else pair.groups()
