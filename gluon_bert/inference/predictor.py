"""Run a network for inference, in native code where the kernels can."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, Union

import numpy as np

from .._internal.checks import check_positive
from .._internal.cpu import default_threads as default_threads
from ..config import BertConfig
from ..data.features import Features
from ..data.streams import heap_trimmer
from ..kernels import encoder
from ..kernels.top_words import TopWords
from .backends import NativeBackend
from .checks import check_features, check_positions, inner_bert, unwrap_head
from .heads import Positions
from .pooling import Pooling, parse_pooling
from .precision_file import LowPrecision
from .trained import TrainedNetwork, gluon_network, open_network, runnable

if TYPE_CHECKING:
    from mxnet import nd

    from ..modeling.block import BertBlock

_BLOCK_BYTES = 1 << 28  # of the encodings that a stream sorts together


class Predictor:
    """Run a network faster, with the same outputs.

    With the native kernels its encoder runs in native code: weights are laid out once for the
    processor, and padding costs nothing. Without them, on a GPU, or in another dtype than float32,
    the network itself runs, on several devices in turn.

    It is called as the network is, with padded arrays. Fastest is to leave batches and padding to
    it: :meth:`stream` for any number of sequences, :meth:`batches` for a list of them.

    Several threads may use one Predictor at once. It can be copied and pickled: the copy is made
    anew from the network, for the processor that it will run on.

    Parameters
    ----------
    network : BertModel, BertClassifier, BertForQA, BertTagger, BertCrfTagger, BertForPretraining, \
TrainedNetwork, str or Path
        With its parameters; make a new Predictor after they change. A folder, a file, 'hf://...' or
        a name of the zoo is opened as a :class:`.TrainedNetwork`, which the native kernels run
        without MXNet.
    num_threads : int, optional
        Of the native code. By default OMP_NUM_THREADS, else one for each core the process may use.
    precision : str or LowPrecision
        'float32', 'bfloat16' or 'int8', see
        :class:`~gluon_bert.kernels.encoder.NativeEncoder`. The lower ones need the native kernels.
        Or one that :func:`.choose_precision` chose, with the layers that stay in float32 and for
        int8 the scales of activations on the calibration texts, which make it more exact.
    float32_layers : iterable of str
        Dense layers that stay in float32, such as '0.expand': the layer's number from 0, and
        'query_key_value', 'output', 'expand' or 'contract'.
    num_layers : int, optional
        Of a BertModel: stop after so many layers and give their encodings alone, as a BertModel
        without a pooler does. By default all.
    keep : iterable of str
        The name of ``float32_layers`` in 0.1.

    Raises
    ------
    TypeError
        If the network is another one.
    ValueError
        If an argument is wrong, or a lower precision is asked for without the kernels.

    Examples
    --------
    >>> from gluonnlp.data import count_tokens
    >>> from gluonnlp.vocab import BERTVocab
    >>> import gluon_bert as gb
    >>> tokenizer = gb.data.BertTokenizer(BERTVocab(count_tokens(['hello', 'world'])))
    >>> model, _ = gb.get_model('bert_2_128_2', vocab=tokenizer.vocab, pretrained=False)
    >>> transform = gb.data.SentenceTransform(tokenizer, max_length=16)
    >>> texts = ['hello', 'hello world', 'world']
    >>> for output in Predictor(model).stream(transform(text) for text in texts):
    ...     print(output.sequence.shape, output.pooled.shape)
    (3, 128) (128,)
    (4, 128) (128,)
    (3, 128) (128,)
    """

    def __init__(
        self,
        network: Union[BertBlock, TrainedNetwork, str, Path],
        num_threads: Optional[int] = None,
        precision: Union[str, LowPrecision] = 'float32',
        float32_layers: Iterable[str] = (),
        num_layers: Optional[int] = None,
        *,
        keep: Iterable[str] = (),
    ) -> None:
        if num_threads is not None and num_threads < 1:
            raise ValueError(f'num_threads={num_threads}: expected 1 or more')
        float32_layers = (*float32_layers, *keep)
        if isinstance(network, (str, Path)):
            network = open_network(network, early=precision == 'float32')
        options, scales = (num_threads, precision, float32_layers, num_layers), None
        if isinstance(precision, LowPrecision):
            if float32_layers:
                raise ValueError(
                    'float32_layers is for a precision by its name: a LowPrecision has its own'
                )
            float32_layers, scales = precision.float32_layers, precision.activation_scales
            precision = precision.precision
        network = network if precision != 'float32' else runnable(network)
        self._network: Any = network
        self._options = options
        head = unwrap_head(network)
        if num_layers is not None and not (
            head.kind == 'encoder' and 1 <= num_layers <= head.config.num_layers
        ):
            raise ValueError(
                f'num_layers={num_layers}: expected 1 to {head.config.num_layers}, of a BertModel'
            )
        bert = inner_bert(head)
        self.num_layers = num_layers
        """The layers after which it stops; None for all."""
        self._has_pooler = bert.use_pooler and num_layers is None
        self.is_native = precision != 'float32' or encoder.accepts(bert)
        """Whether the network runs in native code."""
        self._backend: Any
        if self.is_native:
            self._backend = NativeBackend(
                head,
                num_threads or default_threads(),
                precision,
                float32_layers,
                num_layers,
                scales,
            )
            self._needs_positions = getattr(self._backend.head, 'masked_lm', None) is not None
        else:
            from .gluon_backend import GluonBackend

            self._backend = GluonBackend(self.network, bert, num_layers)
            self._needs_positions = hasattr(head, 'masked_lm')

    @property
    def network(self) -> Any:
        """The Gluon network; one that was opened from files is made when first asked for."""
        return gluon_network(self._network)

    @property
    def trained(self) -> Any:
        """The network that runs, a :class:`.TrainedNetwork` or a BertBlock."""
        return self._network

    def __reduce__(self):
        # Made anew from the network as it is, for the processor that it will run on.
        return type(self), (self._network, *self._options)

    @property
    def config(self) -> BertConfig:
        """The network's BertConfig."""
        return self._network.config

    def collect_params(self, select: Optional[str] = None) -> Any:
        """Return the network's parameters, an ``mxnet.gluon.ParameterDict``."""
        return self.network.collect_params(select)

    def __call__(
        self,
        inputs: nd.NDArray,
        token_types: Optional[nd.NDArray] = None,
        valid_length: Optional[nd.NDArray] = None,
        *others: nd.NDArray,
    ) -> Any:
        """Call the network on padded arrays.

        Returns
        -------
        As the network's. Encodings of padding are 0.

        Raises
        ------
        ValueError
            If an input is out of range.
        """
        return self._backend(inputs, token_types, valid_length, *others)

    def batch(self, features: Sequence[Features], positions: Optional[Positions] = None) -> Any:
        """Compute the outputs of sequences that make one batch.

        Parameters
        ----------
        features : sequence of Features
            One or more.
        positions : sequence of sequence of int, optional
            Of a BertForPretraining with a decoder, for each sequence where words are masked, if
            anywhere.

        Returns
        -------
        numpy.ndarray, list of numpy.ndarray, BertOutput or the network's own NamedTuple
            As the network's outputs: scores and pooled vectors as one array, (N, K); outputs for
            tokens as a list with an array for each sequence, (T, K), which may share memory.

        Raises
        ------
        ValueError
            If an input is out of range.
        """
        check_features(features)
        if not len(features):
            raise ValueError('features must hold one sequence or more, got none')
        if not self._needs_positions and positions is not None:
            raise ValueError('positions are for a network with a decoder of masked words')
        if self._needs_positions:
            check_positions(features, positions)
        return next(self._backend.outputs([features], None, positions))

    def top_words(
        self,
        features: Sequence[Features],
        positions: Positions,
        k: int,
        num_words: Optional[int] = None,
    ) -> list[TopWords]:
        """Find the most probable words at masked positions; natively without all scores.

        Parameters
        ----------
        features, positions
            As for :meth:`batch`; the errors, too.
        k, num_words
            As for :func:`~gluon_bert.kernels.top_words.top_words`.

        Returns
        -------
        list of TopWords
            One for each sequence.
        """
        if not self._needs_positions:
            raise ValueError('the network has no decoder of masked words')
        check_features(features)
        check_positions(features, positions)
        num_words = self.config.vocab_size if num_words is None else num_words
        return self._backend.top_words(features, positions, k, num_words)

    def batches(
        self,
        features: Sequence[Features],
        batch_size: int = 32,
        pooling: Optional[Union[str, Pooling]] = None,
    ) -> Iterator[tuple[np.ndarray, Any]]:
        """Compute the outputs of a list of sequences, batch by batch.

        Batches are of sequences of like lengths, the longest first. Those of the native code have
        about as many tokens as keeps all threads busy, for padding costs nothing.

        Parameters
        ----------
        features : sequence of Features
        batch_size : int
            Sequences in a batch, where they are padded.
        pooling : str, optional
            The vector of each sequence to compute instead of the network's outputs: 'mean' over all
            tokens; 'cls', the first token; 'max' of each unit over all tokens; 'mean_sqrt_len', the
            sum divided by the square root of the length; 'weightedmean', by weights that grow with
            the position; 'lasttoken'; several of these, such as 'cls+mean', side by side; or
            'pooler', the pooled vector.

        Yields
        ------
        indices : numpy.ndarray of int
            Of the sequences of the batch.
        outputs
            As of :meth:`batch`; with ``pooling`` a numpy.ndarray, (N, C) for each way.

        Raises
        ------
        ValueError
            If an argument or an input is out of range.
        """
        check_positive(batch_size=batch_size)
        check_features(features)
        way = parse_pooling(pooling)
        self._check_pooling(way)
        lengths = np.array([feature.valid_length for feature in features], 'int64')
        groups = self._backend.divide(lengths, batch_size)
        yield from zip(
            groups,
            self._backend.outputs(([features[i] for i in indices] for indices in groups), way),
        )

    def stream(
        self, features: Iterable[Features], batch_size: int = 32, look_ahead: int = 64
    ) -> Iterator[Any]:
        """Compute the outputs of any number of sequences, one by one, in bounded memory.

        Parameters
        ----------
        features : iterable of Features
            Read a block at a time, of ``batch_size * look_ahead`` sequences, fewer if they are very
            long.
        batch_size : int
            As for :meth:`batches`.
        look_ahead : int
            Batches that are sorted by length together.

        Yields
        ------
        numpy.ndarray, BertOutput or the network's own NamedTuple
            As of :meth:`batch`, of one sequence: (K,), (T, K), or a tuple of these.

        Raises
        ------
        ValueError
            As for :meth:`batches`.
        """
        check_positive(batch_size=batch_size, look_ahead=look_ahead)
        check_features(features)
        trim = heap_trimmer()
        for block in self._blocks(features, batch_size * look_ahead):
            yield from self._in_order(block, batch_size)
            trim()

    def _blocks(self, features, size):
        block, room = [], _BLOCK_BYTES // (4 * self.config.units)
        for feature in features:
            check_features([feature])
            block.append(feature)
            room -= feature.valid_length
            if len(block) == size or room <= 0:
                yield block
                block, room = [], _BLOCK_BYTES // (4 * self.config.units)
        if block:
            yield block

    def _in_order(self, features, batch_size):
        results = [None] * len(features)
        for indices, outputs in self.batches(features, batch_size):
            rows = outputs
            if isinstance(outputs, tuple):
                rows = itertools.starmap(type(outputs), zip(*outputs))
            for index, row in zip(indices, rows):
                results[index] = row
        return results

    def _check_pooling(self, pooling):
        if pooling is None and self._needs_positions:
            raise ValueError(
                'a network with a decoder of masked words needs their positions: call batch'
            )
        if pooling is not None and pooling.reads_pooler and not self._has_pooler:
            raise ValueError("pooling='pooler': the model has no pooler")
