"""Learning rates over a run: their curves, warm-up and the ramp of batches."""

import math

import numpy as np
import pytest

from gluon_bert.training.schedule import SCHEDULES, ramp, share_of_peak

STEPS, WARMUP = 100, 20


def curve(name, total=STEPS, warmup=WARMUP):
    return np.array([share_of_peak(name, step, total, warmup) for step in range(1, total + 1)])


@pytest.mark.parametrize('name', SCHEDULES)
def test_rates_rise_evenly_to_the_peak(name):
    np.testing.assert_allclose(curve(name)[: WARMUP - 1], np.arange(1, WARMUP) / WARMUP)
    assert curve(name).max() <= 1 and curve(name).min() >= 0


@pytest.mark.parametrize(
    'name, formula',
    [
        ('linear', lambda step: (100 - step) / 80),
        ('constant', lambda step: 1),
        ('cosine', lambda step: 0.5 * (1 + math.cos(math.pi * (step - 20) / 80))),
        # NVIDIA's PolyWarmUpScheduler: of the whole progress, not of what follows the warm-up.
        ('polynomial', lambda step: (1 - step / 100) ** 0.5),
    ],
)
def test_curves_after_the_warmup(name, formula):
    expected = [formula(step) for step in range(WARMUP, STEPS + 1)]
    np.testing.assert_allclose(curve(name)[WARMUP - 1 :], expected, atol=1e-12)


def test_cosine_is_that_of_transformers():
    transformers = pytest.importorskip('transformers', reason='the reference is its schedule')
    torch = pytest.importorskip('torch')
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = transformers.get_cosine_schedule_with_warmup(optimizer, WARMUP, STEPS)
    for share in curve('cosine'):
        optimizer.step()
        theirs.step()
        assert theirs.get_last_lr()[0] == pytest.approx(share, abs=1e-12)


@pytest.mark.parametrize('name', SCHEDULES)
def test_seconds_are_as_good_as_steps(name):
    """A budget of time may be any number, and the last step may end after it."""
    assert share_of_peak(name, 0.05, 0.1, 0.2) == 0.25
    assert 0 <= share_of_peak(name, 0.3, 0.2, 0.1) <= 1
    assert share_of_peak(name, 18.0, 36.0, 9.0) == share_of_peak(name, 50, 100, 25)


@pytest.mark.parametrize('name', SCHEDULES)
def test_a_run_of_warmup_alone_ends_at_a_finite_rate(name):
    assert 0 <= share_of_peak(name, 5, 5, 5) <= 1


def test_ramp_grows_by_one_in_even_parts():
    counts = [ramp(2, 5, step / 40) for step in range(41)]
    assert counts == sorted(counts)
    assert [counts.count(number) for number in (2, 3, 4, 5)] == [10, 10, 10, 11]
    assert ramp(3, 3, 0.5) == 3
