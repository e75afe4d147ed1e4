"""Networks that threads share, and that are copied and pickled with their weights."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple, Optional

import mxnet as mx
import numpy as np
from mxnet.gluon import HybridBlock

from .._internal.locks import hold_at_fork
from .parameters import fill

# One for all networks. MXNet's blocks are not reentrant: two threads that trace one share its name
# scope. And its engine may wait for ever once two threads push operators at the same time that have
# several variables in common, such as parameters, or the work space of all networks.
_LOCK = threading.RLock()
# A fork stops MXNet's engine: what it has not computed yet would be lost, and waited for for ever.
hold_at_fork(_LOCK, mx.nd.waitall)


class SharedBlock(HybridBlock):
    """A block that can be copied and pickled, and that several threads may call at once.

    A copy is made by the constructor, from the arguments that this block was made from, so that
    nothing compiled or native travels. It has the same parameters, on the same devices, and is
    hybridized as this one is; its gradients are zero and its parameters have names of their own.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> SharedBlock:
        block = super().__new__(cls)
        kwargs.pop('params', None)  # a copy shares none
        # Not by way of Block's own __setattr__, which needs what the constructor sets up.
        vars(block)['_origin'] = _Origin(args, kwargs)
        return block

    @property
    def lock(self) -> threading.RLock:
        """The lock that a call of any network or of a block in it holds, and a step of training."""
        return _LOCK

    def __call__(self, *inputs: Any) -> Any:
        with self.lock:
            return super().__call__(*inputs)

    def __reduce__(self) -> tuple:
        return restore_block, (_describe(self), _state(self), _hybridization(self))


class _Origin:
    """The arguments of a constructor; no tuple, in which Gluon would look for blocks."""

    def __init__(self, args, kwargs):
        self.args, self.kwargs = args, kwargs


class Description(NamedTuple):
    """A block's class and the arguments of its constructor, blocks among them described too."""

    block_class: type
    args: tuple
    kwargs: dict[str, Any]


class ParameterState(NamedTuple):
    """The values of a parameter, None if it has none yet, its devices, and how it is trained."""

    array: Optional[np.ndarray]
    devices: tuple[tuple[str, int], ...]
    options: dict[str, Any]


_OPTIONS = 'grad_req', 'lr_mult', 'wd_mult'


def restore_block(
    description: Description,
    state: dict[str, ParameterState],
    hybridization: Optional[dict[str, Any]],
) -> SharedBlock:
    """Make a block as it was when it was pickled or copied.

    Parameters
    ----------
    description : Description
    state : dict of str to ParameterState
        By the names of ``Block._collect_params_with_prefix``; a shared parameter is in it once.
    hybridization : dict or None
        The arguments of ``hybridize``; None if it was not hybridized.

    Returns
    -------
    SharedBlock
    """
    block = _build(description)
    parameters = block._collect_params_with_prefix()
    for name, (array, devices, options) in state.items():
        for option, value in options.items():
            setattr(parameters[name], option, value)
        if array is not None:
            contexts = [mx.Context(*device) for device in devices]
            fill(parameters[name], array, contexts, cast_dtype=True, dtype_source='saved')
    if hybridization is not None:
        block.hybridize(**hybridization)
    return block


def _build(description):
    def made(value):
        return _build(value) if isinstance(value, Description) else value

    args = [made(value) for value in description.args]
    return description.block_class(
        *args, **{name: made(value) for name, value in description.kwargs.items()}
    )


def _describe(block):
    def described(value):
        return _describe(value) if isinstance(value, SharedBlock) else value

    origin = block._origin
    return Description(
        type(block),
        tuple(described(value) for value in origin.args),
        {name: described(value) for name, value in origin.kwargs.items()},
    )


def _state(block):
    state, seen = {}, set()
    for name, parameter in block._collect_params_with_prefix().items():
        if id(parameter) in seen:
            continue
        seen.add(id(parameter))
        array, devices = None, ()
        if parameter._data is not None:
            contexts = parameter.list_ctx()
            array = parameter.data(contexts[0]).asnumpy()
            devices = tuple((device.device_type, device.device_id) for device in contexts)
        options = {option: getattr(parameter, option) for option in _OPTIONS}
        state[name] = ParameterState(array, devices, options)
    return state


def _hybridization(block):
    """The arguments with which a block, or one in it, was hybridized; None if none was."""
    flags = []
    block.apply(
        lambda child: flags.append(dict(child._flags)) if getattr(child, '_active', False) else None
    )
    return flags[0] if flags else None
