"""Training runs of several processes, of which :func:`main` is one; used by test_reduction.py."""

import json
import os
import signal
import sys
import time
from dataclasses import replace
from multiprocessing.connection import Client, Listener
from pathlib import Path

import mxnet as mx
import numpy as np
from conftest import TINY
from streams import Stream
from test_objectives import MaskedData, make_pretrained
from test_training import toy_data

from gluon_bert import BertClassifier, BertModel
from gluon_bert.training import TrainingOptions, fit, run
from gluon_bert.training.loop import Interrupted
from gluon_bert.training.reduction import ProcessReduction


class SocketReduction(ProcessReduction):
    """Sums by way of process 0, over sockets."""

    def __init__(self, rank, size, address):
        super().__init__(rank, size)
        if rank == 0:
            with Listener(address) as listener:
                self._peers = [listener.accept() for _ in range(size - 1)]
        else:
            self._peers = [connect(address)]

    def sum_over_processes(self, arrays):
        values = [array.asnumpy() for array in arrays]
        if self.rank == 0:
            for peer in self._peers:
                for value, other in zip(values, peer.recv()):
                    value += other
        else:
            self._peers[0].send(values)
        self._spread(arrays, values)

    def copy_to_processes(self, arrays):
        self._spread(arrays, [array.asnumpy() for array in arrays])

    def _spread(self, arrays, values):
        if self.rank == 0:
            for peer in self._peers:
                peer.send(values)
        else:
            values = self._peers[0].recv()
        for array, value in zip(arrays, values):
            array[:] = value


def connect(address):
    for _ in range(600):
        try:
            return Client(address)
        except (FileNotFoundError, ConnectionRefusedError):
            time.sleep(0.1)
    raise TimeoutError(f'nobody listens at {address}')


def make_classifier(num_devices):
    mx.random.seed(3)
    network = BertClassifier(BertModel(replace(TINY, dropout=0.0)), 2, dropout=0.0)
    network.initialize(mx.init.Normal(0.05), ctx=[mx.cpu(i) for i in range(num_devices)])
    network.hybridize()
    return network


def train(folder, task, options, reduction=None, num_devices=1, resume=False, stop=None):
    """Train on a small task; return network, result and the metrics it was evaluated to.

    ``stop`` is the number of the batch at which this process gets a SIGTERM.
    """
    make, data, loss = {
        'classes': (make_classifier, toy_data(), 'cross_entropy'),
        'pretraining': (lambda num: make_pretrained(TINY, num), MaskedData(3), 'pretraining'),
        'stream': (make_classifier, Stream(limit=7), 'cross_entropy'),
    }[task]
    network = make(num_devices)
    rank = 0 if reduction is None else reduction.rank
    if rank:  # it gets those of process 0
        for parameter in network.collect_params().values():
            parameter.set_data(parameter.data(mx.cpu(0)) + rank)
    name = 'make' if task == 'stream' else 'load'
    load, calls = getattr(data, name), []

    def interrupting(batch):
        calls.append(batch)
        if len(calls) == stop:
            os.kill(os.getpid(), signal.SIGTERM)
        return load(batch)

    setattr(data, name, interrupting)
    result = fit(
        network,
        data,
        loss,
        TrainingOptions(**options),
        folder,
        evaluate=evaluate,
        resume=resume,
        reduction=reduction,
    )
    return network, result


def evaluate(network):
    """Score the parameters: up and down from epoch to epoch, and the same after a resumption.

    Rounded, as several processes add up in another order.
    """
    arrays = [parameter.data(mx.cpu(0)) for parameter in network.collect_params().values()]
    total = sum(float(array.abs().mean().asscalar()) for array in arrays)
    return {'score': round(float(np.sin(1000 * total)), 2), 'other': 0.5}


def refuse(*arguments):
    raise AssertionError('only process 0 evaluates and writes')


def main(folder, arguments):
    """Train as one process, with arguments as JSON: rank, size, and those of :func:`train`."""
    sys.stdout.write(run_process(Path(folder), **json.loads(arguments)))


def run_process(folder, rank, size, **arguments):
    reduction = SocketReduction(rank, size, str(folder / 'socket'))
    if rank:
        run.save_state = run.plot_training = refuse
        BertClassifier.save_parameters = refuse
        run.RunFiles.write_result = refuse
    try:
        network, result = train(folder / 'out', reduction=reduction, **arguments)
    except Interrupted as error:
        return f'interrupted: {error}'
    arrays = network._collect_params_with_prefix()
    for device in network.classifier.weight.list_ctx() if hasattr(network, 'classifier') else []:
        copies = [p.data(device).asnumpy() for p in network.collect_params().values()]
        first = [p.data(mx.cpu(0)).asnumpy() for p in network.collect_params().values()]
        assert all(map(np.array_equal, copies, first))
    np.savez(
        folder / f'rank{rank}.npz',
        **{name: array.data(mx.cpu(0)).asnumpy() for name, array in arrays.items()},
    )
    return json.dumps({**result._asdict(), 'best_path': result.best_path.name})
