"""Scripts that measure the training of sentence vectors: their rows, on tiny data."""

import csv
import sys
from pathlib import Path

import pytest

import gluon_bert as gb

sys.path.insert(0, str(Path(__file__).parents[2] / 'model_zoo'))
import compare_sentences_pytorch
import comparing
import measure_gradient_cache

PAIRS = [
    ('A cat sleeps.', 'The cat is asleep.', 4.6),
    ('Shares fell.', 'A man plays a guitar.', 0.0),
    ('A plane takes off.', 'A plane lands.', 2.5),
    ('Rain is likely.', 'It may rain.', 4.0),
]


def test_gradient_caching_takes_less_memory(tmp_path):
    rows = tmp_path / 'rows.csv'
    measure_gradient_cache.main(
        ['--model', 'bert_2_128_2', '--batch_sizes', '256', '--cache_size', '16', '--threads', '1']
        + ['--output', str(rows)]
    )
    with open(rows, newline='') as file:
        plain, cached = csv.DictReader(file)
    assert (plain['cache_size'], cached['cache_size']) == ('none', '16')
    assert 0 < int(cached['megabytes']) < int(plain['megabytes']) / 2


@pytest.mark.weights
@pytest.mark.parametrize('loss', ['cosent', 'simcse'])
def test_a_run_here_has_the_score_before_and_after(tmp_path, loss):
    lines = [f'{first}\t{second}\t{score}\n' for first, second, score in PAIRS]
    for split in ('train', 'dev'):
        (tmp_path / f'{split}.tsv').write_text('sentence1\tsentence2\tscore\n' + ''.join(lines))
    args = compare_sentences_pytorch.make_parser().parse_args(
        ['--data', str(tmp_path), '--loss', loss, '--batch_size', '2', '--reinit_layers', '1']
    )
    compare_sentences_pytorch.make_start(args, tmp_path / 'start')
    result = compare_sentences_pytorch.run_gluon(args, 1, str(tmp_path / 'start'))
    encoder = gb.SentenceEncoder(tmp_path / 'start')
    vectors = [encoder.encode([row[side] for row in PAIRS]) for side in (0, 1)]
    scores = [row[2] for row in PAIRS]
    expected = gb.metrics.spearman(scores, (vectors[0] * vectors[1]).sum(axis=1))
    assert result['spearman_before'] == pytest.approx(expected, abs=1e-4)
    assert -1 <= result['spearman'] <= 1 and result['cpu_seconds'] > 0
    trained = gb.SentenceEncoder('/'.join((comparing.MODEL, comparing.DATASET)))
    assert abs(trained.encode(['A cat.']) - encoder.encode(['A cat.'])).max() > 1e-3
