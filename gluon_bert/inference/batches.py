"""Batches of padded arrays on a model's device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from mxnet import nd

from ..data import Features, pad_batch, sequential_batches
from ..data.tokenizers.base import SubwordTokenizer
from ..modeling.bert import BertModel


class PaddedBatches:
    """Cut sequences into padded batches on the model's device: features -> (indices, arrays).

    Parameters
    ----------
    bert : BertModel
    tokenizer : SubwordTokenizer
    size : int
        Sequences in a batch.
    """

    def __init__(self, bert: BertModel, tokenizer: SubwordTokenizer, size: int) -> None:
        if size < 1:
            raise ValueError(f'batch_size={size}: expected 1 or more')
        self.size = size
        self._ctx = bert.embeddings.word.weight.list_ctx()[0]
        self._pad_id = tokenizer.vocabulary[tokenizer.vocabulary.padding_token]

    def __call__(self, features: Sequence[Features]) -> Iterator[tuple[np.ndarray, list]]:
        lengths = [feature.valid_length for feature in features]
        for indices in sequential_batches(lengths, self.size):
            arrays = pad_batch([features[i] for i in indices], self._pad_id)
            yield indices, [nd.array(array, dtype='float32', ctx=self._ctx) for array in arrays]
