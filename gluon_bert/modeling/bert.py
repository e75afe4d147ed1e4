"""BERT: embeddings, encoder layers, pooler; how its parameters are saved and loaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import List, NamedTuple, Optional

from mxnet import nd
from mxnet.gluon import nn

from ..checkpoint.gluonnlp.names import common_arrays, to_file_names
from ..checkpoint.gluonnlp.params_file import read_params, write_params
from ..checkpoint.layout import fuse, fused_shape, split
from ..checkpoint.names import encoder_names
from ..checkpoint.tensor_file import listing
from .layers import AttentionMask, Embeddings, EncoderLayer, dense
from .parameters import fill
from .pickling import SharedBlock
from .pooling import mean_pool  # noqa: F401 (its home in 0.1)


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


class BertBlock(SharedBlock):
    """A network around a BERT: its input checks, and its files in GluonNLP's layout.

    A subclass sets ``config`` and says in :meth:`checkpoint_names` which array of a checkpoint
    belongs to which parameter, and in ``file_layout`` how GluonNLP's like class spells the names.
    """

    file_layout = 'model'

    def __call__(self, inputs, token_types=None, valid_length=None, *others, encoder=None):
        """Check the inputs and run the network on them.

        ``encoder`` computes the encodings of NDArrays instead of the network's layers, see
        :func:`~gluon_bert.kernels.training.make_trainer`; the network's forward hooks are not
        called then.
        """
        inputs, token_types, valid_length, *others = self.arguments(
            inputs, token_types, valid_length, *others
        )
        if isinstance(inputs, nd.NDArray):
            if token_types is None:
                token_types = nd.zeros_like(inputs)
            _check_inputs(self.config, inputs, token_types)
            if valid_length is None:
                valid_length = nd.full((inputs.shape[0],), inputs.shape[1], ctx=inputs.context)
            elif valid_length.shape != inputs.shape[:1]:
                raise ValueError(
                    f'valid_length has shape {valid_length.shape}, expected '
                    f'{inputs.shape[:1]}: one length for each sequence'
                )
        arguments = (inputs, token_types, valid_length, *others)
        if encoder is None:
            return super().__call__(*arguments)
        if not isinstance(inputs, nd.NDArray):
            raise TypeError(f'an encoder reads NDArrays, got inputs of {type(inputs).__name__}')
        # What is native is no part of a compiled graph; the blocks around it may still be.
        with self.lock, inputs.context:
            return self.hybrid_forward(nd, *arguments, encoder=encoder)

    def arguments(self, inputs, token_types=None, valid_length=None, *others):
        """The inputs in their places, if they were given as GluonNLP's RoBERTa and DistilBERT
        take them: without token types.
        """
        if self.config.num_token_types or getattr(token_types, 'ndim', 2) != 1:
            return (inputs, token_types, valid_length, *others)
        others = others if valid_length is None else (valid_length, *others)
        return (inputs, None, token_types, *others)

    def checkpoint_names(self):
        """Pairs (parameter name, common names), see :mod:`gluon_bert.checkpoint.names`.

        Abstract: every subclass has its own.
        """
        raise NotImplementedError

    def checkpoint_arrays(self):
        """The parameters as a checkpoint has them.

        Returns
        -------
        dict of str to numpy.ndarray
            By the common names of :mod:`gluon_bert.checkpoint.names`.
        """
        parameters = self._collect_params_with_prefix()
        return split(
            {
                name: parameter.data(parameter.list_ctx()[0]).asnumpy()
                for name, parameter in parameters.items()
            },
            self.checkpoint_names(),
            self.config.num_heads,
        )

    def save_parameters(self, filename, deduplicate=False):
        """Write a .params file that this class and GluonNLP 0.10 load; whole or not at all.

        Parameters
        ----------
        filename : str or Path
        deduplicate : bool
            Leave out the second copy of a shared weight.
        """
        arrays = self.checkpoint_arrays()
        if 'decoder.3.bias' in arrays and not deduplicate:
            arrays['decoder.3.weight'] = arrays['word_embed.0.weight']
        names = to_file_names(arrays, self.file_layout)
        write_params(filename, {names[name]: array for name, array in arrays.items()})

    def load_parameters(
        self,
        filename,
        ctx=None,
        allow_missing=False,
        ignore_extra=False,
        cast_dtype=False,
        dtype_source='current',
    ):
        """Load a .params file of this class, or of the like class of GluonNLP 0.5 to 0.10.

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
        self.load_arrays(
            read_params(filename),
            source=str(filename),
            ctx=ctx,
            allow_missing=allow_missing,
            ignore_extra=ignore_extra,
            cast_dtype=cast_dtype,
            dtype_source=dtype_source,
        )

    def load_checkpoint(self, checkpoint, ctx=None, allow_missing=False):
        """Load a :class:`.Checkpoint`; heads of it that the block does not have are left out.

        Arrays of another precision are cast to the block's. The arguments and errors are those of
        :meth:`load_parameters`.
        """
        self.load_arrays(
            checkpoint.arrays,
            checkpoint.source,
            ctx=ctx,
            allow_missing=allow_missing,
            ignore_extra=True,
            cast_dtype=True,
        )

    def load_arrays(
        self,
        arrays,
        source,
        ctx=None,
        allow_missing=False,
        ignore_extra=False,
        cast_dtype=False,
        dtype_source='current',
    ):
        """Set the parameters from arrays by common names, or by those of a GluonNLP class.

        ``source`` is for messages. The other arguments and the errors are those of
        :meth:`load_parameters`. Nothing is changed unless all names and shapes fit.
        """
        try:
            arrays = common_arrays(arrays)
            fitting = self._check_arrays(arrays, allow_missing, ignore_extra)
        except ValueError as error:
            raise ValueError(f'{source}: {error}') from None
        parameters = self._collect_params_with_prefix()
        for name, common in fitting:
            array = fuse([arrays[part] for part in common], self.config.num_heads)
            fill(parameters[name], array, ctx, cast_dtype, dtype_source)

    def _check_arrays(self, arrays, allow_missing, ignore_extra):
        """The pairs of names to load; ValueError where something does not fit."""
        names = self.checkpoint_names()
        missing = [name for _, common in names for name in common if name not in arrays]
        extra = sorted(set(arrays) - {name for _, common in names for name in common})
        if missing and not allow_missing:
            raise ValueError(
                f'has no {listing(missing)}; pass allow_missing=True to keep the present values'
            )
        if extra and not ignore_extra:
            raise ValueError(
                f'has {listing(extra)}, which {type(self).__name__} has no place '
                f'for; pass ignore_extra=True to leave them out'
            )
        fitting = [
            (name, common) for name, common in names if all(part in arrays for part in common)
        ]
        parameters = self._collect_params_with_prefix()
        for name, common in fitting:
            shape = fused_shape(arrays, common)
            if shape != parameters[name].shape:
                raise ValueError(
                    f'{name} has shape {shape}, the model needs {parameters[name].shape}'
                )
        return fitting


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
        On calling with shapes that do not fit or more than ``config.max_length`` tokens.
    """

    def __init__(self, config, use_pooler=True, **kwargs):
        super().__init__(**kwargs)
        self.config = config
        self.use_pooler = use_pooler
        with self.name_scope():
            self.embeddings = Embeddings(config)
            self.attention_mask = AttentionMask(config.num_heads)
            self.layers = nn.HybridSequential()
            for _ in range(config.num_layers):
                self.layers.add(EncoderLayer(config))
            if use_pooler:
                self.pooler = dense(config.units, config.units, activation=config.pooler_activation)

    def __call__(self, inputs, token_types=None, valid_length=None, *, encoder=None):
        output = super().__call__(inputs, token_types, valid_length, encoder=encoder)
        return BertOutput(*output) if self.use_pooler else output

    def hybrid_forward(self, F, inputs, token_types, valid_length, encoder=None):
        sequence = self.sequence(F, inputs, token_types, valid_length, encoder)  # (N, T, C)
        if not self.use_pooler:
            return sequence
        return sequence, self._pool(F, F.slice_axis(sequence, axis=1, begin=0, end=1))

    def sequence(self, F, inputs, token_types, valid_length, encoder=None):
        """Compute the encodings alone, (N, T, C), for a block around this one."""
        if encoder is not None:
            return encoder(inputs, token_types, valid_length)
        hidden, mask, lengths = self._embed(F, inputs, token_types, valid_length)
        for layer in self.layers:
            hidden = layer(hidden, mask)
        return self._batch_major(F, hidden, lengths)

    def pooled(self, F, inputs, token_types, valid_length, encoder=None):
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
        _check_inputs(self.config, inputs, token_types)
        if valid_length is None:
            valid_length = nd.full((inputs.shape[0],), inputs.shape[1], ctx=inputs.context)
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

    def checkpoint_names(self):
        return encoder_names(self.config, self.use_pooler)


def _check_inputs(config, inputs, token_types):
    if inputs.ndim != 2 or inputs.shape != token_types.shape:
        raise ValueError(
            'inputs and token_types must both have shape (sequences, tokens), got '
            f'{inputs.shape} and {token_types.shape}'
        )
    if inputs.shape[1] > config.max_length:
        raise ValueError(
            f'inputs has {inputs.shape[1]} tokens a sequence; the model takes at '
            f'most max_length={config.max_length}'
        )
