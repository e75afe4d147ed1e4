"""Vectors of sentences: the encodings of a BERT, pooled, for any number of texts."""

from __future__ import annotations

import itertools
import warnings
from typing import Any, Optional, Union

import numpy as np

from .._internal.counter import Counter
from ..data import Features, SentenceTransform
from ..data.streams import Call, ResultStream, Texts, chunk_texts, heap_trimmer, prefetch
from ..data.tokenizers.base import SubwordTokenizer
from ..modeling.bert import BertBlock, BertModel
from .backends import POOLINGS
from .batches import bert_of, checked_length, inner_bert, layer_number
from .predictor import Predictor

LONG = ('cut', 'windows')
LAYER_POOLING = 'mean_of_layer:'

_LOOK_AHEAD = 64  # batches that are sorted by length together


class SentenceEncoder:
    """One vector for each text or pair of texts.

    Texts are sorted by length within blocks of a bounded size, so that batches need little
    padding; the results are in the order of the texts. Several threads may use one encoder at once;
    it can be copied and pickled.

    Parameters
    ----------
    model : BertModel, a network around one, or a Predictor of one
        Of a network with heads, the BERT in it is used. A :class:`.Predictor` says with how many
        threads and in what precision it computes. Make a new encoder after parameters change.
    tokenizer : BertTokenizer, BytePairTokenizer or SentencePieceTokenizer
    pooling : str
        'mean' over all tokens, special ones included (Reimers and Gurevych, 2019, section 3);
        'cls', the first token; 'max' of each unit over all tokens; 'pooler', the pooled vector;
        or 'mean_of_layer:-2', the mean of another layer, numbered as in
        :func:`.layer_features`.
    normalize : bool
        Scale each vector to Euclidean length 1.
    max_length : int, optional
        The longest sequence in tokens, special tokens included; by default the model's longest.
    batch_size : int
        Sequences in a batch, where batches are padded; texts are read in blocks of 64 times as
        many.
    long : str
        Treatment of a longer text: 'cut' at its end, or 'windows', the mean over the vectors of
        parts of like lengths. Pairs are always cut.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above, or the tokenizer has more tokens than the model.

    Examples
    --------
    >>> from gluon_bert.zoo import get_model, get_tokenizer
    >>> name = 'bert_6_384_12', 'all_minilm_l6_v2'
    >>> encoder = SentenceEncoder(get_model(*name)[0], get_tokenizer(*name))
    >>> near, far, base = encoder.encode(['A cat sleeps.', 'Shares fell.', 'The cat is asleep.'])
    >>> bool(near @ base > 0.8 > 0.2 > far @ base)
    True
    """

    def __init__(
        self,
        model: Union[BertBlock, Predictor],
        tokenizer: SubwordTokenizer,
        pooling: str = 'mean',
        normalize: bool = True,
        max_length: Optional[int] = None,
        batch_size: int = 32,
        long: str = 'cut',
    ) -> None:
        predictor = model if isinstance(model, Predictor) else None
        network: Any = model if predictor is None else predictor.network
        bert = bert_of(network, tokenizer)
        if batch_size < 1:
            raise ValueError(f'batch_size={batch_size}: expected 1 or more')
        if long not in LONG:
            raise ValueError(f'long={long!r}: expected one of {LONG}')
        self._pooling, num_layers = _parsed(bert, pooling)
        if predictor is not None and num_layers is not None:
            raise ValueError(
                f'pooling={pooling!r}: expected the model itself, not a Predictor; or '
                f"Predictor(model, num_layers={num_layers}) and pooling='mean'"
            )
        self._predictor = predictor or Predictor(bert, num_layers=num_layers)
        self._normalize, self._batch_size, self._long = normalize, batch_size, long
        self._tokenizer = tokenizer
        self._transform = SentenceTransform(tokenizer, checked_length(bert, max_length))
        self._num_cut, self._num_tokens = Counter(), Counter()

    @property
    def num_cut(self) -> int:
        """The number of texts cut so far in all calls, for being longer than ``max_length``."""
        return self._num_cut.value

    @property
    def num_tokens(self) -> int:
        """The number of tokens encoded so far in all calls."""
        return self._num_tokens.value

    @property
    def bert(self) -> BertModel:
        """The BERT whose encodings are pooled."""
        return inner_bert(self._predictor.network)

    @property
    def units(self) -> int:
        """The length C of a vector."""
        return self.bert.config.units

    def encode(self, texts: Texts) -> np.ndarray:
        """Compute the vectors of a list of texts.

        Parameters
        ----------
        texts : iterable of str or of (str, str)

        Returns
        -------
        numpy.ndarray, float32, shape (texts, C)
            In the order of ``texts``.

        Raises
        ------
        TypeError
            If one of them is neither a text nor a pair of texts; its number is named.

        Warns
        -----
        UserWarning
            If texts were cut; the message says how many.
        """
        stream = self.encode_stream(texts)
        blocks = list(stream)
        if stream.num_cut:
            warnings.warn(
                f'{stream.num_cut} of {sum(map(len, blocks))} texts were longer '
                f'than max_length={self._transform.max_length} tokens and were cut; '
                f"long='windows' reads all of them",
                stacklevel=2,
            )
        return np.concatenate(blocks) if blocks else np.zeros((0, self.units), 'float32')

    def encode_stream(self, texts: Texts) -> ResultStream:
        """Compute the vectors of any number of texts, a block at a time, in bounded memory.

        One block more than was returned is read, so that its tokens are made while the network
        computes.

        Parameters
        ----------
        texts : iterable of str or of (str, str)

        Returns
        -------
        ResultStream
            An iterator of numpy.ndarray, float32, shape (n, C): the vectors of the next n texts.
            Its ``num_cut`` is how many of these texts were cut so far.

        Raises
        ------
        TypeError
            As in :meth:`encode`.
        """
        call = Call()
        return ResultStream(self._computed(texts, call), call)

    def _computed(self, texts, call):
        trim = heap_trimmer()
        for features, counts, num_cut in prefetch(
            self._features, chunk_texts(texts, self._batch_size * _LOOK_AHEAD)
        ):
            call.num_cut += num_cut
            self._num_cut.add(num_cut)
            self._num_tokens.add(sum(feature.valid_length for feature in features))
            vectors = np.empty((len(features), self.units), 'float32')
            for indices, pooled in self._predictor.batches(
                features, self._batch_size, self._pooling
            ):
                vectors[indices] = pooled
            if len(counts) < len(vectors):  # several windows of one text
                begins = np.cumsum([0, *counts[:-1]])
                vectors = np.add.reduceat(vectors, begins) / np.array(counts, 'float32')[:, None]
            if self._normalize:
                vectors /= np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12)
            trim()
            yield vectors

    def _features(self, texts, pairs):
        """The sequences of texts, how many each text has, and how many texts were cut."""
        features, num_cut = self._transform.transform_batch(texts, pairs)
        if self._long == 'cut' or not num_cut:
            return features, [1] * len(features), num_cut
        groups, num_cut = [], 0
        for number, feature in enumerate(features):
            windows = [feature]
            if feature.valid_length == self._transform.max_length:
                if pairs is None or not pairs[number]:
                    windows = self._windows(texts[number])
                else:
                    num_cut += self._transform.transform_batch([texts[number]], [pairs[number]])[1]
            groups.append(windows)
        return (list(itertools.chain(*groups)), [len(windows) for windows in groups], num_cut)

    def _windows(self, text):
        vocab, room = self._tokenizer.vocab, self._transform.max_length - 2
        (ids,) = self._tokenizer.encode_ids([text])
        parts = np.array_split(np.array(ids, 'int32'), -(-len(ids) // room))
        begin, end = vocab[[vocab.cls_token, vocab.sep_token]]
        return [
            Features(
                np.array([begin, *part, end], 'int32'),
                np.zeros(len(part) + 2, 'int32'),
                len(part) + 2,
            )
            for part in parts
        ]


def _parsed(bert, pooling):
    """The way of pooling, and after how many layers; None for all."""
    if pooling.startswith(LAYER_POOLING):
        try:
            layer = int(pooling[len(LAYER_POOLING) :])
        except ValueError:
            raise ValueError(
                f'pooling={pooling!r}: expected a whole number after {LAYER_POOLING!r}'
            ) from None
        return 'mean', layer_number(bert, layer) + 1
    if pooling not in POOLINGS:
        raise ValueError(
            f'pooling={pooling!r}: expected one of {POOLINGS}, or {LAYER_POOLING + "-2"!r}'
        )
    if pooling == 'pooler' and not bert.use_pooler:
        raise ValueError("pooling='pooler': the model has no pooler")
    return pooling, None
