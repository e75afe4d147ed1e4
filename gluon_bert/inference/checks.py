"""Checks of what goes with a network: its tokenizer, lengths, layers and inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from ..data.features import Features


def inner_bert(network: Any) -> Any:
    """Return the BERT inside a network, which may be the network itself."""
    return getattr(network, 'bert', network)


def unwrap_head(network: Any) -> Any:
    """Return the BertModel or BertHead inside a network, which may be the network itself."""
    head = getattr(network, 'tagger', network) if hasattr(network, 'crf') else network
    if not hasattr(head, 'kind'):
        raise TypeError(
            f'{type(network).__name__} is no network around a BERT; give a model, such as the '
            'first of what gluon_bert.get_model(...) returns'
        )
    return head


head_of = unwrap_head  # its name in 0.1


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


def check_positions(features: Sequence[Features], positions: Any) -> None:
    """Raise ValueError unless there are positions within each sequence."""
    if positions is None or len(positions) != len(features):
        raise ValueError(
            'positions of the masked words are needed: a list for each sequence, which may be empty'
        )
    for feature, row in zip(features, positions):
        if not all(0 <= position < feature.valid_length for position in row):
            raise ValueError(
                f'positions {list(row)} are not all in a sequence of {feature.valid_length} tokens'
            )


def check_features(features: Any) -> None:
    """Raise TypeError for a text, or a list that begins with no Features."""
    first = features[0] if isinstance(features, (list, tuple)) and features else None
    wrong = features if isinstance(features, (str, bytes, dict)) else first
    if wrong is not None and not hasattr(wrong, 'valid_length'):
        raise TypeError(
            f'features must be a list of Features, got {type(wrong).__name__}; make them of texts '
            f'with gluon_bert.data.SentenceTransform'
        )
