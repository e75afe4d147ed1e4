"""Detection of replaced tokens: a generator that replaces them, and a network that finds them.

N sequences, T tokens, M masked positions, V words, C units.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from mxnet.gluon import HybridBlock

from ..checkpoint.names import Names, with_prefix
from ..config import BertConfig
from .bert import BertModel
from .block import BertBlock
from .heads import BertForPretraining
from .layers import Activation, dense

_TINY = 1e-9  # keeps the logarithms of the noise finite


class ReplacedTokensOutput(NamedTuple):
    """Outputs of a :class:`BertForReplacedTokens`."""

    masked_lm: Any
    """Scores of the generator, shape (N, M, V)."""
    replaced: Any
    """Logits that a token is replaced, shape (N, T)."""
    samples: Any
    """Ids that the generator put at the masked positions, shape (N, M)."""
    masked_positions: Any
    """As in the inputs, shape (N, M)."""
    valid: Any
    """1 for each token, 0 for padding, shape (N, T)."""


class DiscriminatorHead(HybridBlock):
    """A score of each token (Clark et al., 2020, section 2).

    Parameters
    ----------
    config : BertConfig

    Inputs
    ------
    sequence : float, shape (N, T, C)

    Outputs
    -------
    scores : float, shape (N, T, 1)
    """

    def __init__(self, config: BertConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        with self.name_scope():
            self.dense = dense(config.units, config.units)
            self.activation = Activation(config.activation)
            self.score = dense(1, config.units)

    def hybrid_forward(self, F: Any, sequence: Any) -> Any:
        return self.score(self.activation(self.dense(sequence)))


class BertForReplacedTokens(BertBlock):
    """A BERT that tells which tokens a smaller one has put in the place of masked ones: ELECTRA.

    Clark et al. (2020), section 2. The generator has the embeddings of the discriminator, and
    narrower layers; what it puts in is drawn from its scores, with noise from MXNet's generator of
    random numbers, so that it is a function of the seed.

    Parameters
    ----------
    bert : BertModel
        The discriminator, without a pooler.
    generator_size : float
        Units, feed-forward width and heads of the generator, as a share of those of ``bert``.

    Inputs
    ------
    inputs : shape (N, T)
        Ids after masking.
    token_types, valid_length
        As for :class:`.BertModel`.
    masked_positions : int32 or float32, shape (N, M)
        0 for padding: the first token is never masked.

    Outputs
    -------
    ReplacedTokensOutput

    Raises
    ------
    ValueError
        If ``bert`` has a pooler, or the generator would have no head.
    """

    output_type = ReplacedTokensOutput

    def __init__(self, bert: BertModel, generator_size: float = 0.25, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if bert.use_pooler:
            raise ValueError('bert has a pooler, which no loss would train: use_pooler=False')
        self.config = bert.config
        self.generator_config = generator_config(bert.config, generator_size)
        with self.name_scope():
            self.bert = bert
            generator = BertModel(self.generator_config, use_pooler=False)
            for name in ('word', 'token_type', 'position', 'norm'):
                if hasattr(bert.embeddings, name):
                    setattr(generator.embeddings, name, getattr(bert.embeddings, name))
            self.generator = BertForPretraining(generator, use_classifier=False)
            self.discriminator = DiscriminatorHead(bert.config)

    def __call__(  # type: ignore[override]
        self,
        inputs: Any,
        token_types: Any,
        valid_length: Any,
        masked_positions: Any,
        encoder: Any = None,
    ) -> Any:
        arguments = (inputs, token_types, valid_length, masked_positions)
        return ReplacedTokensOutput(*super().__call__(*arguments, encoder=encoder))

    def hybrid_forward(
        self,
        F: Any,
        inputs: Any,
        token_types: Any,
        valid_length: Any,
        masked_positions: Any,
        encoder: Any = None,
    ) -> Any:
        scores = self.generator(inputs, token_types, valid_length, masked_positions).masked_lm
        samples = self._sample(F, scores)  # (N, M)
        corrupted = self._put(F, inputs, masked_positions, samples)
        sequence = self.bert(corrupted, token_types, valid_length, encoder=encoder)
        replaced = F.reshape(self.discriminator(sequence), shape=(0, -1))  # (N, T)
        valid = F.SequenceMask(
            F.transpose(F.ones_like(replaced)),
            sequence_length=F.cast(valid_length, dtype='float32'),
            use_sequence_length=True,
        )
        constants = samples, F.cast(masked_positions, dtype='float32'), F.transpose(valid)
        return scores, replaced, *map(F.BlockGrad, constants)

    @staticmethod
    def _sample(F, scores):
        """Draw from the softmax: the largest score with Gumbel's noise (Maddison et al., 2014)."""
        scores = F.BlockGrad(scores)
        noise = F.random.uniform_like(scores, 0, 1)
        noise = -F.log(_TINY - F.log(noise + _TINY))
        return F.argmax(scores + noise, axis=2)

    @staticmethod
    def _put(F, inputs, masked_positions, samples):
        """Put the samples at the masked positions."""
        inputs = F.cast(inputs, dtype='float32')
        columns = F.broadcast_like(
            F.expand_dims(F.contrib.arange_like(inputs, axis=1), axis=0), inputs
        )  # (N, T)
        positions = F.expand_dims(F.cast(masked_positions, dtype='float32'), axis=2)  # (N, M, 1)
        places = F.broadcast_equal(positions, F.expand_dims(columns, axis=1))  # (N, M, T)
        places = F.broadcast_mul(places, positions > 0)
        drawn = F.sum(F.broadcast_mul(places, F.expand_dims(samples, axis=2)), axis=1)  # (N, T)
        return inputs * (1 - F.max(places, axis=1)) + drawn

    def checkpoint_names(self) -> Names:
        """List the names of the discriminator's parameters, which are those that are kept."""
        return with_prefix(self.bert.checkpoint_names(), 'bert.')


def generator_config(config: BertConfig, size: float) -> BertConfig:
    """Make the configuration of a generator (Clark et al., 2020, section 3.2).

    Parameters
    ----------
    config : BertConfig
        Of the discriminator.
    size : float
        Share of its units, feed-forward width and heads.

    Returns
    -------
    BertConfig

    Raises
    ------
    ValueError
        If the share is not above 0 and at most 1.
    """
    if not 0 < size <= 1:
        raise ValueError(f'generator_size={size}: expected more than 0, and 1 at most')
    heads = max(1, round(config.num_heads * size))
    units = heads * (config.units // config.num_heads)
    width = config.embedding_width
    return replace(
        config,
        units=units,
        hidden_size=max(1, round(config.hidden_size * size)),
        num_heads=heads,
        embedding_units=None if units == width else width,
    )
