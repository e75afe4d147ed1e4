"""model_zoo/compare_pretraining_pytorch.py trains the same network in each system."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / 'model_zoo'))
import compare_pretraining_pytorch as comparison
import pretraining_systems

ARGUMENTS = (
    '--steps 20 --seeds 5 --layers 2 --units 16 --vocab_size 100 --batch_size 4 --dropout 0 '
    '--max_seq_length 32 --max_predictions_per_seq 4 --dupe_factor 1 --evaluations 2 --threads 1 '
    '--lr 3e-3'
).split()


def make_text(path):
    """Write 40 paragraphs of random words."""
    rng = np.random.RandomState(0)
    words = [''.join(rng.choice(list('abcdefgh'), 4)) for _ in range(40)]
    sentences = [' '.join(rng.choice(words, 8)) + '.' for _ in range(160)]
    paragraphs = [' '.join(sentences[i : i + 4]) for i in range(0, 160, 4)]
    path.write_text('\n\n'.join(paragraphs), encoding='utf-8')
    return str(path)


def rows_of(tmp_path, monkeypatch, systems):
    monkeypatch.setattr(comparison, 'DOCUMENT', 200)
    output = tmp_path / 'rows.csv'
    text = make_text(tmp_path / 'text.txt')
    comparison.main([text, *ARGUMENTS, '--systems', *systems, '--output', str(output)])
    assert output.with_suffix('.png').stat().st_size > 1000
    with open(output, newline='') as file:
        return list(csv.DictReader(file))


def floats(text):
    return [float(part.split(':')[-1]) for part in text.split()]


def test_every_tenth_document_is_held_out(tmp_path, monkeypatch):
    monkeypatch.setattr(comparison, 'DOCUMENT', 7)
    text = 'one two\n three\n\n  \n four\n\nfive\n\nsix'
    assert comparison.split_documents(text) == ['one two three', 'four\nfive', 'six']
    assert comparison.split_documents('one two\n\n') == ['one two']
    monkeypatch.setattr(comparison, 'DOCUMENT', 200)
    args = comparison.make_parser().parse_args([make_text(tmp_path / 'text.txt'), *ARGUMENTS])
    comparison.make_data(args, tmp_path)
    documents = {
        name: (tmp_path / f'{name}.txt').read_text(encoding='utf-8').strip().split('\n\n')
        for name in ('train', 'held_out')
    }
    assert len(documents['held_out']) == (len(documents['train']) + 1) // 9 > 1
    whole = comparison.split_documents((tmp_path / 'text.txt').read_text(encoding='utf-8'))
    assert whole[9::10] == documents['held_out']
    assert not {*documents['train']} & {*documents['held_out']}


def test_rows_of_gluon_bert(tmp_path, monkeypatch):
    (row,) = rows_of(tmp_path, monkeypatch, ['gluon_bert'])
    assert (row['seed'], row['steps'], row['vocab_size']) == ('5', '20', '100')
    losses = floats(row['training_losses'])
    assert len(losses) == 20
    assert losses[0] == pytest.approx(np.log(100) + np.log(2), abs=0.3)
    points = [point.split(':') for point in row['held_out_curve'].split()]
    assert [step for step, _ in points] == ['10', '20']
    assert float(points[-1][1]) == float(row['masked_lm_loss'])


def test_steps_that_fit_into_the_minutes(monkeypatch):
    calls = []

    def run_child(*arguments):
        calls.append(arguments)
        return {'seconds_per_step': 0.5}

    monkeypatch.setattr(comparison, 'run_child', run_child)
    args = comparison.make_parser().parse_args(['--minutes', '2', '--seeds', '7'])
    assert comparison.count_steps(args, ['--minutes', '2'], 'folder') == 240
    argv = ['--minutes', '2', '--evaluations', '1']
    assert calls == [(args, argv, 'folder', 'gluon_bert', 7, comparison.TIMED_STEPS)]


def test_no_texts(monkeypatch, capsys):
    monkeypatch.delenv('GLUON_BERT_DATA', raising=False)
    with pytest.raises(SystemExit):
        comparison.main(['--steps', '1'])
    assert 'expected texts, or GLUON_BERT_DATA' in capsys.readouterr().err


def test_systems_have_the_same_losses(tmp_path, monkeypatch):
    pytest.importorskip('transformers', reason='compares with transformers')
    pytest.importorskip('torch', reason='compares with PyTorch')
    rows = rows_of(tmp_path, monkeypatch, list(pretraining_systems.SYSTEMS))
    assert [row['system'] for row in rows] == list(pretraining_systems.SYSTEMS)
    losses = [floats(row['training_losses']) for row in rows]
    assert len(losses[0]) == 20
    assert losses[0][0] == pytest.approx(np.log(100) + np.log(2), abs=0.3)
    assert losses[0][0] - losses[0][-1] > 0.3
    curves = [floats(row['held_out_curve']) for row in rows]
    assert len(curves[0]) == 2
    for others in (losses, curves):
        assert others[1] == pytest.approx(others[0], abs=1e-4)
        assert others[2] == pytest.approx(others[0], abs=1e-4)
    assert len({row['next_sentence_accuracy'] for row in rows}) == 1
    assert len({row['masked_lm_accuracy'] for row in rows}) == 1
    assert all(int(row['peak_mb']) > 10 and '--seeds 5' in row['command'] for row in rows)


def test_clock_leaves_out_evaluations(monkeypatch):
    times = iter([(0.0, 0.0), (3.0, 4.0), (10.0, 20.0), (11.0, 22.0)])
    monkeypatch.setattr(pretraining_systems.Clock, '_now', staticmethod(lambda: next(times)))
    clock = pretraining_systems.Clock()
    with clock.paused():
        pass
    assert clock.read() == {'cpu_seconds': 4.0, 'wall_seconds': 6.0}
