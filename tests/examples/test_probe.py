# ruff: noqa: F811 (fixtures are imported)
"""bert_probe.py: what it reports is what it predicts, and the same each time."""

import json

import bert_probe
import numpy as np
import pytest
from script_runs import run_script, tiny_folder, tokenizer, undisturbed  # noqa: F401 (fixtures)

from gluon_bert.metrics.classification import evaluate_metrics

CATS, DOGS = ['the cat sleeps', 'a cat sleeps here .'], ['the dog barks', 'a dog barks loudly !']


def write_table(path, rows, header):
    path.write_text('\n'.join('\t'.join(row) for row in (header, *rows)) + '\n')
    return path


@pytest.fixture
def probe(run_script, tiny_folder, tmp_path):
    folder, _ = tiny_folder()

    def call(*arguments, out='out'):
        code, table, log = run_script(
            bert_probe,
            '--params_path',
            folder,
            '--max_len',
            '20',
            '--output_dir',
            tmp_path / out,
            *arguments,
        )
        assert code == 0, log
        return tmp_path / out, table

    return call


def test_classes_of_a_table_are_told_apart(probe, tmp_path):
    rows = [(text, label) for label, texts in (('cat', CATS), ('dog', DOGS)) for text in texts]
    train = write_table(tmp_path / 'train.tsv', rows * 10, ('text', 'label'))
    dev = write_table(tmp_path / 'dev.tsv', rows * 3 + [('the sun', 'cat')], ('text', 'label'))
    out, table = probe('--train_file', train, '--dev_file', dev)
    assert sorted(path.name for path in out.iterdir()) == [
        'dev_confusion.png',
        'dev_predictions.tsv',
        'report.txt',
        'result.json',
    ]
    result = json.loads((out / 'result.json').read_text())
    assert result['rows'] == {'train': 40, 'dev': 13}
    assert table == (out / 'report.txt').read_text() and 'bag_of_words' in table
    header, *lines = [
        line.split('\t') for line in (out / 'dev_predictions.tsv').read_text().splitlines()
    ]
    labels, bert, words = np.array(
        [[['cat', 'dog'].index(cell) for cell in line] for line in lines]
    ).T
    assert header == ['label', 'bert', 'bag_of_words']
    for system, predicted in (
        ('bert', bert),
        ('bag_of_words', words),
        ('most_common', np.zeros(13, int)),
    ):
        metrics = result['metrics']['dev'][system]
        if system != 'most_common':
            assert metrics == evaluate_metrics(list(metrics), labels, predicted)
            assert metrics['accuracy'] >= 12 / 13
    again, _ = probe('--train_file', train, '--dev_file', dev, out='again')
    for name in ('result.json', 'dev_predictions.tsv'):
        assert (again / name).read_bytes() == (out / name).read_bytes()


def test_a_glue_task_of_pairs_and_a_held_out_part(probe, tmp_path):
    header = ('Quality', '#1 ID', '#2 ID', '#1 String', '#2 String')
    rows = [(str(int(a[2] == b[2])), '1', '2', a, b) for a in CATS + DOGS for b in CATS + DOGS]
    for split in ('train', 'dev'):
        write_table(tmp_path / f'{split}.tsv', rows * 3, header)
    out, _ = probe(
        '--task_name',
        'MRPC',
        '--data_dir',
        tmp_path,
        '--max_train_examples',
        '30',
        '--strength',
        '0.1',
        '--debug',
    )
    result = json.loads((out / 'result.json').read_text())
    assert result['rows'] == {'train': 30, 'dev': 32}
    assert list(result['metrics']['dev']['bert']) == ['accuracy', 'f1']
    assert result['strength'] == {'bert': 0.1, 'bag_of_words': 0.1}
    table = write_table(
        tmp_path / 'scores.tsv',
        [(row[3], row[4], row[0] + '.5') for row in rows],
        ('a', 'b', 'score'),
    )
    out, _ = probe(
        '--train_file',
        table,
        '--text_column',
        'a',
        '--pair_column',
        'b',
        '--label_column',
        'score',
        '--regression',
        '--dev_fraction',
        '0.25',
    )
    result = json.loads((out / 'result.json').read_text())
    assert result['rows'] == {'train': 12, 'dev': 4}
    assert list(result['metrics']['dev']['bert']) == ['pearson', 'spearman']


@pytest.mark.parametrize(
    'rows, arguments, message',
    [
        ([('a', 'x'), ('b', 'y')], ['--dev_fraction', '1'], 'too few to hold out'),
        ([('!', 'x'), ('.', 'y')] * 9, [], 'hold no words'),
        ([('a', 'x'), ('b', 'y')], ['--strength', '0'], 'above 0'),
        ([('a', 'x'), ('b', 'y')] * 9, ['--text_column', 'txt'], "did you mean 'text'"),
        ([('a', 'x'), ('b', 'y')] * 9, ['--max_train_examples', '1'], 'same label'),
    ],
)
def test_what_is_wrong_is_told(run_script, tiny_folder, tmp_path, rows, arguments, message):
    folder, _ = tiny_folder()
    table = write_table(tmp_path / 'train.tsv', rows, ('text', 'label'))
    code, _, log = run_script(
        bert_probe,
        '--train_file',
        table,
        '--params_path',
        folder,
        '--max_len',
        '20',
        '--output_dir',
        tmp_path / 'out',
        *arguments,
    )
    assert code == 2 and message in log
