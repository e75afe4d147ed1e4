"""model_zoo/compare_sentence_rows.py scores the zoo's sentence models."""

import csv
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / 'model_zoo'))
import compare_sentence_rows

from gluon_bert.zoo import OFFLINE_DEFAULT


@pytest.mark.weights
@pytest.mark.data
def test_row(tmp_path, real_model, shared_data):
    compare_sentence_rows.main(
        [
            *('--models', '/'.join(OFFLINE_DEFAULT), '--max_examples', '40'),
            *('--data_dir', str(shared_data / 'glue_data' / 'STS-B')),
            *('--output', str(tmp_path / 'rows.csv')),
        ]
    )
    with open(tmp_path / 'rows.csv', newline='') as file:
        (row,) = csv.DictReader(file)
    assert (row['pairs'], row['metric'], row['largest_difference']) == ('40', 'spearman', '')
    assert 0.8 < float(row['score']) < 1
