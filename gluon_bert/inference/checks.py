"""Checks of what goes with a network: its tokenizer, lengths and layers."""

from __future__ import annotations

from typing import Any, Optional


def inner_bert(network: Any) -> Any:
    """Return the BERT inside a network, which may be the network itself."""
    return getattr(network, 'bert', network)


def bert_of(model: Any, tokenizer: Any) -> Any:
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


def checked_length(bert: Any, max_length: Optional[int]) -> int:
    """Return the longest sequence to make; raise ValueError if the model cannot take it."""
    longest = bert.config.max_length
    if max_length is None:
        return longest
    if not 3 <= max_length <= longest:
        raise ValueError(
            f'max_length={max_length}: expected 3 to {longest}, the longest that the model takes'
        )
    return max_length


def layer_number(bert: Any, layer: int) -> int:
    """Return a layer's number counted from 0, of one that may be counted from the last, -1."""
    num_layers = bert.config.num_layers
    if not -num_layers <= layer < num_layers:
        raise ValueError(
            f'layer {layer} is not in the model, which has the layers 0 to '
            f'{num_layers - 1}, or {-num_layers} to -1 counted from the last'
        )
    return layer % num_layers
