"""Offsets: the tokens of a word together cover all of it, whatever the tokenizer removes."""

import random
import unicodedata

import numpy as np
import pytest
from test_tokenizer import AWKWARD, make_vocab
from test_tokenizer_families import TEXT, byte_pair, byte_pair_folder, spiece  # noqa: F401  (fixtures)

from gluon_bert.data import Answer, BertTokenizer, Question, SentencePieceTokenizer, build_windows
from gluon_bert.data.squad.answers import find_answers
from gluon_bert.metrics.squad import evaluate_squad

LETTERS = [chr(code) for code in range(ord('a'), ord('z') + 1)]
VOCAB = make_vocab(*LETTERS, *(f'##{letter}' for letter in LETTERS), 'cafe', '##s', '(', ')', '1')
# A sentence, and a word or words in it whose marks an uncased tokenizer removes.
MARKED = [
    ('at the cafe\u0301 in town', 'cafe\u0301'),
    ('at the cafe\u0301s.', 'cafe\u0301s'),
    ('(cafe\u0301)', 'cafe\u0301'),
    ('मेरा नाम गुरु है', 'गुरु'),
    ('राम दिल्ली में रहते थे', 'दिल्ली में'),
    ('ราคา 5 บาท ที่ น้ำ', 'ที่'),
    ('قال مُحَمَّدٌ هذا', 'مُحَمَّدٌ'),
    ('שלום עֲלֵיכֶם !', 'עֲלֵיכֶם'),
    ('I love \u2764\ufe0f a lot', '\u2764\ufe0f'),
    ('press 1\ufe0f\u20e3 now', '1\ufe0f\u20e3'),
    (
        'the family \U0001f468\u200d\U0001f469\u200d\U0001f467 here',
        '\U0001f468\u200d\U0001f469\u200d\U0001f467',
    ),
    ('a co\u00adop\u00ad store', 'co\u00adop\u00ad'),
    ('go \u200bhome\u200b now', '\u200bhome\u200b'),
    ('tiếng Vie\u0323\u0302t', 'Vie\u0323\u0302t'),
    ('He is from Zürich', 'Zürich'),
]
MARKS = ['\u0301', '\u0308', '\ufe0f', '\u200d', '\u200b', '\u00ad', '\x00', '\ufffd', '\u093c']


@pytest.fixture(params=['uncased', 'cased', 'kept accents', 'byte pair', 'sentencepiece'])
def tokenizer(request):
    if request.param == 'byte pair':
        return request.getfixturevalue('byte_pair')
    if request.param == 'sentencepiece':
        return SentencePieceTokenizer(request.getfixturevalue('spiece'), lower=True)
    options = {'uncased': {}, 'cased': {'lower': False}, 'kept accents': {'strip_accents': False}}
    return BertTokenizer(VOCAB, **options[request.param])


def perfect_answer(tokenizer, context, answer):
    """Answer a question with the scores of a network that is always right."""
    question = Question('q', 'where', context, (Answer(answer, context.index(answer)),), False)
    windows = build_windows([question], tokenizer, with_spans=True)
    scores = []
    for feature, (first, last) in zip(windows.features(), windows.span):
        logits = np.full((feature.valid_length, 2), -10.0)
        logits[first, 0] = logits[last, 1] = 10
        scores.append(logits)
    text = find_answers([question], windows, scores)[0].text
    return text, evaluate_squad([question], {'q': text})['exact_match']


@pytest.mark.parametrize('context, answer', MARKED)
def test_an_answer_ends_where_its_word_ends(tokenizer, context, answer):
    assert perfect_answer(tokenizer, context, answer) == (answer, 100.0)


def check_words_covered(tokenizer, text):
    """Compare what the tokens of each word cover with the word, by white space."""
    encoded = tokenizer.encode(text)
    spans = [span for span in encoded.offsets if span[0] < span[1]]
    assert spans == sorted(spans)
    position = 0
    for word in text.split():
        begin = text.index(word, position)
        position = begin + len(word)
        inside = [(start, end) for start, end in spans if end > begin and start < position]
        if not inside:
            continue  # nothing of it was left
        assert min(start for start, _ in inside) == begin, (word, inside)
        assert max(end for _, end in inside) == position, (word, inside)
        for (_, before), (after, _) in zip(inside, inside[1:]):
            assert after <= before, (word, inside)


@pytest.mark.parametrize('text', [*(context for context, _ in MARKED), *AWKWARD, *TEXT])
def test_the_tokens_of_a_word_cover_it(tokenizer, text):
    check_words_covered(tokenizer, text)
    check_words_covered(tokenizer, unicodedata.normalize('NFD', text))


def test_the_tokens_of_random_words_cover_them(tokenizer):
    draw = random.Random(20)
    for _ in range(200):
        text = ''.join(
            draw.choice([*'abc', 'é', '中', '(', '.', ' ', ' ', '\t', *MARKS])
            for _ in range(draw.randrange(1, 20))
        )
        check_words_covered(tokenizer, text)


def test_removed_characters_belong_to_the_token_before_them():
    encoded = BertTokenizer(VOCAB).encode('\u0301a\u0301b\u0301(\u0301  \u0301 \u200bcafe\u0301')
    assert encoded.tokens == ['a', '##b', '(', 'cafe']
    assert encoded.offsets == [(0, 3), (3, 5), (5, 7), (11, 17)]


def test_text_of_removed_characters_alone_has_no_tokens():
    encoded = BertTokenizer(VOCAB).encode('\u0301 \u200b\x00')
    assert encoded.tokens == encoded.offsets == []
