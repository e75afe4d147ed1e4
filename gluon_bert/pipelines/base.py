"""What all pipelines do: inputs in blocks of bounded size, batches of like lengths, order kept."""

from __future__ import annotations

import contextlib
import itertools
from abc import ABC, abstractmethod
from typing import Any, Optional

from .. import kernels
from ..data.streams import chunk_texts, prefetch
from ..inference.devices import devices_of
from ..inference.predictor import Predictor


class InputError(ValueError):
    """An input that cannot be read; ``number`` counts from 0 which, ``reason`` says why."""

    def __init__(self, number, reason):
        super().__init__(f'input {number}: {reason}')
        self.number, self.reason = number, reason


class Pipeline(ABC):
    """A network with its tokenizer that is called on texts.

    Called on one input it gives one result; on a list, a list; on any other iterable, an iterator
    that reads on as results are taken, in bounded memory. Results are in the order of the inputs.
    Within blocks of ``look_ahead`` batches, inputs are sorted by length so that batches need
    little padding; while the network computes a block, a thread makes the tokens of the next.

    Parameters
    ----------
    network : BertBlock
    tokenizer : BertTokenizer, BytePairTokenizer or SentencePieceTokenizer
    batch_size : int
        Sequences in a batch, where batches are padded; see :meth:`.Predictor.batches`.
    """

    look_ahead = 64
    """How many batches are sorted by length together; 1 to read nothing before it is needed."""

    num_cut = 0
    """How many sequences were cut so far, for being too long."""

    progress = None
    """Called, if set, with the number of inputs done since its last call."""

    _run = _predictor = None

    def __init__(self, network, tokenizer, batch_size=32):
        if type(batch_size) is not int or batch_size < 1:
            raise ValueError(f'batch_size={batch_size!r}: expected a whole number from 1')
        self.network, self.tokenizer, self.batch_size = network, tokenizer, batch_size
        devices_of(network)  # they are checked

    def __call__(self, inputs):
        """The results of one input, of a list, or of an iterable of inputs."""
        if self._is_one(inputs):
            return next(self.stream([inputs]))
        results = self.stream(inputs)
        return list(results) if isinstance(inputs, list) else results

    def stream(self, inputs):
        """The results of any number of inputs, one by one, in bounded memory.

        Parameters
        ----------
        inputs : iterable

        Yields
        ------
        NamedTuple or list
            As the call gives for one input.
        """
        with self._ready(), contextlib.closing(self._prepared(inputs)) as blocks:
            for block in blocks:
                yield from self._results(*block)

    def freeze(self, predictor=None):
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
        self._predictor = Predictor(self.network) if predictor is None else predictor
        return self

    @contextlib.contextmanager
    def _ready(self):
        """Within it ``_run`` is the network's fast form."""
        former = self._run
        with kernels.unused_in(self.network):
            self._run = self._predictor or Predictor(self.network)
            try:
                yield
            finally:
                self._run = former

    def _is_one(self, inputs):
        """Whether this is a single input: a text, or a pair of texts as a tuple."""
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

    def _blocks(self, inputs):
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
    def _prepare(self, *block):
        """Arguments of :meth:`_results` for a block; made in a thread, without MXNet."""

    @abstractmethod
    def _results(self, *prepared):
        """The results of a block, as a list."""

    @staticmethod
    def _fail(number, reason):
        """Refuse an input by its number in the block that is prepared."""
        raise InputError(number, reason)

    def _tell(self, count):
        if self.progress is not None:
            self.progress(count)


class TaskPipeline(Pipeline):
    """A pipeline of a fine-tuned network.

    Parameters
    ----------
    model : TaskModel
    batch_size : int, optional
        As for :class:`Pipeline`; by default as in the evaluations of the training, else 32.
    """

    def __init__(self, model, batch_size=None):
        self.settings = model.settings
        super().__init__(
            model.network,
            model.tokenizer,
            self.settings.get('batch_size', 32) if batch_size is None else batch_size,
        )

    def features(self, inputs):
        """The sequences that the network reads of a list of inputs.

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

    @abstractmethod
    def _features(self, *prepared):
        """The sequences in what was prepared of a block."""

    def _outputs(self, features, tell=False):
        """The network's output for each sequence: a list of arrays (K,), or (T, K)."""
        found = [None] * len(features)
        for indices, outputs in self._run.batches(features, self.batch_size):
            for index, output in zip(indices.tolist(), outputs):
                found[index] = output
            if tell:
                self._tell(len(indices))
        return found
