"""Training a cross-encoder from pairs and from lists, and what is refused."""

import json
import logging

import numpy as np
import pytest
from script_runs import tiny_folder, tokenizer  # noqa: F401 (fixtures)

import gluon_bert as gb
from gluon_bert.data.ranking.dataset import ListData
from gluon_bert.data.ranking.files import list_numbers, read_ranking
from gluon_bert.tasks.finetune import finetune

FAST = {'epochs': 1, 'batch_size': 8, 'log_interval': 1, 'max_len': 16}
ROWS = [
    ('the cat', 'a cat sleeps', 1),
    ('the dog', 'a dog barks', 1),
    ('the cat', 'a dog barks', 0),
    ('the dog', 'a cat sleeps', 0),
    ('the sun', 'the moon', 0),
]


def pairs(path, rows=ROWS, header='query,document,label'):
    path.write_text('\n'.join([header, *(','.join(map(str, row)) for row in rows)]) + '\n')
    return path


def lists(path):
    queries = dict.fromkeys(row[0] for row in ROWS)
    with open(path, 'w') as file:
        for query in queries:
            of = [row for row in ROWS if row[0] == query]
            row = {'query': query, 'documents': [r[1] for r in of], 'labels': [r[2] for r in of]}
            file.write(json.dumps(row) + '\n')
    return path


@pytest.mark.parametrize('loss', ['binary_cross_entropy', 'lambdarank'])
def test_from_files_to_a_ranking(tiny_folder, tmp_path, caplog, loss):  # noqa: F811
    source, _ = tiny_folder()
    train, dev = lists(tmp_path / 'train.jsonl'), pairs(tmp_path / 'dev.csv')
    with caplog.at_level(logging.WARNING):
        done = finetune(
            'text-ranking',
            source,
            train=train,
            dev=dev,
            output_dir=tmp_path / 'out',
            loss=loss,
            **FAST,
        )
    told = '1 of 3 queries left out, whose documents are all as relevant' in caplog.text
    assert told == (loss == 'lambdarank')
    assert set(done.metrics['dev']) == {'mrr@10', 'ndcg@10', 'map'}
    model = gb.CrossEncoder(tmp_path / 'out')
    scores = model.predict([row[:2] for row in ROWS])
    # The metric that is reported, from the scores of the saved folder.
    rank = [1 + (scores[2] >= scores[0]), 1 + (scores[3] >= scores[1])]
    assert done.metrics['dev']['mrr@10'] == pytest.approx(np.mean(1 / np.array(rank)))
    table = (tmp_path / 'out' / 'train_dev.tsv').read_text().splitlines()
    assert table[1] == f'0\t{scores[0]:.6f}'


def test_pairs_without_an_order_are_one_ranking(tiny_folder, tmp_path):  # noqa: F811
    source, _ = tiny_folder()
    train = pairs(tmp_path / 'train.csv', [ROWS[0], ROWS[3]])
    done = finetune(
        'text-ranking', source, train=train, dev=train, output_dir=tmp_path / 'o', **FAST
    )
    assert set(done.metrics['dev']) == {'average_precision'}
    assert done.metrics['dev']['average_precision'] in (0.5, 1.0)


def test_batches_hold_whole_lists():
    sizes = [3, 1, 2, 3, 3, 1]
    numbers = np.repeat(np.arange(6), sizes)[::-1].copy()
    features = [gb.data.Features(np.arange(2 + n), np.zeros(2 + n), 2 + n) for n in numbers]
    data = ListData(features, numbers % 2 * 1.0, numbers, 0, batch_size=7, seed=1)
    batches = data.training_batches(0)
    assert len(batches) == 3 == len(data.training_batches(1))
    assert sorted(np.concatenate(batches).tolist()) == list(range(13))
    for batch in batches:
        assert len(batch) <= 7
        for number in set(numbers[batch].tolist()):
            assert (numbers[batch] == number).sum() == sizes[number]
    _, (labels, groups) = data.load(batches[0])
    order = sorted(set(numbers[batches[0]].tolist()))
    assert [order[int(i)] for i in groups.asnumpy()] == numbers[batches[0]].tolist()
    assert labels.asnumpy().tolist() == (numbers[batches[0]] % 2).tolist()
    with pytest.raises(ValueError, match='a query has 3 documents, a batch holds 2'):
        ListData(features, numbers % 2 * 1.0, numbers, 0, batch_size=2)


def test_both_layouts_are_read_alike(tmp_path):
    table = read_ranking(pairs(tmp_path / 'a.csv')).examples
    rows = read_ranking(lists(tmp_path / 'a.jsonl')).examples
    assert sorted(row[:3] for row in table) == sorted(row[:3] for row in rows)
    assert list_numbers(table).tolist() == [0, 1, 0, 1, 2]


@pytest.mark.parametrize(
    'line, message',
    [
        ('{"query": "a", "documents": []}', r"a\.jsonl:2: 'documents' is empty"),
        ('{"query": "a", "documents": ["b"], "labels": [1, 0]}', 'list of 1 numbers, got 2'),
        ('{"query": "a", "documents": ["b"], "labels": ["x"]}', "finite numbers, got 'x'"),
        ('{"query": 3, "documents": ["b"], "labels": [1]}', "'query' must be a string, got int"),
        ('{"query": "a", "documents": "b", "labels": [1]}', 'must be a list of strings'),
        ('[1]', 'expected a JSON object'),
    ],
)
def test_bad_lists(tmp_path, line, message):
    path = tmp_path / 'a.jsonl'
    path.write_text('{"query": "a", "documents": ["b", "c"], "labels": [1, 0]}\n' + line + '\n')
    with pytest.raises(ValueError, match=message):
        read_ranking(path)
    assert len(read_ranking(path, skip_malformed=True).examples) == 2


@pytest.mark.parametrize(
    'rows, options, message',
    [
        ([('a', 'b', 3)], {}, r'row 0 has the label 3: expected numbers from 0 to 1'),
        ([('a', 'b', 1)], {'loss': 'ranknet'}, 'no query has documents of different relevance'),
        ([('a', 'b', 1)], {'loss': 'rank_net'}, "did you mean 'ranknet'"),
        ([('a', 'b', 1)], {'loss': 'listwise', 'batch_size': 1}, 'no query has'),
        (ROWS, {'loss': 'listwise', 'batch_size': 1}, 'a query has 2 documents, a batch holds 1'),
        (ROWS, {'activation': 'softmax'}, "activation is 'softmax': expected one of"),
    ],
)
def test_bad_training_data(tiny_folder, tmp_path, rows, options, message):  # noqa: F811
    source, _ = tiny_folder()
    train = pairs(tmp_path / 'train.csv', rows)
    with pytest.raises(ValueError, match=message):
        finetune(
            'text-ranking', source, train=train, output_dir=tmp_path / 'o', **{**FAST, **options}
        )


def test_no_labels_and_one_column(tiny_folder, tmp_path):  # noqa: F811
    source, _ = tiny_folder()
    train = pairs(tmp_path / 'train.csv', [('a', 'b')], 'query,document')
    with pytest.raises(ValueError, match='has no labels: expected the relevance'):
        finetune('text-ranking', source, train=train, output_dir=tmp_path / 'o', **FAST)
    train = pairs(tmp_path / 'single.csv', [('a', '1')], 'text,label')
    with pytest.raises(ValueError, match='needs two columns, of the query and of the document'):
        finetune('text-ranking', source, train=train, output_dir=tmp_path / 'o', **FAST)
