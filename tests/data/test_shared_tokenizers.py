# ruff: noqa: F811 (fixtures are imported)
"""Tokenizers of all families that several threads use at once, and their copies."""

from sharing import CALLS, THREADS, copied, in_threads  # noqa: F401 (fixtures)
from test_tokenizer_families import (  # noqa: F401 (fixtures)
    AWKWARD,
    TEXT,
    any_tokenizer,
    byte_pair,
    byte_pair_folder,
    spiece,
)

from gluon_bert.data import SentenceTransform

TEXTS = [*TEXT, *AWKWARD]


def test_threads_get_the_tokens_of_single_calls(any_tokenizer):
    expected = [any_tokenizer.encode(text) for text in TEXTS]
    ids = any_tokenizer.encode_ids(TEXTS)

    def run(number):
        order = [(number + i) % len(TEXTS) for i in range(CALLS)]
        wrong = [i for i in order if any_tokenizer.encode(TEXTS[i]) != expected[i]]
        return wrong or any_tokenizer.encode_ids(TEXTS) != ids

    assert in_threads(run) == [False] * THREADS


def test_threads_share_a_transform(any_tokenizer, copied):
    transform = SentenceTransform(any_tokenizer, 12)
    expected = str(transform.transform_batch(TEXTS, TEXTS[::-1]))

    def run(number):
        return str(transform.transform_batch(TEXTS, TEXTS[::-1])) == expected

    assert in_threads(run) == [True] * THREADS
    assert str(copied(transform).transform_batch(TEXTS, TEXTS[::-1])) == expected
