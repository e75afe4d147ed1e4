"""model_zoo/measure_distributed.py measures one process and two."""

import csv

import measure_distributed
import pytest


def test_rows_of_steps(tmp_path):
    pytest.importorskip('torch', reason='gloo is that of PyTorch')
    path = tmp_path / 'rows.csv'
    tiny = ['--models', '2,16,2,400', '--shape', '4', '12', '2', '--steps', '3', '--threads', '1']
    measure_distributed.main([*tiny, '--bucket_dtypes', 'bfloat16', '--output', str(path)])
    with open(path, newline='') as file:
        one, two = csv.DictReader(file)
    assert [one['processes'], two['processes']] == ['1', '2']
    assert float(one['loss']) == pytest.approx(float(two['loss']), abs=0.1)  # dropout draws others
    assert one['bytes_per_step'] == '0' and float(one['sum_ms']) == 0
    # 2 bytes each: embeddings 400 x 16 + 512 x 16 + 2 x 16 and layers of 12 x 16 x 16 numbers
    assert 2 * (16 * 914 + 2 * 12 * 256) < int(two['bytes_per_step']) < 2 * 24000
    assert float(two['sum_ms']) == pytest.approx(
        float(two['hidden_ms']) + float(two['exposed_ms']), abs=0.2
    ) or float(two['exposed_ms']) > float(two['sum_ms'])
