"""gluon_bert's Gluon network and its training in benchmark.py."""

from __future__ import annotations

import numpy as np
from benchmark_gluon import gradients_without_dropout  # imports gluon_bert before MXNet
from mxnet import gluon, nd

import gluon_bert as gb
from gluon_bert.training.batches import Batch

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


class Trainer:
    """Steps of gluon_bert.training.fit, with its default options but for ``changes``."""

    def __init__(self, folder, threads, **changes):
        self.network, _ = gb.load_model(folder / 'classifier')
        self._loss = gluon.loss.SoftmaxCrossEntropyLoss()
        options = gb.training.TrainingOptions(optimizer='adamw', warmup_ratio=0, **changes)
        self._step = gb.training.TrainingStep(self.network, self._loss, options, NEVER)
        self._num_steps = 0

    def check(self, *arrays):
        """Compute scores, loss and the norm of the gradients, without dropout."""
        rates = {}

        def set_rate(block):
            if hasattr(block, '_rate'):
                rates[block], block._rate = block._rate, 0.0

        # In training mode, as in the steps: check the code that runs.
        self.network.apply(set_rate)
        found = gradients_without_dropout(
            self.network, self._loss, *arrays, train_mode=True, encoder=self._step.encoder
        )
        for block, rate in rates.items():
            block._rate = rate
        return found

    def step(self, *arrays):
        """Run a step on ids, types (N, T), lengths and labels (N,)."""
        *inputs, labels = (nd.array(array, dtype='float32') for array in arrays)
        self._step([Batch(tuple(inputs), (labels,))], self._num_steps)
        self._num_steps += 1
        nd.waitall()
