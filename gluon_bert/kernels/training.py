"""Training of a BERT encoder in native code: forward and backward, without padding."""

from __future__ import annotations

import ctypes
import inspect
import weakref
from typing import Any, List, Optional

import mxnet as mx
import numpy as np
from mxnet import autograd

from . import _functions, _pointer, describe, is_available
from .encoder import ACTIVATIONS, PRECISIONS, _address, _check
from .gluon import FIRST_LAYER, PER_LAYER, encoder_parameters
from .masked_words import MaskedScores
from .packing import unpad
from .progress import GradientProgress
from .recording import pointers, record
from .support import supports

DTYPES = ('float32', 'bfloat16')
_OnLayer = ctypes.CFUNCTYPE(None, ctypes.c_int64)


def make_trainer(
    network: object, dtype: str = 'float32', recompute: bool = False, lazy_scores: bool = False
) -> Optional[NativeTrainer]:
    """Make the trainer of a network's encoder, where the kernels can train it.

    Parameters
    ----------
    network : BertModel, BertHead or BertCrfTagger
        With its parameters. On several devices it is trained by MXNet's operators, and so is a
        network of one's own whose ``hybrid_forward`` takes no ``encoder``.
    dtype, recompute, lazy_scores
        As for :class:`NativeTrainer`.

    Returns
    -------
    NativeTrainer or None
        To be passed to each call in training, ``network(..., encoder=trainer)``. None where there
        are no kernels, or they do not fit the network.

    Raises
    ------
    ValueError
        If ``dtype`` is unknown; or it is not 'float32' or ``recompute`` is set, and the kernels are
        not there or do not fit the network.
    """
    if dtype not in DTYPES:
        raise ValueError(f'dtype={dtype!r}: expected one of {", ".join(map(repr, DTYPES))}')
    reason = _reason_against(network)
    if not reason:
        return NativeTrainer(
            getattr(network, 'bert', network), dtype, recompute, lazy_scores=lazy_scores
        )
    if dtype != 'float32' or recompute:
        raise ValueError(
            f'dtype={dtype!r}, recompute={recompute}: training in bfloat16 and '
            f'recomputation need the native kernels, but {reason}'
        )
    return None


def _reason_against(network):
    """Say why the kernels cannot train a network; empty if they can."""
    if not all(
        np.dtype(parameter.dtype) == np.float32
        and [device.device_type for device in parameter.list_ctx()] == ['cpu']
        for parameter in network.collect_params().values()
    ):
        return 'the network is not on one CPU in float32'
    config = getattr(getattr(network, 'bert', network), 'config', None)
    if config is not None and not supports(config):
        return 'they do not support a network of its configuration'
    if not is_available():
        return f'here run {describe()}'
    forward = getattr(network, 'hybrid_forward', None)
    if forward is None or 'encoder' not in inspect.signature(forward).parameters:
        return f'hybrid_forward of {type(network).__name__} takes no encoder'
    return ''


class NativeTrainer:
    """Computes the encodings of a :class:`.BertModel` in training, on the kernels.

    Forward and backward run over the valid tokens only. Dropout is that of the network. Its masks
    are drawn from the seed of ``mx.random.seed`` and drawn again in the backward pass, not stored.
    The result does not depend on the number of threads.

    Parameters
    ----------
    bert : BertModel
        In float32 on one CPU device. Its parameters are read in place, at every call.
    dtype : str
        Of the dense layers' products: 'float32'; or 'bfloat16', to which the inputs and weights of
        each product are rounded, forward and backward. Sums, weights and gradients stay in float32.
    recompute : bool
        Save only the input of each layer for the backward pass, and compute the rest again there,
        for some sequences at a time: the same gradients, but for rounding, with less memory.
    num_threads : int, optional
        By default that of OpenMP.
    lazy_scores : bool
        A :class:`.BertForPretraining` that is called with this trainer gives, in place of the
        scores of masked words, a :class:`~gluon_bert.kernels.masked_words.MaskedScores`, from which
        :func:`.masked_word_loss` computes the loss without storing them.

    Raises
    ------
    MemoryError

    Attributes
    ----------
    progress : GradientProgress
        Tells which gradients a backward pass has finished while it goes on.
    """

    def __init__(
        self,
        bert: Any,
        dtype: str = 'float32',
        recompute: bool = False,
        num_threads: Optional[int] = None,
        lazy_scores: bool = False,
    ) -> None:
        self._bert, config = bert, bert.config
        self._dtype, self.lazy_scores = dtype, lazy_scores
        self.progress = GradientProgress()
        self._num_threads = num_threads or _functions().gluon_bert_threads()
        sizes = np.array(
            [
                config.units,
                config.hidden_size,
                config.num_heads,
                config.num_layers,
                config.vocab_size,
                config.num_token_types,
                config.max_length,
                ACTIVATIONS[config.activation],
                PRECISIONS[dtype],
                recompute,
            ],
            'int64',
        )
        functions = _native()
        handle = functions.gluon_bert_trainer(_address(sizes), config.layer_norm_eps)
        if not handle:
            raise MemoryError('no memory for the native encoder')
        self._handle = ctypes.c_void_p(handle)
        weakref.finalize(self, functions.gluon_bert_free_trainer, self._handle)

    def __call__(
        self,
        inputs: mx.nd.NDArray,
        token_types: mx.nd.NDArray,
        valid_length: mx.nd.NDArray,
        first_only: bool = False,
    ) -> mx.nd.NDArray:
        """Compute the encodings, recorded for their gradients if others are.

        Parameters
        ----------
        inputs, token_types, valid_length : NDArray
            As for :class:`.BertModel`.
        first_only : bool
            Only those of the first token of each sequence, which saves most of the last layer.

        Returns
        -------
        NDArray, shape (N, T, C), or, ``first_only``, (N, C)

        Raises
        ------
        ValueError
            If an id, a type or a length is out of range.
        MemoryError
        """
        if autograd.is_recording():
            mx.nd.waitall()  # memory of an earlier pass is free once its backward pass is done
        bert = self._bert
        ids, types, lengths = unpad(inputs, token_types, valid_length).packed
        _check(ids, bert.config.vocab_size, 'inputs')
        if bert.config.num_token_types:
            _check(types, bert.config.num_token_types, 'token_types')
        parameters = encoder_parameters(bert)
        arrays = [None if parameter is None else parameter.data() for parameter in parameters]
        trained = [
            index
            for index, parameter in enumerate(parameters)
            if parameter is not None and parameter.grad_req != 'null'
        ]
        recorded = autograd.is_recording() and bool(trained)
        rate = bert.embeddings.dropout._rate if autograd.is_training() else 0.0
        shape = (*inputs.shape[: 1 if first_only else 2], bert.config.units)
        output = mx.nd.empty(shape, ctx=inputs.context)
        values = pointers(arrays)
        handle = _native().gluon_bert_train_forward(
            self._handle,
            values,
            _address(ids),
            _address(types),
            _address(lengths),
            len(lengths),
            inputs.shape[1],
            first_only,
            recorded,
            rate,
            _draw_seed(rate),
            self._num_threads,
            _pointer(output),
        )
        if not handle:
            raise MemoryError(
                f'no memory to train on a batch of {len(ids)} tokens; a smaller '
                f'batch or recomputation takes less'
            )
        run = _Pass(handle, arrays, values, trained, self.progress if recorded else None)
        if recorded:
            record([arrays[index] for index in trained], output, run)
        return output

    def layer_parameters(self) -> List[Any]:
        """List the parameters of the layers, whose gradients :attr:`progress` tells of."""
        return encoder_parameters(self._bert)[FIRST_LAYER:]

    def masked_scores(
        self, hidden: mx.nd.NDArray, weight: mx.nd.NDArray, bias: mx.nd.NDArray
    ) -> MaskedScores:
        """Wrap the inputs of a decoder of masked words, to be run in this trainer's dtype.

        The arguments are those of :class:`~gluon_bert.kernels.masked_words.MaskedScores`.
        """
        return MaskedScores(hidden, weight, bias, self._dtype, self._num_threads)


class _Pass:
    """A forward pass, with the values that its backward pass needs."""

    def __init__(self, handle, arrays, values, trained, progress):
        self._handle, self._arrays, self._trained = ctypes.c_void_p(handle), arrays, trained
        self._round = None if progress is None else progress.begin()
        # Of the arrays. The backward pass may not wait for them: an update that was pushed already
        # waits for its gradients.
        self._values = values
        self.free = weakref.finalize(self, _free, self._handle, self._round)

    def backward(self, gradient, targets, adds):
        """Write the gradients of the trained parameters, or add to the present ones."""
        wanted, flags = [None] * len(self._arrays), np.zeros(len(self._arrays), 'uint8')
        for index, target, add in zip(self._trained, targets, adds):
            wanted[index], flags[index] = target, add
        targets = pointers(wanted)

        def on_layer(layer):
            first = FIRST_LAYER + PER_LAYER * layer
            self._round.add(targets[first : first + PER_LAYER])

        try:
            if _native().gluon_bert_train_backward(
                self._handle,
                self._values,
                _pointer(gradient),
                targets,
                _address(flags),
                _OnLayer(on_layer),
            ):
                raise MemoryError('no memory for the backward pass')
        finally:
            self._round.end()


def _free(handle, pass_round):
    if pass_round is not None:
        pass_round.end()  # if it was never run
    _native().gluon_bert_free_pass(handle)


def _draw_seed(rate):
    if not rate:
        return 0
    high, low = mx.nd.random.randint(0, 2**31 - 1, shape=(2,), dtype='int32').asnumpy()
    return int(high) << 32 | int(low)


def _native():
    functions = _functions()
    if functions.gluon_bert_trainer.argtypes is None:
        whole, number, pointer = ctypes.c_int64, ctypes.c_int, ctypes.c_void_p
        functions.gluon_bert_trainer.restype = pointer
        functions.gluon_bert_trainer.argtypes = [pointer, ctypes.c_float]
        functions.gluon_bert_train_forward.restype = pointer
        functions.gluon_bert_train_forward.argtypes = [
            *[pointer] * 5,
            whole,
            whole,
            number,
            number,
            ctypes.c_float,
            ctypes.c_uint64,
            number,
            pointer,
        ]
        functions.gluon_bert_train_backward.argtypes = [*[pointer] * 5, _OnLayer]
    return functions
