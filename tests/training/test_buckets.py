"""Buckets of gradients are summed as soon as the kernels tell that what is in them is final."""

import threading

import mxnet as mx
import numpy as np
import pytest
from test_reduction import Doubled

from gluon_bert.kernels.gluon import view_array
from gluon_bert.kernels.progress import GradientProgress
from gluon_bert.training.distributed.buckets import GradientBuckets

# Embeddings, two layers and a head, as of a network whose layers have one parameter each.
SHAPES, LAYERS = [(4, 2), (3,), (2, 2), (5,)], (1, 2)


class Noting(Doubled):
    """Notes the size of each sum, and tells another thread of it."""

    def __init__(self):
        super().__init__()
        self.sizes, self.is_summed = [], threading.Event()

    def sum_over_processes(self, arrays):
        self.sizes += [array.size for array in arrays]
        super().sum_over_processes(arrays)
        self.is_summed.set()


def test_a_bucket_of_layers_is_summed_while_the_backward_pass_goes_on(monkeypatch):
    gradients = [mx.nd.random.normal(shape=shape) for shape in SHAPES]
    expected = [2 * gradient.asnumpy() for gradient in gradients]
    reduction, progress = Noting(), GradientProgress()
    buckets = GradientBuckets(reduction, gradients, LAYERS, progress)
    started = progress.begin()

    def go_on(self, arrays):
        assert arrays is gradients
        assert reduction.sizes == []
        started.add([view_array(gradients[number]).ctypes.data for number in LAYERS])
        assert reduction.is_summed.wait(10)
        assert reduction.sizes[0] == 12  # head and layers
        progress.stop()

    monkeypatch.setattr(GradientBuckets, '_wait_for_backward', go_on)
    buckets.sum_in_place(gradients)
    assert reduction.sizes == [12, 8]
    for gradient, array in zip(gradients, expected):
        assert np.array_equal(gradient.asnumpy(), array)
    # Of a step without a batch there are zeros, which only MXNet tells of.
    assert not any(progress.wait(view_array(row).ctypes.data) for row in gradients)


@pytest.mark.parametrize('told', ['nothing', 'another address', 'two passes'])
def test_without_that_they_are_summed_in_the_end(told):
    gradients = [mx.nd.random.normal(shape=shape) for shape in SHAPES]
    expected = [2 * gradient.asnumpy() for gradient in gradients]
    reduction, progress = Noting(), GradientProgress()
    buckets = GradientBuckets(reduction, gradients, LAYERS, progress)
    for _ in range({'nothing': 0, 'another address': 1, 'two passes': 2}[told]):
        progress.begin().add([7])  # of other memory
    buckets.sum_in_place(gradients)
    assert reduction.sizes == [12, 8]
    for gradient, array in zip(gradients, expected):
        assert np.array_equal(gradient.asnumpy(), array)


def test_an_error_of_the_sum_reaches_the_caller():
    class Failing(Doubled):
        def sum_over_processes(self, arrays):
            raise ConnectionError('rank 1 is gone')

    gradients = [mx.nd.ones(shape) for shape in SHAPES]
    progress = GradientProgress()
    progress.begin()
    with pytest.raises(ConnectionError, match='rank 1 is gone'):
        GradientBuckets(Failing(), gradients, LAYERS, progress).sum_in_place(gradients)
