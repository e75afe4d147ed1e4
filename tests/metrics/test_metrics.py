"""Metrics against scikit-learn, scipy and plain formulas."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sklearn_metrics

from gluon_bert.metrics.classification import (
    METRICS,
    ClassScores,
    class_report,
    confusion_matrix,
    evaluate_metrics,
    format_report,
)

CLASS_METRICS = ['accuracy', 'f1', 'macro_f1', 'mcc']
SCORE_METRICS = ['pearson', 'spearman']


def plain_counts(labels, predictions):
    pairs = list(zip(labels.tolist(), predictions.tolist()))
    return [pairs.count(pair) for pair in ((1, 1), (0, 1), (1, 0), (0, 0))]


def plain_f1(labels, predictions):
    right, false, missed, _ = plain_counts(labels, predictions)
    return 2 * right / (2 * right + false + missed)


def plain_mcc(labels, predictions):
    tp, fp, fn, tn = plain_counts(labels, predictions)
    return (tp * tn - fp * fn) / ((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)) ** 0.5


def plain_pearson(labels, predictions):
    first, second = labels - labels.mean(), predictions - predictions.mean()
    return (first * second).sum() / ((first**2).sum() * (second**2).sum()) ** 0.5


@pytest.fixture(params=range(5))
def rng(request):
    return np.random.RandomState(request.param)


def test_binary_metrics_equal_their_formulas(rng):
    labels, predictions = rng.randint(0, 2, (2, 300))
    values = evaluate_metrics(['accuracy', 'f1', 'mcc'], labels, predictions)
    assert values['accuracy'] == pytest.approx((labels == predictions).mean(), abs=1e-9)
    assert values['f1'] == pytest.approx(plain_f1(labels, predictions), abs=1e-9)
    assert values['mcc'] == pytest.approx(plain_mcc(labels, predictions), abs=1e-9)


def test_many_class_metrics_equal_scikit_learn(rng):
    labels, predictions = rng.randint(0, 5, (2, 300))
    values = evaluate_metrics(['accuracy', 'macro_f1', 'mcc'], labels, predictions)
    assert values['macro_f1'] == pytest.approx(
        np.mean([plain_f1(labels == k, predictions == k) for k in range(5)]), abs=1e-9
    )
    assert values['mcc'] == pytest.approx(
        sklearn_metrics.matthews_corrcoef(labels, predictions), abs=1e-9
    )


def test_correlations_equal_scipy_and_the_formula(rng):
    labels = rng.uniform(0, 5, 300).round(1)  # with ties
    predictions = labels + rng.normal(size=300)
    values = evaluate_metrics(SCORE_METRICS, labels, predictions)
    assert values['pearson'] == pytest.approx(plain_pearson(labels, predictions), abs=1e-9)
    assert values['spearman'] == pytest.approx(
        plain_pearson(stats.rankdata(labels), stats.rankdata(predictions)), abs=1e-9
    )
    assert values['spearman'] == pytest.approx(stats.spearmanr(labels, predictions)[0], abs=1e-9)


def test_values_are_plain_floats_in_the_order_asked_for():
    values = evaluate_metrics(['f1', 'accuracy'], [1, 0], [1, 1])
    assert list(values) == ['f1', 'accuracy']
    assert {type(value) for value in values.values()} == {float}


@pytest.mark.parametrize('name', METRICS)
def test_perfect_predictions_score_one(name):
    assert evaluate_metrics([name], [0, 1, 1, 0], [0, 1, 1, 0]) == {name: pytest.approx(1.0)}


@pytest.mark.parametrize('name', ['f1', 'mcc', *SCORE_METRICS])
@pytest.mark.parametrize(
    ('labels', 'predictions'),
    [([0, 1, 1], [0, 0, 0]), ([0, 0, 0], [0, 1, 0]), ([0, 0], [0, 0]), ([0], [0])],
)
def test_one_class_or_constant_input_scores_zero_without_a_warning(name, labels, predictions):
    assert evaluate_metrics([name], labels, predictions) == {name: 0.0}


@pytest.mark.parametrize('name', SCORE_METRICS)
@pytest.mark.parametrize('difference', [1e-15, 1e-13, 2e-12])
def test_input_that_is_constant_but_for_rounding_scores_zero_without_a_warning(name, difference):
    predictions = np.full(50, 2.5)
    predictions[7] *= 1 + difference
    assert evaluate_metrics([name], np.arange(50.0), predictions) == {name: 0.0}


@pytest.mark.parametrize('name', SCORE_METRICS)
@pytest.mark.parametrize('difference', [4e-12, 1e-9, 1e-3])
def test_input_that_is_nearly_constant_scores_without_a_warning(name, difference):
    predictions = 2.5 * (1 + difference * np.linspace(0, 1, 50))
    assert evaluate_metrics([name], np.arange(50.0), predictions)[name] > 0.9


def test_metrics_of_float32_predictions_are_computed_in_double():
    labels, predictions = np.random.RandomState(0).normal(size=(2, 5000)) + 100
    narrow = predictions.astype('float32')
    assert evaluate_metrics(['pearson'], labels, narrow)['pearson'] == pytest.approx(
        plain_pearson(labels, narrow.astype('float64')), abs=1e-9
    )


@pytest.mark.parametrize('name', CLASS_METRICS)
def test_a_class_that_is_never_predicted_gives_no_warning(name):
    value = evaluate_metrics([name], [0, 1, 2, 2], [0, 1, 1, 0])[name]
    assert 0 < value < 1


def test_f1_is_that_of_class_one_among_many():
    labels, predictions = [1, 1, 2, 0], [1, 2, 2, 1]
    assert evaluate_metrics(['f1'], labels, predictions) == {'f1': pytest.approx(0.5)}


@pytest.mark.parametrize(
    ('names', 'labels', 'predictions', 'message'),
    [
        (['acuracy'], [1], [1], "'acuracy' is unknown; did you mean 'accuracy'"),
        (['accuracy'], [1, 2], [1], r'the same length, 1 or more, got shapes \(2,\) and \(1,\)'),
        (['accuracy'], [], [], 'the same length, 1 or more'),
        (['accuracy'], [[1]], [[1]], 'two lists'),
        (['pearson'], [1, 2], [1, float('nan')], 'predictions must be finite, 1 of 2 are not'),
        (['pearson'], [1, float('inf')], [1, 2], 'labels must be finite'),
    ],
)
def test_bad_input_is_refused(names, labels, predictions, message):
    with pytest.raises(ValueError, match=message):
        evaluate_metrics(names, labels, predictions)


def test_confusion_matrix_has_a_row_for_each_label_and_a_column_for_each_prediction():
    matrix = confusion_matrix([0, 0, 2, 2, 2], [0, 1, 2, 2, 0], 4)
    assert matrix.tolist() == [[1, 1, 0, 0], [0, 0, 0, 0], [1, 0, 2, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize(
    ('labels', 'predictions', 'message'),
    [
        ([0, 3], [0, 1], 'labels must be integers from 0 to 2, got 3'),
        ([0, 1], [0, -1], 'predictions must be integers from 0 to 2, got -1'),
        ([0, 1], [0, 0.5], 'predictions must be integers from 0 to 2, got 0.5'),
    ],
)
def test_class_out_of_range_is_refused(labels, predictions, message):
    with pytest.raises(ValueError, match=message):
        confusion_matrix(labels, predictions, 3)


def test_a_report_of_predictions_that_are_all_wrong():
    rows = class_report([0, 1, 1], [1, 0, 0], ['a', 'b'])
    assert rows == [ClassScores('a', 0.0, 0.0, 0.0, 1), ClassScores('b', 0.0, 0.0, 0.0, 2)]
    assert format_report(rows).splitlines()[2].split() == ['b', '0.0000', '0.0000', '0.0000', '2']


def test_class_report_equals_scikit_learn(rng):
    labels, predictions = rng.randint(0, 4, (2, 200))
    rows = class_report(labels, predictions, 'abcd')
    expected = sklearn_metrics.precision_recall_fscore_support(labels, predictions)
    for number, row in enumerate(rows):
        assert row.name == 'abcd'[number]
        assert row[1:] == pytest.approx([column[number] for column in expected], abs=1e-9)


def test_class_that_never_occurs_has_zeros_in_the_report():
    assert class_report([0, 1], [0, 1], ['a', 'b', 'c'])[2] == ClassScores('c', 0.0, 0.0, 0.0, 0)


def test_report_is_an_aligned_table():
    rows = [ClassScores('entailment', 0.5, 1.0, 2 / 3, 12), ClassScores('no', 1.0, 0.25, 0.4, 9999)]
    assert format_report(rows).split('\n') == [
        'class       precision  recall      f1  support',
        'entailment     0.5000  1.0000  0.6667       12',
        'no             1.0000  0.2500  0.4000     9999',
    ]
