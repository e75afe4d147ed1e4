"""Fill a network's parameters with one copy of the weights in memory.

MXNet's own way makes two more copies of each array on its way in, and writes zeros over a gradient
as large as the network before anything is trained.
"""

from __future__ import annotations

import mmap
from typing import Any

import mxnet as mx
import numpy as np
from mxnet import autograd, nd


class _Fresh:
    """An array that nobody else holds: what copies it gets the array itself."""

    def __init__(self, array):
        self._array = array

    def copyto(self, ctx):
        return self._array


def fill(
    parameter: mx.gluon.Parameter,
    array: np.ndarray,
    ctx: Any,
    cast_dtype: bool = False,
    dtype_source: str = 'current',
) -> None:
    """Set a parameter from an array of the right shape, of which nobody else makes use.

    Parameters
    ----------
    parameter : mxnet.gluon.Parameter
    array : numpy.ndarray
        Its memory becomes the parameter's, if that is on one CPU and has no values yet.
    ctx, cast_dtype, dtype_source
        As in :meth:`mxnet.gluon.Block.load_parameters`.
    """
    if cast_dtype and dtype_source == 'current':
        array = array.astype(parameter.dtype, copy=False)
    contexts = [ctx] if isinstance(ctx, mx.Context) else ctx
    adopted = (
        contexts == [mx.cpu()]
        and parameter._data is None
        and not parameter._deferred_init
        and array.size
        and array.flags.writeable
        and array.flags.c_contiguous
        and np.dtype(parameter.dtype) == array.dtype
    )
    if not adopted:
        parameter._load_init(
            nd.array(array, dtype=array.dtype),
            ctx,
            cast_dtype=cast_dtype,
            dtype_source=dtype_source,
        )
        return
    request, parameter._grad_req = parameter._grad_req, 'null'
    parameter._init_impl(_Fresh(nd.from_numpy(array)), contexts)
    parameter._grad_req = request
    if request != 'null':
        parameter._grad = [_zeros(array.shape, array.dtype)]
        autograd.mark_variables(parameter._data, parameter._grad, request)


def _zeros(shape, dtype):
    """Zeros that take memory when they are first touched."""
    size = int(np.prod(shape))
    pages = mmap.mmap(-1, size * dtype.itemsize)
    return nd.from_numpy(np.frombuffer(pages, dtype, size).reshape(shape))
