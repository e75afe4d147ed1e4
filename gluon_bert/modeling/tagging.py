"""Taggers at work: one with a CRF, and the tags of words from their scores."""

from __future__ import annotations

from typing import Any

import mxnet as mx
import numpy as np

from ..checkpoint.names import CRF, Names, with_prefix
from .bert import BertBlock, BertModel
from .chain import best_tags as best_tags
from .chain import tag_probabilities as tag_probabilities
from .crf import LinearChainCRF
from .heads import BertTagger


class BertCrfTagger(BertBlock):
    """A :class:`.BertTagger` whose scores are the emissions of a CRF.

    Inputs and outputs are those of the tagger; its scores are the emissions. The parameter files
    are those of a tagger with the three arrays of the CRF besides; GluonNLP loads them with
    ``ignore_extra=True``.

    Parameters
    ----------
    bert : BertModel
    num_tags : int
        Number K of tags.
    transitions : Transitions, optional
        See :class:`.LinearChainCRF`.
    dropout : float
        On the encodings, in [0, 1).
    """

    file_layout = BertTagger.file_layout

    def __init__(
        self,
        bert: BertModel,
        num_tags: int,
        transitions: Any = None,
        dropout: float = 0.1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.config = bert.config
        with self.name_scope():
            self.tagger = BertTagger(bert, num_tags, dropout)
            self.crf = LinearChainCRF(num_tags, transitions)

    def hybridize(self, active: bool = True, **kwargs: Any) -> None:
        """Compile the tagger; the CRF's loop has as many turns as there are words."""
        self.tagger.hybridize(active, **kwargs)

    @property
    def bert(self) -> BertModel:
        """The BERT of the tagger."""
        return self.tagger.bert

    def hybrid_forward(
        self, F: Any, inputs: Any, token_types: Any, valid_length: Any, encoder: Any = None
    ) -> Any:
        return self.tagger(inputs, token_types, valid_length, encoder=encoder)  # (N, T, K)

    def checkpoint_names(self) -> Names:
        return with_prefix(self.tagger.checkpoint_names(), 'tagger.') + CRF

    def loss(self, scores: mx.nd.NDArray, labels: mx.nd.NDArray) -> mx.nd.NDArray:
        """Compute the negative log-likelihood of each sequence, a mean over its words.

        Parameters
        ----------
        scores : NDArray, shape (N, T, K)
            As the network gives them.
        labels : NDArray, shape (N, T)
            Tag numbers; tokens with a negative one are no words of their own.

        Returns
        -------
        NDArray, shape (N,)
        """
        is_word = labels.asnumpy() >= 0  # (N, T)
        counts = is_word.sum(axis=1)
        # The words' tokens to the front: (N, W) places, W words in the longest sequence.
        places = np.argsort(~is_word, axis=1, kind='stable')[:, : max(counts.max(), 1)]
        rows = np.broadcast_to(np.arange(len(places))[:, None], places.shape)
        index = mx.nd.array(np.stack([rows, places]), ctx=scores.context)
        tags = mx.nd.maximum(mx.nd.gather_nd(labels, index), 0)
        lengths = mx.nd.array(np.maximum(counts, 1), ctx=scores.context)
        likelihood = self.crf(mx.nd.gather_nd(scores, index), tags, lengths)
        return -likelihood / lengths * mx.nd.array(counts > 0, ctx=scores.context)
