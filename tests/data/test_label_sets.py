"""Tables with several labels in a column."""

import json

import numpy as np
import pytest

from gluon_bert.data.classification.label_sets import (
    discover_label_sets,
    label_matrix,
    read_label_sets,
)


def write(path, *rows):
    path.write_text('\n'.join(rows) + '\n')
    return path


def test_labels_are_split_sorted_and_numbered(tmp_path):
    path = write(tmp_path / 'a.csv', 'text,label', 'x,war | film', 'y,', 'z,film')
    split = read_label_sets(path)
    assert split.labels == ('film', 'war')
    assert [example.label for example in split.examples] == [(0, 1), (), (0,)]


def test_lists_in_json_and_another_separator(tmp_path):
    rows = [{'text': 'x', 'label': ['b', 'a']}, {'text': 'y', 'label': []}]
    path = write(tmp_path / 'a.jsonl', *map(json.dumps, rows))
    assert [example.label for example in read_label_sets(path).examples] == [(0, 1), ()]
    path = write(tmp_path / 'b.tsv', 'text\tlabel', 'x\ta;b', 'y\tb')
    assert read_label_sets(path, separator=';').labels == ('a', 'b')


def test_a_table_without_labels_has_none(tmp_path):
    path = write(tmp_path / 'a.csv', 'text', 'x')
    split = read_label_sets(path, labels=['a', 'b'])
    assert split.labels is None and split.examples[0].label is None
    assert label_matrix(split.examples, 2) is None


@pytest.mark.parametrize(
    'row, labels, parts',
    [
        ('x,a||b', None, ['a.csv:2:', 'empty part']),
        ('x,a|a', None, ['a.csv:2:', 'names a label twice']),
        ('x,a|c', ['a', 'b'], ['a.csv:2:', "'c'", 'a, b']),
        ('x,a', None, ['has 1 labels (a)', 'two or more']),
    ],
)
def test_bad_rows_are_told_with_file_and_line(tmp_path, row, labels, parts):
    path = write(tmp_path / 'a.csv', 'text,label', row)
    with pytest.raises(ValueError, match='a.csv') as caught:
        read_label_sets(path, labels=labels)
    for part in parts:
        assert part in str(caught.value)


def test_a_separator_inside_a_listed_label_is_refused(tmp_path):
    path = write(tmp_path / 'a.jsonl', json.dumps({'text': 'x', 'label': ['a|b']}))
    with pytest.raises(ValueError, match=r"a.jsonl:1: 'label' must hold strings without"):
        discover_label_sets(path)


def test_matrix():
    assert np.array_equal(label_matrix([(0, 2), ()], 3), [[1, 0, 1], [0, 0, 0]])
