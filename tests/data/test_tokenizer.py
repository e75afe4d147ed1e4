"""WordPiece."""

import json
import multiprocessing
import pickle
import unicodedata

import numpy as np
import pytest
from gluonnlp import data as gluonnlp_data
from gluonnlp.data import count_tokens
from gluonnlp.vocab import BERTVocab

from gluon_bert.data import (
    BERTSentenceTransform,
    BERTTokenizer,
    BertTokenizer,
    SentenceTransform,
    read_vocab,
)

SPECIAL = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']
PIECES = [
    'hello',
    'world',
    'word',
    '##s',
    '##ing',
    'un',
    '##aff',
    '##able',
    'cafe',
    'café',
    '!',
    ',',
    '[',
    ']',
    'mask',
    '中',
    '文',
    'new',
    'york',
    'c',
    '+',
    'a',
]

AWKWARD = [
    '',
    ' ',
    '\t\n\r ',
    'naïve café résumé Ångström ÉCOLE',
    'ﬁne ﬂuﬀ ½ Ⅷ ① ™',
    'İstanbul Iğdır ẞtraße groß',
    'Việt Nam: đường phố Hà Nội',
    'a\u0301e\u0308 zalgo\u0353\u0321t',
    '안녕하세요 세계, 한국어 문장입니다.',
    'สวัสดีชาวโลก ภาษาไทย',
    'مرحبا بالعالم، كيف الحالُ؟',
    'שָׁלוֹם עוֹלָם',
    'नमस्ते दुनिया।',
    'こんにちは世界。カタカナｶﾀｶﾅ',
    '中文English混合123，句子！',
    '\U00020000\U0002a6d6 \U0002b740 㐀 豈 \U0002f800',
    '👨\u200d👩\u200d👧 family 🏳️\u200d🌈 🇩🇪 ok',
    'a\x00b\x01c\x7fd\x85e',
    'soft\u00adhyphen zero\u200bwidth bom\ufeff',
    'bad \ufffd character',
    'line\u2028separator\u2029paragraph',
    'nbsp\u00a0thin\u2009ideographic\u3000space',
    '“quotes” ‘single’ «guillemets» … — – ‐ ¿qué?',
    'ＦＵＬＬ　ｗｉｄｔｈ！？（）',
    '$1,234.56 <b>&amp;</b> a_b^c`d~e',
    'http://example.com/a?b=c#d user@host.org',
    'x' * 100,
    'x' * 101,
    'x' * 200,
    'x' * 201,
    '中' * 300,
    'don\'t "quote" [brackets] {braces}',
    '[CLS] a [SEP] b [MASK] [PAD] [UNK] [mask]',
    '##ing ## #',
    'ΑΒΓ δέλτα',
    'Привет, мир! Ёлка',
    'ß ſ ı ŉ',
    'Ｔｅｘｔ\u0327',
    '١٢٣ 一二三 ⅣⅤ',
]


def make_vocab(*tokens):
    return BERTVocab(count_tokens([*PIECES, *tokens]))


@pytest.fixture(scope='module')
def tokenizer():
    return BertTokenizer(make_vocab())


@pytest.mark.parametrize(
    ('text', 'tokens'),
    [
        ('Hello, worlds!', ['hello', ',', 'world', '##s', '!']),
        ('unaffable', ['un', '##aff', '##able']),
        ('unaffablex', ['[UNK]']),
        ('hello中文world', ['hello', '中', '文', 'world']),
        ('Café', ['cafe']),
        ('a\x00\u200b\ufffda', ['[UNK]']),
        ('hello\u3000world\u2028word', ['hello', 'world', 'word']),
        ('[mask]', ['[', 'mask', ']']),
        ('hello [MASK]world[SEP]', ['hello', '[MASK]', 'world', '[SEP]']),
        ('', []),
        (' \t\n', []),
    ],
)
def test_text_is_cut_into_the_longest_pieces(tokenizer, text, tokens):
    assert tokenizer(text) == tokens
    assert tokenizer.encode(text).tokens == tokens


def test_cased_text_keeps_capitals_and_accents():
    tokenizer = BertTokenizer(make_vocab('Café', 'Cafe'), lower=False)
    assert tokenizer('Café Cafe') == ['Café', 'Cafe']
    assert not tokenizer.lower


@pytest.mark.parametrize(
    ('lower', 'strip_accents', 'token'),
    [(True, None, 'cafe'), (True, False, 'café'), (False, None, 'Café'), (False, True, 'Cafe')],
)
def test_accents_go_exactly_with_lower_unless_told_otherwise(lower, strip_accents, token):
    tokenizer = BertTokenizer(make_vocab('Café', 'Cafe'), lower, strip_accents=strip_accents)
    assert tokenizer('Café') == [token]


def test_chinese_characters_stay_together_on_request():
    tokenizer = BertTokenizer(make_vocab('中文'), split_chinese=False)
    assert tokenizer('中文') == ['中文']


def test_a_word_longer_than_the_limit_is_unknown():
    vocab = make_vocab('##a')
    assert BertTokenizer(vocab)('a' * 200) == ['a'] + ['##a'] * 199
    assert BertTokenizer(vocab)('a' * 201) == ['[UNK]']
    assert BertTokenizer(vocab, max_input_chars_per_word=3)('aaa aaaa') == [
        'a',
        '##a',
        '##a',
        '[UNK]',
    ]


def test_never_split_words_are_kept_whole():
    vocab = make_vocab('C++')
    tokenizer = BertTokenizer(vocab, never_split=['C++', 'New York', 'BERTy'])
    encoded = tokenizer.encode('hello C++ c++ New York, BERTy C++s')
    assert encoded.tokens == [
        'hello',
        'C++',
        'c',
        '+',
        '+',
        'New York',
        ',',
        'BERTy',
        'c',
        '+',
        '+',
        '[UNK]',
    ]
    unknown = vocab['[UNK]']
    assert [encoded.ids[i] for i in (1, 5, 7)] == [vocab['C++'], unknown, unknown]
    assert encoded.ids == tokenizer.convert_tokens_to_ids(encoded.tokens)
    assert max(encoded.ids) < len(vocab)


@pytest.mark.parametrize('swap', [False, True])
def test_ids_come_from_the_vocabulary(tmp_path, swap):
    path = tmp_path / 'vocab.txt'
    path.write_text('\n'.join([*SPECIAL, 'zebra', 'apple']))
    vocab = read_vocab(path, swap=swap)
    encoded = BertTokenizer(vocab).encode('apple [MASK] zebra [PAD] nothing')
    assert encoded.ids == vocab[['apple', '[MASK]', 'zebra', '[PAD]', '[UNK]']]


@pytest.mark.parametrize(
    ('text', 'pieces'),
    [
        ('Hello,  WORLDS!', ['Hello', ',', 'WORLD', 'S', '!']),
        ('CAFÉ 中文', ['CAFÉ', '中', '文']),
        ('\x00hello\ufffd [MASK]word', ['\x00hello\ufffd', '[MASK]', 'word']),
        ('👨\u200d👩 hello', ['👨\u200d👩', 'hello']),
    ],
)
def test_offsets_cut_the_tokens_out_of_the_original(tokenizer, text, pieces):
    encoded = tokenizer.encode(text)
    assert [text[start:end] for start, end in encoded.offsets] == pieces


def test_half_characters_are_dropped_and_offsets_stay(tokenizer):
    encoded = tokenizer.encode('hello \ud83d world \udc00!')
    assert encoded.tokens == ['hello', 'world', '!']
    assert encoded.offsets == [(0, 5), (8, 13), (14, 16)]


def test_batch_is_the_same_as_one_by_one(tokenizer):
    assert tokenizer.encode_batch(AWKWARD) == [tokenizer.encode(text) for text in AWKWARD]
    assert tokenizer.encode_ids(AWKWARD) == [tokenizer.encode(text).ids for text in AWKWARD]
    assert tokenizer.encode_batch([]) == []


@pytest.mark.parametrize('text', [b'bytes', None, 3, [['hello']]])
def test_text_that_is_no_str_is_refused(tokenizer, text):
    name = type(text).__name__
    with pytest.raises(TypeError, match=r'^text(\[0\])? must be str( or a list of str)?, got '):
        tokenizer(text)
    with pytest.raises(TypeError, match=f'text must be str, got {name}'):
        tokenizer.encode(text)
    with pytest.raises(TypeError, match=rf'texts\[1\] must be str, got {name}'):
        tokenizer.encode_batch(['fine', text])


def test_one_text_in_place_of_a_batch_is_refused(tokenizer):
    with pytest.raises(TypeError, match='texts must be a list'):
        tokenizer.encode_batch('hello')


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        ({'max_input_chars_per_word': 0}, ValueError, 'max_input_chars_per_word must be 1 or more'),
        ({'never_split': 'word'}, TypeError, 'never_split must be a list'),
        ({'never_split': ['']}, ValueError, "never_split holds ''"),
        ({'never_split': [3]}, ValueError, 'never_split holds 3'),
    ],
)
def test_bad_option_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        BertTokenizer(make_vocab(), **options)


def test_a_list_in_place_of_the_vocabulary_is_refused():
    with pytest.raises(TypeError, match='vocab must be a BERTVocab, got list'):
        BertTokenizer(['a', 'b'])


def test_a_vocabulary_without_unknown_token_is_refused():
    with pytest.raises(ValueError, match='no unknown token'):
        BertTokenizer(BERTVocab(count_tokens(['a']), unknown_token=None))


def test_conversion_is_its_own_inverse(tokenizer):
    tokens = ['[CLS]', 'hello', '##s', '[SEP]']
    ids = tokenizer.convert_tokens_to_ids(tokens)
    assert tokenizer.convert_ids_to_tokens(ids) == tokens
    assert tokenizer.convert_ids_to_tokens(np.array(ids, 'int32')) == tokens
    assert tokenizer.convert_ids_to_tokens(ids[1]) == 'hello'
    assert tokenizer.convert_tokens_to_ids('hello') == ids[1]
    assert tokenizer.convert_tokens_to_ids(('absent',)) == [tokenizer.vocab['[UNK]']]


@pytest.mark.parametrize('number', [-1, 10**6])
def test_an_id_out_of_the_vocabulary_is_refused(tokenizer, number):
    with pytest.raises(ValueError, match=f'id {number} is not in the vocabulary'):
        tokenizer.convert_ids_to_tokens([0, number])


def test_first_subwords_are_told_from_the_rest(tokenizer):
    first = [tokenizer.is_first_subword(token) for token in tokenizer('Hello worlds!')]
    assert first == [True, True, False, True]


def test_gluonnlp_spelling_is_the_same_class():
    assert BERTTokenizer is BertTokenizer


def test_pickled_tokenizer_gives_the_same_tokens():
    tokenizer = BertTokenizer(
        make_vocab('C++'),
        lower=False,
        strip_accents=True,
        max_input_chars_per_word=9,
        never_split=['C++'],
    )
    copy = pickle.loads(pickle.dumps(tokenizer))
    text = 'C++ café hello aaaaaaaaaa'
    assert copy.encode(text) == tokenizer.encode(text)
    assert copy.lower is False


def test_spawned_worker_can_tokenize(tokenizer):
    with multiprocessing.get_context('spawn').Pool(1) as pool:
        assert pool.map(tokenizer, ['hello worlds']) == [['hello', 'world', '##s']]


# Against others, on real text


def reference_tokens(text, vocab, lower):
    """Google's tokenization.py, rule by rule; its ids are what the models were trained on."""
    chars = []
    for char in text:
        kind = unicodedata.category(char)
        if char in '\t\n\r' or kind == 'Zs':
            chars.append(' ')
        elif char not in '\0\ufffd' and kind not in ('Cc', 'Cf'):
            is_chinese = any(
                low <= ord(char) <= high
                for low, high in (
                    (0x4E00, 0x9FFF),
                    (0x3400, 0x4DBF),
                    (0x20000, 0x2A6DF),
                    (0x2A700, 0x2B73F),
                    (0x2B740, 0x2B81F),
                    (0x2B820, 0x2CEAF),
                    (0xF900, 0xFAFF),
                    (0x2F800, 0x2FA1F),
                )
            )
            chars.append(f' {char} ' if is_chinese else char)
    text = ''.join(chars)
    if lower:
        text = ''.join(
            char
            for char in unicodedata.normalize('NFD', text.lower())
            if unicodedata.category(char) != 'Mn'
        )
    text = ''.join(
        f' {char} ' if unicodedata.category(char)[0] == 'P' or char in '$+<=>^`|~' else char
        for char in text
    )
    return [piece for word in text.split() for piece in reference_pieces(word, vocab)]


def reference_pieces(word, vocab):
    pieces, start = [], 0
    while start < len(word):
        prefix = '##' if start else ''
        end = next(
            (end for end in range(len(word), start, -1) if prefix + word[start:end] in vocab), None
        )
        if end is None or len(word) > 200:
            return ['[UNK]']
        pieces.append(prefix + word[start:end])
        start = end
    return pieces


@pytest.fixture(scope='module')
def real_lines(shared_data):
    """2000 lines of many kinds, evenly picked."""

    def lines_of(name):
        return (shared_data / name).read_text(encoding='utf-8').split('\n')

    words = lines_of('ner/wnut17/wnut17train.conll')
    tokens = lines_of('vocab/multilingual_cased/vocab.txt')
    sources = [
        lines_of('xnli_zh/dev.tsv'),
        lines_of('chnsenticorp/dev.tsv'),
        [json.loads(line)['sentence'] for line in lines_of('tnews/dev.json') if line],
        [json.loads(line)['text'] for line in lines_of('ner/cluener2020/dev.json') if line],
        lines_of('corpus/wikitext-2.test.raw.txt'),
        lines_of('corpus/gutenberg_grimm.txt'),
        lines_of('corpus/sample_text.txt'),
        lines_of('glue_data/QNLI/dev.tsv'),
        [' '.join(words[i : i + 30]) for i in range(0, 9000, 30)],
        [' '.join(tokens[i : i + 8]) for i in range(104, 119500, 400)],
    ]
    picked = []
    for lines in sources:
        lines = [line for line in lines if line.strip()]
        picked += [lines[i] for i in np.linspace(0, len(lines) - 1, 220).astype(int)]
    return picked[:2000]


@pytest.fixture(scope='module', params=['multilingual_cased', 'multilingual_uncased'])
def multilingual(request, shared_data):
    """Path, vocabulary, whether lower-cased."""
    path = shared_data / 'vocab' / request.param / 'vocab.txt'
    return path, read_vocab(path), request.param.endswith('uncased')


@pytest.mark.data
def test_squad_questions_have_the_reference_tokens_and_ids(shared_data):
    tokenizer = BertTokenizer(read_vocab(shared_data / 'vocab/uncased_english/vocab.txt'))
    folder = shared_data / 'tokenizer_ref'
    questions = json.loads((folder / 'question_tokens.json').read_text(encoding='utf-8'))
    ids = json.loads((folder / 'tokenized_questions.json').read_text(encoding='utf-8'))
    encoded = tokenizer.encode_batch([question['original'] for question in questions])
    assert len(questions) == len(ids) == 5285
    assert [row.tokens for row in encoded] == [question['wordpiece'] for question in questions]
    assert [row.ids for row in encoded] == ids


@pytest.mark.data
def test_golden_ids_of_gluonnlp(shared_data):
    tokenizer = BertTokenizer(
        read_vocab(shared_data / 'vocab/uncased_english/vocab.txt', swap=True)
    )
    transform = BERTSentenceTransform(tokenizer, max_seq_length=16, pad=False, pair=False)
    ids, valid_length, _ = transform(('hello world!',))
    assert ids.tolist() == [2, 7592, 2088, 999, 3]
    assert valid_length == 5


@pytest.mark.data
def test_gluonnlp_tokenizer_and_transform_take_our_vocabulary(shared_data):
    vocab = read_vocab(shared_data / 'vocab/uncased_english/vocab.txt')
    questions = json.loads((shared_data / 'tokenizer_ref/question_tokens.json').read_text())
    texts = [question['original'] for question in questions]
    theirs = gluonnlp_data.BERTSentenceTransform(
        gluonnlp_data.BERTTokenizer(vocab, lower=True), max_seq_length=32, pad=False, pair=False
    )
    mine, _ = SentenceTransform(BertTokenizer(vocab), 32).transform_batch(texts)
    assert [row.inputs.tolist() for row in mine] == [theirs((text,))[0].tolist() for text in texts]


@pytest.mark.data
def test_real_text_has_the_tokens_of_google(multilingual, real_lines):
    _, vocab, lower = multilingual
    tokenizer = BertTokenizer(vocab, lower=lower)
    mine = {line: tokenizer(line) for line in real_lines}
    assert mine == {line: reference_tokens(line, vocab, lower) for line in real_lines}


@pytest.mark.data
def test_real_and_awkward_text_has_the_ids_of_transformers(multilingual, real_lines):
    transformers = pytest.importorskip('transformers')
    path, vocab, lower = multilingual
    theirs = transformers.BertTokenizer(str(path), do_lower_case=lower)
    # Their limit is 100 characters a word, as in Google's first release; GluonNLP's is 200.
    mine = BertTokenizer(vocab, lower=lower, max_input_chars_per_word=100)
    lines = [*real_lines, *AWKWARD]
    expected = theirs(lines, add_special_tokens=False)['input_ids']
    assert len(lines) > 2000
    assert dict(zip(lines, mine.encode_ids(lines))) == dict(zip(lines, expected))


@pytest.mark.data
def test_only_words_of_101_to_200_characters_differ_from_transformers_by_default(
    multilingual, real_lines
):
    _, vocab, lower = multilingual
    short = BertTokenizer(vocab, lower=lower, max_input_chars_per_word=100)
    default = BertTokenizer(vocab, lower=lower)
    lines = [*real_lines, *AWKWARD]
    differing = [line for line in lines if short(line) != default(line)]
    assert differing == ['x' * 101, 'x' * 200]


@pytest.mark.data
def test_offsets_of_real_text_cut_out_the_tokens(multilingual, real_lines):
    _, vocab, lower = multilingual
    tokenizer = BertTokenizer(vocab, lower=lower)
    for line, encoded in zip(real_lines, tokenizer.encode_batch(real_lines)):
        for token, (start, end) in zip(encoded.tokens, encoded.offsets):
            cut = line[start:end]
            if token != '[UNK]' and cut.isascii():
                assert (cut.lower() if lower else cut) == token.replace('##', '', 1) or cut == token
        assert encoded.offsets == sorted(encoded.offsets)
