"""Texts to features, features to batches."""

import random

import numpy as np
import pytest
from gluonnlp.data import count_tokens
from gluonnlp.vocab import BERTVocab

from gluon_bert.data import (
    BERTSentenceTransform,
    BertTokenizer,
    BytePairTokenizer,
    Features,
    SentenceTransform,
    bucketed_batches,
    pad_batch,
    read_vocab,
    sequential_batches,
    truncated_lengths,
)

LETTERS = 'abcdefghij'


@pytest.fixture(scope='module')
def tokenizer():
    return BertTokenizer(BERTVocab(count_tokens(LETTERS)))


@pytest.fixture(scope='module')
def byte_pair():
    """A token a letter, with or without the space before it."""
    tokens = [
        '<s>',
        '<pad>',
        '</s>',
        '<unk>',
        '<mask>',
        'Ġ',
        *LETTERS,
        *(f'Ġ{letter}' for letter in LETTERS),
    ]
    vocab = BERTVocab(
        count_tokens(tokens),
        unknown_token='<unk>',
        padding_token='<pad>',
        cls_token='<s>',
        sep_token='</s>',
        mask_token='<mask>',
        token_to_idx={token: i for i, token in enumerate(tokens)},
    )
    return BytePairTokenizer(vocab, [('Ġ', letter) for letter in LETTERS])


def tokens_of(tokenizer, features):
    return ' '.join(tokenizer.convert_ids_to_tokens(features.inputs))


def make_features(*lengths):
    return [Features(np.arange(5, 5 + n, dtype='int32'), np.ones(n, 'int32'), n) for n in lengths]


# SentenceTransform


@pytest.mark.parametrize(
    ('texts', 'max_length', 'tokens', 'token_types'),
    [
        (('a b',), 8, '[CLS] a b [SEP]', [0, 0, 0, 0]),
        (('',), 8, '[CLS] [SEP]', [0, 0]),
        (('a b c d',), 6, '[CLS] a b c d [SEP]', [0] * 6),
        (('a b c d',), 5, '[CLS] a b c [SEP]', [0] * 5),
        (('a b c d',), 3, '[CLS] a [SEP]', [0] * 3),
        (('a b', 'c'), 8, '[CLS] a b [SEP] c [SEP]', [0, 0, 0, 0, 1, 1]),
        (('a b', None), 8, '[CLS] a b [SEP]', [0] * 4),
        (('a b', ''), 8, '[CLS] a b [SEP]', [0] * 4),
        (('', 'a'), 8, '[CLS] [SEP] a [SEP]', [0, 0, 1, 1]),
        (('a b c', 'd e f'), 9, '[CLS] a b c [SEP] d e f [SEP]', [0] * 5 + [1] * 4),
        (('a b c', 'd e f'), 8, '[CLS] a b c [SEP] d e [SEP]', [0] * 5 + [1] * 3),
        (('a b c', 'd e f'), 7, '[CLS] a b [SEP] d e [SEP]', [0] * 4 + [1] * 3),
        (('a b c d e', 'f'), 7, '[CLS] a b c [SEP] f [SEP]', [0] * 5 + [1] * 2),
        (('a', 'b c d e f'), 7, '[CLS] a [SEP] b c d [SEP]', [0] * 3 + [1] * 4),
        (('a b c', 'd e f'), 5, '[CLS] a [SEP] d [SEP]', [0] * 3 + [1] * 2),
    ],
)
def test_sequence_is_joined_and_cut_exactly(tokenizer, texts, max_length, tokens, token_types):
    features = SentenceTransform(tokenizer, max_length)(*texts)
    assert tokens_of(tokenizer, features) == tokens
    assert features.token_types.tolist() == token_types
    assert features.valid_length == len(token_types) <= max_length


def test_features_are_int32_arrays(tokenizer):
    features = SentenceTransform(tokenizer, 8)('a', 'b')
    assert features.inputs.dtype == features.token_types.dtype == np.int32
    assert features.inputs.shape == features.token_types.shape == (features.valid_length,)
    assert type(features.valid_length) is int


@pytest.mark.parametrize('max_length', [2, 0, -1])
def test_too_small_a_length_is_refused(tokenizer, max_length):
    with pytest.raises(ValueError, match=f'max_length must be 3 or more.*got {max_length}'):
        SentenceTransform(tokenizer, max_length)


def test_too_small_a_length_for_a_pair_is_refused(tokenizer):
    transform = SentenceTransform(tokenizer, 4)
    with pytest.raises(ValueError, match=r'max_length must be 5 or more for pairs.*got 4'):
        transform('a', 'b')
    with pytest.raises(ValueError, match=r'max_length must be 5 or more for pairs.*got 4'):
        transform.transform_batch(['a'], ['b'])


def test_truncation_takes_tokens_one_by_one_from_the_longer_text():
    def one_by_one(first, second, room):
        while first + second > room:
            if first > second:
                first -= 1
            else:
                second -= 1
        return first, second

    cases = [
        (first, second, room)
        for first in range(12)
        for second in range(12)
        for room in range(2, 25)
    ]
    assert {case: truncated_lengths(*case) for case in cases} == {
        case: one_by_one(*case) for case in cases
    }


@pytest.mark.parametrize('has_pairs', [False, True])
def test_batch_is_the_same_as_one_by_one(tokenizer, has_pairs):
    rng = random.Random(0)
    texts = [' '.join(rng.choices(LETTERS, k=rng.randrange(12))) for _ in range(2500)]
    pairs = [*texts[1:], None] if has_pairs else None
    transform = SentenceTransform(tokenizer, 10)
    done = []
    features, num_truncated = transform.transform_batch(texts, pairs, progress=done.append)
    single = [transform(*row) for row in (zip(texts, pairs) if has_pairs else zip(texts))]
    assert [row.inputs.tolist() for row in features] == [row.inputs.tolist() for row in single]
    assert [row.token_types.tolist() for row in features] == [
        row.token_types.tolist() for row in single
    ]
    assert sum(done) == len(features) == 2500
    assert num_truncated == sum(
        len(text.split()) + (len(pair.split()) + bool(pair) if pair else 0) + 2 > 10
        for text, pair in zip(texts, pairs or [None] * 2500)
    )


def test_batch_of_nothing_is_empty(tokenizer):
    assert SentenceTransform(tokenizer, 8).transform_batch([]) == ([], 0)


def test_pairs_of_another_number_are_refused(tokenizer):
    with pytest.raises(ValueError, match='pairs must be as many as texts, got 1 and 2'):
        SentenceTransform(tokenizer, 8).transform_batch(['a', 'b'], ['c'])


@pytest.mark.parametrize('arguments', [(b'a',), ('a', 3), (None,)])
def test_text_that_is_no_str_is_refused(tokenizer, arguments):
    with pytest.raises(TypeError, match=f'{"pair" if arguments[1:] else "text"} must be str'):
        SentenceTransform(tokenizer, 8)(*arguments)


@pytest.mark.parametrize('max_length', [3, 8, 16])
def test_gluonnlp_transform_of_our_tokenizer_gives_the_same_text_features(tokenizer, max_length):
    theirs = BERTSentenceTransform(tokenizer, max_length, pad=False, pair=False)
    ids, valid_length, token_types = theirs(('a b c d e f g h',))
    mine = SentenceTransform(tokenizer, max_length)('a b c d e f g h')
    assert mine.inputs.tolist() == ids.tolist()
    assert mine.token_types.tolist() == token_types.tolist()
    assert mine.valid_length == valid_length


@pytest.mark.parametrize(
    ('texts', 'max_length', 'tokens'),
    [
        (('ab',), 8, '<s> a b </s>'),
        (('abcd',), 3, '<s> a </s>'),
        (('ab', 'c'), 8, '<s> a b </s> </s> c </s>'),
        (('', 'c'), 8, '<s> </s> </s> c </s>'),
        (('abc', 'def'), 9, '<s> a b c </s> </s> d e </s>'),
        (('abc', 'def'), 8, '<s> a b </s> </s> d e </s>'),
        (('abcde', 'f'), 8, '<s> a b c </s> </s> f </s>'),
        (('abc', 'def'), 6, '<s> a </s> </s> d </s>'),
        (('ab', ''), 6, '<s> a b </s>'),
    ],
)
def test_pairs_of_roberta_have_two_separators_and_no_token_types(
    byte_pair, texts, max_length, tokens
):
    features = SentenceTransform(byte_pair, max_length)(*texts)
    assert tokens_of(byte_pair, features) == tokens
    assert features.token_types.tolist() == [0] * features.valid_length


def test_too_small_a_length_for_a_pair_of_roberta_is_refused(byte_pair):
    with pytest.raises(ValueError, match=r'must be 6 or more for pairs, .* 3 times .* got 5'):
        SentenceTransform(byte_pair, 5)('a', 'b')


def test_pairs_of_roberta_are_those_of_transformers(byte_pair, tmp_path):
    transformers = pytest.importorskip('transformers')
    byte_pair.save(tmp_path)
    theirs = transformers.RobertaTokenizerFast.from_pretrained(tmp_path)
    rng = random.Random(0)
    for _ in range(300):
        text, pair = (' '.join(rng.choices(LETTERS, k=rng.randrange(1, 12))) for _ in range(2))
        max_length = rng.randrange(6, 24)
        mine = SentenceTransform(byte_pair, max_length)(text, pair).inputs.tolist()
        expected = theirs(text, pair, truncation='longest_first', max_length=max_length)
        expected = expected['input_ids']
        kept, kept_pair = mine.index(2) - 1, len(mine) - mine.index(2) - 3
        assert len(mine) == len(expected) <= max_length
        if kept == kept_pair + 1 and len(byte_pair(text)) <= len(byte_pair(pair)):
            # The odd token of two cut texts is the first one's, as in Google's code; there it is
            # that of the longer text, or the second.
            assert expected.index(2) - 1 == kept_pair
        else:
            assert mine == expected


def test_token_types_go_with_the_network(tokenizer):
    without = BertTokenizer(tokenizer.vocab, uses_token_types=False)
    features = SentenceTransform(without, 8)('a', 'b')
    assert features.token_types.tolist() == [0] * 5
    assert features.inputs.tolist() == SentenceTransform(tokenizer, 8)('a', 'b').inputs.tolist()


@pytest.mark.data
@pytest.mark.parametrize('max_length', [16, 48, 128])
def test_gluonnlp_transform_of_our_tokenizer_gives_the_same_pair_features(shared_data, max_length):
    tokenizer = BertTokenizer(read_vocab(shared_data / 'vocab/uncased_english/vocab.txt'))
    theirs = BERTSentenceTransform(tokenizer, max_length, pad=False, pair=True)
    lines = (shared_data / 'glue_data/RTE/dev.tsv').read_text(encoding='utf-8').split('\n')[1:-1]
    rows = [line.split('\t')[1:3] for line in lines]
    features, _ = SentenceTransform(tokenizer, max_length).transform_batch(*zip(*rows))
    for mine, row in zip(features, rows):
        ids, _, token_types = theirs(row)
        assert mine.inputs.tolist() == ids.tolist()
        assert mine.token_types.tolist() == token_types.tolist()


# pad_batch


def test_batch_is_padded_to_its_longest_sequence():
    inputs, token_types, valid_length = pad_batch(make_features(2, 4), pad_id=1)
    assert inputs.tolist() == [[5, 6, 1, 1], [5, 6, 7, 8]]
    assert token_types.tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]
    assert valid_length.tolist() == [2, 4]
    assert {array.dtype for array in (inputs, token_types, valid_length)} == {np.dtype('int32')}


@pytest.mark.parametrize(
    ('longest', 'round_to', 'max_length', 'width'),
    [
        (5, None, None, 5),
        (5, 8, None, 8),
        (8, 8, None, 8),
        (9, 8, None, 16),
        (9, 8, 12, 12),
        (9, 8, 64, 16),
        (5, None, 64, 5),
        (12, 8, 12, 12),
        (1, 1, None, 1),
    ],
)
def test_width_is_rounded_up_but_not_above_the_limit(longest, round_to, max_length, width):
    inputs, _, _ = pad_batch(make_features(1, longest), 0, round_to, max_length)
    assert inputs.shape == (2, width)


@pytest.mark.parametrize(
    ('lengths', 'options', 'message'),
    [
        ([], {}, 'features must hold one sequence or more'),
        ([9], {'max_length': 8}, 'a sequence of 9 tokens, max_length is 8'),
        ([9], {'round_to': 0}, 'round_to must be 1 or more, got 0'),
    ],
)
def test_batch_that_cannot_be_padded_is_refused(lengths, options, message):
    with pytest.raises(ValueError, match=message):
        pad_batch(make_features(*lengths), 0, **options)


# Batches


@pytest.fixture(scope='module')
def lengths():
    return np.random.RandomState(0).randint(3, 129, 1003)


def tuples(batches):
    return [tuple(batch.tolist()) for batch in batches]


@pytest.mark.parametrize('num_chunk_batches', [1, 5, 50, 1000])
@pytest.mark.parametrize('batch_size', [1, 7, 32, 2000])
def test_bucketed_batches_hold_every_index_once(lengths, batch_size, num_chunk_batches):
    batches = bucketed_batches(lengths, batch_size, 3, 0, num_chunk_batches=num_chunk_batches)
    assert sorted(np.concatenate(batches)) == list(range(1003))
    short = [len(batch) for batch in batches if len(batch) != batch_size]
    assert short == ([1003 % batch_size] if 1003 % batch_size else [])


def test_bucketed_batches_depend_on_their_arguments_alone(lengths):
    np.random.seed(1)
    state = np.random.get_state()[1].tolist()
    first = tuples(bucketed_batches(lengths, 32, seed=5, epoch=2))
    assert np.random.get_state()[1].tolist() == state
    np.random.seed(2)
    assert tuples(bucketed_batches(lengths.tolist(), 32, seed=5, epoch=2)) == first


def test_every_seed_and_epoch_has_its_own_order(lengths):
    orders = {
        tuple(tuples(bucketed_batches(lengths, 32, seed, epoch)))
        for seed in range(4)
        for epoch in range(4)
    }
    assert len(orders) == 16


def test_bucketed_batches_need_less_padding_than_shuffled_ones(lengths):
    def fill(batches):
        return lengths.sum() / sum(len(batch) * lengths[batch].max() for batch in batches)

    shuffled = bucketed_batches(lengths, 32, 0, 0, num_chunk_batches=1)
    assert fill(bucketed_batches(lengths, 32, 0, 0)) > 0.9
    assert fill(shuffled) < 0.6


def test_bucketed_batches_do_not_come_in_the_order_of_length(lengths):
    longest = [lengths[batch].max() for batch in bucketed_batches(lengths, 32, 0, 0)]
    assert longest not in (sorted(longest), sorted(longest, reverse=True))


def test_sequential_batches_are_sorted_and_hold_every_index_once(lengths):
    batches = sequential_batches(lengths, 32)
    order = np.concatenate(batches)
    assert sorted(order) == list(range(1003))
    assert [len(batch) for batch in batches] == [32] * 31 + [11]
    assert (np.diff(lengths[order]) <= 0).all()
    assert tuples(sequential_batches(lengths, 32)) == tuples(batches)


def test_no_sequences_give_no_batches():
    assert bucketed_batches([], 4, 0, 0) == []
    assert sequential_batches([], 4) == []


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'batch_size': 0}, 'batch_size must be 1 or more, got 0'),
        ({'num_chunk_batches': 0}, 'num_chunk_batches must be 1 or more, got 0'),
        ({'seed': -1}, 'seed and epoch must be 0 or more, got -1 and 0'),
        ({'epoch': -1}, 'seed and epoch must be 0 or more, got 0 and -1'),
    ],
)
def test_bad_argument_of_bucketed_batches_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        bucketed_batches([1, 2], **{'batch_size': 2, 'seed': 0, 'epoch': 0, **arguments})


def test_bad_batch_size_of_sequential_batches_is_refused():
    with pytest.raises(ValueError, match='batch_size must be 1 or more, got 0'):
        sequential_batches([1], 0)
