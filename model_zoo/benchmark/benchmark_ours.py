"""gluon_bert in benchmark.py."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from benchmark_gluon import gradients_without_dropout
from mxnet import gluon, nd

import gluon_bert as gb
from gluon_bert.training import loop

NEVER = 10**9


class Plain:
    """The hybridized network."""

    def __init__(self, folder, threads):
        self.network, self.tokenizer = gb.load_model(folder / 'huggingface')

    def __call__(self, *arrays):
        """Compute encodings (N, T, C) and pooled (N, C) from ids, types (N, T) and lengths (N,)."""
        outputs = self.network(*(nd.array(array, dtype='float32') for array in arrays))
        return tuple(output.asnumpy() for output in outputs)

    def encode_texts(self, texts, pairs, batch_size, max_length):
        """Compute the pooled vectors of all texts, in their order."""
        transform = gb.data.SentenceTransform(self.tokenizer, max_length)
        features, _ = transform.transform_batch(texts, pairs)
        lengths = [feature.valid_length for feature in features]
        vectors = np.empty((len(features), self.network.config.units), 'float32')
        for indices in gb.data.sequential_batches(lengths, batch_size):
            _, vectors[indices] = self(*gb.data.pad_batch([features[i] for i in indices], 0))
        return vectors, sum(lengths)


class Fast(Plain):
    """The Predictor on sequences instead of padded arrays."""

    def __init__(self, folder, threads, precision='float32'):
        super().__init__(folder, threads)
        self.network = gb.Predictor(self.network, threads, precision)

    def __call__(self, ids, types, lengths):
        """Compute the same, with the encodings as a list of an array for each sequence."""
        return self.network.batch(
            [
                gb.data.Features(row[:length], kinds[:length], length)
                for row, kinds, length in zip(ids, types, lengths.tolist())
            ]
        )

    def encode_texts(self, texts, pairs, batch_size, max_length):
        """Compute the pooled vectors of all texts, in their order."""
        encoder = gb.SentenceEncoder(
            self.network,
            self.tokenizer,
            'pooler',
            normalize=False,
            max_length=max_length,
            batch_size=batch_size,
        )
        vectors = list(encoder.encode_stream(texts if pairs is None else zip(texts, pairs)))
        return np.concatenate(vectors), encoder.num_tokens


class _OneBatch:
    """Data whose next batch is always the same."""

    arrays = None

    def __len__(self):
        return len(self.arrays[0])

    def training_batches(self, epoch):
        return [np.arange(1)]

    def load(self, indices):
        *inputs, labels = (nd.array(array, dtype='float32') for array in self.arrays)
        return tuple(inputs), labels


class Trainer:
    """Steps of gluon_bert.training.fit, in its own loop.

    ``changes`` are options other than the defaults.
    """

    def __init__(self, folder, threads, **changes):
        self.network, _ = gb.load_model(folder / 'classifier')
        self._data, self._loss = _OneBatch(), gluon.loss.SoftmaxCrossEntropyLoss()
        plan = gb.training.Plan(
            training_steps=NEVER,
            optimizer='adamw',
            log_interval=NEVER,
            checkpoint_interval=NEVER,
            warmup_ratio=0,
            **changes,
        )
        self._data.arrays = [np.zeros(1)]
        self._folder = tempfile.TemporaryDirectory()
        self._run = loop._Run(
            self.network, self._data, self._loss, plan, Path(self._folder.name), 'model', None
        )

    def check(self, *arrays):
        """Compute scores, loss and the norm of the gradients, without dropout."""
        rates = {}

        def set_rate(block):
            if hasattr(block, '_rate'):
                rates[block], block._rate = block._rate, 0.0

        # In training mode, as in the steps: check the code that runs.
        self.network.apply(set_rate)
        found = gradients_without_dropout(
            self.network, self._loss, *arrays, train_mode=True, encoder=self._run.encoder
        )
        for block, rate in rates.items():
            block._rate = rate
        return found

    def step(self, *arrays):
        """Run a step on ids, types (N, T), lengths and labels (N,)."""
        self._data.arrays = arrays
        self._run._step([np.arange(len(arrays[0]))], _NoBar)
        nd.waitall()


class _NoBar:
    @staticmethod
    def set_postfix(**values):
        """Ignore the progress."""
