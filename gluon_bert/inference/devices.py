"""Several devices of one machine: where a network lies, and batches computed side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import mxnet as mx


def devices_of(network: mx.gluon.Block) -> list[mx.Context]:
    """Return the devices that a network's parameters lie on.

    Parameters
    ----------
    network : mxnet.gluon.Block
        Initialised.

    Returns
    -------
    list of mxnet.Context

    Raises
    ------
    ValueError
        If not all parameters lie on the same devices, or these are of several kinds.
    """
    found, first = None, None
    for name, parameter in network.collect_params().items():
        devices = parameter.list_ctx()
        if found is None:
            found, first = devices, name
        elif devices != found:
            raise ValueError(
                f'{name} lies on {_listing(devices)}, but {first} on {_listing(found)}'
            )
    if not found:
        raise ValueError('the network has no parameters')
    if len({device.device_type for device in found}) > 1:
        # MXNet's optimizers count steps by the number of the device alone.
        raise ValueError(f'{_listing(found)}: expected devices of one kind')
    return found


def run_batches(
    run: Callable[..., Any],
    batches: Iterable[Sequence[mx.nd.NDArray]],
    devices: Sequence[mx.Context],
) -> Iterator[Any]:
    """Compute batches on the devices in turn, each batch on one of them.

    Parameters
    ----------
    run : callable
        Arrays of a batch to outputs on the same device, such as the network itself.
    batches : iterable of list of NDArray
        Read as there is a device for the next one.
    devices : list of mxnet.Context
        From :func:`devices_of`.

    Yields
    ------
    NDArray or tuple of NDArray
        In the order of the batches; while it is waited for, the devices have the next ones.
    """
    waiting: deque[Any] = deque()
    for number, batch in enumerate(batches):
        device = devices[number % len(devices)]
        waiting.append(run(*(array.as_in_context(device) for array in batch)))
        if len(waiting) > len(devices):
            yield waiting.popleft()
    yield from waiting


def _listing(devices):
    return ', '.join(map(str, devices))
