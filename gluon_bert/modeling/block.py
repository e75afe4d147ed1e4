"""The base of all networks: input checks, and files in GluonNLP's layout."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional

import numpy as np
from mxnet import nd
from mxnet.symbol import Symbol

from .._internal.types import Context, PathLike
from ..checkpoint.gluonnlp.names import common_arrays, to_file_names
from ..checkpoint.gluonnlp.params_file import read_params, write_params
from ..checkpoint.layout import fuse, fused_shape, split
from ..checkpoint.names import Names
from ..checkpoint.schema import Checkpoint
from ..checkpoint.tensor_file import join_names
from ..config import BertConfig
from .parameters import fill
from .pickling import SharedBlock


class BertBlock(SharedBlock):
    """A network around a BERT: its input checks, and its files in GluonNLP's layout.

    A subclass sets ``config`` and says in :meth:`checkpoint_names` which array of a checkpoint
    belongs to which parameter, and in ``file_layout`` how GluonNLP's like class spells the names.
    """

    file_layout = 'model'

    def __call__(  # type: ignore[override]
        self,
        inputs: Any,
        token_types: Any = None,
        valid_length: Any = None,
        *others: Any,
        encoder: Any = None,
    ) -> Any:
        """Check the inputs and run the network on them.

        ``encoder`` computes the encodings of NDArrays instead of the network's layers, see
        :func:`~gluon_bert.kernels.training.make_trainer`; the network's forward hooks are not
        called then. On the CPU, ids, token types and lengths are checked too; on a GPU, and in a
        block of one's own that is hybridized around this one, their shapes alone.
        """
        inputs, token_types, valid_length, *others = self.arguments(
            inputs, token_types, valid_length, *others
        )
        if isinstance(inputs, nd.NDArray):
            if token_types is None:
                token_types = nd.zeros_like(inputs)
            check_inputs(self.config, inputs, token_types)
            if valid_length is None:
                valid_length = nd.full((inputs.shape[0],), inputs.shape[1], ctx=inputs.context)
            elif valid_length.shape != inputs.shape[:1]:
                raise ValueError(
                    f'valid_length has shape {valid_length.shape}, expected '
                    f'{inputs.shape[:1]}: one length for each sequence'
                )
            check_values(self.config, inputs, token_types, valid_length)
        arguments = (inputs, token_types, valid_length, *others)
        if encoder is None:
            return super().__call__(*arguments)
        if not isinstance(inputs, nd.NDArray):
            raise TypeError(f'an encoder reads NDArrays, got inputs of {type(inputs).__name__}')
        # What is native is no part of a compiled graph; the blocks around it may still be.
        with self.lock, inputs.context:
            return self.hybrid_forward(nd, *arguments, encoder=encoder)

    def arguments(
        self, inputs: Any, token_types: Any = None, valid_length: Any = None, *others: Any
    ) -> Any:
        """The inputs in their places, if they were given as GluonNLP's RoBERTa and DistilBERT
        take them: without token types.
        """
        return ordered_arguments(self.config, inputs, token_types, valid_length, *others)

    def checkpoint_names(self) -> Names:
        """List the pairs (parameter name, common names), see :mod:`gluon_bert.checkpoint.names`.

        Abstract: every subclass has its own.
        """
        raise NotImplementedError

    def checkpoint_arrays(self) -> Dict[str, np.ndarray]:
        """Give the parameters as a checkpoint has them.

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

    def save_parameters(self, filename: PathLike, deduplicate: bool = False) -> None:
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
        filename: PathLike,
        ctx: Context = None,
        allow_missing: bool = False,
        ignore_extra: bool = False,
        cast_dtype: bool = False,
        dtype_source: str = 'current',
    ) -> None:
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

    def load_checkpoint(
        self, checkpoint: Checkpoint, ctx: Context = None, allow_missing: bool = False
    ) -> None:
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
        arrays: Mapping[str, np.ndarray],
        source: str,
        ctx: Context = None,
        allow_missing: bool = False,
        ignore_extra: bool = False,
        cast_dtype: bool = False,
        dtype_source: str = 'current',
    ) -> None:
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
                f'has no {join_names(missing)}; pass allow_missing=True to keep the present values'
            )
        if extra and not ignore_extra:
            raise ValueError(
                f'has {join_names(extra)}, which {type(self).__name__} has no place '
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


def ordered_arguments(
    config: BertConfig, inputs: Any, token_types: Any = None, valid_length: Any = None, *others: Any
) -> tuple:
    """Return the inputs in their places, see :meth:`BertBlock.arguments`."""
    check_arrays(inputs, token_types, valid_length, *others)
    if config.num_token_types or getattr(token_types, 'ndim', 2) != 1:
        return (inputs, token_types, valid_length, *others)
    others = others if valid_length is None else (valid_length, *others)
    return (inputs, None, token_types, *others)


def check_arrays(inputs: Any, *others: Any) -> None:
    """Raise TypeError unless what a network is called on are arrays of MXNet, or its symbols."""
    for value in (inputs, *others):
        if isinstance(value, (nd.NDArray, Symbol)) or (value is None and inputs is not None):
            continue
        first = value[0] if isinstance(value, (list, tuple)) and value else value
        if isinstance(first, (str, bytes, dict)):
            cure = (
                'a network reads ids of tokens: make them with its tokenizer and '
                'gluon_bert.data.SentenceTransform, or call gluon_bert.load_pipeline on texts'
            )
        else:
            cure = 'convert it with mx.nd.array(...)'
        raise TypeError(
            f'a network is called on arrays of mxnet.nd, got {type(value).__name__}; {cure}'
        )


def check_inputs(config: BertConfig, inputs: nd.NDArray, token_types: nd.NDArray) -> None:
    """Raise ValueError unless ids and token types have one shape that the network takes."""
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


def check_values(
    config: BertConfig,
    inputs: nd.NDArray,
    token_types: Optional[nd.NDArray],
    valid_length: Optional[nd.NDArray],
) -> None:
    """Raise ValueError if a token's id or type, or a length, is out of range; on the CPU only.

    MXNet would take the nearest row of an embedding for them, or none of the tokens. What stands in
    the padding has no influence and is not checked.
    """
    if not inputs.context.device_type.startswith('cpu'):
        return
    ids = inputs.asnumpy()
    size, width = ids.shape
    lengths = np.full(size, width) if valid_length is None else valid_length.asnumpy()
    check_range('valid_length', lengths, 1, width)
    valid = np.arange(width) < lengths[:, None]
    check_range('inputs', np.where(valid, ids, 0), 0, config.vocab_size - 1)
    if token_types is not None and config.num_token_types:
        types = np.where(valid, token_types.asnumpy(), 0)
        check_range('token_types', types, 0, config.num_token_types - 1)


def check_range(name: str, array: np.ndarray, least: int, most: int) -> None:
    """Raise ValueError unless all values are whole numbers in a range."""
    right = (array >= least) & (array <= most) & (array == np.floor(array))
    if not right.all():
        place = np.argwhere(~right)[0].tolist()
        raise ValueError(
            f'{name}[{", ".join(map(str, place))}] is {array[tuple(place)]:.10g}: expected a '
            f'whole number from {least} to {most}'
        )
