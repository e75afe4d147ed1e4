"""gluon_bert's Predictor in benchmark.py, which imports no MXNet."""

from __future__ import annotations

import functools

import numpy as np

from gluon_bert.data.features import Features
from gluon_bert.inference.predictor import Predictor
from gluon_bert.inference.sentence_encoder import SentenceEncoder
from gluon_bert.inference.trained import open_network


class Fast:
    """The Predictor on sequences instead of padded arrays."""

    def __init__(self, folder, threads, precision='float32'):
        network = open_network(folder / 'huggingface', 'encoder', early=precision == 'float32')
        self.network = Predictor(network, threads, precision)
        self._tokenizer = network.checkpoint.tokenizer
        self._encoder_for = functools.cache(self._make_encoder)

    def __call__(self, ids, types, lengths):
        """Compute the same, with the encodings as a list of an array for each sequence."""
        return self.network.batch(
            [
                Features(row[:length], kinds[:length], length)
                for row, kinds, length in zip(ids, types, lengths.tolist())
            ]
        )

    def encode_texts(self, texts, pairs, batch_size, max_length):
        """Compute the pooled vectors of all texts, in their order."""
        encoder = self._encoder_for(max_length, batch_size)
        before = encoder.num_tokens
        vectors = list(encoder.encode_stream(texts if pairs is None else zip(texts, pairs)))
        return np.concatenate(vectors), encoder.num_tokens - before

    def _make_encoder(self, max_length, batch_size):
        return SentenceEncoder(
            self.network,
            self._tokenizer,
            'pooler',
            normalize=False,
            max_length=max_length,
            batch_size=batch_size,
        )
