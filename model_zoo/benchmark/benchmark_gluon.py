"""Shared by the systems on Gluon in benchmark.py."""

import numpy as np

import gluon_bert  # noqa: F401 (before MXNet, which needs names of NumPy that it restores)

from mxnet import autograd, nd  # isort: skip


def gradients_without_dropout(network, loss, *arrays, train_mode=False, **options):
    """Compute scores, loss and the norm of the gradients of a batch, as one array.

    ``arrays`` are ids, types (N, T), lengths and labels (N,). In ``train_mode`` the network must
    have no dropout. ``options`` are for the network's call.
    """
    *inputs, labels = (nd.array(array, dtype='float32') for array in arrays)
    with autograd.record(train_mode):
        scores = network(*inputs, **options)
        value = loss(scores, labels).mean()
    value.backward(train_mode=train_mode)
    squares = sum(
        float((parameter.grad() ** 2).sum().asscalar())
        for parameter in {
            id(parameter): parameter for parameter in network.collect_params().values()
        }.values()
        if parameter.grad_req != 'null'
    )
    return np.concatenate([scores.asnumpy().ravel(), [value.asscalar(), squares**0.5]])
