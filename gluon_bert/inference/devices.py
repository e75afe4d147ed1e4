"""Several devices of one machine: the shares of a batch, computed side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import mxnet as mx
import numpy as np
from mxnet import autograd


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


def split_batch(arrays, devices):
    """The shares of a batch, one on each device, as equal as can be.

    Parameters
    ----------
    arrays : list of NDArray
        Of the batch; the first axis is that of the sequences.
    devices : list of mxnet.Context

    Returns
    -------
    list of (list of NDArray, bool)
        A share, and whether it counts. Where there are more devices than sequences, the devices
        left over get the first one again, not to count: they take part in each step all the same.

    Examples
    --------
    >>> batch = [mx.nd.array([4, 7, 9])]
    >>> [share.asnumpy().tolist() for (share,), _ in split_batch(batch, [mx.cpu(0), mx.cpu(1)])]
    [[4.0, 7.0], [9.0]]
    """
    if len(devices) == 1:
        return [([array.as_in_context(devices[0]) for array in arrays], True)]
    parts = np.array_split(np.arange(len(arrays[0])), len(devices))
    # They stay padded as the batch is, for losses that depend on it.
    return [
        ([array[part[0] : part[-1] + 1].as_in_context(device) for array in arrays], True)
        if len(part)
        else ([array[:1].as_in_context(device) for array in arrays], False)
        for part, device in zip(parts, devices)
    ]


def add_gradients(network, data, loss, group, devices, seeds):
    """The gradients of the mean loss over a group of batches, each device's part on its own.

    Their sum over the devices is what one device gets of the whole batches.

    Parameters
    ----------
    network : BertBlock
    data : SequenceData
        Or anything with its ``load``.
    loss : callable
        See :func:`gluon_bert.training.loop.fit`.
    group : list of arrays of int
        Batches. For more than one, the parameters' ``grad_req`` must be 'add'.
    devices : list of mxnet.Context
        From :func:`devices_of`.
    seeds : sequence of int
        Dropout is a function of these, of the batch in the group and of the device.

    Returns
    -------
    float
        That mean loss.
    """
    sequences, total = sum(map(len, group)), 0.0
    for number, batch in enumerate(group):
        inputs, labels = data.load(batch)
        parts = []
        for index, (share, counts) in enumerate(split_batch([*inputs, labels], devices)):
            _seed([*seeds, number], index, devices)
            with autograd.record():
                part = loss(network(*share[:-1]), share[-1]).sum() / sequences
                if not counts:
                    part = part * 0
            part.backward()
            parts.append(part)
        # Only now, when all devices have their work, is one waited for.
        total += sum(float(part.asscalar()) for part in parts)
    return total


def _seed(seeds, index, devices):
    # The first device draws what it draws alone.
    seed = np.random.RandomState([*seeds, index] if index else seeds).randint(2**31)
    mx.random.seed(seed, 'all' if len(devices) == 1 else devices[index])


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
