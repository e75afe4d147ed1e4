"""Vocabularies: files of all forms, both orders of ids."""

import hashlib
import json

import pytest
from gluonnlp.data import count_tokens
from gluonnlp.vocab import BERTVocab, Vocab

from gluon_bert.data import (
    gluonnlp_json,
    gluonnlp_order,
    looks_lowercase,
    read_vocab,
    unswapped,
    write_vocab_json,
)

SPECIAL = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']
# As in the published files of 2018.
TOKENS = ['[PAD]', *(f'[unused{i}]' for i in range(1, 9)), *SPECIAL[1:], 'the', '##s', 'zebra']
PUBLISHED = {
    'uncased_english': 30522,
    'cased_english': 28996,
    'multilingual_cased': 119547,
    'multilingual_uncased': 105879,
    'chinese': 21128,
}


def facts_of(vocab):
    """What makes two vocabularies equal."""
    special = {
        name: getattr(vocab, name, None)
        for name in (
            'unknown_token',
            'padding_token',
            'cls_token',
            'sep_token',
            'mask_token',
            'bos_token',
            'eos_token',
        )
    }
    return vocab.idx_to_token, dict(vocab.token_to_idx), vocab.reserved_tokens, special


@pytest.fixture
def vocab_file(tmp_path):
    def write(content, name='vocab.txt'):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


# Vocabulary files


def test_ids_are_the_lines_of_the_file(vocab_file):
    tokens = [*SPECIAL[:2], 'zebra', *SPECIAL[2:], 'apple', '##s']
    vocab = read_vocab(vocab_file('\n'.join(tokens) + '\n'))
    assert vocab.idx_to_token == tokens
    assert vocab[tokens] == list(range(len(tokens)))
    assert vocab['absent'] == 1


@pytest.mark.parametrize('name', ['unknown', 'padding', 'cls', 'sep', 'mask'])
def test_vocab_knows_its_special_tokens(vocab_file, name):
    vocab = read_vocab(vocab_file('\n'.join(SPECIAL)))
    assert getattr(vocab, f'{name}_token') in SPECIAL


def test_windows_line_ends_spaces_and_a_byte_order_mark_are_no_part_of_tokens(vocab_file):
    content = '\ufeff' + '\r\n'.join(SPECIAL) + '\r\nhello \r\n'
    assert read_vocab(vocab_file(content)).idx_to_token == [*SPECIAL, 'hello']


def test_a_white_space_token_keeps_its_id(vocab_file):
    content = '\n'.join([*SPECIAL, '\u2028', 'after'])
    vocab = read_vocab(vocab_file(content))
    assert vocab[['\u2028', 'after']] == [5, 6]


BAD_VOCABS = [
    ('\n'.join([*SPECIAL, 'a', 'b', 'a']), r"vocab\.txt:8: token 'a' also occurs in line 6"),
    ('\n'.join([*SPECIAL, 'a', '', 'b']), r'vocab\.txt:7: the line is empty'),
    ('\n'.join(SPECIAL[:-1]), r"vocab\.txt: special token '\[MASK\]' is missing"),
    ('', r'vocab\.txt: special token'),
    (b'[PAD]\n\xff\xfe\n', r'vocab\.txt:2: not UTF-8: byte 0xff at offset 6'),
    ('[PAD]\n'.encode('utf-16-le'), r'vocab\.txt:1: holds a NUL'),
    (b'x' * (2 << 20), r'vocab\.txt:1: the line is longer than'),
    ('a\n' * 700000, r'vocab\.txt: the file has more than 600000 lines'),
]


@pytest.mark.parametrize(('content', 'message'), BAD_VOCABS, ids=[row[1] for row in BAD_VOCABS])
def test_bad_vocab_file_is_refused_with_its_line(vocab_file, content, message):
    with pytest.raises(ValueError, match=message):
        read_vocab(vocab_file(content))


def test_oversized_vocab_file_is_refused(vocab_file):
    path = vocab_file('')
    with open(path, 'wb') as file:
        for number in range(18):
            file.write(b'%04d' % number + b'x' * 1000000 + b'\n')
    with pytest.raises(ValueError, match='larger than 16777216 bytes'):
        read_vocab(path)


def test_missing_vocab_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'nowhere\.txt'):
        read_vocab(tmp_path / 'nowhere.txt')


def test_gluonnlp_order_swaps_special_tokens_to_the_front():
    tokens = [
        '[PAD]',
        *(f'[unused{i}]' for i in range(99)),
        '[UNK]',
        '[CLS]',
        '[SEP]',
        '[MASK]',
        'the',
    ]
    order = gluonnlp_order(tokens)
    swapped = [tokens[i] for i in order]
    assert swapped[:6] == ['[UNK]', '[PAD]', '[CLS]', '[SEP]', '[MASK]', '[unused4]']
    assert swapped[100:] == ['[unused0]', '[unused1]', '[unused2]', '[unused3]', 'the']
    assert sorted(order) == list(range(len(tokens)))


def test_gluonnlp_order_refuses_a_list_without_special_tokens():
    with pytest.raises(ValueError, match=r"'\[UNK\]' is missing"):
        gluonnlp_order(['a', 'b'])


@pytest.mark.data
@pytest.mark.parametrize(('name', 'size'), PUBLISHED.items())
def test_published_vocab_is_read_whole_and_in_order(shared_data, name, size):
    path = shared_data / 'vocab' / name / 'vocab.txt'
    vocab = read_vocab(path)
    lines = path.read_bytes().decode('utf-8').split('\n')[:-1]
    assert len(vocab) == size
    assert [token.strip() for token in vocab.idx_to_token] == [line.strip() for line in lines]


# GluonNLP's JSON


@pytest.mark.parametrize('form', ['current', 'old', '0.5'])
def test_every_form_of_json_is_read_with_its_ids(vocab_file, form):
    content = gluonnlp_json(TOKENS, form)
    vocab = read_vocab(vocab_file(content, 'data-12345678.vocab'))
    text = read_vocab(vocab_file('\n'.join(TOKENS)), swap=form != 'current')
    assert facts_of(vocab) == facts_of(text)
    assert vocab.idx_to_token == json.loads(content)['idx_to_token']
    assert vocab['absent'] == vocab['[UNK]'] == (0 if form != 'current' else 9)


@pytest.mark.parametrize('swap', [False, True])
def test_what_we_write_gives_an_equal_vocabulary_here_and_in_gluonnlp(vocab_file, tmp_path, swap):
    vocab = read_vocab(vocab_file('\n'.join([*TOKENS, '\u2028', 'é'])), swap=swap)
    path = tmp_path / 'vocab.json'
    write_vocab_json(path, vocab)
    assert facts_of(BERTVocab.from_json(path.read_text())) == facts_of(vocab)
    assert facts_of(read_vocab(path)) == facts_of(vocab)


def test_further_reserved_tokens_stay_reserved(vocab_file):
    theirs = BERTVocab(count_tokens(['a', 'b']), reserved_tokens=['[E1]', '[E2]'])
    assert facts_of(read_vocab(vocab_file(theirs.to_json(), 'vocab.json'))) == facts_of(theirs)


def test_roberta_json_of_gluonnlp_has_start_and_end_as_cls_and_sep(vocab_file):
    ids = {
        token: i
        for i, token in enumerate(['<s>', '<pad>', '</s>', '<unk>', 'Ġthe', 'zoo', '<mask>'])
    }
    theirs = Vocab(
        count_tokens(ids),
        token_to_idx=ids,
        unknown_token='<unk>',
        padding_token='<pad>',
        bos_token='<s>',
        eos_token='</s>',
        mask_token='<mask>',
    )
    vocab = read_vocab(vocab_file(theirs.to_json(), 'openwebtext.vocab'))
    assert vocab.idx_to_token == list(ids)
    assert vocab[
        [vocab.cls_token, vocab.padding_token, vocab.sep_token, 'absent', vocab.mask_token]
    ] == [0, 1, 2, 3, 6]
    assert (vocab.bos_token, vocab.eos_token) == ('<s>', '</s>')


def test_index_damaged_before_0_7_is_repaired_as_in_gluonnlp(vocab_file):
    content = {
        'idx_to_token': ['<unk>', '<eos>', '<bos>', '<eos>', '[MASK]', '[CLS]', '[SEP]', 'a'],
        'token_to_idx': {
            '<unk>': 0,
            '<bos>': 2,
            '<eos>': 3,
            '[MASK]': 4,
            '[CLS]': 5,
            '[SEP]': 6,
            'a': 7,
        },
        'reserved_tokens': ['<eos>', '<bos>', '<eos>'],
        'unknown_token': '<unk>',
        'padding_token': '<eos>',
        'bos_token': '<bos>',
        'eos_token': '<eos>',
        'mask_token': '[MASK]',
        'cls_token': '[CLS]',
        'sep_token': '[SEP]',
    }
    text = json.dumps(content)
    vocab = read_vocab(vocab_file(text, 'old.vocab'))
    with pytest.warns(UserWarning, match='corrupted index'):
        theirs = Vocab.from_json(text)
    assert vocab.idx_to_token == theirs.idx_to_token == content['idx_to_token']
    assert dict(vocab.token_to_idx) == dict(theirs.token_to_idx) == content['token_to_idx']
    assert vocab[['<eos>', 'a', 'absent']] == [3, 7, 0]


def changed(**changes):
    """A JSON of GluonNLP, with changes; None takes a key out."""
    content = {**json.loads(gluonnlp_json(TOKENS[:1] + TOKENS[9:])), **changes}
    return {key: value for key, value in content.items() if value is not None}


IDS = {token: i for i, token in enumerate(TOKENS[:1] + TOKENS[9:])}
LIST = list(IDS)
BAD_JSON = [
    (
        changed(token_to_idx={**IDS, 'the': 6, '##s': 5}),
        r"token 'the' has the id 6, where idx_to_token has '##s'",
    ),
    (changed(token_to_idx={**IDS, 'zebra': 8}), r"token 'zebra' has the id 8, ids go from 0 to 7"),
    (changed(token_to_idx={**IDS, 'zebra': -1}), r"token 'zebra' has the id -1"),
    (changed(token_to_idx={**IDS, 'zebra': 7.0}), r"token 'zebra' has the id 7\.0"),
    (changed(token_to_idx={**IDS, '[UNK]': True}), r"token '\[UNK\]' has the id True"),
    (changed(idx_to_token=[*LIST, 'the']), r"token 'the' occurs twice, with the ids 8 and 5"),
    (changed(idx_to_token=[*LIST, 'new']), r"token 'new', number 8 of idx_to_token, is not in"),
    (changed(idx_to_token=[*LIST[:-1], 7]), r'token 7 is .7., not a text'),
    (changed(idx_to_token=[*LIST[:-1], 'a\0']), r'token 7, .*, holds a NUL'),
    (changed(idx_to_token=[*LIST[:-1], '\ud800']), 'half of a surrogate pair'),
    (changed(idx_to_token='abc'), r'idx_to_token must be a list'),
    (changed(token_to_idx=None), r'token_to_idx an object'),
    (changed(unknown_token=['[UNK]']), r'unknown_token is .*, not a token'),
    (changed(unknown_token='[unk]'), r"special token '\[unk\]' is missing among the 8 tokens"),
    (changed(identifiers_to_tokens={'sep_token': '[UNK]'}), r'both unknown_token and sep_token'),
    (changed(mask_token='[MASK]'), r'mask_token is given twice'),
    (changed(identifiers_to_tokens=3), r'identifiers_to_tokens is not an object'),
    (changed(identifiers_to_tokens={'sep_token': 'EOS'}), r"special token 'EOS' is missing"),
    (changed(reserved_tokens=['[X]']), r"reserved token '\[X\]' is not in token_to_idx"),
    (changed(reserved_tokens={'a': 1}), r'reserved_tokens is not a list'),
    ({'[UNK]': 0, 'a': 0}, r"tokens '\[UNK\]' and 'a' both have the id 0"),
    ({'[UNK]': 0, 'a': 2}, r"token 'a' has the id 2, ids go from 0 to 1"),
    ({'hidden_size': 768}, r"token 'hidden_size' has the id 768"),
    ({'a': 0, 'b': 1}, r"special token '\[UNK\]' is missing among the 2 tokens"),
    ({}, r'expected an object with the id of each token'),
    ('{"a": 1, "a": 2}', r"the key 'a' occurs twice"),
    ('{"a": NaN}', r'NaN is not a number'),
    ('{"a": ' + '9' * 5000 + '}', r'a number of 5000 digits'),
    ('{"a": ' + '[' * 100000, r'nested too deeply'),
    ('{"a": [' + '0,' * 1300000 + '0]}', r'more than 1200000 values'),
    ('{"a": "' + 'x' * (25 << 20) + '"}', r'larger than 25165824 bytes'),
    ('{"a": 1', r'not JSON as expected'),
    (b'{"a": "\xff"}', r'not UTF-8: byte 0xff at offset 7'),
]


@pytest.mark.parametrize(('content', 'message'), BAD_JSON, ids=[row[1] for row in BAD_JSON])
def test_bad_json_is_refused_with_its_token(vocab_file, content, message):
    content = json.dumps(content) if isinstance(content, dict) else content
    with pytest.raises(ValueError, match=r'bad\.vocab: .*' + message):
        read_vocab(vocab_file(content, 'bad.vocab'))


def test_a_text_that_begins_with_a_brace_is_read_by_lines(vocab_file):
    assert read_vocab(vocab_file('\n'.join(['{', *SPECIAL])))['{'] == 0


def test_other_names_of_special_tokens_can_be_given(vocab_file):
    path = vocab_file('\n'.join([*SPECIAL[:4], '[BLANK]']))
    vocab = read_vocab(path, special_tokens={'mask_token': '[BLANK]'})
    assert vocab.mask_token == '[BLANK]' and vocab.idx_to_token[4] == '[BLANK]'
    with pytest.raises(ValueError, match=r"'mask' is unknown; did you mean 'mask_token'"):
        read_vocab(path, special_tokens={'mask': '[BLANK]'})


@pytest.mark.parametrize(
    ('tokens', 'form', 'message'),
    [
        (TOKENS, 'new', r"form='new': expected one of"),
        ([*TOKENS, 'the '], 'old', r"'the' occurs twice"),
        (TOKENS[1:], 'current', r"special token '\[PAD\]' is missing"),
        (TOKENS[1:], 'old', r"special token '\[PAD\]' is missing"),
    ],
)
def test_what_gluonnlp_could_not_write_is_refused(tokens, form, message):
    with pytest.raises(ValueError, match=message):
        gluonnlp_json(tokens, form)


@pytest.mark.parametrize(
    'tokens',
    [
        TOKENS,
        [],
        ['[UNK]', *SPECIAL],
        ['[UNK]', '[PAD]', '[CLS]', '[SEP]', '[MASK]', 'the'],
        ['[UNK]', '[PAD]', '[CLS]', '[SEP]', '[MASK]', '[unused5]', 'the'],
        ['[UNK]', '[PAD]', '[CLS]', '[SEP]', '[MASK]', '[unused4]', *TOKENS[1:4]],
    ],
)
def test_a_list_that_is_not_in_gluonnlp_order_is_not_put_back(tokens):
    with pytest.raises(ValueError, match='not the order GluonNLP gave'):
        unswapped(tokens)


# The published vocabularies


@pytest.mark.data
@pytest.mark.parametrize(
    ('name', 'form', 'sha1'),
    [
        ('uncased_english', 'current', '80ef760a6bdafec68c99b691c94ebbb918c90d02'),
        ('cased_english', 'current', 'a4ff6fe1f85ba95f3010742b9abc3a818976bb2c'),
        ('chinese', 'old', 'ddebd8f3867bca5a61023f73326fb125cf12b4f5'),
        ('chinese', '0.5', 'a1e06f8e39ae51ab8a92b8458e6a658b8b1f72bf'),
        ('multilingual_cased', 'old', '0247cb442074237c38c62021f36b7a4dbd2e55f7'),
        ('multilingual_cased', '0.5', '71bb9e248dc75dce9227d3c8c16fde3993588b9e'),
    ],
)
def test_json_is_the_file_that_gluonnlp_published(shared_data, vocab_file, name, form, sha1):
    path = shared_data / 'vocab' / name / 'vocab.txt'
    content = gluonnlp_json(read_vocab(path), form)
    assert hashlib.sha1(content).hexdigest() == sha1
    vocab = read_vocab(vocab_file(content, f'{name}-{sha1[:8]}.vocab'))
    assert facts_of(vocab) == facts_of(read_vocab(path, swap=form != 'current'))


@pytest.mark.data
@pytest.mark.parametrize('name', PUBLISHED)
def test_swapped_ids_go_back_to_the_published_ones(shared_data, name):
    path = shared_data / 'vocab' / name / 'vocab.txt'
    published = read_vocab(path).idx_to_token
    swapped = read_vocab(path, swap=True).idx_to_token
    assert swapped != published
    assert unswapped(swapped) == published


@pytest.mark.data
@pytest.mark.parametrize(
    ('name', 'lower'),
    [
        ('uncased_english', True),
        ('cased_english', False),
        ('multilingual_uncased', True),
        ('multilingual_cased', False),
    ],
)
def test_lower_casing_is_told_from_the_tokens(shared_data, name, lower):
    assert looks_lowercase(read_vocab(shared_data / 'vocab' / name / 'vocab.txt')) is lower
