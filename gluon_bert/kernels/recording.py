"""Native functions in MXNet's record of what is computed, with their backward passes."""

from __future__ import annotations

import ctypes
import itertools
import logging
from typing import Any, Optional, Sequence

from mxnet.base import _LIB, check_call
from mxnet.ndarray import NDArray

from . import _pointer

logger = logging.getLogger(__name__)

_Backward = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.POINTER(ctypes.c_void_p),
    ctypes.POINTER(ctypes.c_int),
    ctypes.c_int,
    ctypes.c_void_p,
)
_Delete = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
_ADD = 3
_held: dict[int, tuple] = {}
_numbers = itertools.count()


class _Callbacks(ctypes.Structure):
    """MXCallbackList of MXNet's c_api.h."""

    _fields_ = (
        ('count', ctypes.c_int),
        ('functions', ctypes.POINTER(ctypes.c_void_p)),
        ('contexts', ctypes.POINTER(ctypes.c_void_p)),
    )


def pointers(arrays: Sequence[Optional[NDArray]]) -> Any:
    """Point to the values of arrays, once they are there; null for None."""
    for array in arrays:
        if array is not None:
            array.wait_to_read()
    return (ctypes.c_void_p * len(arrays))(
        *(None if array is None else _pointer(array).value for array in arrays)
    )


def record(inputs: Sequence[NDArray], output: NDArray, run: Any) -> None:
    """Record for MXNet that ``output`` depends on ``inputs``, with the gradients of a pass.

    It does as ``mx.autograd.Function``, whose backward pass would copy every gradient and, with
    grad_req 'add', lose it.

    Parameters
    ----------
    inputs : sequence of NDArray
    output : NDArray
    run : object
        ``run.backward(gradient, targets, adds)`` gets the gradient of ``output`` and writes those
        of the inputs to the targets, None where it is not wanted, or adds to it; ``run.free()`` is
        called when that is no more wanted.
    """
    number = next(_numbers)

    def on_backward(num_outputs, num_inputs, handles, requests, is_training, _):
        arrays = [
            NDArray(ctypes.c_void_p(handles[index])) for index in range(num_outputs + num_inputs)
        ]
        wanted = [
            array if requests[index] else None for index, array in enumerate(arrays[num_outputs:])
        ]
        try:
            run.backward(
                arrays[0], wanted, [requests[index] == _ADD for index in range(num_inputs)]
            )
        except Exception:  # nothing may leave a callback; MXNet raises its own error
            logger.exception('the backward pass failed')
            return 0
        return 1

    def on_delete(_):
        run.free()
        del _held[number]
        return 1

    callbacks = _Backward(on_backward), _Delete(on_delete)
    # ctypes.cast would make circles of references, which hold the memory of the pass.
    functions = (ctypes.c_void_p * 2)(
        *(ctypes.c_void_p.from_buffer(callback).value for callback in callbacks)
    )
    table = _Callbacks(2, functions, (ctypes.c_void_p * 2)())
    _held[number] = callbacks, table
    check_call(
        _LIB.MXCustomFunctionRecord(
            len(inputs),
            (ctypes.c_void_p * len(inputs))(*(array.handle for array in inputs)),
            1,
            (ctypes.c_void_p * 1)(output.handle),
            ctypes.byref(table),
        )
    )
