"""model_zoo/compare_few_shot.py compares a linear head with few_shot on the same draws."""

import csv
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / 'model_zoo'))
import compare_few_shot


@pytest.mark.weights
def test_rows(tmp_path, real_model):
    rows = [f'a film as {word} as it can be\t{label}' for word, label in WORDS]
    for name in ('train', 'dev'):
        (tmp_path / f'{name}.tsv').write_text('\n'.join(['sentence\tlabel', *rows]) + '\n')
    compare_few_shot.main(
        [
            *('--data_dir', str(tmp_path), '--sizes', '2', '--draws', '3'),
            *('--methods', 'linear_head', 'few_shot', '--few_shot_pairs', '1'),
            *('--output', str(tmp_path / 'rows.csv')),
        ]
    )
    with open(tmp_path / 'rows.csv', newline='') as file:
        first, second = csv.DictReader(file)
    assert (first['method'], second['method']) == ('linear_head', 'few_shot')
    assert first['examples_per_class'] == '2' and first['draw'] == '3'
    assert float(first['accuracy']) >= 0.5 and float(second['accuracy']) >= 0.5


def test_setfit_needs_its_python(capsys):
    with pytest.raises(SystemExit):
        compare_few_shot.main(['--methods', 'setfit'])
    assert '--setfit_python is needed for setfit' in capsys.readouterr().err


WORDS = [('good', 1), ('bad', 0), ('great', 1), ('awful', 0), ('lovely', 1), ('dreadful', 0)]
