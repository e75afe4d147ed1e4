"""Metrics of rankings, against sentence-transformers' evaluator's formulas and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, ndcg_score

from gluon_bert.metrics.retrieval import evaluate_rankings, rank_relevance

RANKINGS = [[0, 1, 0, 1], [0, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 1]]


def test_figures_by_hand():
    figures = evaluate_rankings(
        ['mrr@10', 'mrr@2', 'recall@2', 'hit_rate@1', 'map', 'map@2', 'ndcg@10'], RANKINGS
    )
    assert figures == pytest.approx(
        {
            'mrr@10': (1 / 2 + 0 + 1 + 1 / 4) / 4,
            'mrr@2': (1 / 2 + 0 + 1 + 0) / 4,
            'recall@2': (1 / 2 + 0 + 1 + 0) / 4,
            'hit_rate@1': 1 / 4,
            'map': (1 / 2 + 0 + 1 + 1 / 4) / 4,
            'map@2': (1 / 4 + 0 + 1 + 0) / 4,
            'ndcg@10': (
                (1 / np.log2(3) + 1 / np.log2(5)) / (1 + 1 / np.log2(3)) + 0 + 1 + 1 / np.log2(5)
            )
            / 4,
        }
    )


def test_graded_relevance_equals_scikit_learn():
    random = np.random.default_rng(3)
    relevance, scores = random.integers(0, 4, (20, 12)), random.normal(size=(20, 12))
    rankings = [rank_relevance(*rows) for rows in zip(relevance, scores)]
    figures = evaluate_rankings(['ndcg@5', 'ndcg', 'map'], rankings)
    assert figures['ndcg@5'] == pytest.approx(ndcg_score(relevance, scores, k=5))
    assert figures['ndcg'] == pytest.approx(ndcg_score(relevance, scores))
    precision = [average_precision_score(row > 0, row_s) for row, row_s in zip(relevance, scores)]
    assert figures['map'] == pytest.approx(np.mean(precision))


def test_equal_scores_gain_nothing():
    assert rank_relevance([2, 1, 0], [1, 1, 1]).tolist() == [0, 1, 2]
    assert rank_relevance([2, 1, 0], [3, 1, 2]).tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    'call, message',
    [
        (lambda: evaluate_rankings(['mmr@10'], RANKINGS), "did you mean 'mrr@10'"),
        (lambda: evaluate_rankings(['mrr@0'], RANKINGS), 'mrr@0'),
        (lambda: evaluate_rankings(['mrr@10'], []), 'one query or more, got none'),
        (lambda: rank_relevance([1, 0], [1.0]), r'\(2,\) relevances and \(1,\) scores'),
        (lambda: rank_relevance([1, 0], [1.0, np.nan]), 'finite'),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
