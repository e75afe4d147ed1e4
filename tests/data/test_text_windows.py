"""Windows of long texts: every token is read, and their outputs are joined."""

import numpy as np
import pytest
from script_runs import tokenizer  # noqa: F401 (a fixture)

from gluon_bert.data import SentenceTransform
from gluon_bert.data.windows import NoRoomError, WindowTransform, join_scores

LONG = 'the cat sleeps here , a dog barks loud ! sun moon . here the cat sun'


def tokens(tokenizer, window):  # noqa: F811
    return tokenizer.convert_ids_to_tokens(window.inputs)


def test_windows_overlap_and_lose_nothing(tokenizer):  # noqa: F811
    words = LONG.split()
    transform = WindowTransform(tokenizer, 8, stride=4)
    features, counts = transform.windows([LONG, 'the cat', ''])
    assert counts.tolist() == [4, 1, 1]
    for number, window in enumerate(features[:4]):
        part = words[4 * number : 4 * number + 6]
        assert tokens(tokenizer, window) == ['[CLS]', *part, '[SEP]']
        assert window.valid_length == len(part) + 2 and not window.token_types.any()
    # A text that fits is read as without windows.
    plain, _ = SentenceTransform(tokenizer, 8).transform_batch(['the cat', ''])
    for window, feature in zip(features[4:], plain):
        np.testing.assert_array_equal(window.inputs, feature.inputs)


def test_of_a_pair_the_second_text_has_windows(tokenizer):  # noqa: F811
    transform = WindowTransform(tokenizer, 9, stride=3)
    features, counts = transform.windows(['the cat', 'a dog', LONG], [LONG, 'sun', None])
    assert counts[1] == 1
    words = LONG.split()
    for number in range(counts[0]):
        part = words[3 * number : 3 * number + 4]
        expected = ['[CLS]', 'the', 'cat', '[SEP]', *part, '[SEP]']
        assert tokens(tokenizer, features[number]) == expected
        assert features[number].token_types.tolist() == [0] * 4 + [1] * (len(part) + 1)
    assert part[-1] == words[-1]
    with pytest.raises(NoRoomError, match='pair 1: the first text has 7 tokens and leaves no room'):
        transform.windows(['a', 'the cat the cat the cat sun'], ['a', 'b'])


@pytest.mark.parametrize('stride', [0, 6, 100, 2.0])
def test_windows_that_do_not_overlap_are_refused(tokenizer, stride):  # noqa: F811
    with pytest.raises(ValueError, match='expected 1 to 5, less than the 6 tokens of a window'):
        WindowTransform(tokenizer, 8, stride)


@pytest.mark.parametrize('how', ['mean', 'max'])
def test_outputs_are_joined_by_text(how, seed):
    rng = np.random.RandomState(seed)
    counts = rng.randint(1, 5, 7)
    outputs = rng.normal(size=(counts.sum(), 3)).astype('float32')
    parts = np.split(outputs, np.cumsum(counts)[:-1])
    expected = np.stack([getattr(part, how)(axis=0) for part in parts])
    joined = join_scores(outputs, counts, how)
    assert joined.dtype == outputs.dtype
    np.testing.assert_allclose(joined, expected, rtol=1e-5, atol=1e-6)
