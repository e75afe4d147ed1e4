"""Whether text is lower-cased, decided from a vocabulary where no file states it."""

import json
import logging

import pytest
from test_tokenizer import SPECIAL, make_vocab

from gluon_bert.data import looks_lowercase, read_tokenizer, read_vocab

WORDS = [a + b + c for a in 'abcdefgh' for b in 'aeiou' for c in 'lmnrst']  # 240


def write_vocab(folder, tokens, **config):
    folder.mkdir(exist_ok=True)
    (folder / 'vocab.txt').write_text('\n'.join([*SPECIAL, *tokens]), encoding='utf-8')
    if config:
        (folder / 'tokenizer_config.json').write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize('word', ['COVID', '@USER', 'mRNA', '##X', 'İstanbul'])
def test_one_capital_does_not_make_a_vocabulary_cased(tmp_path, word, caplog):
    tokenizer = read_tokenizer(write_vocab(tmp_path, [*WORDS, word]))
    assert tokenizer.lower
    assert tokenizer('Bal CEN') == ['bal', 'cen']
    assert [record.levelname for record in caplog.records] == ['WARNING']
    assert f'1 of 241 tokens with letters have capitals, such as {word!r}' in caplog.text


@pytest.mark.parametrize(
    'capitals, lower, level',
    [(0, True, 'INFO'), (11, True, 'WARNING'), (14, False, 'WARNING'), (80, False, 'INFO')],
)
def test_the_share_of_capitals_decides_and_is_logged_once(caplog, capitals, lower, level):
    words = [word.capitalize() for word in WORDS[:capitals]] + WORDS[capitals:]
    with caplog.at_level(logging.INFO):
        assert looks_lowercase(make_vocab(*words)) is lower
    assert [record.levelname for record in caplog.records] == [level]


@pytest.mark.parametrize(
    'tokens, lower',
    [
        (['[unused1]', '<URL>', '[E1]', 'haus'], True),
        (['der', 'die', 'das', '##en', 'Haus', 'Frau', 'Kind', '##Ä'], False),
        ([chr(code) for code in range(0x4E00, 0x4F00)] + ['a', 'b', 'app', '##s', 'wifi'], True),
        ([chr(code) for code in range(0x4E00, 0x4F00)] + ['a', 'A', 'app', 'WiFi'], False),
        (['def', '##get', '##Name', 'self', 'String', 'int', '##_', '('], False),
        (['हिन्दी', 'ที่', '中', 'مدينة'], True),  # no letters with case
        (['дом', 'и', 'Москва', 'город'], False),
    ],
)
def test_vocabularies_of_other_languages(tokens, lower):
    assert looks_lowercase(make_vocab(*tokens)) is lower


@pytest.mark.parametrize('lower', [True, False])
def test_what_a_folder_states_wins(tmp_path, lower, caplog):
    for words in (WORDS, [word.upper() for word in WORDS]):
        folder = write_vocab(tmp_path / words[0], words, do_lower_case=lower)
        assert read_tokenizer(folder).lower is lower
    assert not caplog.records


def test_accents_of_an_uncased_vocabulary_are_kept(tmp_path, caplog):
    folder = write_vocab(tmp_path, [*WORDS, 'niño', 'año', 'más', 'también'])
    tokenizer = read_tokenizer(folder)
    assert tokenizer('Niño MÁS') == ['niño', 'más']
    assert 'accents: they are kept' in caplog.text


def test_accents_go_where_lower_casing_is_stated(tmp_path, caplog):
    folder = write_vocab(tmp_path, [*WORDS, 'niño', 'nino', 'más', 'año'], do_lower_case=True)
    assert read_tokenizer(folder)('Niño') == ['nino']
    assert 'they are removed' in caplog.text


def test_stray_accents_are_not_evidence(tmp_path, caplog):
    folder = write_vocab(tmp_path, [*WORDS, 'café', 'cafe'])
    assert read_tokenizer(folder)('Café') == ['cafe']
    assert not caplog.records


@pytest.mark.parametrize(
    'name', ['uncased_english', 'cased_english', 'multilingual_cased', 'multilingual_uncased']
)
def test_published_vocabularies_leave_no_doubt(shared_data, name, caplog):
    folder = shared_data / 'vocab' / name
    assert looks_lowercase(read_vocab(folder / 'vocab.txt')) is ('uncased' in name)
    assert not caplog.records
