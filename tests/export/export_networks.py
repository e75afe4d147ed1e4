"""Networks with random heads, for the tests of exports."""

import mxnet as mx


def initialized(network):
    """Give the parameters that have no values yet random ones."""
    for parameter in network.collect_params().values():
        if parameter._data is None:
            parameter.initialize(mx.init.Normal(0.3))
    return network
