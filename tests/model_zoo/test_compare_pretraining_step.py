"""model_zoo/compare_pretraining_step.py runs the same step in each system."""

import csv
import sys
from pathlib import Path

import pytest

from gluon_bert import kernels

sys.path.insert(0, str(Path(__file__).parents[2] / 'model_zoo'))
import compare_pretraining_step

ARGUMENTS = ['--models', '2,16,2,400', '--shape', '3', '12', '2', '--steps', '2', '--threads', '1']


def rows_of(systems, path):
    compare_pretraining_step.main([*ARGUMENTS, '--systems', *systems, '--output', str(path)])
    with open(path, newline='') as file:
        return list(csv.DictReader(file))


def test_rows_of_gluon_bert(tmp_path):
    if not kernels.is_available():
        pytest.skip('native kernels are not built: python -m gluon_bert.kernels')
    systems = ['gluon_bert', 'gluon_bert bfloat16', 'gluon_bert, loss by operators']
    rows = rows_of(systems, tmp_path / 'rows.csv')
    assert [row['system'] for row in rows] == systems
    assert [row['vocab_size'] for row in rows] == ['400'] * 3
    losses = [float(row['loss']) for row in rows]
    assert losses == pytest.approx([losses[0]] * 3, abs=2e-3)
    assert losses[0] == pytest.approx(losses[2], abs=2e-4)
    assert 6 < losses[0] < 7.5  # log 400 + log 2
    assert all(int(row['peak_mb']) > 10 and '--systems' in row['command'] for row in rows)


def test_both_ways_in_pytorch_have_the_same_loss(tmp_path):
    pytest.importorskip('transformers', reason='compares with transformers')
    pytest.importorskip('torch', reason='compares with PyTorch')
    rows = rows_of(['pytorch, masked positions', 'pytorch, all positions'], tmp_path / 'rows.csv')
    assert 6 < float(rows[0]['loss']) < 7.5
    assert float(rows[0]['loss']) == pytest.approx(float(rows[1]['loss']), abs=0.05)
