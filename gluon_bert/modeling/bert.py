"""BERT: embeddings, encoder layers, pooler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from mxnet import nd

from ..checkpoint.names import Names, encoder_names
from ..checkpoint.sentence import SentenceSettings
from ..config import BertConfig
from ..kernels import gluon
from ..kernels.encoder import EncoderArrays
from .block import BertBlock, check_inputs, check_values
from .layers import AttentionMask, Embeddings, EncoderLayers, dense
from .outputs import BertOutput, LayerOutputs
from .pooling import mean_pool  # noqa: F401 (its home in 0.1)


class BertModel(BertBlock):
    """A bidirectional Transformer encoder of text (Devlin et al., 2019, section 3).

    Parameters
    ----------
    config : BertConfig
    use_pooler : bool
        With the pooler the output is a :class:`BertOutput`; without it, the sequence alone.
    sentence : SentenceSettings, optional
        Of a sentence model: how a :class:`.SentenceEncoder` makes vectors of the encodings.

    Inputs
    ------
    inputs : int32 or float32, shape (N, T)
        Token ids.
    token_types : int32 or float32, shape (N, T)
        0 for the first text, 1 for the second; all 0 when not given. A network without token
        types (``config.num_token_types == 0``) can also be called as (inputs, valid_length).
    valid_length : int32 or float32, shape (N,)
        Real tokens of each sequence, 1 <= value <= T; all T when not given.

    Outputs
    -------
    sequence : float, shape (N, T, C)
        Zero past the valid length, as in GluonNLP. What stands in the padding has no influence.
    pooled : float, shape (N, C)
        A dense layer on the first token, with tanh (``config.pooler_activation``).

    Raises
    ------
    ValueError
        On calling with shapes that do not fit or more than ``config.max_length`` tokens; on the
        CPU also with a token's id or type, or a length, out of range.
    """

    kind = 'encoder'

    def __init__(
        self,
        config: BertConfig,
        use_pooler: bool = True,
        sentence: Optional[SentenceSettings] = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.config = config
        self.sentence = sentence
        self.use_pooler = use_pooler
        with self.name_scope():
            self.embeddings = Embeddings(config)
            self.attention_mask = AttentionMask(config.num_heads)
            self.layers = EncoderLayers(config)
            if use_pooler:
                self.pooler = dense(config.units, config.units, activation=config.pooler_activation)

    def __call__(  # type: ignore[override]
        self, inputs: Any, token_types: Any = None, valid_length: Any = None, *, encoder: Any = None
    ) -> Any:
        output = super().__call__(inputs, token_types, valid_length, encoder=encoder)
        return BertOutput(*output) if self.use_pooler else output

    def hybrid_forward(
        self, F: Any, inputs: Any, token_types: Any, valid_length: Any, encoder: Any = None
    ) -> Any:
        sequence = self.sequence(F, inputs, token_types, valid_length, encoder)  # (N, T, C)
        if not self.use_pooler:
            return sequence
        return sequence, self._pool(F, F.slice_axis(sequence, axis=1, begin=0, end=1))

    def sequence(
        self, F: Any, inputs: Any, token_types: Any, valid_length: Any, encoder: Any = None
    ) -> Any:
        """Compute the encodings alone, (N, T, C), for a block around this one."""
        if encoder is not None:
            return encoder(inputs, token_types, valid_length)
        hidden, mask, lengths = self._embed(F, inputs, token_types, valid_length)
        for layer in self.layers:
            hidden = layer(hidden, mask)
        return self._batch_major(F, hidden, lengths)

    def pooled(
        self, F: Any, inputs: Any, token_types: Any, valid_length: Any, encoder: Any = None
    ) -> Any:
        """Compute the pooled vectors alone, (N, C), for a block around this one.

        The last layer is computed for the first token only, which saves most of its work.
        """
        if encoder is not None:
            return self.pooler(encoder(inputs, token_types, valid_length, first_only=True))
        hidden, mask, _ = self._embed(F, inputs, token_types, valid_length)
        *layers, last = self.layers
        for layer in layers:
            hidden = layer(hidden, mask)
        return self._pool(F, last.first_token(F, hidden, mask))

    def _embed(self, F, inputs, token_types, valid_length):
        lengths = F.cast(valid_length, dtype='float32')  # (N,)
        hidden = self.embeddings(inputs, token_types)  # (T, N, C)
        return hidden, self.attention_mask(hidden, lengths), lengths

    def _pool(self, F, first):
        return self.pooler(F.reshape(first, shape=(-1, self.config.units)))  # (N, C)

    @staticmethod
    def _batch_major(F, hidden, lengths):
        kept = F.SequenceMask(hidden, sequence_length=lengths, use_sequence_length=True)
        return F.transpose(kept, axes=(1, 0, 2))  # (N, T, C)

    def layer_outputs(
        self,
        inputs: nd.NDArray,
        token_types: Optional[nd.NDArray] = None,
        valid_length: Optional[nd.NDArray] = None,
        attentions: bool = True,
        layers: Optional[Sequence[int]] = None,
    ) -> LayerOutputs:
        """Compute the encodings and attention probabilities of the layers.

        Parameters
        ----------
        inputs, token_types, valid_length
            As in the call.
        attentions : bool
            False: only the encodings, which takes less time and memory.
        layers : sequence of int, optional
            The encodings to return: 0 for the embeddings, 1 for the first layer and so on; all by
            default. Layers after the last of these are not run.

        Returns
        -------
        LayerOutputs
            ``encodings``: an array (N, T, C) for each of ``layers``, by default num_layers + 1, the
            embeddings first; zero past the valid length. ``attentions``: an array (N, H, T, T) for
            each layer that was run; each row sums to 1, padded keys have probability 0, rows of
            padded queries mean nothing; empty without.
        """
        if token_types is None:
            token_types = nd.zeros_like(inputs)
        check_inputs(self.config, inputs, token_types)
        if valid_length is None:
            valid_length = nd.full((inputs.shape[0],), inputs.shape[1], ctx=inputs.context)
        check_values(self.config, inputs, token_types, valid_length)
        layers = range(self.config.num_layers + 1) if layers is None else layers
        with self.lock:
            hidden, mask, lengths = self._embed(nd, inputs, token_types, valid_length)
            encodings, probabilities = {}, []
            if 0 in layers:
                encodings[0] = self._batch_major(nd, hidden, lengths)
            for number, layer in zip(range(1, max(layers) + 1), self.layers):
                if attentions:
                    probabilities.append(layer.attention.probabilities(hidden, mask))
                hidden = layer(hidden, mask)
                if number in layers:
                    encodings[number] = self._batch_major(nd, hidden, lengths)
        return LayerOutputs([encodings[number] for number in layers], probabilities)

    def checkpoint_names(self) -> Names:
        return encoder_names(self.config, self.use_pooler)

    def is_native(self) -> bool:
        """Tell if all parameters have values, in float32 on the CPU, as the kernels read them."""
        return gluon.is_native(self)

    def encoder_arrays(self) -> EncoderArrays:
        """View the parameters for a :class:`~gluon_bert.kernels.encoder.NativeEncoder`."""
        return gluon.encoder_arrays(self)
