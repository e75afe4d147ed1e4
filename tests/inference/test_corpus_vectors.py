"""Vectors of a corpus on disk: types, searches, additions, and damaged folders."""

import json

import numpy as np
import pytest

from gluon_bert.inference import corpus_vectors
from gluon_bert.inference.corpus_vectors import CorpusVectors
from gluon_bert.inference.search import similarity_search
from gluon_bert.inference.vector_types import VECTOR_TYPES

RANDOM = np.random.default_rng(5)
CENTRES = RANDOM.normal(size=(40, 72))
VECTORS = (CENTRES[RANDOM.integers(0, 40, 900)] + RANDOM.normal(size=(900, 72)) * 0.5).astype(
    'float32'
)
QUERIES = VECTORS[::100] + RANDOM.normal(size=(9, 72)).astype('float32') * 0.2


@pytest.fixture(params=[True, False], ids=['native', 'numpy'])
def backend(request, monkeypatch):
    if not request.param:
        for module in ('inference.search', 'kernels.vectors'):
            monkeypatch.setattr(f'gluon_bert.{module}.is_available', lambda: False)


def stored(path, type='float32', **options):
    vectors = CorpusVectors.create(path, 72, type, **options)
    vectors.append(VECTORS)
    return vectors


def exact(similarity, k):
    """Indices of the best by NumPy alone."""
    queries, vectors = QUERIES.astype('float64'), VECTORS.astype('float64')
    if similarity == 'cosine':
        queries, vectors = (
            x / np.linalg.norm(x, axis=1, keepdims=True) for x in (queries, vectors)
        )
    scores = queries @ vectors.T
    order = np.argsort(-scores, axis=1, kind='stable')[:, :k]
    return order, np.take_along_axis(scores, order, 1)


@pytest.mark.parametrize('similarity', ['cosine', 'dot'])
@pytest.mark.parametrize('type', VECTOR_TYPES)
def test_searches_of_each_type(tmp_path, backend, monkeypatch, type, similarity):
    monkeypatch.setattr(corpus_vectors, '_BLOCK', 250)
    vectors = CorpusVectors.create(tmp_path / 'v', 72, type, similarity)
    vectors.append(iter([VECTORS[:100], VECTORS[100:101]]))
    vectors.append(VECTORS[101:])
    vectors = CorpusVectors(tmp_path / 'v')
    assert len(vectors) == 900 and vectors.type == type
    indices, scores = vectors.search(QUERIES, k=10)
    expected, values = exact(similarity, 10)
    recall = np.mean([len({*a} & {*b}) / 10 for a, b in zip(indices, expected)])
    assert recall >= {'float32': 1, 'float16': 0.98, 'int8': 0.95, 'binary': 0.8}[type]
    assert (np.diff(scores, axis=1) <= 0).all()
    bound = {'float32': 1e-5, 'float16': 1e-3, 'int8': 2e-2, 'binary': 2e-2}[type]
    # The score of a result is that of the vector, to the precision of its type.
    size = np.abs(values).max()
    full = QUERIES @ VECTORS.T
    if similarity == 'cosine':
        full /= np.linalg.norm(QUERIES, axis=1)[:, None] * np.linalg.norm(VECTORS, axis=1)
    np.testing.assert_allclose(
        scores / size, np.take_along_axis(full, indices, 1) / size, atol=bound
    )
    kept = np.concatenate([vectors.read(0, 128), vectors.read(128)])
    original = VECTORS
    if similarity == 'cosine':
        original = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    np.testing.assert_allclose(kept, original, atol=bound * np.abs(original).max())


def test_sizes_of_the_types(tmp_path):
    sizes = {type: stored(tmp_path / type, type).num_bytes for type in VECTOR_TYPES}
    assert sizes == {'float32': 900 * 288, 'float16': 900 * 144, 'int8': 900 * 76, 'binary': 82800}
    for type, size in sizes.items():
        assert sum(path.stat().st_size for path in (tmp_path / type).glob('*.bin')) == size


def test_all_of_a_corpus_and_more(tmp_path):
    vectors = stored(tmp_path / 'v', 'binary')
    assert vectors.search(QUERIES, k=2000)[0].shape == (9, 900)
    empty = CorpusVectors.create(tmp_path / 'empty', 72, 'binary')
    assert empty.search(QUERIES, k=3)[0].shape == (9, 0)
    assert vectors.search(QUERIES[:0], k=3)[0].shape[0] == 0


def test_an_interrupted_addition_changes_nothing(tmp_path):
    vectors = stored(tmp_path / 'v', 'int8', made_by={'model': 'one'})
    before = vectors.search(QUERIES, 5)

    def blocks():
        yield VECTORS[:50]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        vectors.append(blocks(), corpus={'lines': 3})
    again = CorpusVectors(tmp_path / 'v')
    assert len(again) == 900 and again.corpus == {} and again.made_by == {'model': 'one'}
    for left, right in zip(again.search(QUERIES, 5), before):
        assert np.array_equal(left, right)
    again.append(VECTORS[:7], corpus={'lines': 907})
    again = CorpusVectors(tmp_path / 'v')
    assert len(again) == 907 and again.corpus == {'lines': 907}
    assert (tmp_path / 'v' / 'vectors.bin').stat().st_size == 907 * 72
    np.testing.assert_array_equal(again.read(900, 907), again.read(0, 7))


def test_one_process_adds_at_a_time(tmp_path):
    from filelock import FileLock

    vectors = stored(tmp_path / 'v')
    held = FileLock(tmp_path / 'v' / '.lock')
    with held, pytest.raises(ValueError, match='another process is adding vectors'):
        vectors.append(VECTORS[:1])
    other = CorpusVectors(tmp_path / 'v')
    other.append(VECTORS[:1])
    vectors.append(VECTORS[:2])  # which it did not know of
    assert len(vectors) == 903 == len(CorpusVectors(tmp_path / 'v'))


@pytest.mark.parametrize(
    'change, message',
    [
        ({'version': 2}, 'version is 2: expected 1'),
        ({'type': 'int4'}, "type is 'int4': expected one of float32"),
        ({'similarity': 'euclidean'}, "similarity is 'euclidean'"),
        ({'units': 0}, 'units is 0: expected a whole number'),
        ({'units': 73}, r'vectors.bin: has 259200 bytes, 900 vectors of 73 units have 262800'),
        ({'count': -1}, 'count is -1'),
        ({'count': 901}, 'it is truncated'),
        ({'count': True}, 'count is True'),
        ({'corpus': 3}, 'corpus: expected an object'),
    ],
)
def test_damaged_folders(tmp_path, change, message):
    stored(tmp_path / 'v')
    path = tmp_path / 'v' / 'index.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ValueError, match=message):
        CorpusVectors(tmp_path / 'v')


def test_absent_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'has no index\.json'):
        CorpusVectors(tmp_path)
    stored(tmp_path / 'v', 'binary')
    (tmp_path / 'v' / 'codes.bin').unlink()
    with pytest.raises(FileNotFoundError, match=r'codes\.bin: no such file'):
        CorpusVectors(tmp_path / 'v')


@pytest.mark.parametrize(
    'call, message',
    [
        (lambda v: v.append(VECTORS[:, :5]), r'vectors of 72 units, got shape \(900, 5\)'),
        (lambda v: v.append(np.full((2, 72), np.nan)), 'vector 0 to add has a number that is not'),
        (
            lambda v: v.search(QUERIES[:, :5]),
            r'queries of shape \(9, 5\): expected \(queries, 72\)',
        ),
        (lambda v: v.search(QUERIES, k=0), 'k=0, rescore=10: expected 1 or more'),
        (lambda v: v.search(QUERIES, rescore=0), 'rescore=0'),
        (lambda v: CorpusVectors.create(v.folder.parent / 'x', 3, 'half'), 'half'),
        (lambda v: CorpusVectors.create(v.folder.parent / 'x', 0), 'units=0'),
        (lambda v: CorpusVectors.create(v.folder.parent / 'x', 3, similarity='l2'), 'l2'),
    ],
)
def test_bad_calls(tmp_path, call, message):
    vectors = stored(tmp_path / 'v')
    with pytest.raises(ValueError, match=message):
        call(vectors)
    assert len(CorpusVectors(tmp_path / 'v')) == 900


def test_numbers_beyond_float16_are_refused(tmp_path):
    vectors = CorpusVectors.create(tmp_path / 'v', 2, 'float16', 'dot')
    with pytest.raises(ValueError, match='above 65504'):
        vectors.append(np.array([[1.0, 7e4]]))
    assert len(CorpusVectors(tmp_path / 'v')) == 0


@pytest.mark.parametrize('similarity', ['cosine', 'dot', 'euclidean'])
def test_blocks_find_the_same(monkeypatch, backend, similarity):
    whole = similarity_search(QUERIES, VECTORS, 12, similarity)
    monkeypatch.setattr('gluon_bert.inference.search._BLOCK', 101)
    for left, right in zip(similarity_search(QUERIES, VECTORS, 12, similarity), whole):
        np.testing.assert_allclose(left, right, rtol=1e-5)
    if similarity != 'euclidean':
        assert np.array_equal(whole[0], exact(similarity, 12)[0])
    twice = np.concatenate([VECTORS[:60]] * 4)
    indices, _ = similarity_search(VECTORS[:1], twice, 4, similarity)
    assert indices.tolist() == [[0, 60, 120, 180]]  # of equals, the first comes first
