"""model_zoo/measure_continued_pretraining.py goes on with one model, and measures it."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest

import gluon_bert as gb
from gluon_bert.training import run as training_run

sys.path.insert(0, str(Path(__file__).parents[2] / 'model_zoo'))
import measure_continued_pretraining as measurement


@pytest.fixture
def texts(tmp_path):
    """General texts of some words, and a field of others."""
    rng = np.random.RandomState(0)
    words = [''.join(rng.choice(list('abcdefgh'), 4)) for _ in range(30)]
    general = '\n\n'.join('\n'.join(rng.choice(words[:20], 9)) for _ in range(30))
    (tmp_path / 'general.txt').write_text(general)
    for name, count in (('train', 60), ('dev', 8), ('test', 20)):
        rows = [f'{" ".join(rng.choice(words[10:], 6))}\t{n % 2}' for n in range(count)]
        (tmp_path / f'{name}.tsv').write_text('\n'.join(['sentence\tlabel', 'too short\t1', *rows]))
    return tmp_path


def test_rows(texts, monkeypatch):
    monkeypatch.setattr(training_run, 'plot_training', lambda *arguments: None)
    folder, output = texts / 'made', texts / 'rows.csv'
    options = {
        'task_folder': texts, 'folder': folder, 'vocab_size': 60, 'general_steps': 2, 'steps': 12,
        'batch_size': 4, 'max_seq_length': 16, 'min_words': 4, 'labelled': 12,
        'seeds': 5, 'output': output,
    }  # fmt: skip
    words = [str(word) for name, value in options.items() for word in (f'--{name}', value)]
    measurement.main([str(texts / 'general.txt'), *words])
    with open(output, newline='') as file:
        rows = {row['continued_with']: row for row in csv.DictReader(file)}
    assert list(rows) == ['nothing', 'general', 'field']
    losses = {name: float(row['masked_lm_loss']) for name, row in rows.items()}
    assert losses['field'] < losses['nothing'] - 0.1  # a third of the words are new to it
    assert losses['field'] < losses['general'] - 0.1
    assert all(0 <= float(row['accuracy']) <= 1 for row in rows.values())
    assert '--steps 12' in rows['field']['command'] and rows['field']['seed'] == '5'

    # The loss before is that which the other runs log before their first step.
    first = json.loads((folder / 'field_5' / 'metrics.jsonl').read_text().splitlines()[0])
    assert first['step'] == 0
    assert first['metrics']['masked_lm_loss'] == pytest.approx(losses['nothing'], abs=1e-4)
    # Without the short ones.
    lines = {
        name: (folder / f'{name}.txt').read_text().splitlines() for name in ('field', 'held_out')
    }
    assert (len(lines['field']), len(lines['held_out'])) == (60, 20)
    tokenizer = gb.data.read_tokenizer(folder / 'field_5' / 'model')
    assert len(tokenizer.vocabulary) == 60


def test_logistic_regression_is_at_its_optimum():
    rng = np.random.RandomState(1)
    vectors, labels = rng.randn(50, 3), rng.randint(0, 2, 50)

    def loss(weights):
        scores = measurement.add_one(vectors) @ weights
        return (np.log1p(np.exp(scores)) - labels * scores).sum() + 5 * (weights[:-1] ** 2).sum()

    best = measurement.logistic_regression(vectors, labels)
    assert abs(best).max() > 0.01
    assert all(loss(best) < loss(best + 0.01 * rng.randn(4)) for _ in range(50))


def test_no_texts(monkeypatch, capsys):
    monkeypatch.delenv('GLUON_BERT_DATA', raising=False)
    with pytest.raises(SystemExit):
        measurement.main([])
    assert 'expected texts and --task_folder, or GLUON_BERT_DATA' in capsys.readouterr().err
