"""Gradients of batches on several devices of one process, each with its share of every batch."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple

import mxnet as mx
import numpy as np

from ..inference.devices import devices_of
from .batches import Batch
from .terms import Objective

__all__ = ['add_gradients', 'devices_of', 'split_batch']


def split_batch(
    arrays: Sequence[mx.nd.NDArray], devices: Sequence[mx.Context]
) -> List[Tuple[List[mx.nd.NDArray], bool]]:
    """Split a batch into shares, one on each device, as equal as can be.

    Parameters
    ----------
    arrays : sequence of NDArray
        Of the batch; the first axis is that of the sequences.
    devices : sequence of mxnet.Context

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


def add_gradients(
    network: Any,
    objective: Objective,
    batches: Sequence[Batch],
    totals: Dict[str, float],
    devices: Sequence[mx.Context],
    seeds: Sequence[int],
    encoder: Optional[object] = None,
    first_device: int = 0,
) -> Dict[str, float]:
    """Compute the gradients of an objective over a group of batches, a share on each device.

    Their sum over devices and processes is what one device gets of all the batches.

    Parameters
    ----------
    network : BertBlock
    objective : Objective
    batches : sequence of Batch
        For more than one, or an objective that adds gradients, the parameters' ``grad_req`` must be
        'add'.
    totals : dict of str to float
        What the sum of each term is divided by: its count over the whole step.
    devices : sequence of mxnet.Context
        From :func:`devices_of`.
    seeds : sequence of int
        Dropout is a function of these, of the batch in the group and of the device.
    encoder : NativeTrainer, optional
        Passed to each call of the network.
    first_device : int
        Number of this process's first device among those of all processes.

    Returns
    -------
    dict of str to float
        What these batches add to the mean of each term.
    """
    means = dict.fromkeys(totals, 0.0)
    for number, (inputs, labels) in enumerate(batches):
        parts = []
        for index, (arrays, counts) in enumerate(split_batch([*inputs, *labels], devices)):
            _seed([*seeds, number], first_device + index, index, devices)
            terms = objective.gradients(
                network, arrays[: len(inputs)], arrays[len(inputs) :], totals, encoder, counts
            )
            parts.append(terms)
        # Only now, when all devices have their work, is one waited for.
        for name in means:
            means[name] += sum(float(terms[name].asscalar()) for terms in parts)
    return means


def _seed(seeds, number, index, devices):
    # The first device draws what it draws alone.
    seed = np.random.RandomState([*seeds, number] if number else seeds).randint(2**31)
    mx.random.seed(seed, 'all' if len(devices) == 1 else devices[index])
