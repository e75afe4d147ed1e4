"""gluon-bert search: vectors kept in a folder, indexes, and ranking by a cross-encoder."""

import json
import subprocess
import sys

import numpy as np
import pytest
from command_fixtures import run  # noqa: F401 (a fixture)
from script_runs import tiny_folder, tokenizer  # noqa: F401 (fixtures)
from task_folders import save_fine_tuned

import gluon_bert as gb
from gluon_bert.cli import search
from gluon_bert.inference.search_indexes import INDEXES
from gluon_bert.inference.vector_types import VECTOR_TYPES

TEXTS = ['A cat sleeps on the sofa.', 'Shares fell sharply.', 'It rains in Berlin.', 'A dog barks.']
MODEL = 'all_minilm_l6_v2'
QUERY = 'weather'


@pytest.fixture
def corpus(tmp_path, real_model):
    path = tmp_path / 'lines.txt'
    path.write_text('\n'.join(TEXTS) + '\n')
    return path


@pytest.fixture
def find(corpus, tmp_path, run):  # noqa: F811
    """Search with a folder of vectors: arguments -> rows."""

    def call(*arguments, model=MODEL, vectors='vectors'):
        kept = [] if vectors is None else ['--vectors', tmp_path / vectors]
        status, out, err = run('search', model, corpus, QUERY, '--jsonl', *kept, *arguments)
        assert status == 0, err
        return [json.loads(line) for line in out.splitlines()]

    return call


def test_flags_name_what_there_is():
    assert tuple(VECTOR_TYPES) == search._TYPES
    assert ('exact', *INDEXES) == search._INDEXES


def test_a_folder_is_made_used_and_extended(corpus, tmp_path, find, monkeypatch):
    expected = find(vectors=None)
    assert expected[0]['line'] == 3
    for type in VECTOR_TYPES:
        rows = find('--type', type, vectors=type)
        assert [row['line'] for row in rows] == [row['line'] for row in expected], type
        for row, right in zip(rows, expected):
            assert row['score'] == pytest.approx(right['score'], abs=0.01)
    encoded = []
    monkeypatch.setattr(
        search,
        'encoded',
        lambda encoder, lines, prompt: encoded.append(list(lines)) or [encoder.encode(lines)],
    )
    assert find(vectors='int8')[0]['line'] == 3 and not encoded
    with open(corpus, 'a') as file:
        file.write('Rain, sun and wind: the weather today.\n')
    assert find(vectors='int8')[0]['line'] == 5
    assert encoded == [['Rain, sun and wind: the weather today.']]
    assert find(vectors='int8')[0]['line'] == 5 and len(encoded) == 1


@pytest.mark.parametrize('name', INDEXES)
def test_indexes_find_the_same(find, corpus, tmp_path, name):
    pytest.importorskip(INDEXES[name].package, reason=f'{name} is not installed')
    expected = find()
    rows = find('--index', name)
    assert [row['line'] for row in rows] == [row['line'] for row in expected]
    assert rows[0]['score'] == pytest.approx(expected[0]['score'], abs=1e-5)
    with open(corpus, 'a') as file:
        file.write('The weather of today.\n')
    assert find('--index', name)[0]['line'] == 5
    (tmp_path / 'vectors' / INDEXES[name].file).write_bytes(b'x' * 100)
    with pytest.raises(AssertionError, match='is damaged'):
        find('--index', name)


@pytest.mark.parametrize('name', INDEXES)
def test_an_index_that_is_not_installed_is_named(find, corpus, tmp_path, run, name, monkeypatch):  # noqa: F811
    find()
    monkeypatch.setitem(sys.modules, INDEXES[name].package, None)
    words = ('search', MODEL, corpus, QUERY, '--vectors', tmp_path / 'vectors', '--index', name)
    status, _, err = run(*words)
    assert status == 2 and f"pip install 'gluon_bert[{name}]'" in err


def test_a_cross_encoder_ranks_the_candidates(find, tokenizer, tmp_path):  # noqa: F811
    save_fine_tuned(tmp_path / 'ranker', 'text-ranking', tokenizer, max_len=20)
    similarities = {row['line']: row['score'] for row in find(vectors=None)}
    near = sorted(similarities, key=lambda line: -similarities[line])[:3]
    rows = find('--rerank', tmp_path / 'ranker', '--candidates', 3, '-k', 2)
    model = gb.CrossEncoder(tmp_path / 'ranker')
    ranked = model.rank(QUERY, [TEXTS[line - 1] for line in near], top_k=2)
    assert [row['line'] for row in rows] == [near[row['corpus_id']] for row in ranked]
    for row, right in zip(rows, ranked):
        assert row['score'] == pytest.approx(right['score'], abs=1e-5)
        assert row['similarity'] == pytest.approx(similarities[row['line']], abs=1e-5)


def test_vectors_of_something_else_are_refused(find, corpus, tmp_path, run, tiny_folder):  # noqa: F811
    find('--type', 'int8')
    folder, text = tmp_path / 'vectors', corpus.read_text()

    def refused(*arguments, model=MODEL):
        words = ('search', model, corpus, QUERY, '--vectors', folder, *arguments)
        status, out, err = run(*words)
        assert (status, out) == (2, '') and err.count('\n') == 1
        return err

    assert 'has vectors of int8, not of binary' in refused('--type', 'binary')
    assert 'another model, or other options' in refused('--pooling', 'cls')
    assert 'cut at 256 tokens, the model cuts at 64' in refused('--max_length', '64')
    tiny, _ = tiny_folder()
    assert 'has vectors of 384 units, the model makes' in refused(model=tiny)
    corpus.write_text(text.replace('Shares', 'Prices'))
    assert 'is not the file of the vectors in' in refused()
    corpus.write_text(text[:-20])
    assert 'is not the file of the vectors in' in refused()
    corpus.write_text(text)
    part = folder / 'vectors.bin'
    part.write_bytes(part.read_bytes()[:-1])
    assert 'it is truncated' in refused()
    (folder / 'index.json').unlink()
    assert 'no vectors of a corpus' in refused()


def test_a_last_line_that_grows_is_another_line(corpus, find, run, tmp_path):  # noqa: F811
    corpus.write_text('\n'.join(TEXTS))  # without the end of its last line
    find()
    corpus.write_text('\n'.join([*TEXTS, 'The weather.']))
    assert find()[0]['line'] == 5
    corpus.write_text('\n'.join([*TEXTS, 'The weather. It changes']))
    status, _, err = run('search', MODEL, corpus, QUERY, '--vectors', tmp_path / 'vectors')
    assert status == 2 and 'is not the file of the vectors' in err


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['-k', '5'], '-k 5: expected 1 to 4'),
        (['--type', 'int8'], '--type int8: needs a folder'),
        (['--index', 'faiss', '--vectors', 'x.npy'], '--index faiss: needs a folder'),
        (['--candidates', '3'], '--candidates 3: needs --rerank'),
        (['--rerank', 'x', '--candidates', '3'], '--candidates 3: expected 4 or more'),
        (['--rerank', MODEL], 'has no head to predict with'),
        (['--rerank', 'nowhere'], 'nowhere'),
    ],
)
def test_bad_arguments(corpus, tmp_path, run, arguments, message):  # noqa: F811
    status, out, err = run('search', MODEL, corpus, QUERY, *arguments)
    assert (status, out) == (2, '') and message in err
    assert [path.name for path in tmp_path.iterdir() if path != corpus] == []


def test_an_empty_corpus_is_refused(corpus, run, tmp_path):  # noqa: F811
    corpus.write_text('\n\n')
    status, _, err = run('search', MODEL, corpus, QUERY, '--vectors', tmp_path / 'vectors')
    assert status == 2 and 'lines.txt: is empty' in err and not (tmp_path / 'vectors').exists()


def test_mxnet_is_not_imported(corpus, tokenizer, tmp_path):  # noqa: F811
    save_fine_tuned(tmp_path / 'ranker', 'text-ranking', tokenizer, max_len=20)
    program = f"""
import sys
from gluon_bert.cli import main
assert main({
        [
            'search',
            MODEL,
            str(corpus),
            QUERY,
            '--rerank',
            str(tmp_path / 'ranker'),
            '--vectors',
            str(tmp_path / 'v'),
            '--type',
            'binary',
        ]
    }) == 0
heavy = 'mxnet', 'gluonnlp', 'scipy', 'sklearn', 'pandas', 'matplotlib', 'torch'
assert [name for name in heavy if name in sys.modules] == []
"""
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 4
    assert np.memmap(tmp_path / 'v' / 'codes.bin', 'uint8').size == 4 * 48
