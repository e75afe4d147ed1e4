"""Batches of padded arrays on a model's device, and checks of what goes with the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Optional

import numpy as np
from mxnet import nd

from ..data import Features, pad_batch, sequential_batches
from ..data.tokenizers.base import SubwordTokenizer
from ..modeling.bert import BertBlock, BertModel


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


def inner_bert(network: Any) -> BertModel:
    """Return the BERT inside a network, which may be the network itself."""
    return getattr(network, 'bert', network)


def bert_of(model: BertBlock, tokenizer: Any) -> BertModel:
    """Return the BERT of a network; raise ValueError if the tokenizer is not for it."""
    bert = inner_bert(model)
    if tokenizer is None:
        raise ValueError('tokenizer is None: the model came without a vocabulary')
    if len(tokenizer.vocabulary) > bert.config.vocab_size:
        raise ValueError(
            f'the tokenizer has {len(tokenizer.vocabulary)} tokens, the model only '
            f'{bert.config.vocab_size}: they do not belong together'
        )
    return bert


def checked_length(bert: BertModel, max_length: Optional[int]) -> int:
    """Return the longest sequence to make; raise ValueError if the model cannot take it."""
    longest = bert.config.max_length
    if max_length is None:
        return longest
    if not 3 <= max_length <= longest:
        raise ValueError(
            f'max_length={max_length}: expected 3 to {longest}, the longest that the model takes'
        )
    return max_length


def layer_number(bert: BertModel, layer: int) -> int:
    """Return a layer's number counted from 0, of one that may be counted from the last, -1."""
    num_layers = bert.config.num_layers
    if not -num_layers <= layer < num_layers:
        raise ValueError(
            f'layer {layer} is not in the model, which has the layers 0 to '
            f'{num_layers - 1}, or {-num_layers} to -1 counted from the last'
        )
    return layer % num_layers
