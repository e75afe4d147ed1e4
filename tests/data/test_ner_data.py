"""Reading tagged files, tag schemes, windows."""

import itertools
import json
import random

import numpy as np
import pytest
from gluonnlp.data import count_tokens
from gluonnlp.vocab import BERTVocab

from gluon_bert.data import (
    BertTokenizer,
    BytePairTokenizer,
    check_kinds,
    convert_tags,
    detect_scheme,
    get_scheme,
    join_windows,
    make_windows,
    read_tagged,
    repair_tags,
    tag_problems,
    tag_spans,
    window_labels,
    write_tagged,
)

SCHEMES = ['IOB1', 'IOB2', 'BMES', 'BIOES', 'BILOU']
COLUMNS = {  # file -> sentences as published, words, entities, broken places
    'wnut17/wnut17train.conll': (3394, 62730, 1975, 0),
    'wnut17/emerging.dev.conll': (1009, 15733, 836, 0),
    'wnut17/emerging.test.annotated': (1287, 23394, 1079, 0),
    'weibo/weiboNER_2nd_conll.train': (1350, 73778, 1895, 10),
    'weibo/weiboNER_2nd_conll.dev': (270, 14509, 389, 0),
    'weibo/weiboNER_2nd_conll.test': (270, 14842, 418, 4),
    'resume_cner/train.char.bmes': (3821, 124099, 13440, 4),
    'resume_cner/dev.char.bmes': (463, 13890, 1497, 0),
    'resume_cner/test.char.bmes': (477, 15100, 1630, 0),
}
CLUENER = {'train': (10748, 401764, 23969), 'dev': (1343, 50260, 3072), 'test': (1345, 50972, 0)}


@pytest.fixture
def write(tmp_path):
    def make(text, name='a.conll'):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return make


@pytest.mark.data
@pytest.mark.parametrize('name, counts', COLUMNS.items())
def test_column_files_have_the_counts_published(shared_data, name, counts):
    path = shared_data / 'ner' / name
    lines = [line.strip() for line in path.read_text('utf-8').split('\n')]
    tags = [line.split()[-1] if line else 'O' for line in lines]
    sentences = sum(bool(line) and not before for before, line in zip(['', *lines], lines))
    tagged = read_tagged(path, repair=True)
    assert counts == (
        len(tagged.sentences),
        sum(len(row.words) for row in tagged.sentences),
        tagged.num_entities(),
        len(tagged.repairs),
    )
    assert counts[:2] == (sentences, sum(map(bool, lines)))
    begins = sum(tag[:2] in ('B-', 'S-') for tag in tags)
    # The rest begin without a B: the mended ones.
    assert 0 <= tagged.num_entities() - begins <= len(tagged.repairs)


@pytest.mark.data
@pytest.mark.parametrize(
    'name, scheme, word',
    [
        ('wnut17/emerging.dev.conll', 'IOB2', 'Stabilized'),
        ('weibo/weiboNER_2nd_conll.dev', 'IOB2', '口'),
        ('resume_cner/dev.char.bmes', 'BMES', '吴'),
    ],
)
def test_schemes_and_words_of_the_official_files(shared_data, name, scheme, word):
    tagged = read_tagged(shared_data / 'ner' / name)
    assert (tagged.scheme, tagged.sentences[0].words[0]) == (scheme, word)


@pytest.mark.data
@pytest.mark.parametrize('split, counts', CLUENER.items())
def test_cluener_has_the_counts_published(shared_data, split, counts):
    path = shared_data / 'ner' / 'cluener2020' / f'{split}.json'
    rows = [json.loads(line) for line in path.read_text('utf-8').split('\n') if line]
    places = [
        place
        for row in rows
        for entities in row.get('label', {}).values()
        for found in entities.values()
        for place in found
    ]
    tagged = read_tagged(path, repair=True)
    assert counts == (
        len(tagged.sentences),
        sum(len(row.words) for row in tagged.sentences),
        tagged.num_entities(),
    )
    # In the training file two entities stand within another one.
    assert len(places) - len(tagged.repairs) == tagged.num_entities()
    assert len(tagged.repairs) == (2 if split == 'train' else 0)
    assert tagged.has_tags == (split != 'test')


@pytest.mark.data
@pytest.mark.parametrize(
    'name, line',
    [
        ('weibo/weiboNER_2nd_conll.train', 1266),
        ('resume_cner/train.char.bmes', 62390),
        ('cluener2020/train.json', 1507),
    ],
)
def test_broken_sequences_of_the_official_files_are_told(shared_data, name, line):
    with pytest.raises(ValueError, match=f'{name}:{line}: .*; with repair, '):
        read_tagged(shared_data / 'ner' / name)


@pytest.mark.parametrize(
    'text, words, tags',
    [
        (
            '\ufeffEU NNP B-x\r\nsays VBZ O\r\n\r\nno O O\r\n',
            [['EU', 'says'], ['no']],
            [['B-x', 'O'], ['O']],
        ),
        (
            '-DOCSTART- -X- O\n\na x B-x\n\n-DOCSTART- -X- O\n\nb x O',
            [['a'], ['b']],
            [['B-x'], ['O']],
        ),
        ('a\tB-x\n\t\n \nb\u2028 c\tO\n', [['a'], ['b\u2028 c']], [['B-x'], ['O']]),
        ('a    B-x-y\n', [['a']], [['B-x-y']]),
        ('\tO\nb\tO\n', [['', 'b']], [['O', 'O']]),
    ],
    ids=['mark, CRLF', 'documents', 'white space', 'spaces', 'empty word'],
)
def test_columns_are_read(write, text, words, tags):
    tagged = read_tagged(write(text))
    assert [row.words for row in tagged.sentences] == words
    assert [row.tags for row in tagged.sentences] == tags


def test_columns_can_be_chosen_and_tags_be_absent(write):
    path = write('1 Ada B-x q\n2 saw O q\n')
    tagged = read_tagged(path, word_column=1, tag_column=2)
    assert tagged.sentences[0][:2] == (['Ada', 'saw'], ['B-x', 'O'])
    assert read_tagged(path, word_column=1, tag_column=None).sentences[0].tags is None
    assert not read_tagged(write('a\nb\n\nc\n')).has_tags


@pytest.mark.parametrize(
    'text, words',
    [
        ('科0\tO\n技1\tO\n20\tO\n', ['科', '技', '2']),
        ('科0\tO\n技技\tO\n', ['科0', '技技']),
        ('科0\tO\n技0\tO\n', ['科0', '技0']),
        ('科0\tO\n技00\tO\n', ['科0', '技00']),
        ('100\tO\n20\tO\n5000\tO\n', ['100', '20', '5000']),
        ('10\tO\n11\tO\n12\tO\n', ['10', '11', '12']),
        ('H0\tO\nT0\tO\n', ['H0', 'T0']),
        ('A0\tO\nB1\tO\nC2\tO\n', ['A0', 'B1', 'C2']),
        ('第10\tO\n第20\tO\n', ['第10', '第20']),
        ('2019\tO\n2017\tO\n', ['2019', '2017']),
    ],
)
def test_places_of_characters_are_taken_off(write, text, words):
    assert read_tagged(write(text)).sentences[0].words == words


@pytest.mark.parametrize(
    'text, options, message',
    [
        ('a O\nb I-x\n', {'scheme': 'BIO'}, r"a.conll:2: 'I-x' after 'O' violates IOB2"),
        ('a B-y\nb I-x\nc B-x\nd O\ne B-y\n', {}, r"a.conll:2: 'I-x' after 'B-y'"),
        ('a O\nb M-x\nc E-x\n', {}, r"a.conll:2: 'M-x' after 'O' violates BMES, expected 'B-x'"),
        ('a B-x\nb M-x\nc O\n', {}, r"a.conll:2: 'M-x' before 'O' violates BMES, expected 'E-x'"),
        ('a B-x\n\nb S-x\n', {'scheme': 'BMES'}, r"a.conll:1: 'B-x' at the end"),
        ('a M-x\nb I-x\n', {}, r'a.conll: the tags begin with I, M: no scheme'),
        ('a O\nb person\n', {}, r"a.conll:2: 'person' is not a tag"),
        ('a O\nb\n', {}, r'a.conll:2: has 1 columns, the lines before have 2'),
        ('a O\n', {'tag_column': 3}, r'a.conll:1: has 2 columns, none has the number 3'),
        ('\n\n', {}, 'a.conll: has no sentences'),
        ('', {}, 'has no sentences'),
        (b'a O\nb\xff O\n', {}, r'a.conll:2: not UTF-8'),
        ('a O\n', {'scheme': 'BIOS'}, "tag scheme 'BIOS' is unknown"),
        ('a O\nb O\n', {'segmented': True}, r"a.conll:1: 'a' has no number"),
    ],
)
def test_malformed_columns_are_told(write, text, options, message):
    with pytest.raises(ValueError, match=message):
        read_tagged(write(text), **options)


ENTITY = '{"text": "abc", "label": {"x": {"ab": [[0, 1]]}}}\n'


@pytest.mark.parametrize(
    'text, message',
    [
        (ENTITY + '{"text": "abc", "label": {', r'a.json:2: not JSON.*char 26'),
        (ENTITY + '["abc"]', r'a.json:2: expected an object with a "text"'),
        (ENTITY + '{"text": "abc"}', r'a.json:2: "label" must be in all lines or in none'),
        ('{"text": "abc", "label": {"x": [[0, 1]]}}', r'a.json:1: "label" must be'),
        ('{"text": "abc", "label": {"x": {"ab": [[0, 3]]}}}', r'\[0, 3\] is not \[first, last\]'),
        ('{"text": "abc", "label": {"x": {"ab": [[true, 1]]}}}', r'is not \[first, last\]'),
        ('{"text": "abc", "label": {"x": {"ab": [[1, 2]]}}}', r"at \[1, 2\] the text has 'bc'"),
        (
            '{"text": "abc", "label": {"x": {"ab": [[0, 1]]}, "y": {"b": [[1, 1]]}}}',
            r'y at \[1, 1\] shares characters with x at \[0, 1\]',
        ),
        ('{"text": "abc", "label": {"x y": {"ab": [[0, 1]]}}}', "'x y' is not a type"),
        ('\n', 'has no sentences'),
    ],
)
def test_malformed_json_is_told(write, text, message):
    with pytest.raises(ValueError, match=message):
        read_tagged(write(text, 'a.json'))


def test_missing_file_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match='none.conll'):
        read_tagged(tmp_path / 'none.conll')


def test_unknown_type_is_told(write):
    tagged = read_tagged(write('a O\nb B-persno\n'))
    check_kinds(tagged, ['persno'], 'train')
    with pytest.raises(ValueError, match=r"a.conll:2: .*'persno'.*did you mean 'person'.*in train"):
        check_kinds(tagged, ['person', 'place'], 'train')


@pytest.mark.parametrize(
    'name, text, expected',
    [
        (
            'a.conll',
            '\ufeffa\tB-x\r\n\r\n-DOCSTART-\tO\nb\tO\n',
            'a\tB-x\tI-y\n\n-DOCSTART-\tO\nb\tO\tB-y\n',
        ),
        ('b.conll', 'a 1 B-x\n\nb 2 O', 'a 1 B-x I-y\n\nb 2 O B-y\n'),
        (
            'c.json',
            '{"id": 0, "text": "a"}\n{"text": "b\\u2028"}\n',
            '{"id": 0, "text": "a", "label": {"y": {"a": [[0, 0]]}}}\n'
            '{"text": "b\u2028", "label": {"y": {"b": [[0, 0]]}}}\n',
        ),
    ],
)
def test_predictions_are_written_in_the_layout_of_the_input(write, tmp_path, name, text, expected):
    tagged = read_tagged(write(text, name), scheme=None)
    tags = [['I-y'], ['B-y', *['O'] * (len(tagged.sentences[1].words) - 1)]]
    write_tagged(tmp_path / 'out', tagged, tags)
    assert (tmp_path / 'out').read_text('utf-8') == expected
    with pytest.raises(ValueError, match='expected one tag for every word'):
        write_tagged(tmp_path / 'out', tagged, [['O'], []])


def random_spans_tags(rng, length):
    """Tags of IOB2 that are valid."""
    tags = []
    while len(tags) < length:
        kind, size = rng.choice('xy'), rng.randint(1, 3)
        tags += rng.choice([['O'], [f'B-{kind}', *[f'I-{kind}'] * (size - 1)]])
    return tags[:length]


@pytest.mark.parametrize('first, second', list(itertools.permutations(SCHEMES, 2)))
def test_conversions_keep_the_entities(first, second, seed):
    rng = random.Random(seed)
    for length in range(12):
        tags = random_spans_tags(rng, length)
        one = convert_tags(tags, 'IOB2', first)
        other = convert_tags(one, first, second)
        assert tag_spans(tags) == tag_spans(one) == tag_spans(other) == tag_spans(other, second)
        assert not tag_problems(other, second)
        assert convert_tags(other, second, 'IOB2') == tags


@pytest.mark.parametrize('scheme', SCHEMES)
def test_repaired_tags_are_valid_and_keep_what_conlleval_finds(scheme, seed):
    rng = random.Random(seed)
    letters = get_scheme(scheme).letters
    for _ in range(100):
        tags = [rng.choice(['O', f'{rng.choice(letters)}-{rng.choice("xy")}']) for _ in range(6)]
        mended = repair_tags(tags, scheme)
        assert tag_spans(mended) == tag_spans(tags) == tag_spans(mended, scheme)
        assert not tag_problems(mended, scheme)
        assert (mended == tags) == (not tag_problems(tags, scheme))


@pytest.mark.parametrize(
    'tags, scheme',
    [
        ('B-x I-x O B-x', 'IOB2'),
        ('I-x I-x O I-x B-x', 'IOB1'),
        ('B-x M-x E-x S-x', 'BMES'),
        ('B-x E-x I-x', 'BIOES'),
        ('B-x L-x U-x', 'BILOU'),
        ('O O', 'IOB2'),
    ],
)
def test_scheme_is_found_out(tags, scheme):
    assert detect_scheme([['O'], tags.split()]) == scheme


def test_broken_tags_are_not_converted():
    with pytest.raises(ValueError, match="word 1: 'I-x' after 'O'"):
        convert_tags(['O', 'I-x'], 'IOB2', 'BMES')


LETTERS = 'abcdefghij'


@pytest.fixture
def tokenizer():
    """Every letter is a token: a word has as many as letters."""
    return BertTokenizer(
        BERTVocab(count_tokens([*LETTERS, *(f'##{letter}' for letter in LETTERS)]))
    )


def random_sentences(rng, count, longest):
    return [
        [
            ''.join(rng.choice(LETTERS) for _ in range(rng.choice([1, 1, 2, 3, longest])))
            for _ in range(rng.randint(1, 40))
        ]
        for _ in range(count)
    ]


@pytest.mark.parametrize(
    'max_length, overlap', [(3, None), (8, 0), (8, 5), (16, None), (16, 13), (200, None)]
)
def test_every_word_counts_once_where_it_has_most_context(tokenizer, seed, max_length, overlap):
    sentences = random_sentences(random.Random(seed), 30, longest=7)
    windows = make_windows(tokenizer, sentences, max_length, overlap)
    room = max_length - 2
    seen = [[] for _ in sentences]
    for window in windows:
        seen[window.sentence] += range(window.begin, window.end)
        words = sentences[window.sentence]
        assert window.features.valid_length == len(window.words) == len(window.offsets)
        assert len(window.words) <= max_length
        tokens = tokenizer.convert_ids_to_tokens(window.features.inputs)
        assert (tokens[0], tokens[-1]) == ('[CLS]', '[SEP]')
        for token, word, (begin, end) in zip(tokens, window.words, window.offsets):
            if word >= 0:
                assert token.replace('##', '') == words[word][begin:end]
        assert window.words[window.firsts].tolist() == list(range(window.begin, window.end))
        assert all(window.offsets[first][0] == 0 for first in window.firsts)
    assert seen == [list(range(len(words))) for words in sentences]

    def context(window, word):
        places = np.flatnonzero(window.words == word)
        return min(places[0] - 1, len(window.words) - 2 - places[-1]) if len(places) else -1

    for window in windows:
        others = [other for other in windows if other.sentence == window.sentence]
        for word in range(window.begin, window.end):
            assert context(window, word) == max(context(other, word) for other in others)
    for before, after in zip(windows, windows[1:]):
        if before.sentence == after.sentence:
            shared = set(before.words) & set(after.words) - {-1}
            size = sum(min(len(sentences[after.sentence][word]), room) for word in shared)
            assert size <= (min(max_length // 4, room - 1) if overlap is None else overlap)


def test_short_sentences_are_one_window(tokenizer):
    windows = make_windows(tokenizer, [['ab', '\ufe0f', 'c'], [], ['?']], 20)
    assert [window.sentence for window in windows] == [0, 2]
    # A word of which nothing is left is the unknown token, so that it too has a label.
    assert tokenizer.convert_ids_to_tokens(windows[0].features.inputs) == [
        '[CLS]',
        'a',
        '##b',
        '[UNK]',
        'c',
        '[SEP]',
    ]
    assert windows[0].firsts.tolist() == [1, 3, 4]
    labels = window_labels(windows, [[5, 6, 7], [], [8]])
    assert [row.tolist() for row in labels] == [[-1, 5, -1, 6, 7, -1], [-1, 8, -1]]


def test_words_of_byte_level_bpe_begin_with_a_space():
    vocab = BERTVocab(count_tokens(['\u0120', 'a', 'b', '\u0120a', 'ab']))
    tokenizer = BytePairTokenizer(vocab, [('\u0120', 'a'), ('a', 'b')])
    (window,) = make_windows(tokenizer, [['ab', 'a', 'ba']], 20)
    assert tokenizer.convert_ids_to_tokens(window.features.inputs)[1:-1] == [
        '\u0120a',
        'b',
        '\u0120a',
        '\u0120',
        'b',
        'a',
    ]
    assert window.firsts.tolist() == [1, 3, 4]
    assert window.offsets[1:-1] == [(0, 1), (1, 2), (0, 1), (0, 0), (0, 1), (1, 2)]


def test_scores_come_back_to_their_words(tokenizer, seed):
    sentences = [*random_sentences(random.Random(seed), 10, longest=7), []]
    windows = make_windows(tokenizer, sentences, 12)
    outputs = [
        np.array([[window.sentence, word] for word in range(window.begin, window.end)]).reshape(
            -1, 2
        )
        for window in windows
    ]
    scores = join_windows(windows, outputs, [len(words) for words in sentences])
    for number, (words, rows) in enumerate(zip(sentences, scores)):
        assert rows.tolist() == [[number, word] for word in range(len(words))]


@pytest.mark.parametrize(
    'max_length, overlap, message',
    [(2, None, 'max_length must be 3 or more'), (10, 8, 'overlap=8'), (10, -1, 'overlap=-1')],
)
def test_windows_that_cannot_be_are_told(tokenizer, max_length, overlap, message):
    with pytest.raises(ValueError, match=message):
        make_windows(tokenizer, [['a']], max_length, overlap)


@pytest.mark.parametrize('end', ['\n', '\r\n', '\r'])
def test_every_line_end_ends_a_line(write, end):
    tagged = read_tagged(write(f'Ada B-PER{end}ran O{end}{end}Bob B-PER{end}', 'mac.conll'))
    assert tagged.sentences == [(['Ada', 'ran'], ['B-PER', 'O'], 1), (['Bob'], ['B-PER'], 4)]


def test_numbers_that_are_left_out_are_told_once(write, caplog):
    caplog.set_level('INFO')
    read_tagged(write('科0\tO\n技1\tO\n', 'weibo.conll'))
    assert caplog.text.count('the numbers after its characters are left out') == 1
    caplog.clear()
    read_tagged(write('科0\tO\n技1\tO\n', 'weibo.conll'), segmented=False)
    assert caplog.text == ''
