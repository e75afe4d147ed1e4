"""Which tokens are masked, and by what."""

import collections
import random

import numpy as np
import pytest

from gluon_bert.data import BertTokenizer
from gluon_bert.data.pretraining.masking import STRATEGIES, Masker, Masking, make_record
from gluon_bert.data.tokenizers.vocabulary import Vocabulary

ROLES = {
    'unknown_token': '[UNK]',
    'padding_token': '[PAD]',
    'cls_token': '[CLS]',
    'sep_token': '[SEP]',
    'mask_token': '[MASK]',
}
TOKENS = [*ROLES.values(), *'abcdefgh', '##x', '##y', *'中国人民大学']
CLS, SEP, MASK = (TOKENS.index(token) for token in ('[CLS]', '[SEP]', '[MASK]'))


def tokenizer(roles=ROLES):
    return BertTokenizer(Vocabulary(TOKENS, roles))


def masker(strategy='tokens', prob=0.15, most=20, words=()):
    return Masker(tokenizer(), Masking(strategy, prob, most), words)


def ids_of(text):
    return [TOKENS.index(token) for token in text.split()]


def sequence(length, seed=0):
    rng = random.Random(seed)
    words = [rng.choice('abcdefgh') + rng.choice(['', ' ##x', ' ##x ##y']) for _ in range(length)]
    ids = ids_of(' '.join(words))
    middle = next(n for n in range(len(ids) // 2, len(ids)) if ids[n] < TOKENS.index('##x'))
    return [CLS, *ids[:middle], SEP, *ids[middle:], SEP]


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_masked_positions_say_what_was_there(strategy):
    made, token_ids = masker(strategy), sequence(60)
    for seed in range(50):
        result, positions, ids = made.mask(token_ids, random.Random(seed))
        assert positions == sorted({*positions}) and ids == [token_ids[n] for n in positions]
        assert len(positions) <= round(0.15 * len(token_ids))
        changed = [n for n, pair in enumerate(zip(token_ids, result)) if pair[0] != pair[1]]
        assert {*changed} <= {*positions}
        assert not {token_ids[n] for n in positions} & {CLS, SEP}
    assert made.mask(token_ids, random.Random(3)) == made.mask(token_ids, random.Random(3))


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_four_of_five_become_the_mask_token(strategy):
    made, counts = masker(strategy, most=200), collections.Counter()
    for seed in range(300):
        token_ids = sequence(100, seed)
        result, positions, ids = made.mask(token_ids, random.Random(seed))
        for position, was in zip(positions, ids):
            now = result[position]
            counts['mask' if now == MASK else 'same' if now == was else 'other'] += 1
    total = sum(counts.values())
    assert total > 7000
    for kind, share in (('mask', 0.8 + 0.1 / 21), ('same', 0.1), ('other', 0.1)):
        assert counts[kind] / total == pytest.approx(share, abs=0.03)


def test_all_pieces_of_a_word_are_masked_together():
    made, token_ids = masker('whole_words'), sequence(60)
    groups = [{*group} for group in made.candidates(token_ids)]
    assert max(map(len, groups)) == 3
    for seed in range(50):
        positions = {*made.mask(token_ids, random.Random(seed))[1]}
        assert positions
        for group in groups:
            assert group <= positions or not group & positions


def test_a_piece_after_the_separator_belongs_to_the_word_before_it():
    token_ids = [CLS, *ids_of('a ##x'), SEP, *ids_of('##y b'), SEP]
    assert masker('whole_words').candidates(token_ids) == [[1, 2, 4], [5]]
    assert masker('tokens').candidates(token_ids) == [[1], [2], [4], [5]]


def test_chinese_words_of_a_list():
    made = masker('whole_words', words=['中国', '中国人民', '大学', '人', 'b国'])
    text = '中 国 人 民 大 学 中 国 人 大 b 国 ##x'
    assert made.candidates([CLS, *ids_of(text), SEP]) == [
        [1, 2, 3, 4], [5, 6], [7, 8], [9], [10], [11, 12, 13]
    ]  # fmt: skip
    with pytest.raises(ValueError, match='words are masked as a whole'):
        masker('tokens', words=['中国'])


def test_spans_are_runs_of_words_with_geometric_lengths():
    made = masker('spans', prob=0.15, most=1000)
    token_ids = [CLS, *[5] * 2000, SEP]
    lengths = collections.Counter()
    for seed in range(20):
        positions = made.mask(token_ids, random.Random(seed))[1]
        assert len(positions) == 300
        runs = np.split(positions, np.flatnonzero(np.diff(positions) > 1) + 1)
        lengths.update(map(len, runs))
    # Joshi et al. (2020): lengths have the mean 3.8; neighbouring runs join here.
    mean = sum(length * count for length, count in lengths.items()) / sum(lengths.values())
    assert 3.8 < mean < 5
    assert lengths[1] > lengths[3] > lengths[6]


def test_spans_end_at_separators_and_have_one_kind_of_replacement():
    made = masker('spans', prob=0.5, most=100)
    token_ids = [CLS, *[5] * 8, SEP, *[5] * 8, SEP]
    kinds = collections.Counter()
    for seed in range(200):
        result, positions, _ = made.mask(token_ids, random.Random(seed))
        assert not {0, 9, 18} & {*positions}
        run = result[positions[0] : positions[0] + 1]
        kinds[run[0] == MASK] += 1
    assert kinds[True] > kinds[False] > 0


def test_the_number_of_masked_tokens():
    token_ids = [CLS, *[5] * 98, SEP]
    for prob, most, expected in ((0.15, 20, 15), (0.15, 7, 7), (0, 20, 1), (0.125, 20, 12)):
        for strategy in STRATEGIES:
            made = masker(strategy, prob, most)
            assert len(made.mask(token_ids, random.Random(1))[1]) == expected
    assert masker().mask([CLS, SEP], random.Random(0)) == ([CLS, SEP], [], [])
    assert masker('spans').mask([CLS, SEP], random.Random(0)) == ([CLS, SEP], [], [])


def test_masks_anew_by_seed_epoch_and_record():
    made, token_ids = masker(), sequence(60)
    masked, positions, ids = made.mask(token_ids, random.Random(0))
    record = make_record(masked, [0] * len(masked), positions, ids, 1)
    places = set()
    for key in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)):
        again = made.mask_again(record, *key)
        restored = again.token_ids.copy()
        restored[again.masked_positions] = again.masked_ids
        assert restored.tolist() == token_ids and again.next_sentence == 1
        assert again.token_ids.tolist() == made.mask_again(record, *key).token_ids.tolist()
        places.add(tuple(again.masked_positions))
    assert len(places) == 4


def test_wrong_settings_are_refused():
    roles = {role: token for role, token in ROLES.items() if role != 'mask_token'}
    with pytest.raises(ValueError, match='no mask token'):
        Masker(tokenizer(roles))
    with pytest.raises(ValueError, match="did you mean 'spans'"):
        Masking('span')
    with pytest.raises(ValueError, match='masked_lm_prob'):
        Masking(masked_lm_prob=15)
    with pytest.raises(ValueError, match='max_predictions'):
        Masking(max_predictions=0)
