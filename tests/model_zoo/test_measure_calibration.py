"""model_zoo/measure_calibration.py fits on one half of the dev set and measures on the other."""

import csv
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / 'model_zoo'))
import measure_calibration

SAMPLE = Path(__file__).parents[2] / 'examples' / 'sample'


@pytest.mark.weights
def test_a_row(tmp_path, real_model):
    for name, count in (('train', 17), ('dev', 41)):
        lines = (SAMPLE / f'{name}.tsv').read_text(encoding='utf-8').splitlines()[:count]
        (tmp_path / f'{name}.tsv').write_text('\n'.join(lines) + '\n', encoding='utf-8')
    measure_calibration.main(
        [
            *('--data_dir', str(tmp_path), '--seeds', '4', '--max_len', '48'),
            *('--output', str(tmp_path / 'rows.csv')),
        ]
    )
    with open(tmp_path / 'rows.csv', newline='') as file:
        (row,) = csv.DictReader(file)
    assert (row['fitted'], row['held_out'], row['seed']) == ('20', '20', '4')
    assert row['command'].endswith('--max_len 48 --label_smoothing 0.0 --seeds 4')
    assert float(row['nll']) > 0 and float(row['temperature']) > 0
    assert 0 <= float(row['ece_calibrated']) <= 1
