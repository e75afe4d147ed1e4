"""Metrics of sets of labels: those of scikit-learn; thresholds: the best by trying all."""

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from gluon_bert.metrics.multi_label import (
    METRICS,
    best_thresholds,
    evaluate_label_sets,
    label_report,
)


def test_scores_are_those_of_scikit_learn(seed):
    rng = np.random.RandomState(seed)
    labels, predictions = rng.randint(0, 2, (2, 40, 5))
    scores = evaluate_label_sets(list(METRICS), labels, predictions)
    assert scores == {
        'micro_f1': pytest.approx(sklearn_metrics.f1_score(labels, predictions, average='micro')),
        'macro_f1': pytest.approx(sklearn_metrics.f1_score(labels, predictions, average='macro')),
        'subset_accuracy': pytest.approx(
            np.mean([list(a) == list(b) for a, b in zip(labels, predictions)])
        ),
    }
    report = label_report(labels, predictions, list('abcde'))
    assert [row.f1 for row in report] == pytest.approx(
        sklearn_metrics.f1_score(labels, predictions, average=None)
    )
    assert [row.support for row in report] == labels.sum(axis=0).tolist()


def test_no_threshold_is_better(seed):
    rng = np.random.RandomState(seed)
    labels, shares = rng.randint(0, 2, (30, 4)), rng.rand(30, 4).round(1)
    for column, chosen in enumerate(best_thresholds(labels, shares)):
        right = labels[:, column]

        def f1(least, right=right, column=column):
            return sklearn_metrics.f1_score(right, shares[:, column] >= least, zero_division=0.0)

        assert f1(chosen) >= max(f1(least) for least in np.linspace(0, 1, 101)) - 1e-12


def test_a_label_that_no_text_has_keeps_the_half():
    assert best_thresholds(np.zeros((3, 1)), np.array([[0.1], [0.7], [0.9]])) == [0.5]


@pytest.mark.parametrize('shapes', [((3, 2), (2, 2)), ((3,), (3,)), ((0, 2), (0, 2))])
def test_shapes_that_do_not_fit_are_told(shapes):
    with pytest.raises(ValueError, match='must both have shape'):
        evaluate_label_sets(['micro_f1'], *map(np.zeros, shapes))


def test_unknown_metric_gets_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'micro_f1'"):
        evaluate_label_sets(['micro_f'], np.zeros((1, 2)), np.zeros((1, 2)))
