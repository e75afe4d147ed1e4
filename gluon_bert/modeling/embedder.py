"""A BERT that gives one vector for each text, to be trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..checkpoint.names import Names, with_prefix
from .bert import BertModel
from .heads import BertHead

_LOWEST = -1e30  # what stands in the padding when the maximum is taken
_SQUARED_EPS = 1e-24


def _mean(F, sequence, lengths):
    return F.broadcast_div(F.sum(sequence, axis=1), F.expand_dims(lengths, axis=1))


def _maximum(F, sequence, lengths):
    filled = F.SequenceMask(
        sequence, sequence_length=lengths, use_sequence_length=True, value=_LOWEST, axis=1
    )
    return F.max(filled, axis=1)


def _first(F, sequence, lengths):
    return F.squeeze(F.slice_axis(sequence, axis=1, begin=0, end=1), axis=1)


#: Ways of pooling that can be trained, of ``POOLING_MODES``: encodings (N, T, C), which are 0 in
#: the padding, and lengths (N,) -> vectors (N, C).
TRAINED_POOLINGS: Mapping[str, Callable[[Any, Any, Any], Any]] = {
    'cls': _first,
    'max': _maximum,
    'mean': _mean,
}


class BertEmbedder(BertHead):
    """The pooled encodings of a text (Reimers and Gurevych, 2019, section 3).

    Trained, it is run by a :class:`.SentenceEncoder` of its BERT.

    Parameters
    ----------
    bert : BertModel
    pooling : sequence of str
        Of :data:`TRAINED_POOLINGS`; several are put side by side.
    normalize : bool
        Scale each vector to Euclidean length 1.

    Inputs
    ------
    inputs, token_types, valid_length
        As for :class:`.BertModel`.

    Outputs
    -------
    vectors : float, shape (N, C times the number of poolings)
    """

    kind = 'embedder'

    def __init__(
        self,
        bert: BertModel,
        pooling: Sequence[str] = ('mean',),
        normalize: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(bert, **kwargs)
        unknown = [mode for mode in pooling if mode not in TRAINED_POOLINGS]
        if unknown or not pooling:
            raise ValueError(f'pooling={list(pooling)}: expected some of {tuple(TRAINED_POOLINGS)}')
        self._pooling, self._normalize = tuple(pooling), normalize

    def hybrid_forward(
        self, F: Any, inputs: Any, token_types: Any, valid_length: Any, encoder: Any = None
    ) -> Any:
        sequence = self.bert.sequence(F, inputs, token_types, valid_length, encoder)  # (N, T, C)
        lengths = F.cast(valid_length, dtype='float32')
        parts = [TRAINED_POOLINGS[mode](F, sequence, lengths) for mode in self._pooling]
        vectors = parts[0] if len(parts) == 1 else F.concat(*parts, dim=1)
        return F.L2Normalization(vectors, eps=_SQUARED_EPS) if self._normalize else vectors

    def checkpoint_names(self) -> Names:
        return with_prefix(self.bert.checkpoint_names(), 'bert.')
