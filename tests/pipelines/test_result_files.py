"""The forms of the files that predict writes."""

import csv
import json

import pytest

from gluon_bert.pipelines.result_files import check_output, result_writer

ROWS = [
    {'text': 'a, "b"', 'label': 'x', 'probabilities': {'x': 0.75, 'y, z': 0.25}},
    {'text': '2', 'pair': 'é', 'label': 'x', 'probabilities': {'x': 1.0, 'y, z': 0.0}},
    {'text': 'c', 'best': None, 'entities': [{'text': 'é', 'start': 0}], 'follows': True},
]
COLUMNS = ['text', 'label', 'probabilities.x', 'probabilities.y, z', 'pair', 'best', 'entities']
COLUMNS += ['follows']
TABLE = [
    ['a, "b"', 'x', '0.75', '0.25', '', '', '', ''],
    ['2', 'x', '1.0', '0.0', 'é', '', '', ''],
    ['c', '', '', '', '', '', '[{"text": "é", "start": 0}]', 'true'],
]


def written(path, rows):
    with result_writer(path) as write:
        for row in rows:
            write(row)
    return path.read_bytes().decode('utf-8')


@pytest.mark.parametrize('name', ['a.jsonl', 'a.ndjson', 'a'])
def test_lines_of_json(name, tmp_path):
    text = written(tmp_path / name, ROWS)
    assert [json.loads(line) for line in text.splitlines()] == ROWS and text.endswith('\n')


@pytest.mark.parametrize('count', [0, 1, 3])
def test_a_list_in_json(count, tmp_path):
    assert json.loads(written(tmp_path / 'a.JSON', ROWS[:count])) == ROWS[:count]


@pytest.mark.parametrize('extra', [[], [{'text': 'two\nlines\t'}]])
def test_a_table_with_commas(extra, tmp_path):
    text = written(tmp_path / 'a.csv', ROWS + extra)
    rows = list(csv.reader(text.splitlines(keepends=True)))
    assert rows[:4] == [COLUMNS, *TABLE]
    assert [row[0] for row in rows[4:]] == [row['text'] for row in extra]


def test_a_table_with_tabs(tmp_path):
    lines = written(tmp_path / 'a.tsv', ROWS).split('\n')
    assert [line.split('\t') for line in lines] == [COLUMNS, *TABLE, ['']]


@pytest.mark.parametrize('text', ['a\tb', 'a\nb', 'a\rb'])
def test_a_table_with_tabs_does_not_hold_tabs(text, tmp_path):
    path = tmp_path / 'a.tsv'
    path.write_text('before')
    with pytest.raises(ValueError, match='result 2: .* a .tsv cannot hold; write .csv'):
        written(path, [ROWS[0], {'text': text}])
    assert path.read_text() == 'before' and [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize('name', ['a.xlsx', 'a.csv.gz', 'a.parquet', 'a.txt'])
def test_other_endings_are_refused(name, tmp_path):
    with pytest.raises(ValueError, match=r'expected a name that ends in one of .*\.csv, \.tsv'):
        check_output(tmp_path / name)


def test_the_input_is_not_overwritten(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'a.csv').write_text('text\na\n')
    (tmp_path / 'b.csv').symlink_to('a.csv')
    for output in ('a.csv', './a.csv', 'b.csv'):
        with pytest.raises(ValueError, match='is the file of --input'):
            check_output(output, tmp_path / 'a.csv')
    check_output('c.csv', tmp_path / 'a.csv')
