"""The best words for masks in native code, against NumPy in float64."""

import os
import subprocess
import sys

import numpy as np
import pytest
import settings

from gluon_bert import kernels
from gluon_bert._internal.numerics import softmax
from gluon_bert.kernels.top_words import best_of_scores, top_words


@pytest.fixture(autouse=True)
def loaded():
    if not kernels.is_available():
        pytest.skip('native kernels are not built: python -m gluon_bert.kernels')


def example(num_positions, units, vocab_size, seed=0):
    rng = np.random.RandomState(seed)
    arrays = (
        rng.normal(size=(num_positions, units)),
        rng.normal(scale=0.2, size=(vocab_size, units)),
        rng.normal(size=vocab_size),
    )
    return [array.astype('float32') for array in arrays]


def scores_of(hidden, weight, bias):
    return hidden.astype('float64') @ weight.T.astype('float64') + bias


SIZES = [(1, 1, 1), (1, 24, 900), (3, 7, 50), (16, 33, 257), (17, 64, 256), (1100, 5, 700)]


@pytest.mark.parametrize('size', SIZES, ids=str)
@pytest.mark.parametrize('k', [1, 5, 300, None])
def test_words_scores_and_probabilities(size, k):
    arrays, k = example(*size), min(k or size[2], size[2])
    exact = scores_of(*arrays)
    best = top_words(*arrays, k)
    order = np.sort(exact, axis=1)[:, : -k - 1 : -1]
    np.testing.assert_allclose(np.take_along_axis(exact, best.ids, 1), order, atol=3e-6)
    assert all(len({*row}) == k for row in best.ids.tolist())
    np.testing.assert_allclose(best.scores, order, atol=3e-6)
    probabilities = np.take_along_axis(softmax(exact), best.ids, 1)
    np.testing.assert_allclose(best.probabilities, probabilities, rtol=6e-6)
    for threads in (2, 3):
        assert all(map(np.array_equal, top_words(*arrays, k, num_threads=threads), best))


def test_a_position_does_not_depend_on_the_others():
    hidden, weight, bias = example(40, 24, 900)
    together = top_words(hidden, weight, bias, 9)
    for size in (1, 3, 16, 17):
        alone = top_words(hidden[5 : 5 + size], weight, bias, 9)
        assert all(np.array_equal(a, b[5 : 5 + size]) for a, b in zip(alone, together))


def test_no_position():
    hidden, weight, bias = example(1, 24, 900)
    best = top_words(hidden[:0], weight, bias, 3)
    assert [array.shape for array in best] == [(0, 3), (0, 3), (0,)]
    assert best.probabilities.shape == (0, 3)


@pytest.mark.parametrize('threads', [1, 2])
def test_of_equal_scores_the_lower_id_comes_first(threads):
    bias = np.zeros(900, 'float32')
    bias[[3, 300, 310, 700]] = 1
    arrays = np.zeros((2, 4), 'float32'), np.zeros((900, 4), 'float32'), bias
    for best in (
        top_words(*arrays, 6, num_threads=threads),
        best_of_scores(scores_of(*arrays).astype('float32'), 6),
    ):
        assert best.ids.tolist() == [[3, 300, 310, 700, 0, 1]] * 2


def test_sums_are_over_all_words_and_ids_below_the_limit():
    arrays = example(5, 24, 900)
    exact = softmax(scores_of(*arrays))
    for limit in (10, 257, 899):
        for best in (
            top_words(*arrays, 10, limit),
            best_of_scores(scores_of(*arrays).astype('float32'), 10, limit),
        ):
            order = np.argsort(-exact[:, :limit], axis=1)[:, :10]
            assert np.array_equal(best.ids, order)
            expected = np.take_along_axis(exact, order, 1)
            np.testing.assert_allclose(best.probabilities, expected, rtol=3e-6)


@pytest.mark.parametrize('value', [np.nan, -np.nan, np.inf])
def test_where_a_score_is_nan_or_infinite_probabilities_are_nan(value):
    hidden, weight, bias = example(3, 24, 900)
    hidden[1, 4] = value
    scores = scores_of(hidden, weight, bias).astype('float32')
    for best in (top_words(hidden, weight, bias, 4), best_of_scores(scores, 4)):
        assert best.ids[1].tolist() == [0, 1, 2, 3]
        assert np.isnan(best.probabilities).tolist() == [[False] * 4, [True] * 4, [False] * 4]
    bias[700] = value
    best = top_words(hidden, weight, bias, 4, num_threads=2)
    assert np.isnan(best.probabilities).all()


def test_scores_of_minus_infinity_are_no_words():
    hidden, weight, bias = example(3, 24, 900)
    bias[:600] = -np.inf
    best = top_words(hidden, weight, bias, 4)
    assert best.ids.min() >= 600
    expected = np.sort(softmax(scores_of(hidden, weight, bias)), axis=1)[:, :-5:-1]
    np.testing.assert_allclose(best.probabilities, expected, rtol=3e-6)


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda h, w, b: (h, w, b, 0), 'k=0'),
        (lambda h, w, b: (h, w, b, 901), 'k=901'),
        (lambda h, w, b: (h, w, b, 5, 4), 'k=5, num_words=4'),
        (lambda h, w, b: (h, w, b, 5, 901), 'num_words=901'),
        (lambda h, w, b: (h, w, b[:-1], 5), r'\(3, 24\), \(900, 24\) and \(899,\)'),
        (lambda h, w, b: (h[:, :-1], w, b, 5), r'\(3, 23\)'),
    ],
)
def test_arguments_out_of_range(change, message):
    with pytest.raises(ValueError, match=message):
        top_words(*change(*example(3, 24, 900)))


SCRIPT = """if True:
    import sys
    import numpy as np
    from gluon_bert import kernels
    from gluon_bert.kernels.top_words import best_of_scores, top_words

    rng = np.random.RandomState(0)
    for positions, units, words in ((1, 24, 900), (30, 40, 301), (3, 5, 9)):
        shapes = (positions, units), (words, units), words
        arrays = [rng.normal(size=shape).astype('f') for shape in shapes]
        best = top_words(*arrays, 7)
        exact = arrays[0].astype('float64') @ arrays[1].T.astype('float64') + arrays[2]
        expected = best_of_scores(exact, 7)
        assert np.array_equal(best.ids, expected.ids)
        np.testing.assert_allclose(best.probabilities, expected.probabilities, rtol=2e-5)
        assert all(map(np.array_equal, top_words(*arrays, 7, num_threads=2), best))
    sys.stdout.write(kernels.processor())
"""


@pytest.mark.parametrize('setting', settings.ALL)
def test_all_processors(setting):
    result = subprocess.run(
        [sys.executable, '-c', SCRIPT],
        capture_output=True,
        text=True,
        env={**os.environ, 'GLUON_BERT_KERNELS': setting},
    )
    assert not result.returncode, result.stderr
    assert result.stdout == 'generic' or setting != 'generic'


MEMORY = """if True:
    import resource, sys
    import numpy as np
    from gluon_bert.kernels.top_words import top_words

    def megabytes():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10

    hidden, weight, bias = np.ones((1024, 4), 'f'), np.ones((250002, 4), 'f'), np.ones(250002, 'f')
    before = megabytes()
    top_words(hidden, weight, bias, 5)
    sys.stdout.write(str(megabytes() - before))
"""


def test_scores_are_not_stored():
    # They would take 1024 MB.
    result = subprocess.run([sys.executable, '-c', MEMORY], capture_output=True, text=True)
    assert not result.returncode, result.stderr
    assert int(result.stdout) < 50
