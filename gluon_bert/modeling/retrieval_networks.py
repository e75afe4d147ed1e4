"""Networks that make vectors for retrieval, to be trained: sparse ones, and one for each token.

N sequences of T tokens, C units, V words.
"""

from __future__ import annotations

from typing import Any, Optional

from mxnet.gluon import HybridBlock, nn

from ..checkpoint.names import Names, with_prefix
from ..checkpoint.retrieval import SparseSettings
from .bert import BertBlock, BertModel
from .heads import BertForPretraining, BertHead
from .layers import INITIALIZER

_LOWEST = -1e30  # what stands in the padding when the maximum is taken
_SQUARED_EPS = 1e-24


def _check_no_pooler(bert):
    if bert.use_pooler:
        raise ValueError(
            'the network has a pooler, which would get no gradient: open it with use_pooler=False'
        )


class SparseEmbedder(BertBlock):
    """A sparse vector of a text, of the scores of all words at all tokens: SPLADE.

    Formal et al. (2021), equations 1 (sum) and 6 (maximum). A :class:`.SparseEncoder` runs it once
    it is trained.

    Parameters
    ----------
    network : BertForPretraining
        With its decoder, and without a pooler, which would get no gradient.
    settings : SparseSettings, optional

    Inputs
    ------
    inputs, token_types, valid_length
        As for :class:`.BertModel`.

    Outputs
    -------
    vectors : float, shape (N, V)
        0 or more.

    Raises
    ------
    ValueError
        If the network has no decoder, or a pooler.
    """

    def __init__(
        self, network: BertForPretraining, settings: Optional[SparseSettings] = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not hasattr(network, 'masked_lm'):
            raise ValueError('network: has no head of masked words; open it with use_decoder=True')
        _check_no_pooler(network.bert)
        self.config, self.settings = network.config, settings or SparseSettings()
        with self.name_scope():
            self.network = network

    @property
    def bert(self) -> BertModel:
        """The network's BERT."""
        return self.network.bert

    def hybrid_forward(
        self, F: Any, inputs: Any, token_types: Any, valid_length: Any, encoder: Any = None
    ) -> Any:
        head = self.network.masked_lm
        sequence = self.bert.sequence(F, inputs, token_types, valid_length, encoder)
        scores = head.decoder(head.transform(sequence))  # (N, T, V)
        lengths = F.cast(valid_length, dtype='float32')

        def fill(values, value):
            return F.SequenceMask(
                values, sequence_length=lengths, use_sequence_length=True, value=value, axis=1
            )

        if self.settings.pooling == 'max':  # of which the functions keep the order
            return self._weights(F, F.max(fill(scores, _LOWEST), axis=1))
        return F.sum(fill(self._weights(F, scores), 0), axis=1)

    def _weights(self, F, scores):
        weights = F.log1p(F.relu(scores))
        return F.log1p(weights) if self.settings.activation == 'log1p_relu' else weights

    def checkpoint_names(self) -> Names:
        return with_prefix(self.network.checkpoint_names(), 'network.')


class TokenEmbedder(BertHead):
    """A vector of length 1 for each token: ColBERT (Khattab and Zaharia, 2020, section 3.2).

    A :class:`.MultiVectorEncoder` runs it once it is trained.

    Parameters
    ----------
    bert : BertModel
        Without a pooler, which would get no gradient.
    units : int
        Width D of the vectors, to which the encodings are projected.

    Inputs
    ------
    inputs, token_types, valid_length
        As for :class:`.BertModel`.

    Outputs
    -------
    vectors : float, shape (N, T, D)
        0 in the padding.
    """

    kind = 'token embedder'

    def __init__(self, bert: BertModel, units: int = 128, **kwargs: Any) -> None:
        super().__init__(bert, **kwargs)
        _check_no_pooler(bert)
        with self.name_scope():
            self.projection = nn.Dense(
                units,
                in_units=bert.config.units,
                flatten=False,
                use_bias=False,  # so that the padding stays 0
                weight_initializer=INITIALIZER,
            )

    def hybrid_forward(
        self, F: Any, inputs: Any, token_types: Any, valid_length: Any, encoder: Any = None
    ) -> Any:
        sequence = self.bert.sequence(F, inputs, token_types, valid_length, encoder)  # (N, T, C)
        vectors = self.projection(sequence)
        squares = F.sum(F.square(vectors), axis=2, keepdims=True)
        return F.broadcast_div(vectors, F.sqrt(squares + _SQUARED_EPS))

    def checkpoint_names(self) -> Names:
        return with_prefix(self.bert.checkpoint_names(), 'bert.')

    def save_parameters(self, filename: Any, deduplicate: bool = False) -> None:
        """Write all parameters by their names; GluonNLP's layout has no place for the projection.

        :func:`.write_retrieval_model` writes the folder to be used.
        """
        HybridBlock.save_parameters(self, str(filename), deduplicate)

    def load_parameters(self, filename: Any, ctx: Any = None, **options: Any) -> None:  # type: ignore[override]
        """Load a file of :meth:`save_parameters`."""
        HybridBlock.load_parameters(self, str(filename), ctx, **options)
