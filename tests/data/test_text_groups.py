"""Pairs, triplets, scored pairs and lines of files, and batches of them."""

import json

import numpy as np
import pytest

from gluon_bert.data import Features, GroupData, read_text_groups
from gluon_bert.data.pairs.dataset import distinct_batches


def write(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding='utf-8')
    return tmp_path / name


@pytest.mark.parametrize(
    'name, text, texts, scores, columns',
    [
        ('a.csv', 'sentence1,sentence2,score\n"A, b",c,0.5\n', [('A, b', 'c')], [0.5], 2),
        ('a.tsv', 'score\tsentence2\tsentence1\n5\tb\t"a\n', [('"a', 'b')], [5.0], 2),
        ('a.csv', 'query,answer\nq,a\nr,b\n', [('q', 'a'), ('r', 'b')], None, 2),
        ('a.csv', 'negative,anchor,positive\nn,a,p\n', [('a', 'p', 'n')], None, 3),
        (
            'a.csv',
            'anchor,positive,negative_2,negative_1,negative_4\na,p,n2,n1,x\n',
            [('a', 'p', 'n1', 'n2')],
            None,
            4,
        ),
        ('a.jsonl', '{"sentence1": "a", "sentence2": "b", "score": 1}\n', [('a', 'b')], [1.0], 2),
        ('a.json', '[{"premise": "a", "hypothesis": "b", "x": 1}]', [('a', 'b')], None, 2),
        ('a.csv', 'text,label\na,b\n', [('a',)], None, 1),
        ('a.txt', 'one, two\n\n  \nthree\r\n', [('one, two',), ('three',)], None, 0),
    ],
)
def test_usual_columns_are_read(tmp_path, name, text, texts, scores, columns):
    groups = read_text_groups(write(tmp_path, name, text))
    assert groups.texts == texts and groups.scores == scores
    assert len(groups.columns) == columns and groups.num_skipped == 0


def test_named_columns_are_read(tmp_path):
    path = write(tmp_path, 'a.csv', 'x,y,z,label\na,b,3,no\n')
    assert read_text_groups(path, columns=['y', 'x'], score='z')[:2] == ([('b', 'a')], [3.0])
    assert read_text_groups(path, columns=['y', 'x'], scored=False)[:2] == ([('b', 'a')], None)
    with pytest.raises(ValueError, match=r"a.csv:2: score 'no' is not a number"):
        read_text_groups(path, columns=['y', 'x'])


@pytest.mark.parametrize(
    'name, text, options, part',
    [
        ('a.csv', '', {}, 'a.csv: the file is empty'),
        ('a.csv', 'sentence1,sentence2\n', {}, 'a.csv: the file has no rows'),
        ('a.txt', '\n \n', {}, 'a.txt: the file has no rows'),
        ('a.csv', 'left,right\na,b\n', {}, 'name them with columns=, some of: left, right'),
        ('a.csv', 'left,right\na,b\n', {'columns': ['lft']}, "a.csv:1: column 'lft' is unknown"),
        ('a.csv', 'left,right\na,b\n', {'columns': ['left', 'left']}, 'different names'),
        (
            'a.csv',
            'query,answer\na,b\n',
            {'scored': True},
            'no column has a usual name for a score',
        ),
        ('a.csv', 'query,answer\na,b\n', {'score': 'answer'}, 'goes with two other columns'),
        ('a.csv', 'query,answer,score\na,b,x\n', {}, "a.csv:2: score 'x' is not a number"),
        ('a.csv', 'query,answer,score\na,b,nan\n', {}, 'it must be finite'),
        (
            'a.csv',
            'query,answer,score\na,b,1\nc,d,7\n',
            {'score_range': (0, 5)},
            "a.csv:3: score '7' is not allowed: it must be from 0 to 5",
        ),
        ('a.csv', 'query,answer\na,b\n ,c\n', {}, "a.csv:3: 'query' is empty"),
        ('a.csv', 'query,answer\na,b,c\n', {}, 'a.csv:2: the row has 3 columns'),
        ('a.jsonl', '{"query": 1, "answer": "b"}\n', {}, "a.jsonl:1: 'query' must be a string"),
        (
            'a.jsonl',
            '{"query": "a", "answer": "b", "score": true}\n',
            {},
            "a.jsonl:1: 'score' must be a number, got bool",
        ),
        ('a.parquet', 'x', {}, 'must end in .tsv, .csv, .jsonl, .json or .txt'),
        ('a.txt', 'a\n', {'columns': ['text']}, 'and no columns'),
    ],
)
def test_malformed_files_are_refused(tmp_path, name, text, options, part):
    with pytest.raises(ValueError) as caught:
        read_text_groups(write(tmp_path, name, text), **options)
    assert part in str(caught.value)


def test_malformed_rows_can_be_left_out(tmp_path, caplog):
    path = write(tmp_path, 'a.csv', 'query,answer\na,b\n,c\nd,e,f\n')
    groups = read_text_groups(path, skip_malformed=True)
    assert groups.texts == [('a', 'b')] and groups.num_skipped == 2
    assert 'malformed rows left out: 2; the first: ' in caplog.text


# --- batches


def features(count):
    return [
        Features(np.arange(number + 2), np.zeros(number + 2), number + 2) for number in range(count)
    ]


def test_a_batch_has_the_texts_by_column():
    groups = np.array([[0, 1], [2, 3], [0, 4]])
    data = GroupData(features(5), groups, [0.5, 1.0, 0.0], 0, 2)
    inputs, scores = data.load(np.array([2, 1]))
    assert inputs[2].asnumpy().tolist() == [2, 4, 6, 5]  # lengths of texts 0, 2, 4, 3
    assert scores.asnumpy().tolist() == [0.0, 1.0] and len(data) == 3
    single = GroupData(features(3), np.array([[0], [1], [2]]), None, 0, 2, repeats=2)
    inputs, scores = single.load(np.array([2, 0]))
    assert inputs[2].asnumpy().tolist() == [4, 2, 4, 2] and scores is None


def test_batches_are_a_function_of_seed_and_epoch():
    groups = np.arange(14).reshape(7, 2)
    make = lambda seed: GroupData(features(14), groups, None, 0, 3, seed, least=2)  # noqa: E731
    first = [batch.tolist() for batch in make(1).training_batches(0)]
    assert [len(batch) for batch in first] == [3, 3]  # the last, of one, is left out
    assert first == [batch.tolist() for batch in make(1).training_batches(0)]
    assert first != [batch.tolist() for batch in make(1).training_batches(1)]
    assert first != [batch.tolist() for batch in make(2).training_batches(0)]


def test_the_fingerprint_tells_what_batches_depend_on():
    groups, scores = np.array([[0, 1], [2, 3]]), [0.0, 1.0]
    prints = [
        GroupData(features(4), groups, scores, 0, 2).fingerprint(),
        GroupData(features(4), groups[::-1], scores, 0, 2).fingerprint(),
        GroupData(features(4), groups, scores[::-1], 0, 2).fingerprint(),
        GroupData(features(4), groups, scores, 0, 2, distinct=True).fingerprint(),
    ]
    assert len({json.dumps(row) for row in prints}) == 4
    assert prints[0] == GroupData(features(4), groups, scores, 0, 2).fingerprint()


def test_no_text_is_twice_in_a_batch():
    rng = np.random.RandomState(3)
    groups = rng.randint(0, 40, (60, 2))
    batches = distinct_batches(groups, rng.permutation(60), 8)
    assert sorted(np.concatenate(batches).tolist()) == list(range(60))
    for batch in batches:
        texts = [text for number in batch for text in {*groups[number].tolist()}]
        assert len(texts) == len(set(texts)) and len(batch) <= 8


def test_one_anchor_in_all_examples_is_no_long_search():
    groups = np.stack([np.zeros(3000, int), np.arange(1, 3001)], axis=1)
    assert [len(batch) for batch in distinct_batches(groups, range(3000), 4)] == [1] * 3000
