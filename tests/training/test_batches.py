"""Batches from iterators with a state: data sets, and streams of unknown length."""

import json
import os
import signal

import numpy as np
import pytest
from streams import Stream
from test_bert import parameters_of
from test_training import accuracy, make_classifier, rows, toy_data  # noqa: F401 (a fixture)

from gluon_bert.checkpoint.gluonnlp.params_file import read_params
from gluon_bert.training import TrainingOptions, fit
from gluon_bert.training.batches import IndexedBatches, read_batches
from gluon_bert.training.loop import STATE_FILE, Interrupted
from gluon_bert.training.objectives import cross_entropy


class Numbers:
    """Data that load as the numbers of their sequences."""

    def __init__(self, num, batch_size):
        self.num, self.batch_size = num, batch_size

    def training_batches(self, epoch):
        order = np.random.RandomState(epoch).permutation(self.num)
        return np.split(order, range(self.batch_size, self.num, self.batch_size))

    def load(self, indices):
        return (indices.tolist(),), None


def numbers(iterator):
    return [inputs[0] for inputs, _ in iterator]


def test_data_sets_are_read_in_their_own_order():
    data = Numbers(23, 4)
    iterator = IndexedBatches(data)
    assert (iterator.num_batches, iterator.largest_batch, iterator.epoch) == (6, 4, 0)
    for epoch in range(3):
        assert numbers(iterator) == [batch.tolist() for batch in data.training_batches(epoch)]
        assert iterator.epoch == epoch + 1


@pytest.mark.parametrize('size', [1, 2, 3])
@pytest.mark.parametrize('num_read', [0, 1, 2])
def test_state_is_the_position_after_the_last_batch_read(num_read, size):
    data = Numbers(23, 4)
    for rank in range(size):
        iterator, other = IndexedBatches(data, rank, size), IndexedBatches(data, rank, size)
        expected = numbers(iterator) and numbers(iterator)  # of epoch 1
        list(other)
        rest = iter(other)
        for _ in range(num_read):
            next(rest)
        state = json.loads(json.dumps(other.state_dict()))
        assert state == {'epoch': 1, 'position': num_read}
        resumed = IndexedBatches(data, rank, size)
        resumed.load_state_dict(state)
        assert numbers(resumed) == expected[num_read:]
        assert resumed.epoch == 2


@pytest.mark.parametrize('size', [1, 2, 3, 4, 7])
def test_processes_share_each_batch_without_overlap(size):
    data = Numbers(23, 4)
    for epoch in range(2):
        iterators = [IndexedBatches(data, rank, size) for rank in range(size)]
        for iterator in iterators:
            iterator.load_state_dict({'epoch': epoch, 'position': 0})
        together = []
        for batches in zip(*map(read_batches, iterators)):
            parts = [iterator.split(batch) for iterator, batch in zip(iterators, batches)]
            sizes = [0 if part is None else len(part.inputs[0]) for part in parts]
            assert sorted(sizes, reverse=True) == sizes and max(sizes) - min(sizes) <= 1
            together.append([index for part in parts if part for index in part.inputs[0]])
        # Of the last batch, with 3 sequences, some processes have none.
        assert together == [batch.tolist() for batch in data.training_batches(epoch)]


def test_batches_have_labels_as_a_tuple():
    data = toy_data()
    (batch, *_) = read_batches(IndexedBatches(data))
    inputs, labels = data.load(data.training_batches(0)[0])
    assert all(np.array_equal(a.asnumpy(), b.asnumpy()) for a, b in zip(batch.inputs, inputs))
    assert len(batch.labels) == 1
    assert np.array_equal(batch.labels[0].asnumpy(), labels.asnumpy())
    assert next(read_batches([((labels,), None)])).labels == ()


def test_data_without_batches_are_refused(make_classifier, tmp_path):  # noqa: F811
    data = Numbers(8, 4)
    data.training_batches = lambda epoch: []
    with pytest.raises(ValueError, match='the training data have no batch'):
        fit(make_classifier(), data, cross_entropy, TrainingOptions(), tmp_path)
    options = TrainingOptions(training_steps=3)
    with pytest.raises(ValueError, match='the training data have no batch'):
        fit(make_classifier(), Stream(limit=0), cross_entropy, options, tmp_path)


def test_streams_need_a_number_of_steps(make_classifier, tmp_path):  # noqa: F811
    with pytest.raises(ValueError, match='training_steps is needed: the number of batches in the'):
        fit(make_classifier(), Stream(), cross_entropy, TrainingOptions(), tmp_path)


OPTIONS = TrainingOptions(
    training_steps=13,
    learning_rate=3e-3,
    log_interval=1,
    checkpoint_interval=2,
    evaluate_every=5,
    accumulate=2,
)


@pytest.mark.parametrize(
    'limit, broken_at',
    [(None, 0), (None, 5), (None, 10), (None, 25), (7, 0), (7, 6), (7, 1003), (8, 1007), (7, 3001)],
)
def test_a_stream_is_resumed_to_the_same_end(make_classifier, tmp_path, limit, broken_at):  # noqa: F811
    dev, results = toy_data(seed=5), []
    for name in ('unbroken', 'broken'):
        folder = tmp_path / name
        if name == 'broken':
            with pytest.raises(OSError, match='the stream broke off'):
                fit(
                    make_classifier(),
                    Stream(limit=limit, broken_at=broken_at),
                    cross_entropy,
                    OPTIONS,
                    folder,
                    evaluate=accuracy(dev),
                )
        model = make_classifier()
        result = fit(
            model,
            Stream(limit=limit),
            cross_entropy,
            OPTIONS,
            folder,
            evaluate=accuracy(dev),
            resume=True,
        )
        logged = [{**row, 'seconds': 0} for row in rows(folder)]
        results.append((result._replace(best_path=result.best_path.name), logged, model))
        files = {path.name for path in folder.iterdir()}
        assert files == {
            result.best_path.name,
            'metrics.jsonl',
            'result.json',
            'training_curve.png',
        }
    assert results[0][:2] == results[1][:2]
    assert [row['step'] for row in results[0][1] if 'metrics' in row] == [5, 10, 13]
    assert results[0][0].steps == 13
    first, second = (parameters_of(model) for *_, model in results)
    assert all(np.array_equal(array, second[name]) for name, array in first.items())
    # Passes of 7 or 8 batches are 4 steps; without an end there is one.
    epochs = [row['epoch'] for row in results[0][1] if 'loss' in row]
    assert epochs == [1] * 13 if limit is None else [1 + step // 4 for step in range(13)]


def test_evaluations_by_steps_name_their_files(make_classifier, tmp_path):  # noqa: F811
    scores, steps = iter([0.2, 0.9, 0.5, 0.4]), []
    model = make_classifier()
    options = TrainingOptions(epochs=2, learning_rate=3e-3, evaluate_every=3)

    def evaluate(network):
        steps.append(parameters_of(network))
        return {'score': next(scores)}

    result = fit(model, toy_data(), cross_entropy, options, tmp_path, name='toy', evaluate=evaluate)
    # 10 steps: after 3, 6 and 9, and after the last one.
    assert result == (1, {'score': 0.9}, tmp_path / 'toy_step6.params', 10)
    assert [row['step'] for row in rows(tmp_path) if 'metrics' in row] == [3, 6, 9, 10]
    assert [path.name for path in tmp_path.glob('*.params')] == ['toy_step6.params']
    assert all(np.array_equal(steps[1][name], a) for name, a in parameters_of(model).items())
    record = json.loads((tmp_path / 'result.json').read_text())
    assert {name: record[name] for name in ('version', *result._fields)} == {
        'version': 2,
        'best_epoch': 2,  # counted from 1
        'best_metrics': {'score': 0.9},
        'best_path': 'toy_step6.params',
        'steps': 10,
    }


def test_an_evaluation_after_the_last_step_is_not_repeated(make_classifier, tmp_path):  # noqa: F811
    options = TrainingOptions(epochs=2, evaluate_every=5)
    scores = iter([0.2, 0.3])
    result = fit(
        make_classifier(),
        toy_data(),
        cross_entropy,
        options,
        tmp_path,
        evaluate=lambda network: {'score': next(scores)},
    )
    assert (result.best_path.name, result.best_metrics) == ('model_step10.params', {'score': 0.3})
    assert next(scores, None) is None


def test_early_stop_counts_evaluations_by_steps(make_classifier, tmp_path):  # noqa: F811
    scores = iter([0.5, 0.7, 0.7, 0.6, 0.9])
    options = TrainingOptions(epochs=6, learning_rate=1e-4, early_stop=2, evaluate_every=2)
    result = fit(
        make_classifier(),
        toy_data(),
        cross_entropy,
        options,
        tmp_path,
        evaluate=lambda network: {'score': next(scores)},
    )
    assert (result.best_path.name, result.steps) == ('model_step4.params', 8)


def test_evaluation_by_steps_is_a_setting_of_the_run(make_classifier, tmp_path):  # noqa: F811
    options = TrainingOptions(training_steps=9, checkpoint_interval=1, evaluate_every=4)
    with pytest.raises(OSError, match='broke off'):
        fit(make_classifier(), Stream(broken_at=6), cross_entropy, options, tmp_path)
    options = TrainingOptions(training_steps=9, checkpoint_interval=1)
    with pytest.raises(ValueError, match='evaluate_every: 4 then, None now'):
        fit(make_classifier(), Stream(), cross_entropy, options, tmp_path, resume=True)
    assert (tmp_path / STATE_FILE).is_file()
    assert read_params(tmp_path / 'model_step4.params')


@pytest.mark.parametrize('evaluate_every', [None, 4])
def test_a_run_stopped_after_its_last_step_is_evaluated_when_resumed(
    make_classifier,  # noqa: F811
    tmp_path,
    evaluate_every,
):
    data, dev = toy_data(), toy_data(seed=5)
    options = TrainingOptions(epochs=2, learning_rate=3e-3, evaluate_every=evaluate_every)
    load, calls = data.load, []

    def interrupting(indices):
        calls.append(indices)
        if len(calls) == 10:
            os.kill(os.getpid(), signal.SIGTERM)
        return load(indices)

    data.load = interrupting
    arguments = (cross_entropy, options, tmp_path / 'stopped')
    with pytest.raises(Interrupted, match='stopped after step 10 of 10'):
        fit(make_classifier(), data, *arguments, evaluate=accuracy(dev))
    model, other = make_classifier(), make_classifier()
    resumed = fit(model, data, *arguments, evaluate=accuracy(dev), resume=True)
    assert len(calls) == 10
    arguments = (cross_entropy, options, tmp_path / 'unbroken')
    unbroken = fit(other, toy_data(), *arguments, evaluate=accuracy(dev))
    assert resumed[:2] == unbroken[:2] and resumed.best_path.name == unbroken.best_path.name
    first, second = parameters_of(model), parameters_of(other)
    assert all(np.array_equal(array, second[name]) for name, array in first.items())
