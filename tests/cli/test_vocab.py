"""gluon-bert vocab: its folder, its inputs, errors."""

import gzip
import io
import sys

import pytest

from gluon_bert.data import learn_wordpiece, read_tokenizer

pytest_plugins = ['command_fixtures']

TEXTS = ['The lower the newer: widest lowest newest.', 'Café 北京, low lower lowest', ''] * 3
FILES = {'special_tokens_map.json', 'tokenizer.json', 'tokenizer_config.json', 'vocab.txt'}


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / 'texts' / 'corpus.txt'
    path.parent.mkdir()
    path.write_text('\n'.join(TEXTS), encoding='utf-8')
    return path


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_folder_is_the_tokenizer_of_the_library(corpus, tmp_path, run):
    out = tmp_path / 'new' / 'folder'
    flags = ('--cased', '--unused', '3', '--extra-tokens', '[E1]', '[E2]', '--min_frequency', '3')
    status, printed, err = run('vocab', corpus, '--size', '60', '--output', out, *flags)
    assert status == 0, err
    expected = learn_wordpiece(
        TEXTS, 60, lower=False, num_unused=3, extra_tokens=['[E1]', '[E2]'], min_frequency=3
    )
    assert contents(out) == expected.contents() and set(contents(out)) == FILES
    assert read_tokenizer(out).is_like(expected)
    assert [line.split(':')[0] for line in printed.splitlines()] == sorted(
        str(out / name) for name in FILES
    )
    assert err == '60 tokens\n'


def test_sentencepiece(corpus, tmp_path, run):
    pytest.importorskip('sentencepiece', reason='needs sentencepiece')
    flags = ('--kind', 'sentencepiece', '--no-strip-accents', '--character_coverage', '1')
    assert run('vocab', corpus, '--size', '31', '--output', tmp_path / 'out', *flags)[0] == 0
    tokenizer = read_tokenizer(tmp_path / 'out')
    assert 'spiece.model' in contents(tmp_path / 'out') and len(tokenizer.vocabulary) == 31
    assert tokenizer('CAFÉ') == tokenizer('café') and '<unk>' not in tokenizer('café')


def test_packed_files_and_standard_input_are_read(corpus, tmp_path, run, monkeypatch):
    assert run('vocab', corpus, corpus, '--size', '70', '--output', tmp_path / 'a')[0] == 0
    packed = corpus.with_name('corpus.txt.gz')
    packed.write_bytes(gzip.compress(corpus.read_bytes()))
    monkeypatch.setattr(sys, 'stdin', io.TextIOWrapper(io.BytesIO(corpus.read_bytes())))
    assert run('vocab', packed, '-', '--size', '70', '--output', tmp_path / 'b')[0] == 0
    assert contents(tmp_path / 'a') == contents(tmp_path / 'b')


def test_fewer_tokens_are_reported(corpus, tmp_path, run, caplog):
    status, _, err = run('vocab', corpus, '--size', '999', '--output', tmp_path / 'out')
    number = len(read_tokenizer(tmp_path / 'out').vocabulary)
    assert (status, err) == (0, f'{number} tokens\n')
    assert f'a vocabulary of {number} tokens, not 999' in caplog.text


def test_what_is_there_is_not_replaced(corpus, tmp_path, run):
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'mine').write_text('')
    status, _, err = run('vocab', corpus, '--size', '70', '--output', out)
    assert status == 2 and f'{out}: is there already' in err and err.count('\n') == 1
    assert [path.name for path in out.iterdir()] == ['mine']


LONG = b'a' * (2 << 20)
ERRORS = {
    'empty': (b'', (), 'the texts have no words to learn from'),
    'blank': (b' \n\n', (), 'the texts have no words to learn from'),
    'Latin-1': (b'good\nbad \xff\n', (), 'text:2: not UTF-8: byte 0xff at offset 9'),
    'UTF-16': ('abc'.encode('utf-16'), (), 'text:1: the file is UTF-16'),
    'a long line': (b'a\n' + LONG, (), 'text:2: the line is longer than'),
    'small': (b'low\n', ('--size', '9'), '--size 9: the special tokens and the characters'),
    'coverage': (b'low\n', ('--character-coverage', '7'), '--character_coverage 7.0: expected'),
    'unused': (b'low\n', ('--unused', '-1'), '--unused -1: expected'),
    'other kind': (b'low\n', ('--sample', '9'), '--sample is not for --kind wordpiece'),
    'extra': (b'low\n', ('--extra_tokens', '[SEP]'), "--extra_tokens '[SEP]': "),
}


@pytest.mark.parametrize('name', ERRORS)
def test_errors_are_one_line_and_leave_nothing(name, tmp_path, run):
    content, flags, message = ERRORS[name]
    (tmp_path / 'text').write_bytes(content)
    out = tmp_path / 'new' / 'out'
    status, printed, err = run('vocab', tmp_path / 'text', '--size', '70', '--output', out, *flags)
    assert (status, printed, err.count('\n')) == (2, '', 1) and message in err
    assert [path.name for path in tmp_path.iterdir()] == ['text']


def test_sentencepiece_refuses_the_flags_of_wordpiece(corpus, tmp_path, run):
    for flags in (['--min_frequency', '3'], ['--no_split_chinese']):
        out = tmp_path / 'out'
        status, _, err = run(
            *('vocab', corpus, '--size', '70', '--output', out, '--kind', 'sentencepiece', *flags)
        )
        assert status == 2 and f'{flags[0]} is not for --kind sentencepiece' in err


@pytest.mark.parametrize(
    'content', [b'text', gzip.compress(b'text\n' * 999)[:30]], ids=['no gzip file', 'cut']
)
def test_damaged_packed_files_are_refused(content, tmp_path, run):
    path = tmp_path / 'text.gz'
    path.write_bytes(content)
    status, _, err = run('vocab', path, '--size', '70', '--output', tmp_path / 'out')
    assert status == 2 and f'{path}: not a gzip file, or a damaged one' in err


def test_a_missing_file_is_named_before_others_are_read(corpus, tmp_path, run):
    corpus.write_bytes(b'\xff')
    missing = tmp_path / 'missing'
    status, _, err = run('vocab', corpus, missing, '--size', '70', '--output', tmp_path / 'out')
    assert status == 2 and f'FILE {missing}: no such file' in err
