"""Several devices of one machine: where a network lies."""

from __future__ import annotations

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


def _listing(devices):
    return ', '.join(map(str, devices))
