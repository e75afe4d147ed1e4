"""model_zoo/measure_ranking.py and measure_search.py: rows with figures that fit each other."""

import csv
import json

import measure_ranking
import measure_search
import numpy as np
from script_runs import tiny_folder, tokenizer  # noqa: F401 (fixtures)

WORDS = 'the a cat dog sun moon sleeps barks'.split()


def sentences(count):
    random = np.random.default_rng(2)
    return [' '.join(random.choice(WORDS, 5)) for _ in range(count)]


def rows_of(path):
    with open(path, newline='') as file:
        return list(csv.DictReader(file))


def test_ranking(tiny_folder, tmp_path):  # noqa: F811
    model, _ = tiny_folder()
    lines = ['index\tquestion\tsentence\tlabel']
    for number, text in enumerate(sentences(20)):
        label = 'not_entailment' if number % 4 == 3 else 'entailment'
        lines.append(f'{number}\t{text[:12]}\t{text} {number}\t{label}')
    (tmp_path / 'dev.tsv').write_text('\n'.join(lines) + '\n')
    measure_ranking.main(
        [
            str(tmp_path / 'dev.tsv'), '--model', str(model), '--folder', str(tmp_path / 'out'),
            '--questions', '6', '--test_questions', '5', '--candidates', '12', '--max_len', '24',
            '--batch_size', '8', '--output', str(tmp_path / 'r.csv'),
        ]
    )  # fmt: skip
    plain, ranked = rows_of(tmp_path / 'r.csv')
    assert plain['search'] == 'vectors' and ranked['search'] == 'vectors, then cross-encoder'
    for row in (plain, ranked):
        assert 0 <= float(row['mrr@10']) <= float(row['ndcg@10']) <= 1
        assert (row['passages'], row['questions'], row['train_questions']) == ('20', '5', '6')
    with open(tmp_path / 'out' / 'train.jsonl') as file:
        lists = [json.loads(line) for line in file]
    assert all(row['labels'] == [1, 0, 0, 0] and len({*row['documents']}) == 4 for row in lists)


def test_search(tiny_folder, tmp_path):  # noqa: F811
    model, _ = tiny_folder()
    (tmp_path / 'texts.txt').write_text('\n'.join(sentences(40)) + '\n')
    measure_search.main(
        [
            str(tmp_path / 'texts.txt'), '--model', str(model), '--folder', str(tmp_path / 'v'),
            '--passages', '300', '--queries', '10', '--repeats', '2', '--threads', '1',
            '--output', str(tmp_path / 's.csv'),
        ]
    )  # fmt: skip
    rows = {
        row['type']: row for row in rows_of(tmp_path / 's.csv') if row['system'] == 'gluon_bert'
    }
    assert list(rows) == ['float32', 'float16', 'int8', 'binary']
    assert float(rows['float32']['recall@10']) >= 0.99 and rows['int8']['passages'] == '300'
    assert all(float(row['ms']) > 0 for row in rows.values())
