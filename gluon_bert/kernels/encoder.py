"""A BERT encoder in native code: weights laid out once, nothing spent on padding."""

from __future__ import annotations

import ctypes
import itertools
import weakref
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Optional

import numpy as np

from .. import kernels
from ..config import BertConfig
from . import _functions, describe
from .support import supports

PRECISIONS = {'float32': 0, 'bfloat16': 1, 'int8': 2}
PARTS = ('query_key_value', 'output', 'expand', 'contract')  # the dense layers of a layer
ACTIVATIONS = {None: 0, 'gelu': 1, 'gelu_tanh': 2, 'relu': 3, 'tanh': 4}


class EncoderArrays(NamedTuple):
    """The parameters of an encoder where they lie in memory, all in float32.

    H heads, D features of a head, C units.

    Parameters
    ----------
    embeddings : list of numpy.ndarray
        Of words, token types (None without them) and positions; gamma and beta of the norm.
    layers : list of list of numpy.ndarray
        For each layer weight (H, D, C) and bias (H, D) of query, key and value, in which the step
        from head to head is free, then of the output; gamma and beta; weight and bias of the
        expanding and the contracting layer; gamma and beta.
    pooler : list of numpy.ndarray
        Weight and bias; empty without a pooler.
    """

    embeddings: list
    layers: list
    pooler: list


class NativeEncoder:
    """The encoder of a BERT, and its pooler where it has one.

    Parameters
    ----------
    bert : BertModel or TrainedNetwork
        In float32 on the CPU; ``bert.encoder_arrays()`` gives an :class:`EncoderArrays`. The
        weights of its dense layers are copied, the other parameters are read where they lie: make a
        new encoder after they change.
    precision : str
        Of the dense layers' products: 'float32'; 'bfloat16'; or 'int8', weights with a scale for
        each output, inputs with a scale and a zero for each token, found as they come (Jacob et
        al., 2018, section 2.1). Sums are in float32 or whole numbers of 32 bits. Attention's own
        products are then of bfloat16 where the processor has them and its query_key_value is not
        kept, else of float32; its softmax and the pooler stay in float32.
    keep : iterable of str
        Dense layers that stay in float32, such as '0.expand': the layer's number from 0, and
        'query_key_value', 'output', 'expand' or 'contract'.
    num_layers : int, optional
        Leave out the layers after so many, and the pooler.
    sizes : dict of str to sequence of float, optional
        For int8, of the inputs of each dense layer, as :func:`input_sizes` gives them for typical
        texts: inputs that are large and their weights are brought nearer to each other in size
        (Xiao et al., 2023, SmoothQuant, section 4). By default those for random words.
    num_threads : int
        Threads that lay out the weights.
    arrays : EncoderArrays, optional
        Of ``bert``, where they are read already.

    Raises
    ------
    ValueError
        If the kernels are not there or do not take its parameters, or an argument is wrong.
    MemoryError
    """

    def __init__(
        self,
        bert: Any,
        precision: str = 'float32',
        keep: Iterable[str] = (),
        num_layers: Optional[int] = None,
        sizes: Optional[Mapping[str, Sequence[float]]] = None,
        num_threads: int = 1,
        arrays: Optional[EncoderArrays] = None,
    ) -> None:
        keep = tuple(keep)
        if not accepts(bert):
            if not supports(bert.config):
                raise ValueError(
                    f'the native encoder does not compute a network with {bert.config}'
                )
            raise ValueError(
                f'the native encoder needs the kernels, and a network in float32 on '
                f'the CPU (kernels in use: {describe()})'
            )
        self._arguments = bert, precision, keep, num_layers, sizes, num_threads
        self.config = config = bert.config
        self.use_pooler = bert.use_pooler and num_layers is None
        num_layers = config.num_layers if num_layers is None else num_layers
        found = bert.encoder_arrays() if arrays is None else arrays
        layers = found.layers[:num_layers]
        ordered = [*found.embeddings, *itertools.chain.from_iterable(layers)]
        ordered += found.pooler if self.use_pooler else [None, None]
        self.words = found.embeddings[0]
        """The embeddings of all words, (V, C)."""
        # What is read where it lies: the embeddings, and the norm of each layer.
        self._arrays = found.embeddings + [
            array for layer in layers for array in (*layer[8:10], *layer[14:])
        ]
        weight, bias = layers[0][:2]
        layout = np.array(
            [
                config.units,
                config.hidden_size,
                config.num_heads,
                num_layers,
                ACTIVATIONS[config.activation],
                ACTIVATIONS[config.pooler_activation],
                weight.strides[0] // weight.itemsize,
                bias.strides[0] // bias.itemsize,
                *_precisions(config.num_layers, precision, keep),
            ],
            'int64',
        )
        inputs = self._input_sizes(bert, precision, num_layers, sizes)
        functions = _functions()
        functions.gluon_bert_encoder.restype = ctypes.c_void_p
        handle = functions.gluon_bert_encoder(
            _address(layout),
            ctypes.c_float(config.layer_norm_eps),
            _pointers(ordered),
            inputs and _pointers(inputs),
            ctypes.c_int(num_threads),
        )
        if not handle:
            raise MemoryError('no memory for the weights of the native encoder')
        self._handle = ctypes.c_void_p(handle)
        weakref.finalize(self, functions.gluon_bert_free_encoder, self._handle)

    def __reduce__(self):
        # The handle is this process's own: a copy lays out the weights anew.
        return type(self), self._arguments

    @staticmethod
    def _input_sizes(bert, precision, num_layers, sizes):
        """The arrays for the layers in use, or None."""
        if precision != 'int8':
            if sizes is not None:
                raise ValueError(f'sizes of inputs are for int8, not for {precision}')
            return None
        if sizes is None:
            # A network with NaN or infinity in it has no sizes, and NaN as its outputs.
            sizes = {
                name: np.where(np.isfinite(array), array, 0)
                for name, array in input_sizes(bert, [_random_words(bert.config)]).items()
            }
        found = []
        for name, width in layer_widths(bert.config, num_layers).items():
            array = np.ascontiguousarray(sizes.get(name, ()), 'float32')
            if array.shape != (width,) or not (np.isfinite(array) & (array >= 0)).all():
                raise ValueError(
                    f'sizes: expected {width} finite numbers from 0 for {name}, got '
                    f'an array of shape {array.shape}'
                )
            found.append(array)
        return found

    def __call__(
        self,
        ids: np.ndarray,
        token_types: np.ndarray,
        lengths: np.ndarray,
        num_threads: int,
        sequence: bool = True,
        pooled: bool = True,
    ) -> tuple:
        """Encode sequences that follow each other without padding.

        Parameters
        ----------
        ids, token_types : numpy.ndarray of int32, shape (M,)
            Of all valid tokens.
        lengths : numpy.ndarray of int32, shape (N,)
            They add up to M.
        num_threads : int
        sequence, pooled : bool
            What is wanted.

        Returns
        -------
        sequence : numpy.ndarray of float32, shape (M, C), or None
        pooled : numpy.ndarray of float32, shape (N, C), or None

        Raises
        ------
        ValueError
            If an id, a type or a length is out of range, or there is no pooler for ``pooled``.
        MemoryError
        """
        if pooled and not self.use_pooler:
            raise ValueError('pooled=True: the encoder has no pooler')
        outputs = [
            np.empty((rows, self.config.units), 'float32') if wanted else None
            for rows, wanted in ((len(ids), sequence), (len(lengths), pooled))
        ]
        self._run(ids, token_types, lengths, num_threads, *outputs)
        return tuple(outputs)

    def _run(self, ids, token_types, lengths, num_threads, sequence, pooled, squares=None):
        config = self.config
        _check(ids, config.vocab_size, 'ids')
        _check(token_types, max(config.num_token_types, 1), 'token_types')
        _check(lengths, config.max_length + 1, 'lengths', least=1)
        if not len(ids) == len(token_types) == lengths.sum():
            raise ValueError(
                f'{len(ids)} ids and {len(token_types)} token types for lengths of '
                f'{lengths.sum()} in all'
            )
        arrays = [
            array if array is None else _address(array)
            for array in (ids, token_types, lengths, sequence, pooled)
        ]
        if _functions().gluon_bert_encode(
            self._handle,
            *arrays[:3],
            ctypes.c_int64(len(lengths)),
            ctypes.c_int(num_threads),
            *arrays[3:],
            squares and _pointers(squares),
        ):
            raise MemoryError(f'no memory to encode {len(ids)} tokens')


def input_sizes(bert: Any, batches: Iterable) -> dict[str, np.ndarray]:
    """Measure the sizes of the dense layers' inputs on some texts.

    Parameters
    ----------
    bert : BertModel
        As for :class:`NativeEncoder`.
    batches : iterable of (ids, token_types, lengths)
        As an encoder is called on.

    Returns
    -------
    dict of str to numpy.ndarray of float32, shape (in,)
        The root mean square of each input by the layer's name, such as '0.expand'.

    Raises
    ------
    ValueError
        If an id, a type or a length is out of range.
    MemoryError
    """
    encoder, widths, count = NativeEncoder(bert), layer_widths(bert.config), 0
    squares = [np.zeros(width) for width in widths.values()]
    for ids, token_types, lengths in batches:
        sequence = np.empty((len(ids), bert.config.units), 'float32')
        encoder._run(ids, token_types, lengths, 1, sequence, None, squares)
        count += len(ids)
    return {name: np.sqrt(found / count).astype('float32') for name, found in zip(widths, squares)}


def accepts(bert: Any) -> bool:
    """Tell if the kernels are there, compute a BERT and take its parameters."""
    return supports(bert.config) and kernels.is_available() and bert.is_native()


def dense_layers(num_layers: int) -> list[str]:
    """List the names of all dense layers, such as '0.expand'."""
    return [f'{number}.{part}' for number in range(num_layers) for part in PARTS]


def layer_widths(config: BertConfig, num_layers: Optional[int] = None) -> dict[str, int]:
    """Count the inputs of each dense layer by its name; of all layers, or the first ones."""
    return {
        name: config.hidden_size if name.endswith('contract') else config.units
        for name in dense_layers(config.num_layers if num_layers is None else num_layers)
    }


def _random_words(config, count=4, longest=32):
    """A batch for :func:`input_sizes`, the same at each call."""
    length = min(longest, config.max_length)
    ids = np.random.RandomState(0).randint(0, config.vocab_size, count * length).astype('int32')
    return ids, np.zeros_like(ids), np.full(count, length, 'int32')


def _address(array):
    address = ctypes.c_void_p(array.ctypes.data)  # many times faster than NumPy's data_as
    address.array = array  # an array made for a call lives as long
    return address


def _pointers(arrays):
    return (ctypes.c_void_p * len(arrays))(
        *(None if array is None else array.ctypes.data for array in arrays)
    )


def _precisions(num_layers, precision, keep):
    if precision not in PRECISIONS:
        raise ValueError(f'precision={precision!r}: expected one of {tuple(PRECISIONS)}')
    names = dense_layers(num_layers)
    unknown = set(keep) - set(names)
    if unknown:
        raise ValueError(
            f'keep: there is no dense layer {min(unknown)!r}; they are {names[0]!r} '
            f'to {names[-1]!r}'
        )
    return [PRECISIONS['float32' if name in set(keep) else precision] for name in names]


def _check(array, limit, name, least=0):
    if array.dtype != np.int32 or array.ndim != 1 or not array.flags.c_contiguous:
        raise ValueError(f'{name}: expected a contiguous array of int32 of one dimension')
    if array.size and not (array.min() >= least and array.max() < limit):
        raise ValueError(
            f'{name} are from {array.min()} to {array.max()}, expected {least} to {limit - 1}'
        )
