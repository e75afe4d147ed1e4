# ruff: noqa: F811 (fixtures are imported)
"""model_zoo/compare_distillation.py: rows of teacher and students, none of them twice."""

import csv
import sys
from pathlib import Path

import pytest
from script_runs import tiny_folder, tokenizer  # noqa: F401 (fixtures)

sys.path.insert(0, str(Path(__file__).parents[2] / 'model_zoo'))
import compare_distillation

SAMPLE = Path(__file__).parents[2] / 'examples' / 'sample'


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv('OMP_NUM_THREADS', '1')


def test_rows_are_written_once(tiny_folder, tmp_path, capsys):
    (tmp_path / 'MRPC').mkdir()
    for name in ('train', 'dev'):
        lines = (SAMPLE / f'{name}.tsv').read_text().splitlines()
        (tmp_path / 'MRPC' / f'{name}.tsv').write_text('\n'.join(lines[:25]) + '\n')
    source, _ = tiny_folder()
    arguments = [
        *('--tasks', 'MRPC', '--layers', '1', '--seeds', '3', '--epochs', '1', '--model', source),
        *('--data_dir', tmp_path, '--work', tmp_path / 'work', '--output', tmp_path / 'rows.csv'),
    ]
    arguments = list(map(str, arguments))
    compare_distillation.main([*arguments, '--methods', 'alone', 'distilled'])
    with open(tmp_path / 'rows.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert [row['method'] for row in rows] == ['teacher', 'alone', 'distilled']
    assert [row['layers'] for row in rows] == ['0', '1', '1']
    teacher, *students = rows
    for row in students:
        share = 100 * float(row['accuracy']) / float(teacher['accuracy'])
        assert float(row['percent_of_teacher']) == pytest.approx(share, abs=0.1)
        assert float(row['sequences_per_cpu_second']) > 0 and row['seed'] == '3'
    capsys.readouterr()
    compare_distillation.main(arguments)  # the method that is left
    captured = capsys.readouterr()
    assert 'labels, 1 layers' in captured.err and 'alone' not in captured.err
    assert len((tmp_path / 'rows.csv').read_text().splitlines()) == 5


def test_only_texts_behind_the_labelled_ones_are_without_labels(tmp_path, monkeypatch):
    (tmp_path / 'SST-2').mkdir()
    rows = ''.join(f'text {number}\t{number % 2}\n' for number in range(5))
    (tmp_path / 'SST-2' / 'train.tsv').write_text('sentence\tlabel\n' + rows)
    monkeypatch.setitem(compare_distillation.NUM_LABELLED, 'SST-2', 3)
    words = ['--data_dir', str(tmp_path), '--work', str(tmp_path)]
    args = compare_distillation.make_parser().parse_args(words)
    (path,) = compare_distillation.unlabelled_of(args, 'SST-2')['unlabelled']
    assert path.read_text() == 'text 3\ntext 4\n'
    assert compare_distillation.unlabelled_of(args, 'MRPC') == {}
