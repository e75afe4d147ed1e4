"""Vectors of tokens and words: chosen layers, and pieces of a word merged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Optional

import numpy as np

from .._internal.counter import Counter
from ..data import Features, SentenceTransform
from ..data.streams import Call, ResultStream, Texts, chunk_texts
from ..data.tokenizers.base import ROLES, SubwordTokenizer
from ..modeling.bert import BertBlock
from .batches import PaddedBatches
from .checks import bert_of, checked_length, layer_number
from .predictor import Predictor

OOV_WAYS = ('avg', 'sum', 'last')

_LOOK_AHEAD = 4  # batches; all tokens' vectors of as many are held


class LayerFeatures(NamedTuple):
    """The tokens of one sequence, special ones included, and float32 ``values`` (L, T, C)."""

    tokens: list[str]
    values: np.ndarray


class WordFeatures(NamedTuple):
    """The words of one text as they stand in it, and their float32 ``vectors`` (words, C).

    ``num_pieces`` says how many tokens each was made of.
    """

    words: list[str]
    vectors: np.ndarray
    num_pieces: list[int]


def layer_features(
    model: BertBlock,
    tokenizer: SubwordTokenizer,
    texts: Texts,
    layers: Sequence[int] = (-1, -2, -3, -4),
    max_length: int = 128,
    batch_size: int = 32,
) -> Iterator[LayerFeatures]:
    """Compute the encodings of each token in chosen layers, as Google's ``extract_features``.

    Parameters
    ----------
    model : BertModel, or a network around one
    tokenizer : BertTokenizer, BytePairTokenizer or SentencePieceTokenizer
    texts : iterable of str or of (str, str)
        Any number; longer ones are cut.
    layers : sequence of int
        0 is the first layer after the embeddings, -1 the last.
    max_length : int
        The longest sequence in tokens, special tokens included.
    batch_size : int
        Sequences in a batch.

    Yields
    ------
    LayerFeatures
        In the order of ``texts``; the L layers as given.

    Raises
    ------
    TypeError, ValueError
        If a text is no text, or an argument is not as above.

    Examples
    --------
    >>> from gluon_bert.zoo import get_model, get_tokenizer
    >>> name = 'bert_6_384_12', 'all_minilm_l6_v2'
    >>> features, = layer_features(get_model(*name)[0], get_tokenizer(*name), [('Hi', 'you')])
    >>> features.tokens, features.values.shape
    (['[CLS]', 'hi', '[SEP]', 'you', '[SEP]'], (4, 5, 384))
    """
    bert = bert_of(model, tokenizer)
    transform = SentenceTransform(tokenizer, checked_length(bert, max_length))
    if not len(layers):
        raise ValueError('layers must name one layer or more, got none')
    numbers = [layer_number(bert, layer) + 1 for layer in layers]
    batches = PaddedBatches(bert, tokenizer, batch_size)

    def run():
        for block in chunk_texts(texts, batch_size * _LOOK_AHEAD):
            features, _ = transform.transform_batch(*block)
            for feature, values in zip(features, _encode(bert, batches, features, numbers)):
                yield LayerFeatures(tokenizer.convert_ids_to_tokens(feature.inputs), values)

    return run()


class WordVectors:
    """One vector for each word of a text, as GluonNLP's ``BertEmbedding``.

    Special tokens have none. Words are as the tokenizer splits them, punctuation by itself in
    WordPiece. They are cut where the sequence would become longer than ``max_length``. Several
    threads may use one encoder at once; it can be copied and pickled.

    Parameters
    ----------
    model : BertModel, or a network around one
    tokenizer : BertTokenizer, BytePairTokenizer or SentencePieceTokenizer
    oov_way : str, optional
        How a word of several pieces gets its vector: 'avg', their mean; 'sum'; 'last', the last
        piece's vector. None: each piece has its own vector.
    max_length : int, optional
        The longest sequence in tokens, special tokens included; by default the model's longest.
    batch_size : int
        Texts in a batch.
    layer : int
        As in :func:`layer_features`.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.

    Examples
    --------
    >>> from gluon_bert.zoo import get_model, get_tokenizer
    >>> name = 'bert_6_384_12', 'all_minilm_l6_v2'
    >>> vectors = WordVectors(get_model(*name)[0], get_tokenizer(*name))
    >>> result, = vectors.encode(['GluonNLP works.'])
    >>> result.words, result.num_pieces, result.vectors.shape
    (['GluonNLP', 'works', '.'], [5, 1, 1], (3, 384))
    """

    def __init__(
        self,
        model: BertBlock,
        tokenizer: SubwordTokenizer,
        oov_way: Optional[str] = 'avg',
        max_length: Optional[int] = None,
        batch_size: int = 32,
        layer: int = -1,
    ) -> None:
        if oov_way not in (*OOV_WAYS, None):
            raise ValueError(f'oov_way={oov_way!r}: expected one of {OOV_WAYS} or None')
        bert = bert_of(model, tokenizer)
        self._tokenizer, self._oov_way = tokenizer, oov_way
        self._max_length = checked_length(bert, max_length)
        if batch_size < 1:
            raise ValueError(f'batch_size={batch_size}: expected 1 or more')
        self._predictor = Predictor(bert, num_layers=layer_number(bert, layer) + 1)
        self._batch_size = batch_size
        vocab = tokenizer.vocabulary
        self._begin, self._end = vocab[[vocab.cls_token, vocab.sep_token]]
        self._special = {
            vocab[token] for name in ROLES if (token := getattr(vocab, name, None)) is not None
        }
        self._num_cut = Counter()

    @property
    def num_cut(self) -> int:
        """The number of texts cut so far in all calls, for being longer than ``max_length``."""
        return self._num_cut.value

    def encode(self, texts: Iterable[str]) -> list[WordFeatures]:
        """Compute the words and vectors of a list of texts."""
        return list(self.encode_stream(texts))

    def encode_stream(self, texts: Iterable[str]) -> ResultStream:
        """Compute the words and vectors of any number of texts, in bounded memory.

        Parameters
        ----------
        texts : iterable of str

        Returns
        -------
        ResultStream
            An iterator of WordFeatures, in the order of ``texts``. Its ``num_cut`` is how many of
            these texts were cut so far.

        Raises
        ------
        TypeError
            If one of them is no text.
        """
        call = Call()
        return ResultStream(self._computed(texts, call), call)

    def _computed(self, texts, call):
        for block, pairs in chunk_texts(texts, self._batch_size * _LOOK_AHEAD):
            if pairs is not None:
                raise TypeError('texts must be str, got a pair')
            encoded = self._tokenizer.encode_batch(block)
            room = self._max_length - 2
            num_cut = sum(len(item.ids) > room for item in encoded)
            call.num_cut += num_cut
            self._num_cut.add(num_cut)
            features = []
            for item in encoded:
                ids = [self._begin, *item.ids[:room], self._end]
                features.append(
                    Features(np.array(ids, 'int32'), np.zeros(len(ids), 'int32'), len(ids))
                )
            results = self._predictor.stream(features, self._batch_size, _LOOK_AHEAD)
            for text, item, vectors in zip(block, encoded, results):
                yield self._merged(text, item, vectors[1:-1])

    def _merged(self, text, encoded, pieces):
        """The words of one text: pieces (T, C) -> WordFeatures."""
        if self._oov_way is None or not len(pieces):
            return WordFeatures(encoded.tokens[: len(pieces)], pieces, [1] * len(pieces))
        begins = [number for number in range(len(pieces)) if self._is_first(encoded, number)]
        ends = [*begins[1:], len(pieces)]
        counts = np.subtract(ends, begins)
        if self._oov_way == 'last':
            vectors = pieces[np.subtract(ends, 1)]
        else:
            vectors = np.add.reduceat(pieces, begins)
        if self._oov_way == 'avg':
            vectors = vectors / counts[:, None].astype('float32')
        words = [
            text[encoded.offsets[begin][0] : encoded.offsets[end - 1][1]]
            for begin, end in zip(begins, ends)
        ]
        return WordFeatures(words, vectors, counts.tolist())

    def _is_first(self, encoded, number):
        return (
            number == 0
            or self._tokenizer.is_first_subword(encoded.tokens[number])
            or not self._special.isdisjoint(encoded.ids[number - 1 : number + 1])
        )


def _encode(bert, batches, features, layers):
    """The values (L, T, C) of each sequence's tokens, padding left out, in order."""
    results = [None] * len(features)
    padded = batches(features)
    # Arrays are made, computed and freed under the lock, as in GluonBackend.
    while (batch := _next_encodings(bert, padded, layers)) is not None:
        indices, encodings = batch
        for row, index in enumerate(indices):
            length = features[index].valid_length
            results[index] = np.stack([layer[row, :length] for layer in encodings])
    return results


def _next_encodings(bert, padded, layers):
    with bert.lock:
        batch = next(padded, None)
        if batch is None:
            return None
        indices, arrays = batch
        outputs = bert.layer_outputs(*arrays, attentions=False, layers=layers)
        return indices, [layer.asnumpy() for layer in outputs.encodings]  # (N, T, C) each
