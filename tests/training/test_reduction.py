"""Sums over devices and processes: several processes come to what one does with their batches."""

import json
import os
import subprocess
import sys

import mxnet as mx
import numpy as np
import pytest
from conftest import TINY
from process_run import train
from test_training import rows

from gluon_bert import BertModel
from gluon_bert.modeling.embedder import BertEmbedder
from gluon_bert.training import TrainingOptions, make_sentence_objective
from gluon_bert.training.reduction import DeviceReduction, ProcessReduction, share, sum_numbers
from gluon_bert.training.step import TrainingStep

# The package first: it mends NumPy for MXNet.
SCRIPT = 'import gluon_bert, process_run, sys; process_run.main(*sys.argv[1:])'


def copies(value, num=2):
    return [mx.nd.array(value, ctx=mx.cpu(i)) + i for i in range(num)]


def values(arrays):
    return [[copy.asnumpy().tolist() for copy in array] for array in arrays]


def test_one_device_has_nothing_to_add_up():
    arrays = [copies([1, 2], 1), copies([[3]], 1)]
    reduction = DeviceReduction()
    reduction.sum_in_place(arrays)
    reduction.broadcast(arrays)
    assert values(arrays) == [[[1, 2]], [[[3]]]]
    assert (reduction.rank, reduction.size) == (0, 1)
    assert sum_numbers(reduction, [3, 0.5]) == [3, 0.5]
    assert share(reduction, {'a': [1, None]}) == {'a': [1, None]}


@pytest.mark.parametrize('num', [2, 3])
def test_devices_add_up_each_array(num):
    reduction = DeviceReduction()
    for scale in (1, 5):  # at each call what it is given
        arrays = [copies([scale, 2], num), copies([[3 * scale]], num)]
        reduction.sum_in_place(arrays)
        extra = sum(range(num))
        expected = [[num * scale + extra, num * 2 + extra], [[num * 3 * scale + extra]]]
        assert values(arrays) == [[array] * num for array in expected]


class Doubled(ProcessReduction):
    """A second process, which always has the same arrays."""

    def __init__(self, rank=0, size=2):
        super().__init__(rank, size)
        self.sent = []

    def sum_over_processes(self, arrays):
        for array in arrays:
            array[:] = 2 * array

    def copy_to_processes(self, arrays):
        for array in arrays:
            if self.rank == 0:
                self.sent.append(array.copy())
            else:
                array[:] = self.sent.pop(0)


def test_processes_add_up_after_their_devices():
    arrays = [copies([1, 2]), copies([4], 1), copies([[3]])]
    Doubled().sum_in_place(arrays)
    assert values(arrays) == [[[6, 10]] * 2, [[8]], [[[14]]] * 2]
    assert sum_numbers(Doubled(), [3, 0.5]) == [6, 1]


def test_every_process_gets_what_the_first_one_has():
    first, second = Doubled(0), Doubled(1)
    second.sent = first.sent
    value = {'name': 'äß', 'score': 0.1 + 0.2, 'list': [1, None, True]}
    assert share(first, value) == value
    assert share(second, None) == value
    first.broadcast([copies([1, 2])])
    arrays = [copies([7, 8], 3)]
    second.broadcast(arrays)
    assert values(arrays) == [[[1, 2]] * 3]


@pytest.mark.parametrize('name, is_said', [('cosent', True), ('simcse', True), ('cosine', False)])
def test_losses_that_compare_examples_are_said_to_depend_on_the_cut(caplog, name, is_said):
    network = BertEmbedder(BertModel(TINY))
    network.initialize()
    TrainingStep(network, make_sentence_objective(name), TrainingOptions(), 1, Doubled())
    assert ('each of 2 processes those of its own share' in caplog.text) == is_said


@pytest.mark.parametrize('rank, size', [(2, 2), (-1, 2), (0, 0)])
def test_ranks_out_of_range_are_refused(rank, size):
    with pytest.raises(ValueError, match=f'rank={rank}: expected 0 to'):
        Doubled(rank, size)


def run_processes(folder, size, stop=None, **arguments):
    """What each process printed; ``stop`` is the rank and the batch where it is interrupted."""
    folder.mkdir(exist_ok=True)
    (folder / 'socket').unlink(missing_ok=True)
    processes = []
    for rank in range(size):
        own = {'rank': rank, 'size': size, **arguments}
        if stop and stop[0] == rank:
            own['stop'] = stop[1]
        processes.append(
            subprocess.Popen(
                [sys.executable, '-W', 'ignore', '-c', SCRIPT, str(folder), json.dumps(own)],
                stdout=subprocess.PIPE,
                env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
                text=True,
            )
        )
    try:
        outputs = [process.communicate(timeout=300)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * size
    return outputs


OPTIONS = {'epochs': 2, 'learning_rate': 1e-3, 'epsilon': 1e-3, 'log_interval': 1}


@pytest.mark.parametrize(
    'task, size, num_devices, accumulate, changes',
    [
        ('classes', 2, 1, 1, {}),
        ('classes', 2, 2, 1, {'checkpoint_interval': 1}),
        ('classes', 3, 1, 2, {'evaluate_every': 1}),
        ('pretraining', 2, 1, 1, {'evaluate_every': 2}),
        ('stream', 2, 1, 2, {'training_steps': 5, 'evaluate_every': 2}),
    ],
)
def test_processes_come_to_the_parameters_of_one(
    tmp_path, task, size, num_devices, accumulate, changes
):
    options = {**OPTIONS, **changes}
    outputs = run_processes(
        tmp_path / 'several',
        size,
        task=task,
        num_devices=num_devices,
        options={**options, 'accumulate': accumulate},
    )
    network, result = train(tmp_path / 'one', task, {**options, 'accumulate': accumulate})
    expected = json.loads(json.dumps({**result._asdict(), 'best_path': result.best_path.name}))
    assert [json.loads(output) for output in outputs] == [expected] * size
    found = [dict(np.load(tmp_path / 'several' / f'rank{rank}.npz')) for rank in range(size)]
    for name, parameter in network._collect_params_with_prefix().items():
        array = parameter.data().asnumpy()
        np.testing.assert_allclose(found[0][name], array, rtol=0, atol=1e-6, err_msg=name)
        assert all(np.array_equal(other[name], found[0][name]) for other in found[1:])
    for row, other in zip(rows(tmp_path / 'several' / 'out'), rows(tmp_path / 'one')):
        assert set(row) == set(other)
        for key in set(row) - {'seconds', 'metrics'}:
            assert row[key] == pytest.approx(other[key], rel=1e-4), key
        assert row.get('metrics') == other.get('metrics')
    assert {path.name for path in (tmp_path / 'several' / 'out').iterdir()} == {
        path.name for path in (tmp_path / 'one').iterdir()
    }


@pytest.mark.parametrize('task, stop', [('classes', (1, 2)), ('stream', (0, 3))])
def test_processes_stop_together_and_are_resumed_bit_equal(tmp_path, task, stop):
    arguments = {'task': task, 'options': {**OPTIONS, 'training_steps': 6}}
    outputs = run_processes(tmp_path / 'broken', 2, stop, **arguments)
    assert outputs == [f'interrupted: stopped after step {stop[1]} of 6'] * 2
    resumed = run_processes(tmp_path / 'broken', 2, resume=True, **arguments)
    unbroken = run_processes(tmp_path / 'unbroken', 2, **arguments)
    assert resumed == run_processes(tmp_path / 'broken', 2, resume=True, **arguments)  # complete
    steps = [json.loads(output)['steps'] for output in (*resumed, *unbroken)]
    assert steps == [6] * 4
    for rank in range(2):
        first, second = (
            np.load(tmp_path / folder / f'rank{rank}.npz') for folder in ('broken', 'unbroken')
        )
        assert all(np.array_equal(first[name], second[name]) for name in second)
