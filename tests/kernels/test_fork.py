"""Processes made by fork, after their parent used the kernels."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from gluon_bert import kernels

pytestmark = pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs os.fork')

SETUP = """
import faulthandler, multiprocessing, os, signal, sys, tempfile, threading
import numpy as np
import gluon_bert as gb
from gluon_bert.data import Features, SequenceData
import mxnet as mx

CONFIG = gb.BertConfig(vocab_size=90, units=64, hidden_size=128, num_layers=2, num_heads=4,
                       max_length=64, num_token_types=2, dropout=0.1, layer_norm_eps=1e-12,
                       activation='gelu', pooler_activation='tanh')

def network():
    mx.random.seed(3)
    model = gb.BertClassifier(gb.BertModel(CONFIG), 2)
    model.initialize(mx.init.Normal(0.3))
    return model

def features(count):
    rng = np.random.RandomState(5)
    ids = [rng.randint(0, 90, rng.randint(1, 60)).astype('int32') for _ in range(count)]
    return [Features(row, row * 0, len(row)) for row in ids]

def child(function):
    # A process in which function() is true, or an error.
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        faulthandler.register(signal.SIGALRM, chain=True)  # where it hangs
        signal.alarm(50)
        status = 1
        try:
            status = 0 if function() else 2
        finally:
            os._exit(status)
    status = os.waitpid(pid, 0)[1]
    assert status == 0, f'status {status} of the child; 14: it hung'

def train(network, folder):
    from gluon_bert.training import TrainingOptions, fit
    mx.random.seed(1)
    data = SequenceData(features(40), np.arange(40) % 2, 0, 8, seed=2)
    fit(network, data, 'cross_entropy', TrainingOptions(epochs=1, learning_rate=1e-3), folder)
    return np.concatenate([p.data().asnumpy().ravel() for p in network.collect_params().values()])
"""


def run(script, **variables):
    """Run a script in a process of its own, and fail where it hangs."""
    environment = {**os.environ}
    environment.pop('GOMP_SPINCOUNT', None)  # that of a script of another test
    process = subprocess.Popen(
        [sys.executable, '-W', 'ignore', '-c', SETUP + textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**environment, 'OMP_NUM_THREADS': '2', **variables},
    )
    try:
        output, _ = process.communicate(timeout=100)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        pytest.fail(f'hangs; so far it printed:\n{process.communicate()[0]}')
    assert process.returncode == 0, output
    return output


@pytest.fixture(params=['1', '0'], ids=['kernels', 'mxnet'])
def setting(request):
    if request.param == '1' and not kernels.is_available():
        pytest.skip('native kernels are not built: python -m gluon_bert.kernels')
    return request.param


def test_a_child_and_its_child_predict_what_their_parent_does(setting):
    run(
        """
        predictor, rows = gb.Predictor(network(), num_threads=2), features(50)
        expected = predictor.batch(rows)
        def same():
            return np.array_equal(predictor.batch(rows), expected)
        child(same)
        child(lambda: same() and (child(same), same())[1])
        assert same()
        thread = threading.Thread(target=child, args=[same])  # a fork by a thread of its own
        thread.start(), thread.join()
        child(lambda: np.array_equal(gb.Predictor(network(), num_threads=3).batch(rows), expected))
        """,
        GLUON_BERT_KERNELS=setting,
    )


def test_a_pool_of_processes(setting):
    run(
        """
        predictor, rows = gb.Predictor(network(), num_threads=2), features(30)
        expected = predictor.batch(rows)
        def work(number):
            # Several threads of the child, each with threads of the kernels.
            outputs = []
            threads = [threading.Thread(target=lambda: outputs.append(predictor.batch(rows)))
                       for _ in range(3)]
            [thread.start() for thread in threads], [thread.join() for thread in threads]
            return outputs
        with multiprocessing.get_context('fork').Pool(2) as pool:
            for outputs in pool.map(work, range(4)):
                assert len(outputs) == 3
                assert all(np.array_equal(output, expected) for output in outputs)
        """,
        GLUON_BERT_KERNELS=setting,
    )


def test_a_child_trains_as_its_parent_does(setting):
    run(
        """
        expected = train(network(), tempfile.mkdtemp())
        def same():
            return np.allclose(train(network(), tempfile.mkdtemp()), expected, atol=1e-6)
        child(same)
        child(lambda: same() and (child(same), True)[1])
        assert same()
        """,
        GLUON_BERT_KERNELS=setting,
    )


def test_a_fork_while_other_threads_use_the_networks(setting):
    run(
        """
        model, rows = network(), features(20)
        predictor = gb.Predictor(model, num_threads=2)
        expected = predictor.batch(rows)
        arrays = mx.nd.array([row.inputs[:1] for row in rows])
        scores = model(arrays).asnumpy()
        stop = threading.Event()
        def predict():
            while not stop.is_set():
                predictor.batch(rows)
        def call():
            while not stop.is_set():
                with model.lock:
                    model(arrays).asnumpy()
        threads = [threading.Thread(target=target) for target in (predict, predict, call)]
        [thread.start() for thread in threads]
        def same():
            return (np.array_equal(predictor.batch(rows), expected)
                    and np.allclose(model(arrays).asnumpy(), scores, atol=1e-6))
        try:
            for _ in range(10):
                child(same)
        finally:
            stop.set()
            [thread.join() for thread in threads]
        """,
        GLUON_BERT_KERNELS=setting,
    )


def test_kernels_that_a_child_is_the_first_to_load():
    if not kernels.is_available():
        pytest.skip('native kernels are not built: python -m gluon_bert.kernels')
    output = run(
        """
        big = mx.nd.array(np.random.rand(3000, 1000))  # MXNet copies it with threads of OpenMP
        big.asnumpy()
        model, rows = network(), features(30)
        child(lambda: gb.Predictor(model, num_threads=2).batch(rows).shape == (30, 2))
        print('done')
        """
    )
    assert output.split()[-1] == 'done'


def test_a_fork_waits_for_who_holds_the_lock_of_the_networks():
    output = run(
        """
        model, held, events = network(), threading.Event(), []
        def hold():
            with model.lock:
                held.set()
                threading.Event().wait(0.3)
                events.append('freed')
        thread = threading.Thread(target=hold)
        thread.start(), held.wait()
        def free():
            return events == ['freed'] and model.lock.acquire(timeout=5)
        child(free)
        thread.join()
        with model.lock:  # by the thread that holds it
            child(lambda: model(mx.nd.array([[1, 2]])).shape == (1, 2))
        print('done')
        """
    )
    assert output.split()[-1] == 'done'
