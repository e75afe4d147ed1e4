"""Learned vocabularies: against a plain learner, in every run, and in foreign readers."""

import json
import os
import random
import subprocess
import sys
from collections import Counter

import gluonnlp
import pytest

from gluon_bert.data import learn_sentencepiece, learn_wordpiece, read_tokenizer
from gluon_bert.data.tokenizers import learning, sentencepiece_learning

TEXTS = [
    'The lower the newer: widest lowest newest Wednesdays.',
    'Crème brûlée, naïve café; low lower lowest new newer wide wider widest!',
    "我们去北京看故宫 and the 2024 show at 9:45, don't you?",
    'Zoë and Straße are ﬁne words in an uncommon ẞpelling\u2028of lowness',
    'tabs\tand\u3000wide spaces\u00a0here \x1cnot\x1dhere, \u0301accents e\u0301 first',
] * 3
HELD_OUT = [
    'The widest cafés of Beijing 北京 are lower, newer…',
    'unseen žlutý kůň [MASK] and [E1] 🎉 low\x00er spaces\u00a0of\u200bnewness!',
    "Wednesday's show: 9:45-2024 (ẞ) NEWEST lowest",
]
KINDS = {'wordpiece': learn_wordpiece, 'sentencepiece': learn_sentencepiece}
# With both kinds, in a process of its own.
PROGRAM = """
import hashlib, sys
from gluon_bert.data import learn_sentencepiece, learn_wordpiece
texts = sys.stdin.read().split('\\n')
for learn, options in ((learn_wordpiece, {}), (learn_sentencepiece, {'max_characters': 20000})):
    contents = learn(texts, 600, **options).contents()
    print({name: hashlib.sha256(content).hexdigest() for name, content in contents.items()})
"""


@pytest.fixture
def pieces():
    pytest.importorskip('sentencepiece', reason='needs sentencepiece')


def join_pairs(words, start, size, min_frequency):
    """Learn by byte-pair encoding: the plainest form, in which every step counts all pairs."""
    tokens = list(start)
    ids = {token: number for number, token in enumerate(tokens)}
    split = {word: [word[0], *(f'##{letter}' for letter in word[1:])] for word in words}
    while len(tokens) < size:
        pairs = Counter()
        for word, count in words.items():
            for pair in zip(split[word], split[word][1:]):
                pairs[pair] += count
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], ids[pair[0]], ids[pair[1]]))
        if pairs[best] < min_frequency:
            break
        joined = best[0] + best[1].removeprefix('##')
        if joined not in ids:
            ids[joined] = len(tokens)
            tokens.append(joined)
        for word, parts in split.items():
            done = []
            for part in parts:
                if done and (done[-1], part) == best:
                    done[-1] = joined
                else:
                    done.append(part)
            split[word] = done
    return tokens


@pytest.mark.parametrize('size, min_frequency', [(120, 2), (150, 1), (1000, 4)])
@pytest.mark.parametrize('lower', [True, False])
def test_tokens_are_those_of_a_plain_learner(size, min_frequency, lower):
    tokenizer = learn_wordpiece(TEXTS, size, lower=lower, min_frequency=min_frequency)
    words = Counter(word for text in TEXTS for word in tokenizer.words(text))
    letters = sorted(set(''.join(words)))
    inner = sorted({f'##{letter}' for word in words for letter in word[1:]})
    start = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', *letters, *inner]
    tokens = tokenizer.vocabulary.idx_to_token
    assert tokens == join_pairs(words, start, size, min_frequency)
    assert len(tokens) > len(start) + 9 and ('Crème' in words) is not lower
    assert all('[UNK]' not in tokenizer(text) for text in TEXTS)


def test_words_are_counted_as_the_tokenizer_splits_the_text(monkeypatch):
    tokenizer = learn_wordpiece(TEXTS, 120)
    odd = [*TEXTS, *HELD_OUT, ' a  b ', 'e \u0301\u0316x', '', 'x' * 300]
    expected = Counter(word for text in odd for word in tokenizer.words(text) if len(word) < 201)
    assert learning._count_words(odd, tokenizer) == expected
    monkeypatch.setattr(learning, '_PART', 20)
    assert learning._count_words(odd, tokenizer) == expected


def test_every_run_gives_the_same_files(pieces, data_corpus):
    results = set()
    for threads in (1, 2) * 3:
        environment = {**os.environ, 'RAYON_NUM_THREADS': str(threads)}
        environment['TOKENIZERS_PARALLELISM'] = 'true'
        done = subprocess.run(
            [sys.executable, '-c', PROGRAM],
            input=data_corpus,
            env=environment,
            capture_output=True,
            encoding='utf-8',
        )
        assert done.returncode == 0, done.stderr
        results.add(done.stdout)
    assert len(results) == 1 and 'vocab.txt' in done.stdout and 'spiece.model' in done.stdout


@pytest.fixture
def data_corpus():
    """Texts of a thousand lines, whose words are often equally frequent."""
    syllables = 'ba be bi do du fa go ka le mi no pu ra si to'.split()
    generator = random.Random(0)
    words = [''.join(generator.choices(syllables, k=1 + n % 3)) for n in range(8000)]
    return '\n'.join(' '.join(words[place : place + 8]) for place in range(0, 8000, 8))


def test_ids_are_in_googles_order():
    tokens = learn_wordpiece(TEXTS, 220, num_unused=99, extra_tokens=['[E1]']).vocabulary
    special = ['[PAD]', '[unused0]', '[unused98]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', '[E1]', '!']
    assert tokens[special] == [0, 1, 99, 100, 101, 102, 103, 104, 105]
    assert len(tokens) == 220


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('lower', [True, False])
def test_transformers_reads_the_same_ids(kind, lower, tmp_path, request):
    transformers = pytest.importorskip('transformers', reason='a foreign reader')
    if kind == 'sentencepiece':
        request.getfixturevalue('pieces')
    ours = KINDS[kind](TEXTS, 200, lower=lower, extra_tokens=['[E1]'], num_unused=3)
    ours.save(tmp_path)
    again = read_tokenizer(tmp_path)
    assert again.is_like(ours)
    expected = [encoded.ids for encoded in ours.encode_batch(HELD_OUT)]
    assert [encoded.ids for encoded in again.encode_batch(HELD_OUT)] == expected
    tokens = ours.vocabulary.idx_to_token
    theirs = {'wordpiece': 'BertTokenizer BertTokenizerFast', 'sentencepiece': 'AlbertTokenizer'}
    for name in (*theirs[kind].split(), 'AutoTokenizer'):
        theirs = getattr(transformers, name).from_pretrained(tmp_path)
        for text, ids in zip(HELD_OUT, expected):
            assert theirs(text, add_special_tokens=False)['input_ids'] == ids, (name, text)
            assert theirs.convert_ids_to_tokens(ids) == [tokens[number] for number in ids]
        assert theirs.mask_token_id == ours.vocabulary['[MASK]']


@pytest.mark.parametrize(
    'lower, held_out',
    [
        (True, [*TEXTS, HELD_OUT[0], HELD_OUT[2]]),
        (False, [TEXTS[0], TEXTS[2], HELD_OUT[2]]),  # GluonNLP removes accents in any case
    ],
)
def test_gluonnlp_reads_the_same_ids(lower, held_out):
    ours = learn_wordpiece(TEXTS, 200, lower=lower, num_unused=3)
    vocab = gluonnlp.vocab.BERTVocab.from_json(ours.vocabulary.to_json())
    theirs = gluonnlp.data.BERTTokenizer(vocab, lower=lower)
    for text in held_out:
        tokens = theirs(text)
        assert tokens == ours(text)
        assert theirs.convert_tokens_to_ids(tokens) == ours.encode(text).ids


def test_special_tokens_in_the_texts_are_not_learned_from(pieces):
    texts = ['[E1]low[MASK]lower[E1] lowest', 'low lower lowest <pad>'] * 5
    for learn in KINDS.values():
        with_token = learn(texts, 28, extra_tokens=['[E1]'])
        assert {'low', '▁low'} & set(with_token('low')) and '[E1]' in with_token('a[E1]')
        assert not set('[]1') & set(with_token.vocabulary.idx_to_token)


def test_rare_characters_are_left_out_with_their_words():
    texts = ['low lower lowest'] * 50 + ['lowx lowx lowx']
    tokenizer = learn_wordpiece(texts, 40, character_coverage=0.99)
    tokens = tokenizer.vocabulary.idx_to_token
    assert not any('x' in token for token in tokens)
    assert tokenizer('lowx low') == ['[UNK]', 'low']
    assert 'lowx' in learn_wordpiece(texts, 40)('lowx')


def test_chinese_is_split_unless_asked_otherwise():
    texts = ['北京北京北京', '北京 abc'] * 4
    assert '北京' not in learn_wordpiece(texts, 30).vocabulary.idx_to_token
    assert learn_wordpiece(texts, 30, split_chinese=False)('北京') == ['北京']


def test_counts_beyond_the_library_are_divided(monkeypatch, caplog):
    texts = ['low lower lowest new newer newest wide wider widest'] * 2000
    tokens = learn_wordpiece(texts, 60).vocabulary.idx_to_token
    monkeypatch.setattr(learning, '_MAX_CHARACTERS', 9000)
    with caplog.at_level('INFO'):
        assert learn_wordpiece(texts, 60).vocabulary.idx_to_token == tokens
    assert 'divided by' in caplog.text


def test_fewer_tokens_than_asked_for_are_reported(pieces, caplog):
    for learn in KINDS.values():
        caplog.clear()
        size = len(learn(TEXTS, 5000).vocabulary)
        assert size < 5000
        assert [record.message for record in caplog.records] == [
            f'the texts give a vocabulary of {size} tokens, not 5000'
        ]


def test_a_sample_is_drawn_evenly_and_reported(caplog, pieces):
    texts = [f'{number:04}' for number in range(2000)]
    sample = [int(text) for text in sentencepiece_learning._sample(iter(texts), 4000)]
    assert len(set(sample)) == 1000 and caplog.messages == [
        'learned from a random 1000 of 2000 texts'
    ]
    # Of each quarter about 250; the standard deviation is 14.
    assert all(190 < count < 310 for count in Counter(number // 500 for number in sample).values())
    assert sentencepiece_learning._sample(['long' * 99], 9) == ['long' * 99]
    caplog.clear()
    learn_sentencepiece(TEXTS, 62, max_characters=500)
    assert 'learned from a random' in caplog.text


@pytest.mark.parametrize('kind', KINDS)
def test_a_size_below_the_characters_is_refused_with_the_least(kind, request):
    if kind == 'sentencepiece':
        request.getfixturevalue('pieces')
    with pytest.raises(ValueError, match='^size=9: the special tokens .* need [0-9]+; ') as caught:
        KINDS[kind](TEXTS, 9)
    least = int(str(caught.value).split(' need ')[1].split(';')[0])
    assert len(KINDS[kind](TEXTS, least).vocabulary) == least
    with pytest.raises(ValueError, match=f'need {least};'):
        KINDS[kind](TEXTS, least - 1)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize(
    'texts, options, message',
    [
        ([], {}, 'the texts have no words'),
        (['', ' \t', '[CLS]\u200b'], {}, 'the texts have no words'),
        ('abc', {}, r'pass \[text\]'),
        (['abc', b'abc'], {}, r'texts\[1\] must be str, got bytes'),
        (['abc'], {'size': 0}, 'size=0: expected'),
        (['abc'], {'size': 10**6}, 'size=1000000: expected'),
        (['abc'], {'character_coverage': 2}, 'character_coverage=2: expected'),
        (['abc'], {'num_unused': -1}, 'num_unused=-1: expected'),
        (['abc'], {'extra_tokens': ['[SEP]']}, r"extra_tokens='\[SEP\]': "),
        (['abc'], {'extra_tokens': ['a', 'a']}, "extra_tokens='a': "),
        (['abc'], {'extra_tokens': ['a b']}, "extra_tokens='a b': "),
        (['abc'], {'extra_tokens': '[E1]'}, 'extra_tokens must be a list'),
    ],
)
def test_wrong_arguments_are_refused(kind, texts, options, message, request):
    if kind == 'sentencepiece':
        request.getfixturevalue('pieces')
    with pytest.raises((TypeError, ValueError), match=message):
        KINDS[kind](texts, **{'size': 30, **options})


def test_a_coverage_that_the_library_refuses_is_refused_by_its_name(pieces):
    with pytest.raises(ValueError, match=r'^character_coverage=0.9: expected .* from 0.98 to 1'):
        learn_sentencepiece(TEXTS, 200, character_coverage=0.9)


def test_an_error_of_the_texts_is_not_lost(pieces):
    def texts():
        yield from TEXTS
        raise OSError('the disk is gone')

    for learn in KINDS.values():
        with pytest.raises(OSError, match='the disk is gone'):
            learn(texts(), 100)


def test_texts_are_all_learned_from(pieces):
    """SentencePiece by itself leaves out long texts and those with its sign for the unknown."""
    tokenizer = learn_sentencepiece(['abc ▅ def', 'xyz ' * 3000], 40, character_coverage=1)
    assert set('abcdefxyz') <= set(tokenizer.vocabulary.idx_to_token)


def test_settings_are_in_the_files(tmp_path):
    learn_wordpiece(TEXTS, 200, lower=True, strip_accents=False, split_chinese=False).save(tmp_path)
    config = json.loads((tmp_path / 'tokenizer_config.json').read_text())
    settings = ('do_lower_case', 'strip_accents', 'tokenize_chinese_chars')
    assert [config[name] for name in settings] == [True, False, False]
    assert 'crème' in read_tokenizer(tmp_path)('Crème')
