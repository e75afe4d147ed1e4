# ruff: noqa: F811
"""Which runs may be resumed or replaced: the same ones, and those that are asked for."""

import contextlib
import json
import logging
from dataclasses import replace

import numpy as np
import pytest
from test_bert import parameters_of
from test_training import PLAN, BrokenOff, Stop, accuracy, make_classifier, toy_data  # noqa: F401

from gluon_bert.data import Features, SequenceData
from gluon_bert.training import TrainingLog, fit
from gluon_bert.training import run as training_run
from gluon_bert.training.loop import STATE_FILE
from gluon_bert.training.objectives import cross_entropy, squared_error

FINAL = 'result.json'


class Opaque:
    """Data of which nothing is known but batches and length."""

    def __init__(self, data, remaining=None):
        self.data, self.remaining = data, remaining

    def __len__(self):
        return len(self.data)

    def training_batches(self, epoch):
        return self.data.training_batches(epoch)

    def load(self, batch):
        if self.remaining is not None:
            self.remaining -= 1
            if self.remaining < 0:
                raise Stop
        return self.data.load(batch)


def plain(data):
    return data


def broken(data, loads=7):
    data.__class__, data.remaining = BrokenOff, loads
    return data


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def with_label(number):
    data = toy_data()
    data.labels[number] = 1 - data.labels[number]
    return data


def with_token(number):
    data = toy_data()
    data.features[number].inputs[0] += 1
    return data


def with_type(number):
    data = toy_data()
    data.features[number].token_types[0] = 1
    return data


DATA = [
    (lambda: toy_data(batch_size=4), 'data batch_size: 8 then, 4 now'),
    (lambda: toy_data(num=41), 'data sequences: 40 then, 41 now'),
    (lambda: toy_data(round_to=8), 'data round_to: None then, 8 now'),
    (lambda: toy_data(fixed_length=12), 'data fixed_length: None then, 12 now'),
    (lambda: toy_data(seed=5), 'data tokens: '),
    (lambda: with_label(39), 'data labels: '),
    (lambda: with_token(39), 'data tokens: '),
    (lambda: with_type(39), 'data token_types: '),
]


@pytest.mark.parametrize('is_finished', [False, True])
@pytest.mark.parametrize('other, message', DATA)
def test_other_data_are_refused(make_classifier, tmp_path, is_finished, other, message):
    if is_finished:
        fit(make_classifier(), toy_data(), cross_entropy, PLAN, tmp_path)
    else:
        with pytest.raises(Stop):
            fit(make_classifier(), broken(toy_data()), cross_entropy, PLAN, tmp_path)
    before = content(tmp_path)
    with pytest.raises(ValueError, match='belongs to a run with other settings') as caught:
        fit(make_classifier(), other(), cross_entropy, PLAN, tmp_path, resume=True)
    assert message in str(caught.value)
    assert content(tmp_path) == before
    assert fit(make_classifier(), toy_data(), cross_entropy, PLAN, tmp_path, resume=True)


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'epochs': 4}, 'epochs: 3 then, 4 now'),
        ({'learning_rate': 1e-3}, 'learning_rate: 0.003 then, 0.001 now'),
        ({'seed': 5}, 'seed: 2 then, 5 now'),
        ({'early_stop': 2}, 'early_stop: None then, 2 now'),
        ({'optimizer': 'adam'}, "optimizer: 'bertadam' then, 'adam' now"),
        ({'accumulate': 2}, 'accumulate: 1 then, 2 now'),
    ],
)
@pytest.mark.parametrize('is_finished', [False, True])
def test_other_options_are_refused(make_classifier, tmp_path, is_finished, changes, message):
    data = toy_data() if is_finished else broken(toy_data())
    with contextlib.suppress(Stop):
        fit(make_classifier(), data, cross_entropy, PLAN, tmp_path)
    before = content(tmp_path)
    options = replace(PLAN, **changes)
    with pytest.raises(ValueError, match='other settings') as caught:
        fit(make_classifier(), toy_data(), cross_entropy, options, tmp_path, resume=True)
    assert message in str(caught.value)
    assert ('begin a new run in another folder' in str(caught.value)) == (
        is_finished and 'epochs' in changes
    )
    assert content(tmp_path) == before


def test_options_without_influence_may_differ(make_classifier, tmp_path):
    expected = fit(make_classifier(), toy_data(), cross_entropy, PLAN, tmp_path / 'unbroken')
    folder = tmp_path / 'broken'
    with pytest.raises(Stop):
        fit(make_classifier(), broken(toy_data()), cross_entropy, PLAN, folder)
    options = replace(PLAN, log_interval=3, checkpoint_interval=7)
    result = fit(
        make_classifier(), toy_data(), cross_entropy, options, folder, name='other', resume=True
    )
    assert result.steps == expected.steps
    assert result.best_path.name == 'other_2.params'
    assert result.best_path.read_bytes() == expected.best_path.read_bytes()
    assert [path.name for path in folder.glob('*.params')] == ['other_2.params']


@pytest.mark.parametrize('is_finished', [False, True])
def test_another_network_loss_or_more_is_refused(make_classifier, tmp_path, is_finished):
    arguments = {'identity': {'labels': ['neg', 'pos'], 'tokenizer': 'a'}}
    data = toy_data() if is_finished else broken(toy_data())
    with contextlib.suppress(Stop):
        fit(make_classifier(), data, cross_entropy, PLAN, tmp_path, **arguments)
    other = make_classifier()
    other.classifier.bias.set_data(other.classifier.bias.data() + 1)
    for network, loss, identity, messages in (
        (make_classifier(num_classes=3), cross_entropy, arguments['identity'], ['network numbers']),
        (make_classifier(dropout=0.0), cross_entropy, arguments['identity'], ['network dropout']),
        (make_classifier(), squared_error, arguments['identity'], ['loss: ']),
        (
            other,
            cross_entropy,
            arguments['identity'],
            ['network start: the parameters are neither'],
        ),
        (
            make_classifier(),
            cross_entropy,
            {'labels': ['alpha', 'beta']},
            ["labels: ['neg', 'pos'] then, ['alpha', 'beta'] now", "tokenizer: 'a' then, None now"],
        ),
    ):
        with pytest.raises(ValueError, match='other settings') as caught:
            fit(network, toy_data(), loss, PLAN, tmp_path, resume=True, identity=identity)
        assert all(message in str(caught.value) for message in messages)
    fit(make_classifier(), toy_data(), cross_entropy, PLAN, tmp_path, resume=True, **arguments)


def test_the_network_of_an_interrupted_or_finished_run_goes_on(make_classifier, tmp_path):
    """It no longer has the parameters that the run began with, but those of its state or end."""
    unbroken = fit(make_classifier(), toy_data(), cross_entropy, PLAN, tmp_path / 'unbroken')
    network = make_classifier()
    plan = replace(PLAN, checkpoint_interval=1)
    with pytest.raises(Stop):
        fit(network, broken(toy_data()), cross_entropy, plan, tmp_path / 'broken')
    for _ in range(2):
        result = fit(network, toy_data(), cross_entropy, plan, tmp_path / 'broken', resume=True)
        assert result.best_path.read_bytes() == unbroken.best_path.read_bytes()


@pytest.mark.parametrize(
    'first, second', [(Opaque, lambda d: d), (lambda d: d, Opaque), (Opaque,) * 2]
)
@pytest.mark.parametrize('number', [None, 0, 17, 39])
def test_data_that_tell_nothing_are_compared_by_their_batches(
    make_classifier, tmp_path, first, second, number
):
    fit(make_classifier(), first(toy_data()), cross_entropy, PLAN, tmp_path)
    other = toy_data() if number is None else with_label(number)
    arguments = (make_classifier(), second(other), cross_entropy, PLAN, tmp_path)
    if number is None:
        assert fit(*arguments, resume=True).steps == 15
    else:
        with pytest.raises(ValueError, match='data batches: they are not those of the training'):
            fit(*arguments, resume=True)


def test_a_fingerprint_of_ones_own_is_compared(make_classifier, tmp_path):
    class Told(Opaque):
        def __init__(self, version, remaining=None):
            super().__init__(toy_data(), remaining)
            self.version = version

        def fingerprint(self):
            return {'corpus': self.version}

    with pytest.raises(Stop):
        fit(make_classifier(), Told('v1', 7), cross_entropy, PLAN, tmp_path)
    with pytest.raises(ValueError, match="data corpus: 'v1' then, 'v2' now"):
        fit(make_classifier(), Told('v2'), cross_entropy, PLAN, tmp_path, resume=True)
    assert (
        fit(make_classifier(), Told('v1'), cross_entropy, PLAN, tmp_path, resume=True).steps == 15
    )


def test_fingerprints_tell_labels_of_tokens_and_rows_apart():
    features = [Features(np.arange(n), np.zeros(n), n) for n in (2, 3)]

    def labels(values):
        return SequenceData(features, values, 0, 2).fingerprint()['labels']

    different = [
        labels([[1, 0], [0, 1, 1]]),
        labels([[1, 0, 0], [1, 1]]),
        labels([[1, 0], [0, 1, 0]]),
        labels(np.array([[1, 0], [0, 1]])),
        labels(np.array([1, 0])),
        labels(None),
    ]
    assert len(set(different)) == len(different)
    assert labels(np.array([1, 0], 'int32')) == labels(np.array([1.0, 0.0]))


def test_finished_runs_are_not_replaced_unasked(make_classifier, tmp_path):
    first = fit(make_classifier(), toy_data(), cross_entropy, PLAN, tmp_path)
    before = content(tmp_path)
    with pytest.raises(ValueError, match='there is a finished run; resume or overwrite it'):
        fit(make_classifier(), toy_data(), cross_entropy, replace(PLAN, epochs=1), tmp_path)
    assert content(tmp_path) == before
    second = fit(
        make_classifier(),
        toy_data(),
        cross_entropy,
        replace(PLAN, epochs=1),
        tmp_path,
        overwrite=True,
    )
    assert (first.best_path.name, second.best_path.name) == ('model_2.params', 'model_0.params')
    assert [path.name for path in tmp_path.glob('*.params')] == ['model_0.params']


def test_unknown_parameters_are_not_replaced_unasked(make_classifier, tmp_path):
    (tmp_path / 'model_7.params').write_bytes(b'precious')
    for resume in (False, True):
        with pytest.raises(ValueError, match=r'model_7\.params, and no state or result of it'):
            fit(make_classifier(), toy_data(), cross_entropy, PLAN, tmp_path, resume=resume)
    assert content(tmp_path) == {'model_7.params': b'precious'}
    fit(make_classifier(), toy_data(), cross_entropy, PLAN, tmp_path, name='other')
    assert (tmp_path / 'model_7.params').exists()


class Killed(BaseException):
    pass


MOMENTS = ['state', 'log', 'curve', 'clean', 'result', 'step']


@pytest.mark.parametrize('moment', MOMENTS)
@pytest.mark.parametrize('is_finished', [False, True])
def test_overwrite_interrupted_never_gives_the_old_result(
    make_classifier, tmp_path, monkeypatch, moment, is_finished
):
    new = replace(PLAN, epochs=2, learning_rate=1e-3)
    data = toy_data(seed=9)
    expected = fit(make_classifier(), data, cross_entropy, new, tmp_path / 'expected')
    folder = tmp_path / 'out'
    first = toy_data() if is_finished else broken(toy_data(), 11)
    with contextlib.suppress(Stop):
        fit(make_classifier(), first, cross_entropy, PLAN, folder, evaluate=accuracy(toy_data()))

    def dies(*arguments):
        raise Killed

    with monkeypatch.context() as patch:
        if moment == 'state':
            patch.setattr(training_run, 'save_state', dies)
        elif moment == 'log':
            patch.setattr(TrainingLog, 'begin', dies)
        elif moment == 'curve':
            patch.setattr(training_run.TrainingRun, '_save', lambda run: (_save(run), dies()))
        elif moment == 'clean':
            patch.setattr(training_run.RunFiles, 'clean', dies)
        elif moment == 'result':
            patch.setattr(training_run.RunFiles, 'clean', lambda *a: (_clean(*a), dies()))
        else:
            patch.setattr(training_run.TrainingRun, 'step', dies)
        with pytest.raises(Killed):
            fit(make_classifier(), data, cross_entropy, new, folder, overwrite=True)
    arguments = (make_classifier(), data, cross_entropy, new, folder)
    if moment == 'state':  # nothing of the old run had been touched
        with pytest.raises(ValueError, match='epochs: 3 then, 2 now'):
            fit(*arguments, resume=True)
    result = fit(*arguments, resume=moment != 'state', overwrite=moment == 'state')
    assert result.best_path.read_bytes() == expected.best_path.read_bytes()
    assert {path.name for path in folder.iterdir()} == {
        path.name for path in (tmp_path / 'expected').iterdir()
    }


_save, _clean = training_run.TrainingRun._save, training_run.RunFiles.clean


def test_killed_between_result_and_state_goes_on(make_classifier, tmp_path, monkeypatch):
    def dies(*arguments):
        raise Killed

    write = training_run.RunFiles.write_result
    with monkeypatch.context() as patch:
        patch.setattr(training_run.RunFiles, 'write_result', lambda *a: (write(*a), dies()))
        with pytest.raises(Killed):
            fit(make_classifier(), toy_data(), cross_entropy, PLAN, tmp_path)
    assert (tmp_path / STATE_FILE).exists() and (tmp_path / FINAL).exists()
    with pytest.raises(ValueError, match='there is an unfinished run'):
        fit(make_classifier(), toy_data(), cross_entropy, PLAN, tmp_path)
    assert (
        fit(make_classifier(), toy_data(), cross_entropy, PLAN, tmp_path, resume=True).steps == 15
    )
    assert not (tmp_path / STATE_FILE).exists()


def test_a_run_that_failed_before_its_first_state_is_replaced(make_classifier, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    with pytest.raises(Stop):
        fit(make_classifier(), broken(toy_data(), 1), cross_entropy, PLAN, tmp_path)
    with pytest.raises(ValueError, match='learning_rate'):
        fit(
            make_classifier(),
            toy_data(),
            cross_entropy,
            replace(PLAN, learning_rate=1e-5),
            tmp_path,
            resume=True,
        )
    options = replace(PLAN, learning_rate=1e-5)
    assert fit(make_classifier(), toy_data(), cross_entropy, options, tmp_path).steps == 15


@pytest.mark.parametrize(
    'text, message',
    [
        (
            '{"best_epoch": 0, "best_metrics": {}, "best_path": "m.params", "steps": 3}',
            'another ver',
        ),
        ('{"best_ep', 'not the result of a run'),
        ('[]', 'not the result of a run'),
        ('{"version": 2}', 'not the result of a run'),
        ('{"version": 9}', 'another version of gluon_bert'),
    ],
)
def test_results_that_cannot_be_compared_are_refused(make_classifier, tmp_path, text, message):
    (tmp_path / FINAL).write_text(text)
    with pytest.raises(ValueError, match=message):
        fit(make_classifier(), toy_data(), cross_entropy, PLAN, tmp_path, resume=True)
    assert fit(make_classifier(), toy_data(), cross_entropy, PLAN, tmp_path, overwrite=True).steps


def test_a_result_outside_of_its_folder_is_refused(make_classifier, tmp_path):
    fit(make_classifier(), toy_data(), cross_entropy, PLAN, tmp_path)
    record = json.loads((tmp_path / FINAL).read_text())
    for name, message in (('../model_2.params', 'best_path is'), ('gone.params', 'are not there')):
        (tmp_path / FINAL).write_text(json.dumps({**record, 'best_path': name}))
        with pytest.raises(ValueError, match=message):
            fit(make_classifier(), toy_data(), cross_entropy, PLAN, tmp_path, resume=True)


def test_the_state_of_an_old_run_on_another_network_changes_nothing(make_classifier, tmp_path):
    from test_training import as_version_2, rewrite_state

    with pytest.raises(Stop):
        fit(make_classifier(), broken(toy_data()), cross_entropy, PLAN, tmp_path)
    rewrite_state(tmp_path / STATE_FILE, as_version_2)
    network = make_classifier(num_classes=3)
    before = parameters_of(network)
    with pytest.raises(ValueError, match='belongs to another network'):
        fit(network, toy_data(), cross_entropy, PLAN, tmp_path, resume=True)
    assert all(np.array_equal(before[name], a) for name, a in parameters_of(network).items())
