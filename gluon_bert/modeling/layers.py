"""The blocks a BERT encoder is made of: all the maths.

Letters used in shapes, here and everywhere: N sequences, T tokens, C units, H heads, D = C / H,
E width of the embeddings (C in most networks).
Blocks here are time-major, (T, N, C), because MXNet's fused attention is.
"""

from __future__ import annotations

import math
from typing import Any, Optional

import mxnet as mx
from mxnet.gluon import HybridBlock, nn

from ..config import ACTIVATIONS, BertConfig

# Standard deviation of the weights; Google's code truncates the distribution, this does not.
INITIALIZER = mx.init.Normal(0.02)

# Added to the score of a padded key. Its softmax weight is then exactly zero in float32.
MASKED = -1e9


def dense(units: int, in_units: int, activation: Optional[str] = None) -> nn.Dense:
    """Make a dense layer on the last axis, (..., in_units) -> (..., units)."""
    # MXNet's dense layer has no GELU, and its ReLU makes 0 of NaN.
    apart = activation if activation in ACTIVATIONS else None
    layer = nn.Dense(
        units,
        in_units=in_units,
        activation=None if apart else activation,
        flatten=False,
        weight_initializer=INITIALIZER,
    )
    if apart is not None:
        with layer.name_scope():
            layer.act = Activation(apart)
    return layer


class Activation(HybridBlock):
    r"""The non-linearity of the feed-forward layer.

    .. math::
        \mathrm{gelu}(x) = \tfrac{x}{2}\,(1 + \mathrm{erf}(x / \sqrt{2})), \qquad
        \mathrm{gelu\_tanh}(x) = \tfrac{x}{2}\,(1 + \tanh(\sqrt{2/\pi}\,(x + 0.044715\,x^3)))

    Hendrycks and Gimpel (2016), section 2.

    Parameters
    ----------
    name : str
        'gelu', 'gelu_tanh' or 'relu'.
    """

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if name not in ACTIVATIONS:
            raise ValueError(f'name={name!r}: expected one of {ACTIVATIONS}')
        self._name = name

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        if self._name == 'gelu':
            return F.LeakyReLU(x, act_type='gelu')
        if self._name == 'relu':
            return F.relu(x)
        cubed = F.elemwise_mul(F.square(x), x)
        return 0.5 * F.elemwise_mul(x, 1 + F.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * cubed)))


class AddNorm(nn.LayerNorm):
    r"""Layer normalisation of a sum.

    .. math:: \frac{x + r - \mathrm{mean}}{\sqrt{\mathrm{variance} + \epsilon}}\,\gamma + \beta

    Ba et al. (2016), section 3; mean and variance are over the last axis.

    Parameters
    ----------
    config : BertConfig
    units : int
        Length of the last axis.

    Inputs
    ------
    x, residual : float, shape (..., units)

    Outputs
    -------
    normalized : float, shape (..., units)
    """

    def __init__(self, config: BertConfig, units: int, **kwargs: Any) -> None:
        super().__init__(epsilon=config.layer_norm_eps, in_channels=units, **kwargs)

    def hybrid_forward(self, F: Any, x: Any, residual: Any, gamma: Any, beta: Any) -> Any:
        return super().hybrid_forward(F, F.elemwise_add(x, residual), gamma, beta)


class Embeddings(HybridBlock):
    """The sum of word, token type and position embeddings, normalised.

    Devlin et al. (2019), section 3, figure 2; dropout comes after the normalisation, as in Google's
    code.
    Without token types in the configuration they are not added. Where the configuration gives the
    embeddings a width of their own, a dense layer brings them to that of the model (Clark et al.,
    2020, section 3.2).

    Parameters
    ----------
    config : BertConfig

    Inputs
    ------
    inputs : int32 or float32, shape (N, T)
        Token ids.
    token_types : int32 or float32, shape (N, T)

    Outputs
    -------
    hidden : float, shape (T, N, C)
    """

    def __init__(self, config: BertConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        width = config.embedding_width
        with self.name_scope():
            self.word = nn.Embedding(config.vocab_size, width, weight_initializer=INITIALIZER)
            if config.num_token_types:
                self.token_type = nn.Embedding(
                    config.num_token_types, width, weight_initializer=INITIALIZER
                )
            self.position = nn.Embedding(config.max_length, width, weight_initializer=INITIALIZER)
            self.norm = AddNorm(config, width)
            self.dropout = nn.Dropout(config.dropout)
            if config.embedding_units is not None:
                self.project = dense(config.units, width)
        self._has_token_types = config.num_token_types > 0
        self._has_projection = config.embedding_units is not None

    def hybrid_forward(self, F: Any, inputs: Any, token_types: Any) -> Any:
        words = self.word(F.transpose(inputs))  # (T, N, E)
        if self._has_token_types:
            words = F.elemwise_add(words, self.token_type(F.transpose(token_types)))
        # Any input of this length will do; MXNet complains of one that is not used at all.
        positions = self.position(F.contrib.arange_like(token_types, axis=1))  # (T, E)
        positions = F.broadcast_like(F.expand_dims(positions, axis=1), words)  # (T, N, E)
        hidden = self.dropout(self.norm(words, positions))
        return self.project(hidden) if self._has_projection else hidden  # (T, N, C)


class AttentionMask(HybridBlock):
    """The mask added to attention scores: 0 for a valid key, a large negative for a padded one.

    Parameters
    ----------
    num_heads : int

    Inputs
    ------
    hidden : float, shape (T, N, C)
        Only its length is used.
    valid_length : float32, shape (N,)
        Real tokens of each sequence, 1 <= value <= T.

    Outputs
    -------
    mask : float32, shape (N * H, T, T)
        Made once for all layers; the same for each query.
    """

    def __init__(self, num_heads: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._num_heads = num_heads

    def hybrid_forward(self, F: Any, hidden: Any, valid_length: Any) -> Any:
        positions = F.contrib.arange_like(hidden, axis=0)  # (T,)
        padded = F.broadcast_greater_equal(
            F.expand_dims(positions, axis=0), F.expand_dims(valid_length, axis=1)
        )  # (N, T)
        per_head = F.repeat(
            F.expand_dims(padded * MASKED, axis=1), repeats=self._num_heads, axis=0
        )  # (N*H, 1, T)
        queries = F.reshape(F.zeros_like(positions), shape=(1, -1, 1))  # (1, T, 1)
        return F.broadcast_add(per_head, queries)  # (N*H, T, T)


class SelfAttention(HybridBlock):
    r"""Multi-head self-attention over the valid tokens of each sequence.

    .. math:: \mathrm{softmax}(Q K^\top / \sqrt{D} + \mathrm{mask})\, V

    Vaswani et al. (2017), section 3.2.2.

    Parameters
    ----------
    config : BertConfig

    Inputs
    ------
    hidden : float, shape (T, N, C)
    mask : float, shape (N * H, T, T)
        From :class:`AttentionMask`.

    Outputs
    -------
    context : float, shape (T, N, C)
        Unspecified at padded positions.
    """

    def __init__(self, config: BertConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._num_heads = config.num_heads
        with self.name_scope():
            # Rows ordered head by head, (H, [query, key, value], D), as the fused operator reads.
            self.query_key_value = dense(3 * config.units, config.units)
            self.dropout = nn.Dropout(config.dropout)
            self.output = dense(config.units, config.units)

    def hybrid_forward(self, F: Any, hidden: Any, mask: Any) -> Any:
        return self.output(self.context(F, hidden, mask))

    def context(self, F: Any, hidden: Any, mask: Any) -> Any:
        """Compute the heads' weighted values, before the output projection: (T, N, C)."""
        query_key_value = self.query_key_value(hidden)  # (T, N, 3C)
        weights = self._weights(F, query_key_value, mask)  # (N*H, T, T)
        return F.contrib.interleaved_matmul_selfatt_valatt(
            query_key_value, self.dropout(weights), heads=self._num_heads
        )

    def _weights(self, F, query_key_value, mask):
        scores = F.contrib.interleaved_matmul_selfatt_qk(
            query_key_value, heads=self._num_heads
        )  # (N*H, T, T)
        return F.softmax(F.elemwise_add(scores, mask), axis=-1)

    def probabilities(self, hidden: mx.nd.NDArray, mask: mx.nd.NDArray) -> mx.nd.NDArray:
        """Compute the attention probabilities: NDArrays as above -> NDArray, (N, H, T, T)."""
        weights = self._weights(mx.nd, self.query_key_value(hidden), mask)
        return weights.reshape((-4, -1, self._num_heads, -2))  # (N, H, T, T)


class EncoderLayer(HybridBlock):
    """One Transformer layer: attention, then feed-forward, each added and normalised.

    Vaswani et al. (2017), section 3.1; dropout on each output before it is added, section 5.4.

    Parameters
    ----------
    config : BertConfig

    Inputs
    ------
    hidden : float, shape (T, N, C)
    mask : float, shape (N * H, T, T)

    Outputs
    -------
    hidden : float, shape (T, N, C)
    """

    def __init__(self, config: BertConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        with self.name_scope():
            self.attention = SelfAttention(config)
            self.attention_norm = AddNorm(config, config.units)
            self.expand = dense(config.hidden_size, config.units)
            self.activation = Activation(config.activation)
            self.contract = dense(config.units, config.hidden_size)
            self.output_norm = AddNorm(config, config.units)
            self.dropout = nn.Dropout(config.dropout)

    def hybrid_forward(self, F: Any, hidden: Any, mask: Any) -> Any:
        return self._transform(F, hidden, self.attention(hidden, mask))

    def first_token(self, F: Any, hidden: Any, mask: Any) -> Any:
        """Compute the output for the first token only, (1, N, C), which a pooler reads."""
        context = F.slice_axis(self.attention.context(F, hidden, mask), axis=0, begin=0, end=1)
        return self._transform(
            F, F.slice_axis(hidden, axis=0, begin=0, end=1), self.attention.output(context)
        )

    def _transform(self, F, hidden, attended):
        hidden = self.attention_norm(hidden, self.dropout(attended))
        transformed = self.contract(self.activation(self.expand(hidden)))
        return self.output_norm(hidden, self.dropout(transformed))


class EncoderLayers(nn.HybridSequential):
    """The layers of an encoder, one after another.

    With ``config.share_layers`` they are one layer, again and again (Lan et al., 2020, section
    3.1).

    Parameters
    ----------
    config : BertConfig
    """

    def __init__(self, config: BertConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._repeats = config.num_layers if config.share_layers else 1
        with self.name_scope():
            for _ in range(config.num_layers // self._repeats):
                self.add(EncoderLayer(config))

    def __len__(self):
        return self._repeats * len(self._children)

    def __getitem__(self, key):
        return (self._repeats * list(self._children.values()))[key]
