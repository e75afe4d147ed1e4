# ruff: noqa: F811 (fixtures are imported)
"""model_zoo/compare_precision.py evaluates every choice of layers on texts of every length."""

import csv
import sys
from pathlib import Path

import pytest
from script_runs import tiny_pipeline, tokenizer  # noqa: F401 (fixtures)

from gluon_bert import kernels
from gluon_bert.tasks.evaluation import DevSet

sys.path.insert(0, str(Path(__file__).parents[2] / 'model_zoo'))
import compare_precision


def test_every_choice_is_evaluated_on_every_half(tiny_pipeline, tmp_path, monkeypatch, capsys):
    if not kernels.load():
        pytest.skip('native kernels are not built: python -m gluon_bert.kernels')
    tiny_pipeline('classification', folder=tmp_path / 'kept', labels=['0', '1'], name='SST-2')
    (tmp_path / 'SST-2').mkdir()
    (tmp_path / 'SST-2' / 'dev.tsv').write_text(
        'sentence\tlabel\n'
        + ''.join(f'{"the cat " * (number % 5 + 1)}\t{number % 2}\n' for number in range(9))
    )
    monkeypatch.setenv('GLUE_DIR', str(tmp_path))
    compare_precision.main(
        [
            '--folders',
            str(tmp_path / 'kept'),
            '--precisions',
            'int8',
            '--output',
            str(tmp_path / 'rows.csv'),
            '--threads',
            '1',
        ]
    )
    with open(tmp_path / 'rows.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    parts = 'all', 'short', 'long'
    assert [(row['precision'], row['chosen_on'], row['evaluated_on']) for row in rows] == [
        ('float32', '', part) for part in parts
    ] + [('int8', chosen, part) for chosen in ('', *parts) for part in parts]
    exact = {row['evaluated_on']: float(row['score']) for row in rows[:3]}
    for row in rows:
        lost = exact[row['evaluated_on']] - float(row['score'])
        assert float(row['lost']) == pytest.approx(lost, abs=2e-4)
        if row['chosen_on'] == row['evaluated_on']:
            assert float(row['lost']) <= 0.005
    assert 'SST-2 int8, layers chosen, long texts: lost' in capsys.readouterr().out


def test_halves_are_by_length():
    inputs = ['the cat the cat', ('a', 'b'), 'sun', ('the moon and', 'the sun')]
    parts = compare_precision.halves(DevSet('', inputs, [0, 1, 2, 3], 'accuracy', None))
    assert parts['short'].answers == [1, 2] and parts['long'].answers == [0, 3]
    assert parts['long'].inputs == [inputs[0], inputs[3]]
