"""Added tokens: the ids of the ``tokenizers`` library, whatever file states them."""

import json
import pickle

import pytest
from test_tokenizer import SPECIAL
from test_tokenizer_families import byte_pair, byte_pair_folder, spiece  # noqa: F401  (fixtures)
from tokenizers import AddedToken, Tokenizer

from gluon_bert.data import BertTokenizer, SentencePieceTokenizer, read_tokenizer, read_vocab

WORDS = ['the', 'film', 'good', 'ent', '<', '>', '##x', '1', 'e', '##nt', 'cov', 'café', 'cafe']
BASE = [*SPECIAL, *WORDS]
N = len(BASE)
TEXTS = [
    'the <ent> film [E1] good',
    'The<ENT>film[e1]good',
    '[E1][E1] <ent> ent <ent>x',
    'cov covx the cov',
    'good [MASK] <ent> Café',
]
ADDED = [
    AddedToken('<ent>', normalized=True),
    AddedToken('[E1]', normalized=False, special=True),
    AddedToken('covx', single_word=True, lstrip=True),
]


def library(lower=True):
    vocab = {token: number for number, token in enumerate(BASE)}
    folder = BertTokenizer(_vocab(), lower=lower)
    tokenizer = Tokenizer.from_str(folder._tokenizer.to_str())
    assert tokenizer.get_vocab_size() == len(vocab)
    tokenizer.add_tokens(ADDED)
    return tokenizer


def _vocab():
    from gluon_bert.data.tokenizers.vocabulary import Vocabulary
    from gluon_bert.data.tokenizers.vocabulary_ids import BERT_TOKENS

    return Vocabulary(BASE, BERT_TOKENS)


def write(folder, **files):
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / name.replace('__', '.')).write_text(text, encoding='utf-8')
    return folder


DECODER = {
    str(N + number): {
        'content': token.content,
        'single_word': token.single_word,
        'lstrip': token.lstrip,
        'rstrip': token.rstrip,
        'normalized': token.normalized,
        'special': token.special,
    }
    for number, token in enumerate(ADDED)
}
VOCAB = '\n'.join(BASE) + '\n'


@pytest.fixture(params=['vocab and config', 'tokenizer.json', 'both'])
def folder(request, tmp_path):
    config = {'do_lower_case': True, 'added_tokens_decoder': DECODER}
    files = {
        'vocab and config': {'vocab__txt': VOCAB, 'tokenizer_config__json': config},
        'tokenizer.json': {'tokenizer__json': library().to_str()},
    }
    files['both'] = {**files['vocab and config'], **files['tokenizer.json']}
    return write(tmp_path / 'folder', **files[request.param])


def ids(tokenizer, library_tokenizer):
    expected = [library_tokenizer.encode(text, add_special_tokens=False).ids for text in TEXTS]
    assert [tokenizer.encode(text).ids for text in TEXTS] == expected
    assert tokenizer.encode_ids(TEXTS) == expected
    for text, row in zip(TEXTS, expected):
        assert tokenizer.convert_tokens_to_ids(tokenizer(text)) == row


def test_ids_are_those_of_the_library_and_survive(folder, tmp_path):
    tokenizer = read_tokenizer(folder)
    assert len(tokenizer.vocab) == N + 3
    assert tokenizer.vocab[['<ent>', '[E1]', 'covx']] == [N, N + 1, N + 2]
    ids(tokenizer, library())
    ids(pickle.loads(pickle.dumps(tokenizer)), library())
    ids(tokenizer.without_token_types(), library())
    tokenizer.save(tmp_path / 'saved')
    saved = read_tokenizer(tmp_path / 'saved')
    assert saved.is_like(tokenizer)
    ids(saved, library())
    ids(saved, Tokenizer.from_file(str(tmp_path / 'saved' / 'tokenizer.json')))
    added = json.loads((tmp_path / 'saved' / 'added_tokens.json').read_text())
    assert added == {'<ent>': N, '[E1]': N + 1, 'covx': N + 2}
    assert (tmp_path / 'saved' / 'vocab.txt').read_text(encoding='utf-8') == VOCAB


def test_added_tokens_json_alone(tmp_path):
    write(tmp_path, vocab__txt=VOCAB, added_tokens__json={'[E1]': N + 1, '<ent>': N})
    tokenizer = read_tokenizer(tmp_path, lower=True)
    assert tokenizer('the <ent> film [E1]') == ['the', '<ent>', 'film', '[E1]']
    assert tokenizer.encode('<ent>[E1]').ids == [N, N + 1]


def test_further_special_tokens_without_an_id_come_last(tmp_path, caplog):
    config = {'do_lower_case': True, 'additional_special_tokens': ['[E2]', 'film']}
    write(tmp_path, vocab__txt=VOCAB, tokenizer_config__json=config)
    tokenizer = read_tokenizer(tmp_path)
    assert tokenizer.encode('the film [E2]').ids == [BASE.index('the'), BASE.index('film'), N]
    assert "added token '[E2]' has no id" in caplog.text


@pytest.mark.parametrize(
    'files, message',
    [
        ({'added_tokens__json': {'a': N + 1}}, f"'a' has the id {N + 1}, but no token has the ids"),
        ({'added_tokens__json': {'a': 3}}, "'a' has the id 3, in the vocabulary it is"),
        ({'added_tokens__json': {'film': N}}, "'film' has the id"),
        ({'added_tokens__json': {'a': -1}}, 'expected 0 or more'),
        ({'added_tokens__json': {'a': True}}, 'expected 0 or more'),
        ({'added_tokens__json': [1]}, 'expected a JSON object'),
        (
            {
                'added_tokens__json': {'<ent>': N + 1},
                'tokenizer_config__json': {'added_tokens_decoder': DECODER},
            },
            f"'<ent>' has the id {N + 1}, but {N} in tokenizer_config.json",
        ),
        ({'tokenizer_config__json': {'added_tokens_decoder': {'x': {'content': 'a'}}}}, "id 'x'"),
        ({'tokenizer_config__json': {'additional_special_tokens': [3]}}, 'not a token'),
        ({'tokenizer__json': {'added_tokens': [{'id': 3}]}}, 'has no content'),
    ],
)
def test_contradictions_are_refused(tmp_path, files, message):
    write(tmp_path, vocab__txt=VOCAB, **files)
    with pytest.raises(ValueError, match=None) as caught:
        read_tokenizer(tmp_path)
    assert message in str(caught.value)


def test_a_vocabulary_that_differs_from_tokenizer_json_is_refused(tmp_path):
    other = '\n'.join([*BASE[:-2], BASE[-1], BASE[-2]])
    write(tmp_path, vocab__txt=other, tokenizer__json=library().to_str())
    with pytest.raises(ValueError, match='in the vocabulary beside it'):
        read_tokenizer(tmp_path)


@pytest.mark.parametrize(
    'normalizer',
    [
        None,
        {'type': 'Lowercase'},
        {'type': 'Sequence', 'normalizers': [{'type': 'NFC'}, {'type': 'Lowercase'}]},
        {
            'type': 'Sequence',
            'normalizers': [
                {'type': 'NFD'},
                {
                    'type': 'BertNormalizer',
                    'clean_text': True,
                    'handle_chinese_chars': True,
                    'strip_accents': False,
                    'lowercase': True,
                },
            ],
        },
    ],
)
@pytest.mark.parametrize('beside', [True, False])
def test_another_normalizer_is_honoured(tmp_path, normalizer, beside):
    content = {**json.loads(library().to_str()), 'normalizer': normalizer}
    folder = write(tmp_path / 'a', tokenizer__json=content)
    if beside:
        write(folder, vocab__txt=VOCAB)
    expected = Tokenizer.from_str(json.dumps(content))
    tokenizer = read_tokenizer(folder)
    ids(tokenizer, expected)
    tokenizer.save(tmp_path / 'b')
    ids(read_tokenizer(tmp_path / 'b'), expected)


def test_byte_level_bpe_has_added_tokens(byte_pair, tmp_path):  # noqa: F811
    byte_pair.save(tmp_path / 'base')
    size = len(byte_pair.vocab)
    write(tmp_path / 'base', added_tokens__json={'<ent>': size})
    (tmp_path / 'base' / 'tokenizer.json').unlink()
    tokenizer = read_tokenizer(tmp_path / 'base')
    assert tokenizer.encode('the <ent>fox').ids.count(size) == 1
    tokenizer.save(tmp_path / 'saved')
    saved = read_tokenizer(tmp_path / 'saved')
    assert saved.is_like(tokenizer)
    written = Tokenizer.from_file(str(tmp_path / 'saved' / 'tokenizer.json'))
    for text in ('the <ent>fox', 'a <mask> <ent>', '<ent><ent> dog'):
        expected = written.encode(text, add_special_tokens=False).ids
        assert saved.encode(text).ids == tokenizer.encode(text).ids == expected


def test_sentencepiece_has_added_tokens(spiece, tmp_path):  # noqa: F811
    SentencePieceTokenizer(spiece).save(tmp_path / 'base')
    size = len(read_vocab(tmp_path / 'base' / 'tokenizer.model'))
    (tmp_path / 'base' / 'tokenizer.json').unlink(missing_ok=True)
    write(tmp_path / 'base', added_tokens__json={'<ent>': size})
    tokenizer = read_tokenizer(tmp_path / 'base')
    encoded = tokenizer.encode('sea <ent> dog')
    assert encoded.ids.count(size) == 1
    assert encoded.offsets[encoded.ids.index(size)] == (4, 9)
    tokenizer.save(tmp_path / 'saved')
    assert read_tokenizer(tmp_path / 'saved').is_like(tokenizer)
    assert pickle.loads(pickle.dumps(tokenizer)).encode('sea <ent> dog') == encoded


# The unknown token


@pytest.mark.parametrize('beside', [False, True])
@pytest.mark.parametrize('stated', ['[UNK]', 'ent', None])
def test_the_unknown_token_is_that_of_the_library(tmp_path, beside, stated):
    content = json.loads(library().to_str())
    content['model']['unk_token'] = 'ent'
    files = {'vocab__txt': VOCAB} if beside else {}
    config = {'do_lower_case': True, **({'unk_token': stated} if stated else {})}
    write(tmp_path, tokenizer__json=content, tokenizer_config__json=config, **files)
    if stated == '[UNK]':
        message = r"tokenizer.json: unk_token of the model is 'ent', but '\[UNK\]' in the settings"
        with pytest.raises(ValueError, match=message):
            read_tokenizer(tmp_path)
        return
    tokenizer = read_tokenizer(tmp_path)
    assert tokenizer.vocab.unknown_token == 'ent'
    theirs = Tokenizer.from_str(json.dumps(content))
    expected = theirs.encode('the qqq film', add_special_tokens=False).ids
    assert BASE.index('ent') in expected
    assert tokenizer.encode('the qqq film').ids == expected


@pytest.mark.parametrize('other, is_said', [('[MASK]', True), ('[PAD]', False)])
def test_a_token_that_two_files_state_differently_is_said(tmp_path, caplog, other, is_said):
    config = {'do_lower_case': True, 'pad_token': '[PAD]'}
    special = {'pad_token': {'content': other}}
    write(
        tmp_path, vocab__txt=VOCAB, tokenizer_config__json=config, special_tokens_map__json=special
    )
    assert read_tokenizer(tmp_path).vocab.padding_token == '[PAD]'
    said = "pad_token is '[PAD]', but '[MASK]' in special_tokens_map.json: the former is used"
    assert (said in caplog.text) == is_said == ('special_tokens_map' in caplog.text)


@pytest.mark.parametrize('normalizer', [[{'type': 'NFC'}], {'type': 'Nothing'}, 'NFC'])
def test_a_normalizer_that_is_none_is_refused_with_its_file(tmp_path, normalizer):
    content = {**json.loads(library().to_str()), 'normalizer': normalizer}
    write(tmp_path, tokenizer__json=content, vocab__txt=VOCAB)
    with pytest.raises(ValueError, match=rf'{tmp_path}/tokenizer.json: normalizer is '):
        read_tokenizer(tmp_path)


@pytest.mark.parametrize('step', ['pre_tokenizer', 'post_processor'])
def test_the_name_of_a_step_is_shown_in_one_line(tmp_path, step):
    content = {**json.loads(library().to_str()), step: {'type': '\x1b[31m\u2028'}}
    write(tmp_path, tokenizer__json=content, vocab__txt=VOCAB)
    with pytest.raises(ValueError, match=r"is '\\x1b\[31m\\u2028', expected") as caught:
        read_tokenizer(tmp_path)
    assert str(caught.value).isprintable()
