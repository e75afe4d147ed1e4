"""The training loop: it learns, adds up, stops, breaks off and goes on to the same end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file
from test_bert import parameters_of

import gluon_bert
from gluon_bert import BertClassifier
from gluon_bert.checkpoint.gluonnlp.names import common_arrays
from gluon_bert.checkpoint.gluonnlp.params_file import read_params
from gluon_bert.data import Features, SequenceData
from gluon_bert.training.loop import STATE_FILE, Interrupted, Plan, fit, predict
from gluon_bert.training.objectives import cross_entropy, squared_error
from gluon_bert.training.options import TrainingOptions


def toy_data(num=40, batch_size=8, seed=0, **options):
    """Sequences whose label is whether they hold token 7."""
    rng = np.random.RandomState(seed)
    features, labels = [], []
    for number in range(num):
        length = rng.randint(3, 12)
        inputs = rng.randint(10, 90, length).astype('int32')
        if number % 2:
            inputs[1:] = 7
        features.append(Features(inputs, np.zeros(length, 'int32'), length))
        labels.append(number % 2)
    return SequenceData(features, np.array(labels), 0, batch_size, seed=3, **options)


@pytest.fixture
def make_classifier(make_model):
    def make(dropout=0.1, num_classes=2):
        mx.random.seed(11)
        np.random.seed(11)
        classifier = BertClassifier(
            make_model(wide=0.05, dropout=dropout), num_classes, dropout=dropout
        )
        classifier.classifier.initialize(mx.init.Normal(0.02))
        classifier.hybridize()
        return classifier

    return make


def accuracy(data):
    return lambda model: {'accuracy': (predict(model, data).argmax(1) == data.labels).mean()}


def rows(folder):
    return [json.loads(line) for line in (folder / 'metrics.jsonl').read_text().splitlines()]


PLAN = Plan(epochs=3, learning_rate=3e-3, log_interval=1, checkpoint_interval=2)


def test_learns_and_writes_its_files(make_classifier, tmp_path):
    data = toy_data()
    result = fit(
        make_classifier(),
        data,
        cross_entropy,
        Plan(epochs=8, learning_rate=3e-3, log_interval=5),
        tmp_path,
        name='toy',
        evaluate=accuracy(data),
    )
    assert result.best_metrics['accuracy'] == 1.0
    assert {path.name for path in tmp_path.iterdir()} == {
        'metrics.jsonl',
        'result.json',
        'training_curve.png',
        f'toy_{result.best_epoch}.params',
    }
    assert (tmp_path / 'training_curve.png').read_bytes().startswith(b'\x89PNG')
    training = [row for row in rows(tmp_path) if 'loss' in row]
    assert [row['step'] for row in training] == list(range(5, 41, 5))
    assert min(row['loss'] for row in training) < training[0]['loss'] / 5


def test_model_ends_with_the_parameters_of_the_best_epoch(make_classifier, tmp_path):
    scores = iter([0.2, 0.9, 0.5])
    model = make_classifier()
    result = fit(
        model,
        toy_data(),
        cross_entropy,
        PLAN,
        tmp_path,
        evaluate=lambda model: {'score': next(scores)},
    )
    assert (result.best_epoch, result.best_metrics) == (1, {'score': 0.9})
    saved = common_arrays(read_params(tmp_path / 'model_1.params'))
    assert all(np.array_equal(saved[name], array) for name, array in parameters_of(model).items())
    assert not (tmp_path / 'model_0.params').exists()


def test_early_stop_counts_evaluations_without_gain(make_classifier, tmp_path):
    scores = iter([0.5, 0.7, 0.7, 0.6, 0.9, 0.9])
    result = fit(
        make_classifier(),
        toy_data(),
        cross_entropy,
        Plan(epochs=6, learning_rate=1e-4, early_stop=2),
        tmp_path,
        evaluate=lambda model: {'score': next(scores)},
    )
    assert (result.best_epoch, result.steps) == (1, 4 * 5)


def test_training_steps_end_the_run(make_classifier, tmp_path):
    result = fit(
        make_classifier(),
        toy_data(),
        cross_entropy,
        Plan(training_steps=7, log_interval=1),
        tmp_path,
    )
    assert result.steps == 7
    assert rows(tmp_path)[-1]['learning_rate'] == 0


def test_accumulation_equals_the_larger_batch(make_classifier, tmp_path):
    finals = []
    for number, (batch_size, accumulate) in enumerate([(40, 1), (10, 4), (8, 5), (13, 4)]):
        model = make_classifier(dropout=0.0)
        fit(
            model,
            toy_data(batch_size=batch_size),
            cross_entropy,
            Plan(training_steps=4, accumulate=accumulate, learning_rate=1e-3),
            tmp_path,
            name=f'run{number}',
            overwrite=True,
        )
        finals.append(parameters_of(model))
    for final in finals[1:]:
        for name, array in finals[0].items():
            np.testing.assert_allclose(final[name], array, atol=1e-5)


def test_gradients_are_clipped_by_their_global_norm(make_classifier, tmp_path):
    model = make_classifier(dropout=0.0)
    before = parameters_of(model)
    plan = Plan(
        training_steps=2,
        warmup_ratio=0,
        max_grad_norm=1e-9,
        learning_rate=1.0,
        epsilon=1.0,
        weight_decay=0.0,
    )
    fit(model, toy_data(), cross_entropy, plan, tmp_path)
    for name, array in parameters_of(model).items():
        np.testing.assert_allclose(array, before[name], atol=1e-8)


def test_padding_does_not_change_the_losses(make_classifier, tmp_path):
    losses = []
    for number, options in enumerate([{}, {'round_to': 8}, {'fixed_length': 30}]):
        folder = tmp_path / str(number)
        folder.mkdir()
        fit(make_classifier(dropout=0.0), toy_data(**options), cross_entropy, PLAN, folder)
        losses.append([row['loss'] for row in rows(folder)])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)
    np.testing.assert_allclose(losses[2], losses[0], rtol=1e-4)


def test_regression_learns(make_classifier, tmp_path):
    data = toy_data()
    model = make_classifier(num_classes=1)
    fit(model, data, squared_error, Plan(epochs=10, learning_rate=3e-3), tmp_path)
    assert np.corrcoef(predict(model, data)[:, 0], data.labels)[0, 1] > 0.95


def test_predict_keeps_the_order_of_the_data(make_classifier):
    data = toy_data(num=21, batch_size=4)
    model = make_classifier()
    scores = predict(model, data)
    for index in range(21):
        inputs, _ = data.load([index])
        np.testing.assert_allclose(scores[index], model(*inputs)[0].asnumpy(), atol=1e-5)


class Stop(Exception):
    pass


class BrokenOff(SequenceData):
    """Raises in the middle of a run, as a kill would end it."""

    remaining = None

    def load(self, indices):
        if self.remaining is not None:
            self.remaining -= 1
            if self.remaining < 0:
                raise Stop
        return super().load(indices)


@pytest.mark.parametrize('accumulate', [1, 2])
@pytest.mark.parametrize('loads', [0, 1, 7, 11, 14])
def test_resumed_run_is_bit_equal_to_an_unbroken_one(make_classifier, tmp_path, loads, accumulate):
    plan = Plan(
        epochs=3, learning_rate=3e-3, log_interval=1, checkpoint_interval=2, accumulate=accumulate
    )
    unbroken, broken = tmp_path / 'unbroken', tmp_path / 'broken'
    unbroken.mkdir()
    broken.mkdir()
    dev = toy_data(seed=5)
    fit(make_classifier(), toy_data(), cross_entropy, plan, unbroken, evaluate=accuracy(dev))
    data = toy_data()
    data.__class__, data.remaining = BrokenOff, loads
    with pytest.raises(Stop):
        fit(make_classifier(), data, cross_entropy, plan, broken, evaluate=accuracy(dev))
    fit(
        make_classifier(),
        toy_data(),
        cross_entropy,
        plan,
        broken,
        evaluate=accuracy(dev),
        resume=True,
    )
    (name,) = (path.name for path in unbroken.glob('*.params'))
    first, second = read_params(unbroken / name), read_params(broken / name)
    assert all(np.array_equal(first[key], second[key]) for key in first)

    def timeless(folder):
        return [
            {key: value for key, value in row.items() if key != 'seconds'} for row in rows(folder)
        ]

    assert timeless(unbroken) == timeless(broken)


def test_unfinished_run_is_not_overwritten_unasked(make_classifier, tmp_path):
    data = toy_data()
    data.__class__, data.remaining = BrokenOff, 7
    with pytest.raises(Stop):
        fit(make_classifier(), data, cross_entropy, PLAN, tmp_path)
    with pytest.raises(ValueError, match='there is an unfinished run'):
        fit(make_classifier(), toy_data(), cross_entropy, PLAN, tmp_path)
    assert (
        fit(make_classifier(), toy_data(), cross_entropy, PLAN, tmp_path, overwrite=True).steps
        == 15
    )


def test_resume_with_other_settings_says_which(make_classifier, tmp_path):
    data = toy_data()
    data.__class__, data.remaining = BrokenOff, 7
    with pytest.raises(Stop):
        fit(make_classifier(), data, cross_entropy, PLAN, tmp_path)
    with pytest.raises(ValueError, match='epochs: 3 then, 4 now'):
        fit(
            make_classifier(),
            toy_data(),
            cross_entropy,
            Plan(epochs=4, learning_rate=3e-3, log_interval=1, checkpoint_interval=2),
            tmp_path,
            resume=True,
        )


@pytest.mark.parametrize('damage', [lambda whole: whole[: len(whole) // 2], lambda whole: b'no'])
def test_damaged_state_is_refused(make_classifier, tmp_path, damage):
    data = toy_data()
    data.__class__, data.remaining = BrokenOff, 7
    with pytest.raises(Stop):
        fit(make_classifier(), data, cross_entropy, PLAN, tmp_path)
    state = tmp_path / STATE_FILE
    state.write_bytes(damage(state.read_bytes()))
    with pytest.raises(ValueError, match='not a whole training state'):
        fit(make_classifier(), toy_data(), cross_entropy, PLAN, tmp_path, resume=True)


def test_resume_of_a_finished_run_gives_its_result(make_classifier, tmp_path):
    model, other = make_classifier(), make_classifier()
    first = fit(model, toy_data(), cross_entropy, PLAN, tmp_path)
    second = fit(other, toy_data(), cross_entropy, PLAN, tmp_path, resume=True)
    assert second == first
    assert all(
        np.array_equal(array, parameters_of(model)[name])
        for name, array in parameters_of(other).items()
    )


def test_interrupt_saves_and_the_run_goes_on(make_classifier, tmp_path):
    data, calls = toy_data(), []
    load = data.load

    def interrupting(indices):
        calls.append(indices)
        if len(calls) == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return load(indices)

    data.load = interrupting
    with pytest.raises(Interrupted, match='stopped after step 4 of 15'):
        fit(make_classifier(), data, cross_entropy, PLAN, tmp_path)
    assert (tmp_path / STATE_FILE).is_file()
    assert (
        fit(make_classifier(), toy_data(), cross_entropy, PLAN, tmp_path, resume=True).steps == 15
    )


def test_a_score_that_is_nan_is_the_lowest(make_classifier, tmp_path):
    for number, (values, best) in enumerate(
        [([np.nan, 0.1, 0.5], 2), ([0.1, np.nan, 0.0], 0), ([np.nan, np.nan, np.nan], 0)]
    ):
        scores = iter(values)
        folder = tmp_path / str(number)
        result = fit(
            make_classifier(),
            toy_data(num=8),
            cross_entropy,
            PLAN,
            folder,
            evaluate=lambda model, scores=scores: {'score': next(scores)},
        )
        assert result.best_epoch == best
        assert result.best_path.is_file()


@pytest.mark.parametrize('remaining', [1, 3])
def test_gradients_of_a_run_that_failed_have_no_influence(make_classifier, tmp_path, remaining):
    model, fresh = make_classifier(), make_classifier()
    plan = Plan(epochs=1, accumulate=2)

    class FailingLoss:
        calls = 0

        def __call__(self, scores, labels):
            self.calls += 1
            if self.calls > remaining:
                raise Stop
            return cross_entropy(scores, labels)

    with pytest.raises(Stop):
        fit(model, toy_data(), FailingLoss(), plan, tmp_path / 'failed')
    for name, array in parameters_of(fresh).items():
        model.load_arrays({**parameters_of(model), name: array}, 'the fresh one')
    fit(model, toy_data(), cross_entropy, plan, tmp_path / 'again')
    fit(fresh, toy_data(), cross_entropy, plan, tmp_path / 'fresh')
    expected = parameters_of(fresh)
    assert all(np.array_equal(expected[name], a) for name, a in parameters_of(model).items())


def test_folder_is_made(make_classifier, tmp_path):
    folder = tmp_path / 'not' / 'there' / 'yet'
    result = fit(make_classifier(), toy_data(), cross_entropy, Plan(epochs=1), folder)
    assert result.best_path.parent == folder
    assert result.best_path.is_file()


def rewrite_state(path, change):
    """Give a state other metadata."""
    with safe_open(path, 'np') as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    change(metadata)
    save_file(tensors, path, metadata=metadata)


def as_version_2(metadata):
    """Make a state's metadata those of version 2, and give its progress."""
    assert metadata.pop('version') == '3'
    identity, progress = json.loads(metadata.pop('identity')), json.loads(metadata['progress'])
    assert progress.pop('trained')['batches']
    options = {**identity['options'], 'log_interval': 1, 'checkpoint_interval': 1}
    assert options.pop('loss') == 'cross_entropy'
    settings = {
        **options,
        'sequences': identity['data']['sequences'],
        'name': 'model',
        'native_kernels': identity['execution']['native_kernels'],
        'devices': 1,
    }
    metadata.update(version='2', progress=json.dumps(progress), settings=json.dumps(settings))
    return progress


@pytest.mark.parametrize('accumulate', [1, 2])
def test_states_of_the_first_release_are_resumed(make_classifier, tmp_path, accumulate, caplog):
    """It had no evaluations by steps, and counted the batches of an epoch by steps."""
    plan = Plan(epochs=3, log_interval=1, checkpoint_interval=1, accumulate=accumulate)
    data, dev = toy_data(), toy_data(seed=5)
    data.__class__, data.remaining = BrokenOff, 7
    arguments = (cross_entropy, plan, tmp_path / 'broken')
    with pytest.raises(Stop):
        fit(make_classifier(), data, *arguments, evaluate=accuracy(dev))

    def change(metadata):
        progress = as_version_2(metadata)
        del metadata['version']
        progress['epochs_without_gain'] = progress.pop('evaluations_without_gain')
        for name in ('batches', 'best_file', 'best_step', 'evaluated_step', 'term_sums'):
            del progress[name]
        settings = json.loads(metadata['settings'])
        assert settings.pop('evaluate_every') is None
        metadata.update(progress=json.dumps(progress), settings=json.dumps(settings))

    rewrite_state(tmp_path / 'broken' / STATE_FILE, change)
    model, other = make_classifier(), make_classifier()
    resumed = fit(model, toy_data(), *arguments, evaluate=accuracy(dev), resume=True)
    assert 'did not tell data, network and first parameters' in caplog.text
    arguments = (cross_entropy, plan, tmp_path / 'unbroken')
    unbroken = fit(other, toy_data(), *arguments, evaluate=accuracy(dev))
    assert resumed[:2] == unbroken[:2] and resumed.best_path.name == unbroken.best_path.name
    assert [path.name for path in (tmp_path / 'broken').glob('*.params')] == [
        unbroken.best_path.name
    ]
    expected = parameters_of(other)
    assert all(np.array_equal(expected[name], a) for name, a in parameters_of(model).items())


def test_states_of_a_later_release_are_refused(make_classifier, tmp_path):
    data = toy_data()
    data.__class__, data.remaining = BrokenOff, 7
    with pytest.raises(Stop):
        fit(make_classifier(), data, cross_entropy, PLAN, tmp_path)
    rewrite_state(tmp_path / STATE_FILE, lambda metadata: metadata.update(version='4'))
    with pytest.raises(ValueError, match='version 4: gluon_bert is older than the run'):
        fit(make_classifier(), toy_data(), cross_entropy, PLAN, tmp_path, resume=True)


def test_loss_that_is_not_finite_stops_the_run(make_classifier, tmp_path):
    with pytest.raises(FloatingPointError, match='step 1: loss nan'):
        fit(
            make_classifier(),
            toy_data(),
            lambda scores, labels: cross_entropy(scores * float('nan'), labels),
            PLAN,
            tmp_path,
        )


@pytest.mark.parametrize(
    'field, value',
    [
        ('epochs', 0),
        ('accumulate', 0),
        ('learning_rate', 0.0),
        ('learning_rate', float('nan')),
        ('warmup_ratio', 1.5),
        ('early_stop', 0),
        ('training_steps', -1),
        ('log_interval', 0),
        ('checkpoint_interval', 0),
        ('epsilon', float('inf')),
        ('optimizer', 'sgd'),
        ('dtype', 'float16'),
        ('epochs', 2.5),
        ('epochs', True),
        ('learning_rate', '3e-5'),
        ('weight_decay', -0.01),
        ('weight_decay', float('nan')),
        ('seed', -1),
        ('seed', 2**31),
        ('seed', 1.5),
    ],
)
def test_options_refuse_values_out_of_range(field, value):
    with pytest.raises(ValueError, match=field):
        TrainingOptions(**{field: value})


def test_options_name_what_is_allowed():
    with pytest.raises(ValueError, match="optimizer 'bertadm' is unknown; did you mean 'bertad"):
        TrainingOptions(optimizer='bertadm')


def test_plan_is_the_former_name_of_the_options():
    assert Plan is TrainingOptions is gluon_bert.training.Plan is gluon_bert.plan.Plan


def test_killed_process_resumes_bit_equal(tmp_path):
    """Kill -9 in the middle of an epoch, dropout on; then go on in a new process."""
    script = Path(__file__).with_name('killed_run.py')

    def start(folder, *options):
        folder.mkdir(exist_ok=True)
        return subprocess.Popen([sys.executable, str(script), str(folder), *options])

    assert start(tmp_path / 'unbroken').wait(timeout=300) == 0
    process = start(tmp_path / 'killed')
    metrics, deadline = tmp_path / 'killed' / 'metrics.jsonl', time.time() + 120
    while time.time() < deadline and (
        not metrics.exists() or metrics.read_text().count('loss') < 8
    ):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / 'killed' / 'result.json').exists()
    assert start(tmp_path / 'killed', '--resume').wait(timeout=300) == 0
    first, second = (
        read_params(tmp_path / folder / 'model_2.params') for folder in ('unbroken', 'killed')
    )
    assert all(np.array_equal(first[name], second[name]) for name in first)
