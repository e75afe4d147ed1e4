"""Gradients that the kernels have finished are told of while the backward pass goes on."""

import threading

import mxnet as mx
import numpy as np
import pytest
from conftest import TINY

import gluon_bert as gb
from gluon_bert.kernels import is_available
from gluon_bert.kernels.gluon import view_array
from gluon_bert.kernels.progress import GradientProgress
from gluon_bert.kernels.training import NativeTrainer

native = pytest.mark.skipif(not is_available(), reason='needs the native kernels')


def wait_in_thread(progress, address):
    """Wait for an address in a thread; give the thread and the list that gets the result."""
    found = []
    thread = threading.Thread(target=lambda: found.append(progress.wait(address)), daemon=True)
    thread.start()
    return thread, found


def test_what_is_finished_is_told_at_once_and_the_rest_at_the_end():
    progress = GradientProgress()
    started = progress.begin()
    first, second = wait_in_thread(progress, 7), wait_in_thread(progress, 8)
    started.add([7, None])
    first[0].join(10)
    assert first[1] == [True] and second[1] == []
    started.end()
    second[0].join(10)
    assert second[1] == [False]
    assert progress.wait(7)
    progress.forget()
    assert not progress.wait(7)


def test_a_step_with_two_passes_is_not_told_of():
    progress = GradientProgress()
    first, second = progress.begin(), progress.begin()
    first.add([7])
    second.add([7])
    assert not progress.wait(7)
    first.end()
    second.end()
    alone = progress.begin()
    alone.add([7])
    assert progress.wait(7)


def test_a_pass_that_is_never_run_is_not_waited_for():
    progress = GradientProgress()
    progress.begin()
    thread, found = wait_in_thread(progress, 7)
    progress.stop()
    thread.join(10)
    assert found == [False]


def make_network():
    mx.random.seed(5)
    network = gb.BertClassifier(gb.BertModel(TINY), 2, dropout=0.0)
    network.initialize(mx.init.Normal(0.05))
    ids = mx.nd.array([[5, 6, 7, 8], [9, 10, 11, 0]])
    return network, [ids, mx.nd.zeros((2, 4)), mx.nd.array([4, 3])]


@native
@pytest.mark.parametrize('penalty', [0, 0.1])
def test_gradients_that_were_told_of_are_the_final_ones(penalty):
    network, inputs = make_network()
    trainer = NativeTrainer(network.bert)
    layers = [p for p in trainer.layer_parameters() if p.grad_req != 'null']
    told = {}

    def note(addresses):
        addresses = [address for address in addresses if address]
        for parameter in layers:
            gradient = parameter.grad()
            view = view_array(gradient, waits=False)
            if view.ctypes.data in addresses:
                told[parameter.name] = view.copy()
        add(addresses)

    with mx.autograd.record():
        loss = network(*inputs, encoder=trainer).square().sum()
        if penalty:  # adds to the gradients of the last layer
            loss = loss + penalty * layers[-1].data().square().sum()
    (started,) = trainer.progress._open
    add, started.add = started.add, note
    loss.backward()
    mx.nd.waitall()
    expected = {parameter.name: parameter.grad().asnumpy() for parameter in layers}
    assert len(told) >= len(layers) - bool(penalty)
    for name, values in told.items():
        assert np.array_equal(values, expected[name]), name
    assert not trainer.progress._open
