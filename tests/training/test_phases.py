# ruff: noqa: F811
"""Runs of several phases: their steps, rates, batches and time, and how they are resumed."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from streams import Stream
from test_training import make_classifier  # noqa: F401 (fixture)

from gluon_bert.training import TrainingOptions, TrainingRun, fit
from gluon_bert.training import run as training_run
from gluon_bert.training.files import RunFiles
from gluon_bert.training.objectives import cross_entropy
from gluon_bert.training.state import read_state

FIRST = TrainingOptions(
    training_steps=5, learning_rate=3e-3, warmup_ratio=0.4, log_interval=1, checkpoint_interval=1
)
SECOND = replace(
    FIRST, training_steps=4, learning_rate=1e-3, warmup_ratio=0, accumulate=2, schedule='constant'
)


def make_run(network, folder, data=None, options=(FIRST, SECOND), **arguments):
    data = [Stream(4), Stream(8, limit=3)] if data is None else data
    return TrainingRun(network, data, cross_entropy, options, RunFiles(folder), **arguments)


def losses(folder):
    rows = map(json.loads, (folder / 'metrics.jsonl').read_text().splitlines())
    return [row for row in rows if 'loss' in row]


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    monkeypatch.setattr(training_run, 'plot_training', lambda *arguments: None)


class Killed(BaseException):
    pass


def kill_after(run, step):
    """Make a run die without a word after a step."""
    after_step = run._after_step

    def dies(stop):
        after_step(stop)
        if run.progress.step == step:
            raise Killed

    run._after_step = dies


def test_each_phase_has_its_rate_and_batches(make_classifier, tmp_path):
    run = make_run(make_classifier(), tmp_path)
    groups = []
    step = run.training_step
    run.training_step = lambda batches, *rest: (groups.append(batches), step(batches, *rest))[1]
    run.training_step.__dict__.update(step.__dict__)
    assert run.fit().steps == 9
    rates = [row['learning_rate'] for row in losses(tmp_path)]
    # Up in 2 steps and down in 3; then constant.
    assert rates == pytest.approx([1.5e-3, 3e-3, 2e-3, 1e-3, 0, *[1e-3] * 4])
    # The second stream has 3 batches in a pass: 2 and 1, 2 and 1.
    assert [len(group) for group in groups] == [1] * 5 + [2, 1, 2, 1]
    assert {len(group[0].inputs[0]) for group in groups[:5]} == {4}
    assert {len(group[0].inputs[0]) for group in groups[5:]} == {8}
    assert [row['epoch'] for row in losses(tmp_path)] == [1] * 5 + [2, 2, 3, 3]


@pytest.mark.parametrize('step', [1, 4, 5, 6, 7, 8])
def test_killed_at_any_step_it_ends_as_an_unbroken_run(make_classifier, tmp_path, step):
    expected = make_run(make_classifier(), tmp_path / 'unbroken').fit()
    run = make_run(make_classifier(), tmp_path / 'broken')
    kill_after(run, step)
    with pytest.raises(Killed):
        run.fit()
    state = read_state(tmp_path / 'broken' / 'training_state.safetensors')
    assert state.progress.step in (step - 1, step)  # the end of an epoch saves it afterwards
    run = make_run(make_classifier(), tmp_path / 'broken')
    run.check(resume=True)
    result = run.fit()
    assert result.best_path.read_bytes() == expected.best_path.read_bytes()
    assert [row['loss'] for row in losses(tmp_path / 'broken')] == [
        row['loss'] for row in losses(tmp_path / 'unbroken')
    ]


def test_the_optimizer_goes_on_in_the_next_phase(make_classifier, tmp_path):
    """Two phases that differ in nothing are one, but for the curve of the rate."""
    options = replace(FIRST, schedule='constant', warmup_ratio=0.0)
    whole = make_run(
        make_classifier(), tmp_path / 'one', Stream(4), replace(options, training_steps=9)
    )
    phases = [Stream(4), Shifted(4, by=5)], [options, replace(options, training_steps=4)]
    parts = make_run(make_classifier(), tmp_path / 'two', *phases)
    assert whole.fit().best_path.read_bytes() == parts.fit().best_path.read_bytes()


class Shifted(Stream):
    """A stream from a later batch on."""

    def __init__(self, batch_size, by):
        super().__init__(batch_size)
        self.by = by

    def make(self, number):
        return super().make(number + self.by)


@pytest.mark.parametrize(
    'options, message',
    [
        ((replace(FIRST, training_steps=6), SECOND), 'training_steps: 5 then, 6 now'),
        ((FIRST, replace(SECOND, learning_rate=2e-3)), "'learning_rate': 0.001"),
        ((FIRST, SECOND, SECOND), 'phases: '),
        ((FIRST,), 'phases: '),
    ],
)
def test_other_phases_are_not_the_same_run(make_classifier, tmp_path, options, message):
    run = make_run(make_classifier(), tmp_path)
    kill_after(run, 6)
    with pytest.raises(Killed):
        run.fit()
    data = [Stream(4), Stream(8, limit=3), Stream(8, limit=3)][: len(options)]
    other = make_run(make_classifier(), tmp_path, data, options)
    with pytest.raises(ValueError, match='belongs to a run with other settings') as caught:
        other.check(resume=True)
    assert message in str(caught.value)


def test_a_number_of_data_that_is_not_that_of_phases_is_refused(make_classifier, tmp_path):
    with pytest.raises(ValueError, match='1 data sets for 2 phases: expected one for each'):
        make_run(make_classifier(), tmp_path, [Stream(4)])


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on by a second at each look."""
    now = [0.0]

    def look():
        now[0] += 1
        return now[0]

    monkeypatch.setattr(training_run.time, 'monotonic', look)
    return now


def test_a_budget_of_time_bounds_a_phase(make_classifier, tmp_path, clock):
    options = replace(
        FIRST, training_steps=None, hours=40 / 3600, warmup_ratio=0.25, schedule='linear'
    )
    run = make_run(make_classifier(), tmp_path, Stream(4), options)
    assert run.num_steps is None
    result = run.fit()
    # The clock is looked at before and after each step: the rate is that of the seconds before.
    assert result.steps == 20
    rates = [row['learning_rate'] for row in losses(tmp_path)]
    seconds = [1 + 2 * step for step in range(20)]
    expected = [min(second / 10, (40 - second) / 30) * 3e-3 for second in seconds]
    assert rates == pytest.approx(expected)


def test_the_time_of_earlier_parts_counts(make_classifier, tmp_path, clock):
    options = replace(FIRST, training_steps=None, hours=40 / 3600)
    run = make_run(make_classifier(), tmp_path, Stream(4), options)
    kill_after(run, 12)
    with pytest.raises(Killed):
        run.fit()
    clock[0] += 10000  # while it did not run
    run = make_run(make_classifier(), tmp_path, Stream(4), options)
    run.check(resume=True)
    assert run.fit().steps == 20


def test_a_budget_that_is_over_at_once_makes_one_step(make_classifier, tmp_path):
    options = replace(FIRST, training_steps=None, hours=1e-12)
    assert fit(make_classifier(), Stream(4), cross_entropy, options, tmp_path).steps == 1


def test_batches_of_a_step_grow(make_classifier, tmp_path):
    options = replace(FIRST, training_steps=10, accumulate=3, accumulate_from=1, ramp_ratio=0.6)
    run = make_run(make_classifier(), tmp_path, Stream(4), options)
    counts = []
    step = run.training_step
    run.training_step = lambda batches, *rest: (counts.append(len(batches)), step(batches, *rest))[
        1
    ]
    run.training_step.__dict__.update(step.__dict__)
    run.fit()
    assert counts == [1, 1, 2, 2, 3, 3, 3, 3, 3, 3]


def test_growing_batches_need_a_known_length(make_classifier, tmp_path):
    from test_training import toy_data

    options = replace(FIRST, training_steps=None, accumulate=2, accumulate_from=1, ramp_ratio=0.5)
    with pytest.raises(ValueError, match='training_steps or hours is needed where the batches'):
        make_run(make_classifier(), tmp_path, toy_data(), options)


@pytest.mark.parametrize(
    'options, message',
    [
        ({'hours': 0.0}, 'hours=0.0: expected a positive number'),
        ({'hours': math.nan}, 'hours=nan: expected a positive number'),
        ({'hours': 2.0, 'training_steps': 5}, 'hours=2.0: does not go with training_steps'),
        ({'schedule': 'cosin'}, "schedule 'cosin'"),
        (
            {'accumulate_from': 3, 'accumulate': 2, 'ramp_ratio': 0.5},
            'accumulate_from=3: expected at most the 2 of',
        ),
        ({'accumulate_from': 1}, 'accumulate_from=1: goes with ramp_ratio'),
        ({'ramp_ratio': 0.5}, 'ramp_ratio=0.5: goes with accumulate_from'),
        ({'accumulate_from': 0}, 'accumulate_from=0: expected a whole number'),
        ({'ramp_ratio': 1.5}, 'ramp_ratio=1.5: expected a fraction'),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TrainingOptions(**options)


def test_evaluations_by_step_run_over_phases(make_classifier, tmp_path):
    options = [replace(row, evaluate_every=3) for row in (FIRST, SECOND)]
    scores = iter(np.arange(10.0))
    run = make_run(
        make_classifier(), tmp_path, None, options, evaluate=lambda network: {'score': next(scores)}
    )
    result = run.fit()
    assert (result.steps, result.best_path.name) == (9, 'model_step9.params')
