"""A data set in memory refuses labels that nothing can be learned from."""

import numpy as np
import pytest

from gluon_bert.data import Features, SequenceData

FEATURES = [Features(np.ones(3, 'int32'), np.zeros(3, 'int32'), 3) for _ in range(3)]


@pytest.mark.parametrize(
    ('labels', 'message'),
    [
        (np.array([0.5, np.nan, 1.0]), 'row 1 has nan: expected a finite number'),
        (np.array([0.5, 1.0, -np.inf]), 'row 2 has -inf: expected a finite number'),
        (np.array([[0, 1], [1, 0], [np.nan, 1]], 'float32'), 'row 2 has nan: expected a finite'),
        (np.array([0, 1, -1]), 'row 2 has -1: expected the number of a class, from 0'),
        (np.array([-100, 1, 0], 'int32'), 'row 0 has -100: expected the number of a class'),
    ],
)
def test_labels_that_are_none_are_refused_with_the_row(labels, message):
    with pytest.raises(ValueError, match=message):
        SequenceData(FEATURES, labels, 0, 2)


@pytest.mark.parametrize(
    'labels',
    [np.array([0, 1, 2]), np.array([0.5, -1.0, 2.0]), np.array([[0, 0], [1, 2], [2, 2]]), None],
)
def test_other_labels_are_kept(labels):
    assert SequenceData(FEATURES, labels, 0, 2).labels is labels
