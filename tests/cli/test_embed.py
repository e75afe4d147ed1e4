"""gluon-bert embed and search: every output, every input, errors."""

import json

import numpy as np
import pytest

import gluon_bert as gb

pytest_plugins = ['command_fixtures']

TEXTS = ['A cat sleeps on the sofa.', 'Shares fell sharply.', 'It rains in Berlin.']
MODEL = 'all_minilm_l6_v2'


@pytest.fixture
def corpus(tmp_path, real_model):
    path = tmp_path / 'lines.txt'
    path.write_text('\n'.join(TEXTS) + '\n')
    return path


def test_embed_writes_the_vectors_of_the_encoder(corpus, tmp_path, run):
    expected = gb.SentenceEncoder(MODEL).encode(TEXTS)
    for suffix in ('npy', 'npz', 'tsv', 'jsonl'):
        path = tmp_path / f'out.{suffix}'
        status, _, err = run('embed', MODEL, '--input', corpus, '--output', path)
        assert status == 0, err
        if suffix == 'npz':
            vectors = np.load(path)['vectors']
        elif suffix == 'jsonl':
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            assert [row['text'] for row in rows] == TEXTS
            vectors = [row['vector'] for row in rows]
        else:
            vectors = np.load(path) if suffix == 'npy' else np.loadtxt(path, delimiter='\t')
        np.testing.assert_allclose(vectors, expected, atol=1e-6)
    status, out, err = run('embed', MODEL, *TEXTS[:2])
    assert status == 0 and [json.loads(line)['text'] for line in out.splitlines()] == TEXTS[:2]


def test_search_finds_what_is_near(corpus, tmp_path, run):
    status, out, err = run('search', MODEL, corpus, 'a kitten', '-k', '2')
    assert status == 0, err
    lines = [line.split('\t') for line in out.splitlines()]
    assert len(lines) == 2 and lines[0][1:] == ['1', TEXTS[0]]
    encoder = gb.SentenceEncoder(MODEL)
    assert float(lines[0][0]) == pytest.approx(
        float(encoder.similarity(['a kitten'], TEXTS[:1])[0, 0]), abs=1e-4
    )
    assert run('embed', MODEL, '--input', corpus, '--output', tmp_path / 'v.npy')[0] == 0
    status, out, _ = run(
        'search', MODEL, corpus, 'weather', 'stocks', '--vectors', tmp_path / 'v.npy', '--jsonl'
    )
    rows = [json.loads(line) for line in out.splitlines()]
    assert status == 0 and [rows[0]['line'], rows[3]['line']] == [3, 2]


def test_errors(corpus, tmp_path, run):
    (tmp_path / 'empty.txt').write_text('')
    np.save(tmp_path / 'v.npy', np.zeros((2, 384), 'float32'))
    before = sorted(tmp_path.iterdir())
    for words, message in (
        (('embed', MODEL, 'a', '--input', corpus), 'not both'),
        (('embed', MODEL, '--input', tmp_path / 'empty.txt'), 'is empty'),
        (('embed', MODEL, 'a', '--output', tmp_path / 'out.bin'), 'pass --format'),
        (('embed', MODEL, 'a', '--output', tmp_path / 'no' / 'v.npy'), 'no such folder'),
        (('search', MODEL, corpus, 'x', '-k', '4'), '-k 4: expected 1 to 3'),
        (('search', MODEL, corpus, 'x', '--vectors', tmp_path / 'v.npy'), 'belong together'),
    ):
        status, _, err = run(*words)
        assert status == 2 and message in err, err
    assert sorted(tmp_path.iterdir()) == before
