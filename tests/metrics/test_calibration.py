"""Calibration and thresholds against independent computations."""

import numpy as np
import pytest
from scipy import optimize, special, stats
from sklearn import metrics as sklearn_metrics

from gluon_bert.metrics.calibration import (
    LEAST_TEMPERATURE,
    MOST_TEMPERATURE,
    expected_calibration_error,
    fit_temperature,
    measure_calibration,
    move_threshold,
    reliability_bins,
)
from gluon_bert.metrics.multi_label import best_thresholds
from gluon_bert.metrics.thresholds import THRESHOLD_METRICS, best_threshold

SKLEARN = {
    'f1': lambda right, given: sklearn_metrics.f1_score(right, given, zero_division=0.0),
    'macro_f1': lambda right, given: sklearn_metrics.f1_score(
        right, given, average='macro', zero_division=0.0
    ),
    'accuracy': sklearn_metrics.accuracy_score,
    'mcc': sklearn_metrics.matthews_corrcoef,
}


def overconfident(seed, count=400, classes=3):
    """Scores three times as large as the ones that the labels were drawn by."""
    rng = np.random.RandomState(seed)
    scores = rng.normal(scale=1.5, size=(count, classes))
    shares = special.softmax(scores, axis=1)
    labels = (shares.cumsum(axis=1) < rng.rand(count, 1)).sum(axis=1).clip(max=classes - 1)
    return 3 * scores, labels


def test_ece_is_that_of_the_definition():
    scores, labels = overconfident(0)
    shares = special.softmax(scores, axis=1)
    confidences, right = shares.max(axis=1), shares.argmax(axis=1) == labels
    # By scipy's bins, which are closed at the other side: no confidence is at an edge.
    edges = np.linspace(0, 1, 16)
    means = [
        stats.binned_statistic(confidences, values, 'sum', edges).statistic
        for values in (confidences, right)
    ]
    expected = np.abs(means[0] - means[1]).sum() / len(labels)
    assert measure_calibration('softmax', scores, labels).ece == pytest.approx(expected, rel=1e-12)


def test_bins_are_closed_above():
    bins = reliability_bins(np.array([0.0, 0.5, 0.75, 1.0]), np.array([1, 0, 1, 1]) > 0, 4)
    assert [row.count for row in bins] == [1, 1, 1, 1]
    assert [(row.confidence, row.accuracy) for row in bins] == [(0, 1), (0.5, 0), (0.75, 1), (1, 1)]
    assert expected_calibration_error(bins) == pytest.approx((1 + 0.5 + 0.25 + 0) / 4)


def test_nll_is_that_of_scikit_learn():
    scores, labels = overconfident(1)
    expected = sklearn_metrics.log_loss(labels, special.softmax(scores / 2, axis=1))
    assert measure_calibration('softmax', scores, labels, 2.0).nll == pytest.approx(expected)
    given = (np.arange(3) <= labels[:, None]).astype(int)
    expected = np.mean(
        [sklearn_metrics.log_loss(given[:, k], special.expit(scores[:, k])) for k in (1, 2)]
    )
    found = measure_calibration('sigmoid', scores[:, 1:], given[:, 1:])
    assert found.nll == pytest.approx(expected)
    decided = (scores[:, 1:] >= 0) == given[:, 1:]
    assert sum(row.count * row.accuracy for row in found.bins) == pytest.approx(decided.sum())


@pytest.mark.parametrize('kind', ['softmax', 'sigmoid'])
def test_temperature_has_the_least_nll(kind):
    scores, labels = overconfident(2)
    if kind == 'sigmoid':
        labels = (np.arange(3) == labels[:, None]).astype(int)
    found = fit_temperature(kind, scores, labels)
    best = optimize.minimize_scalar(
        lambda log: measure_calibration(kind, scores, labels, np.exp(log)).nll,
        bounds=(-3, 3),
        method='bounded',
        options={'xatol': 1e-9},
    )
    assert found == pytest.approx(np.exp(best.x), rel=1e-5)
    before = measure_calibration(kind, scores, labels)
    after = measure_calibration(kind, scores, labels, found)
    assert after.nll < before.nll and after.ece < before.ece
    if kind == 'softmax':
        assert found == pytest.approx(3, rel=0.15)


def test_temperatures_stay_within_bounds():
    scores, labels = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0, 1])
    assert fit_temperature('softmax', scores, labels) == LEAST_TEMPERATURE
    assert fit_temperature('softmax', scores, 1 - labels) == MOST_TEMPERATURE
    with pytest.raises(ValueError, match='not finite'):
        fit_temperature('softmax', scores * np.nan, labels)


@pytest.mark.parametrize('metric', THRESHOLD_METRICS)
def test_thresholds_have_the_best_metric_of_all(metric, seed):
    rng = np.random.RandomState(seed)
    labels = rng.randint(0, 2, 40)
    labels[:2] = 0, 1
    shares = np.round((labels + rng.normal(scale=1.2, size=40)).clip(-2, 3) / 5 + 0.4, 2)
    threshold = best_threshold(labels, shares, metric)
    score = SKLEARN[metric]
    every = [score(labels, shares >= least) for least in [*np.unique(shares), 1.01]]
    assert score(labels, shares >= threshold) == pytest.approx(max(every))
    assert not (shares == threshold).any()
    if metric == 'f1':
        assert best_thresholds(labels[:, None], shares[:, None]) == [threshold]


def test_a_threshold_lies_between_neighbouring_numbers():
    low = 0.3
    high = np.nextafter(low, 1)
    threshold = best_threshold(np.array([0, 1]), np.array([low, high]))
    assert low < threshold <= high
    assert best_threshold(np.array([0, 1, 0]), np.array([0.9, 0.2, 0.8]), 'accuracy') > 0.9


def test_moved_thresholds_change_no_decision():
    scores = np.linspace(-4, 4, 101)
    for threshold in (0.0, 0.13, 0.5, 0.9, 1.0):
        moved = move_threshold(threshold, 1 / 2.5)
        before, after = special.expit(scores), special.expit(scores / 2.5)
        assert ((before >= threshold) == (after >= moved)).all()
