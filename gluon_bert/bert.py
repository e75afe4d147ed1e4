"""BERT: embeddings, encoder layers, pooler; how its parameters are saved and loaded."""
from __future__ import annotations

from typing import List, NamedTuple

import mxnet as mx
from mxnet import nd
from mxnet.gluon import HybridBlock, nn

from .checkpoint.gluonnlp import fuse, read_params, split, write_params
from .checkpoint.names import TIED, encoder_names
from .layers import AttentionMask, Embeddings, EncoderLayer, dense


class BertOutput(NamedTuple):
    """What a BERT gives: ``sequence`` (N, T, C) and ``pooled`` (N, C)."""

    sequence: object
    pooled: object


class LayerOutputs(NamedTuple):
    """What each layer gives.

    ``encodings``: the embeddings, then every layer's output, each (N, T, C). ``attentions``: every
    layer's probabilities, each (N, H, T, T).
    """

    encodings: List[nd.NDArray]
    attentions: List[nd.NDArray]


class BertBlock(HybridBlock):
    """A network around a BERT: its input checks, and its files in GluonNLP's layout.

    A subclass sets ``config`` and says in :meth:`checkpoint_names` which file name belongs to
    which parameter.
    """

    def __call__(self, inputs, token_types=None, valid_length=None, *others):
        if isinstance(inputs, nd.NDArray):
            if token_types is None:
                token_types = nd.zeros_like(inputs)
            _check_inputs(self.config, inputs, token_types)
            if valid_length is None:
                valid_length = nd.full((inputs.shape[0],), inputs.shape[1], ctx=inputs.context)
            elif valid_length.shape != inputs.shape[:1]:
                raise ValueError(f'valid_length has shape {valid_length.shape}, expected '
                                 f'{inputs.shape[:1]}: one length for each sequence')
        return super().__call__(inputs, token_types, valid_length, *others)

    def checkpoint_names(self):
        """Pairs (parameter name, GluonNLP's names), see :mod:`gluon_bert.checkpoint.names`.

        Abstract: every subclass has its own.
        """
        raise NotImplementedError

    def save_parameters(self, filename, deduplicate=False):
        """Write a .params file that this class and GluonNLP 0.10 load; whole or not at all.

        Parameters
        ----------
        filename : str or Path
        deduplicate : bool
            Leave out the second copy of a shared weight.
        """
        parameters = self._collect_params_with_prefix()
        arrays = split({name: parameter.data(parameter.list_ctx()[0]).asnumpy()
                        for name, parameter in parameters.items()},
                       self.checkpoint_names(), self.config.num_heads)
        if deduplicate:
            for _, second in TIED:
                arrays.pop(second, None)
        write_params(filename, arrays)

    def load_parameters(self, filename, ctx=None, allow_missing=False, ignore_extra=False,
                        cast_dtype=False, dtype_source='current'):
        """Load a .params file of this class, or of the like class of GluonNLP 0.6 to 0.10.

        Parameters
        ----------
        filename : str or Path
        ctx : mxnet.Context or list of them
            Where the parameters go; by default where they are, or the current context.
        allow_missing : bool
            Accept parameters that the file does not have; they keep their values.
        ignore_extra : bool
            Accept arrays that the block does not have; they are left out.
        cast_dtype, dtype_source
            As in :meth:`mxnet.gluon.Block.load_parameters`.

        Raises
        ------
        FileNotFoundError, ValueError
            If the file is absent, damaged, or does not fit; the message lists what differs.
        """
        self.load_arrays(read_params(filename), source=str(filename), ctx=ctx,
                         allow_missing=allow_missing, ignore_extra=ignore_extra,
                         cast_dtype=cast_dtype, dtype_source=dtype_source)

    def load_arrays(self, arrays, source, ctx=None, allow_missing=False, ignore_extra=False,
                    cast_dtype=False, dtype_source='current'):
        """Set the parameters from arrays by GluonNLP's names; ``source`` is for messages.

        The arguments and errors are those of :meth:`load_parameters`. Nothing is changed unless
        everything fits.
        """
        names = self.checkpoint_names()
        arrays = _complete_tied(arrays, {name for _, theirs in names for name in theirs})
        missing = [name for _, theirs in names for name in theirs if name not in arrays]
        extra = sorted(set(arrays) - {name for _, theirs in names for name in theirs})
        if missing and not allow_missing:
            raise ValueError(f'{source}: has no {_listing(missing)}; pass allow_missing=True to '
                             f'keep the present values')
        if extra and not ignore_extra:
            raise ValueError(f'{source}: has {_listing(extra)}, which {type(self).__name__} has '
                             f'no place for; pass ignore_extra=True to leave them out')
        parameters = self._collect_params_with_prefix()
        fused = fuse(arrays, names, self.config.num_heads)
        for name, array in fused.items():
            if array.shape != parameters[name].shape:
                raise ValueError(f'{source}: {name} has shape {array.shape}, the model needs '
                                 f'{parameters[name].shape}')
        for name, array in fused.items():
            parameters[name]._load_init(nd.array(array, dtype=array.dtype), ctx,
                                        cast_dtype=cast_dtype, dtype_source=dtype_source)


class BertModel(BertBlock):
    """A bidirectional Transformer encoder of text (Devlin et al., 2019, section 3).

    Parameters
    ----------
    config : BertConfig
    use_pooler : bool
        With the pooler the output is a :class:`BertOutput`; without it, the sequence alone.

    Inputs
    ------
    inputs : int32 or float32, shape (N, T)
        Token ids.
    token_types : int32 or float32, shape (N, T)
        0 for the first text, 1 for the second; all 0 when not given.
    valid_length : int32 or float32, shape (N,)
        Real tokens of each sequence, 1 <= value <= T; all T when not given.

    Outputs
    -------
    sequence : float, shape (N, T, C)
        Zero past the valid length, as in GluonNLP. What stands in the padding has no influence.
    pooled : float, shape (N, C)
        tanh of a dense layer on the first token.

    Raises
    ------
    ValueError
        On calling with shapes that do not fit or more than ``config.max_length`` tokens.
    """

    def __init__(self, config, use_pooler=True, **kwargs):
        super().__init__(**kwargs)
        self.config = config
        self._use_pooler = use_pooler
        with self.name_scope():
            self.embeddings = Embeddings(config)
            self.attention_mask = AttentionMask(config.num_heads)
            self.layers = nn.HybridSequential()
            for _ in range(config.num_layers):
                self.layers.add(EncoderLayer(config))
            if use_pooler:
                self.pooler = dense(config.units, config.units, activation='tanh')

    def __call__(self, inputs, token_types=None, valid_length=None):
        output = super().__call__(inputs, token_types, valid_length)
        return BertOutput(*output) if self._use_pooler else output

    def hybrid_forward(self, F, inputs, token_types, valid_length):
        hidden, mask, lengths = self._embed(F, inputs, token_types, valid_length)
        for layer in self.layers:
            hidden = layer(hidden, mask)
        sequence = self._batch_major(F, hidden, lengths)                          # (N, T, C)
        if not self._use_pooler:
            return sequence
        return sequence, self._pool(F, F.slice_axis(hidden, axis=0, begin=0, end=1))

    def pooled(self, F, inputs, token_types, valid_length):
        """The pooled vectors alone, (N, C), for a block around this one.

        The last layer is computed for the first token only, which saves most of its work.
        """
        hidden, mask, _ = self._embed(F, inputs, token_types, valid_length)
        *layers, last = self.layers
        for layer in layers:
            hidden = layer(hidden, mask)
        return self._pool(F, last.first_token(F, hidden, mask))

    def _embed(self, F, inputs, token_types, valid_length):
        lengths = F.cast(valid_length, dtype='float32')                           # (N,)
        hidden = self.embeddings(inputs, token_types)                             # (T, N, C)
        return hidden, self.attention_mask(hidden, lengths), lengths

    def _pool(self, F, first):
        return self.pooler(F.reshape(first, shape=(-1, self.config.units)))       # (N, C)

    @staticmethod
    def _batch_major(F, hidden, lengths):
        kept = F.SequenceMask(hidden, sequence_length=lengths, use_sequence_length=True)
        return F.transpose(kept, axes=(1, 0, 2))                                  # (N, T, C)

    def layer_outputs(self, inputs, token_types=None, valid_length=None):
        """All layers' encodings and attention probabilities.

        Parameters
        ----------
        inputs, token_types, valid_length
            As in the call.

        Returns
        -------
        LayerOutputs
            ``encodings``: num_layers + 1 arrays (N, T, C), the embeddings first, zero past the
            valid length. ``attentions``: num_layers arrays (N, H, T, T); each row sums to 1,
            padded keys have probability 0, rows of padded queries mean nothing.
        """
        if token_types is None:
            token_types = nd.zeros_like(inputs)
        _check_inputs(self.config, inputs, token_types)
        if valid_length is None:
            valid_length = nd.full((inputs.shape[0],), inputs.shape[1], ctx=inputs.context)
        hidden, mask, lengths = self._embed(nd, inputs, token_types, valid_length)
        encodings, attentions = [self._batch_major(nd, hidden, lengths)], []
        for layer in self.layers:
            attentions.append(layer.attention.probabilities(hidden, mask))
            hidden = layer(hidden, mask)
            encodings.append(self._batch_major(nd, hidden, lengths))
        return LayerOutputs(encodings, attentions)

    def checkpoint_names(self):
        return encoder_names(self.config.num_layers, self._use_pooler)


def mean_pool(sequence, valid_length, normalize=True):
    """Sentence vectors: the mean over the valid tokens (Reimers and Gurevych, 2019, section 3).

    Parameters
    ----------
    sequence : NDArray, shape (N, T, C)
        Zero past the valid length, as :class:`BertModel` gives it.
    valid_length : NDArray, shape (N,)
    normalize : bool
        Scale each vector to Euclidean length 1.

    Returns
    -------
    NDArray, shape (N, C)
    """
    lengths = valid_length.astype(sequence.dtype).expand_dims(1)                  # (N, 1)
    vectors = mx.nd.broadcast_div(sequence.sum(axis=1), lengths)                  # (N, C)
    return mx.nd.L2Normalization(vectors, eps=1e-24) if normalize else vectors


def _check_inputs(config, inputs, token_types):
    if inputs.ndim != 2 or inputs.shape != token_types.shape:
        raise ValueError('inputs and token_types must both have shape (sequences, tokens), got '
                         f'{inputs.shape} and {token_types.shape}')
    if inputs.shape[1] > config.max_length:
        raise ValueError(f'inputs has {inputs.shape[1]} tokens a sequence; the model takes at '
                         f'most max_length={config.max_length}')


def _complete_tied(arrays, wanted):
    """Accept a shared weight that is in the file once only, under either name."""
    arrays = dict(arrays)
    for first, second in TIED:
        for absent, present in ((first, second), (second, first)):
            if absent in wanted and absent not in arrays and present in arrays:
                arrays[absent] = arrays[present]
        if second not in wanted and first in wanted:
            arrays.pop(second, None)
    return arrays


def _listing(names, limit=4):
    shown = ', '.join(names[:limit])
    return shown if len(names) <= limit else f'{shown} and {len(names) - limit} more'
