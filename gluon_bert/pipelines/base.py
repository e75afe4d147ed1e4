"""The base of all pipelines: blocks of bounded size, batches of like lengths, order kept."""

from __future__ import annotations

import contextlib
import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NoReturn, Optional

import numpy as np

from .._internal.counter import Counter
from .._internal.suggestions import unknown_name
from ..data.features import Features
from ..data.streams import ResultStream, chunk_texts, prefetch
from ..data.tokenizers.base import SubwordTokenizer
from ..inference.predictor import Predictor
from ..inference.trained import TrainedNetwork, gluon_network
from ..tasks.folder import TaskModel
from .steps import ComputedOutputs, PipelineCall, Prepared, Progress


class InputError(ValueError):
    """An input that cannot be read; ``number`` counts from 0 which, ``reason`` says why."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(f'input {number}: {reason}')
        self.number, self.reason = number, reason

    def __reduce__(self):
        return type(self), (self.number, self.reason)


class Pipeline(ABC):
    """A network with its tokenizer that is called on texts.

    Called on one input it returns one result; on a list, a list; on any other iterable, an iterator
    that reads on as results are taken, in bounded memory. Results are in the order of the inputs.
    Within blocks of ``look_ahead`` batches, inputs are sorted by length so that batches need
    little padding; while the network computes a block, a thread makes the tokens of the next.

    Several threads may call one pipeline at once, and streams of it may be read in turns. It can be
    copied and pickled, for another process too: weights, tokenizer and settings travel, and what
    was compiled or laid out for this process is made anew.

    Parameters
    ----------
    network : BertBlock or TrainedNetwork
        The latter runs without MXNet where there are native kernels for it.
    tokenizer : BertTokenizer, BytePairTokenizer or SentencePieceTokenizer
    batch_size : int
        Sequences in a batch, where batches are padded; see :meth:`.Predictor.batches`.
    """

    task: str

    look_ahead = 64
    """Batches that are sorted by length together; 1 to read nothing before it is needed."""

    progress: Progress = None
    """The ``progress`` of calls that are given none. Calls at the same time share it: better give
    each its own."""

    keys: tuple[str, ...] = ('text', 'pair')
    """Names of the parts of an input that is a dict."""

    predictor: Optional[Predictor] = None
    """The fast form of the network, once it is frozen."""

    def __init__(self, network: Any, tokenizer: SubwordTokenizer, batch_size: int = 32) -> None:
        if type(batch_size) is not int or batch_size < 1:
            raise ValueError(f'batch_size={batch_size!r}: expected a whole number from 1')
        self.trained, self.tokenizer, self.batch_size = network, tokenizer, batch_size
        self._num_cut = Counter()
        if not isinstance(network, TrainedNetwork):
            from ..inference.devices import devices_of

            devices_of(network)  # they are checked

    @property
    def network(self) -> Any:
        """The Gluon network; one that was loaded from files is made when first asked for."""
        return gluon_network(self.trained)

    @property
    def num_cut(self) -> int:
        """The number of sequences cut so far in all calls, for being too long."""
        return self._num_cut.value

    def __call__(self, inputs: Any, progress: Progress = None) -> Any:
        """Compute the results of one input, of a list, or of an iterable of inputs.

        Parameters
        ----------
        inputs : str, (str, str), dict, list or iterable
            A dict has the text, and its pair, by the names in ``keys``.
        progress : callable, optional
            As for :meth:`stream`.

        Returns
        -------
        NamedTuple, list or ResultStream
            One result for one input, a list for a list, else a stream.
        """
        if isinstance(inputs, dict) or self._is_one(inputs):
            return next(self.stream([inputs], progress))
        results = self.stream(inputs, progress)
        return list(results) if isinstance(inputs, list) else results

    def stream(self, inputs: Iterable, progress: Progress = None) -> ResultStream:
        """Compute the results of any number of inputs, one by one, in bounded memory.

        Parameters
        ----------
        inputs : iterable
        progress : callable, optional
            ``progress(count)`` is called with the number of inputs done since its last call.

        Returns
        -------
        ResultStream
            An iterator of results, each as the call returns for one input. Its ``num_cut`` is how
            many of these inputs were cut so far, for being too long.
        """
        if isinstance(inputs, (str, bytes, dict)) or not isinstance(inputs, Iterable):
            raise TypeError(
                f'expected texts in a list or another iterable, got {type(inputs).__name__}'
            )
        inputs = (self._as_input(item, number) for number, item in enumerate(inputs))
        call = self._new_call(progress)
        return ResultStream(self._computed(inputs, call), call)

    def prepare(self, inputs: list) -> Prepared:
        """Make the sequences of inputs, for those who batch sequences themselves.

        Parameters
        ----------
        inputs : list
            As the pipeline is called on.

        Returns
        -------
        Prepared
            For :meth:`outputs` and :meth:`results`.
        """
        items = [self._as_input(item, number) for number, item in enumerate(inputs)]
        blocks = [self._prepare_from(*block) for block in self._numbered(items)]
        return Prepared.join(blocks, [self._sequences(*block) for block in blocks])

    def results(self, prepared: Prepared, outputs: Sequence[Any]) -> list:
        """Make the results of inputs from the network's outputs for their sequences.

        Parameters
        ----------
        prepared : Prepared
            Of :meth:`prepare`.
        outputs : sequence
            Of :meth:`outputs`, one for each of its sequences.

        Returns
        -------
        list
            As the pipeline returns for a list.
        """
        call = PipelineCall(lambda: ComputedOutputs(prepared.features, outputs))
        return [row for block in prepared.blocks for row in self._results(call, *block)]

    def freeze(self, predictor: Optional[Predictor] = None) -> Pipeline:
        """Make the network's fast form once: its parameters will not change any more.

        Until then it is made for each call, as for a network in training.

        Parameters
        ----------
        predictor : Predictor, optional
            Its fast form where it is made already, such as one in a lower precision.

        Returns
        -------
        Pipeline
            This one.
        """
        self.predictor = Predictor(self.trained) if predictor is None else predictor
        return self

    def __getstate__(self):
        # A progress bar belongs to this process.
        return {name: value for name, value in vars(self).items() if name != 'progress'}

    def _new_call(self, progress):
        return PipelineCall(
            lambda: self.predictor or Predictor(self.trained),
            self.progress if progress is None else progress,
        )

    def _computed(self, inputs, call, results=None):
        with contextlib.closing(self._prepared(inputs)) as blocks:
            for block in blocks:
                yield from (results or self._results)(call, *block)

    def _count_cut(self, call, count):
        call.num_cut += count
        self._num_cut.add(count)

    def _as_input(self, item, number):
        """An input, that of a dict as a text or a tuple."""
        if not isinstance(item, dict):
            return item
        wrong = next((key for key in item if key not in self.keys), None)
        if wrong is not None:
            raise InputError(number, str(unknown_name('key', wrong, self.keys)))
        parts = tuple(item[key] for key in self.keys if item.get(key) is not None)
        if self.keys[0] not in item or not parts:
            raise InputError(number, f'has no {self.keys[0]!r}')
        return parts[0] if len(parts) == 1 else parts

    def _is_one(self, inputs):
        """Tell a single input: a text, or a pair of texts as a tuple."""
        return isinstance(inputs, str) or (
            isinstance(inputs, tuple)
            and len(inputs) == 2
            and all(isinstance(text, str) for text in inputs)
        )

    def _prepared(self, inputs):
        """Arguments of :meth:`_results`, block by block."""
        prepare = prefetch if self.look_ahead > 1 else itertools.starmap
        yield from prepare(self._prepare_from, self._numbered(inputs))

    def _numbered(self, inputs):
        begin = 0
        for block in self._blocks(inputs):
            yield begin, block
            begin += len(block[0])

    def _prepare_from(self, begin, block):
        try:
            return self._prepare(*block)
        except InputError as error:
            raise InputError(begin + error.number, error.reason) from None

    def _blocks(self, inputs: Iterable) -> Iterator[tuple]:
        """Arguments of :meth:`_prepare`."""
        return chunk_texts(inputs, self.batch_size * self.look_ahead)

    def as_json(
        self, result: Any, top_k: Optional[int] = None, words: Optional[list] = None
    ) -> dict[str, Any]:
        """Write a result as an object for JSON.

        Parameters
        ----------
        result : NamedTuple or list
            Of this pipeline.
        top_k : int, optional
            Classes or candidates at most; by default all classes, and no candidates.
        words : list of str, optional
            That the entities are of; they get tags.

        Returns
        -------
        dict
        """
        return result._asdict()

    @abstractmethod
    def outputs(
        self, features: Sequence[Features], positions: Optional[Sequence[Sequence[int]]] = None
    ) -> list[np.ndarray]:
        """Compute the network's output for each sequence, whichever inputs they are of.

        Parameters
        ----------
        features : sequence of Features
        positions : sequence of sequence of int, optional
            Where words are masked, for a network that reads it.

        Returns
        -------
        list of numpy.ndarray
        """

    @abstractmethod
    def _sequences(self, *prepared):
        """The sequences in what was prepared of a block, positions or None, how many were cut."""

    @abstractmethod
    def _prepare(self, *block):
        """Arguments of :meth:`_results` for a block; made in a thread, without MXNet."""

    @abstractmethod
    def _results(self, call, *prepared):
        """The results of a block, as a list."""

    @staticmethod
    def _fail(number: int, reason: str) -> NoReturn:
        """Refuse an input by its number in the block that is prepared."""
        raise InputError(number, reason)


class TaskPipeline(Pipeline):
    """A pipeline of a fine-tuned network.

    Parameters
    ----------
    model : TaskModel
    batch_size : int, optional
        As for :class:`Pipeline`; by default as in the evaluations of the training, else 32.
    """

    def __init__(self, model: TaskModel, batch_size: Optional[int] = None) -> None:
        self.settings = model.settings
        super().__init__(
            model.network,
            model.tokenizer,
            self.settings.get('batch_size', 32) if batch_size is None else batch_size,
        )

    def features(self, inputs: list) -> list[Features]:
        """Make the sequences that the network reads of a list of inputs.

        Parameters
        ----------
        inputs : list
            As the pipeline is called on.

        Returns
        -------
        list of Features
            In order; several of an input that is read in windows.
        """
        with contextlib.closing(self._prepared(inputs)) as blocks:
            return [feature for block in blocks for feature in self._features(*block)]

    def outputs(
        self, features: Sequence[Features], positions: Optional[Sequence[Sequence[int]]] = None
    ) -> list[np.ndarray]:
        return self._outputs(self._new_call(None), features)

    def _sequences(self, *prepared):
        return self._features(*prepared), None, 0

    @abstractmethod
    def _features(self, *prepared):
        """The sequences in what was prepared of a block."""

    def _outputs(
        self, call: PipelineCall, features: Sequence[Features], advance: bool = False
    ) -> list[np.ndarray]:
        """The network's output for each sequence: a list of arrays (K,), or (T, K)."""
        rows: list = [None] * len(features)
        for indices, outputs in call.predictor.batches(features, self.batch_size):
            for index, output in zip(indices.tolist(), outputs):
                rows[index] = output
            if advance:
                call.advance(len(indices))
        return rows
