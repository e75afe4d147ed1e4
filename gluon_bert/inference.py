"""The fast form of a network, for inference on the CPU."""
from __future__ import annotations

import os

import numpy as np
from mxnet import nd

from ._processors import physical_cores
from .bert import BertModel, BertOutput
from .heads import BertForPretraining, BertHead
from .kernels import encoder
from .tagging import BertCrfTagger


class Predictor:
    """A network that gives the same as it did, faster.

    With the native kernels its encoder runs in native code: weights are laid out once for the
    processor, and padding costs nothing. Without them, on a GPU, or in another dtype than float32,
    the network itself runs.

    Parameters
    ----------
    network : BertModel, BertClassifier, BertForQA, BertTagger, BertCrfTagger, BertForPretraining
        With its parameters; make a new Predictor after they change.
    num_threads : int, optional
        By default OMP_NUM_THREADS, else one for each core the process may use.
    precision : str
        'float32', 'bfloat16' or 'int8', see
        :class:`~gluon_bert.kernels.encoder.NativeEncoder`. The lower ones need the native kernels.
    keep : iterable of str
        Dense layers that stay in float32, see :class:`~gluon_bert.kernels.encoder.NativeEncoder`.

    Raises
    ------
    TypeError
        If the network is another one.
    ValueError
        If an argument is wrong, or a lower precision is asked for without the kernels.

    Examples
    --------
    >>> import mxnet as mx
    >>> from gluonnlp.data import count_tokens
    >>> from gluonnlp.vocab import BERTVocab
    >>> import gluon_bert as gb
    >>> vocab = BERTVocab(count_tokens(['hello', 'world']))
    >>> model, _ = gb.get_model('bert_2_128_2', vocab=vocab, pretrained=False)
    >>> sequence, pooled = Predictor(model)(mx.nd.array([[2, 5, 3]]))
    >>> sequence.shape, pooled.shape
    ((1, 3, 128), (1, 128))
    """

    def __init__(self, network, num_threads=None, precision='float32', keep=()):
        if num_threads is not None and num_threads < 1:
            raise ValueError(f'num_threads={num_threads}: expected 1 or more')
        self.network = network
        head = network.tagger if isinstance(network, BertCrfTagger) else network
        if not isinstance(head, (BertModel, BertHead)):
            raise TypeError(f'{type(network).__name__} is no network around a BERT')
        self._head, self._bert = head, getattr(head, 'bert', head)
        self._num_threads = num_threads or default_threads()
        self._encoder = None
        if precision != 'float32' or encoder.accepts(self._bert):
            self._encoder = encoder.NativeEncoder(self._bert, precision, keep)

    @property
    def config(self):
        """The network's BertConfig."""
        return self.network.config

    @property
    def is_native(self):
        """Whether the encoder runs in native code."""
        return self._encoder is not None

    def collect_params(self, select=None):
        """The network's parameters."""
        return self.network.collect_params(select)

    def __call__(self, inputs, token_types=None, valid_length=None, *others):
        """As the network's own call, see there.

        Returns
        -------
        As the network's. Encodings of padding are 0.

        Raises
        ------
        ValueError
            If an input is out of range.
        """
        if not self.is_native:
            return self.network(inputs, token_types, valid_length, *others)
        inputs, token_types, valid_length, *others = self.network.arguments(
            inputs, token_types, valid_length, *others)
        ids = _whole_numbers(inputs)                                              # (N, T)
        lengths = (np.full(len(ids), ids.shape[1], 'int32') if valid_length is None
                   else _whole_numbers(valid_length))
        if len(lengths) != len(ids) or not (lengths <= ids.shape[1]).all():
            raise ValueError(f'valid_length {lengths.tolist()} does not fit inputs of shape '
                             f'{ids.shape}')
        valid = np.arange(ids.shape[1]) < lengths[:, None]                        # (N, T)
        types = (np.zeros(lengths.sum(), 'int32') if token_types is None
                 else _whole_numbers(token_types)[valid])
        return self._finish(self._encode(ids[valid], types, lengths), valid, others)

    def _encode(self, ids, types, lengths):
        """The encodings of the valid tokens, (M, C), and pooled vectors, (N, C), as wanted."""
        if isinstance(self._head, (BertModel, BertForPretraining)):
            wanted = True, self._bert.use_pooler
        else:
            wanted = self._head.reads == 'sequence', self._head.reads == 'pooled'
        return self._encoder(ids, types, lengths, self._num_threads, *wanted)

    def _finish(self, encoded, valid, others):
        sequence, pooled = encoded
        head = self._head
        if isinstance(head, BertModel):
            rows = _pad(sequence, valid)
            return rows if pooled is None else BertOutput(rows, _share(pooled))
        if isinstance(head, BertForPretraining):
            encodings = [_pad(sequence, valid)]
            if pooled is not None:
                encodings.append(_share(pooled))
            return head.output_type(*encodings, *head.scores(encodings, *others))
        if head.reads == 'pooled':
            return head.scores(_share(pooled))
        return _pad(head.scores(_share(sequence)).asnumpy(), valid)


def default_threads():
    """How many threads to use: OMP_NUM_THREADS, else one for each core the process may use."""
    given = os.environ.get('OMP_NUM_THREADS', '')
    return int(given) if given.isdecimal() and int(given) else physical_cores()


def _whole_numbers(array):
    array = array.asnumpy() if isinstance(array, nd.NDArray) else np.asarray(array)
    return array.astype('int32')


def _share(array):
    return nd.from_numpy(np.ascontiguousarray(array))


def _pad(rows, valid):
    """Rows of valid tokens, (M, K), in their places: (N, T, K)."""
    padded = np.zeros((*valid.shape, rows.shape[1]), 'float32')
    padded[valid] = rows
    return _share(padded)
