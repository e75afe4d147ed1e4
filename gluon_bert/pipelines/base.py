"""What all pipelines do: inputs in blocks of bounded size, batches of like lengths, order kept."""
from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod

import numpy as np
from mxnet import nd

from .. import kernels
from ..data import pad_batch, sequential_batches
from ..devices import devices_of, run_batches
from ..inference import Predictor
from ..text_batches import blocks_of


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
    little padding.

    Parameters
    ----------
    network : BertBlock
    tokenizer : BertTokenizer, BytePairTokenizer or SentencePieceTokenizer
    batch_size : int
        Sequences computed at once.
    """

    look_ahead = 64
    """How many batches are sorted by length together."""

    num_cut = 0
    """How many sequences were cut so far, for being too long."""

    progress = None
    """Called, if set, with the number of inputs done since its last call."""

    _num_done = 0
    _run = _predictor = None

    def __init__(self, network, tokenizer, batch_size=32):
        if type(batch_size) is not int or batch_size < 1:
            raise ValueError(f'batch_size={batch_size!r}: expected a whole number from 1')
        self.network, self.tokenizer, self.batch_size = network, tokenizer, batch_size
        self._pad_id = tokenizer.vocab[tokenizer.vocab.padding_token]
        self._ctx = devices_of(network)[0]

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
        self._num_done = 0
        with self._ready():
            for block in self._blocks(inputs):
                results = self._results(*block)
                yield from results
                self._num_done += len(results)

    def freeze(self):
        """Make the network's fast form once: its parameters will not change any more.

        Until then it is made for each call, as for a network in training.

        Returns
        -------
        Pipeline
            This one.
        """
        self._predictor = Predictor(self.network)
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
        return isinstance(inputs, str) or (isinstance(inputs, tuple) and len(inputs) == 2
                                           and all(isinstance(text, str) for text in inputs))

    def _blocks(self, inputs):
        """Arguments of :meth:`_results`."""
        return blocks_of(inputs, self.batch_size * self.look_ahead)

    @abstractmethod
    def _results(self, *block):
        """The results of a block, as a list."""

    def _fail(self, number, reason):
        """Refuse an input by its number in the block."""
        raise InputError(self._num_done + number, reason)

    def _tell(self, count):
        if self.progress is not None:
            self.progress(count)

    def _batches(self, features):
        """The indices of each batch of sequences of like lengths."""
        return sequential_batches([feature.valid_length for feature in features], self.batch_size)

    def _arrays(self, features, indices):
        """The inputs of a batch: NDArrays (N, T), (N, T), (N,)."""
        arrays = pad_batch([features[i] for i in indices], self._pad_id)
        return [nd.array(array, dtype='float32', ctx=self._ctx) for array in arrays]


class TaskPipeline(Pipeline):
    """A pipeline of a fine-tuned network.

    Parameters
    ----------
    model : TaskModel
    batch_size : int, optional
        Sequences computed at once; by default as in the evaluations of the training, else 32.
    """

    def __init__(self, model, batch_size=None):
        self.settings = model.settings
        super().__init__(model.network, model.tokenizer, self.settings.get('batch_size', 32)
                         if batch_size is None else batch_size)

    def _scores_of(self, features):
        """The network's output for each sequence, in no order: number, array (K,) or (T, K)."""
        batches = self._batches(features)
        results = run_batches(self._run, (self._arrays(features, indices)
                                          for indices in batches))
        for indices, (outputs, _) in zip(batches, results):
            yield from zip(indices, outputs)

    def _token_scores(self, features):
        """The network's output for each token of each sequence: a list of arrays (T, K)."""
        found = [None] * len(features)
        for index, output in self._scores_of(features):
            # A copy: a view would keep the padding of its batch in memory.
            found[index] = output[:features[index].valid_length].copy()
        return found


def softmax(scores):
    """Probabilities along the last axis, in double precision."""
    scores = np.asarray(scores, 'float64')
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)
