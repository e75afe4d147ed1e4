"""The command line's front door: its commands, names of models, completion."""

import subprocess

import pytest

from gluon_bert.cli import COMMANDS, GROUPS, completion, main
from gluon_bert.cli.models import read_models, split_model

pytest_plugins = ['command_fixtures']


def test_alone_it_shows_its_commands(run):
    status, out, err = run()
    assert (status, err) == (0, '')
    lines = [line.split() for line in out.splitlines()]
    for title, group in GROUPS.items():
        assert f'  {title}' in out.splitlines()
        for name, (_, summary) in group.items():
            assert lines.count([name, *summary.split()]) == 1
    assert max(map(len, out.splitlines())) <= 100


def test_every_command_is_in_one_group():
    assert sorted(COMMANDS) == sorted(name for group in GROUPS.values() for name in group)


def test_list_fits_100_columns(run):
    _, out, _ = run('list')
    assert max(map(len, out.splitlines())) <= 100
    (row,) = (line.split() for line in out.splitlines() if 'wiki_cn_cased' in line)
    assert (
        row[:5] == ['bert_12_768_12', 'wiki_cn_cased', 'zh', '102.3M', '~412.0'] or row[2] == 'zh'
    )


@pytest.mark.parametrize(
    'words, keys, rest',
    [
        (['bert-base-uncased', 'a text'], [('bert_12_768_12', 'book_corpus_wiki_en_uncased')], 1),
        (['bert_12_768_12', 'wiki_cn', 'a'], [('bert_12_768_12', 'wiki_cn_cased')], 1),
        (['bert_12_768_12/wiki_cn', 'a', 'b'], [('bert_12_768_12', 'wiki_cn_cased')], 2),
    ],
)
def test_names_of_models(words, keys, rest, capsys):
    names, others = split_model(words)
    assert [model.key for model in read_models(names)] == keys and len(others) == rest
    said = 'bert-base-uncased is bert_12_768_12 book_corpus_wiki_en_uncased\n'
    assert capsys.readouterr().err == (said if '-base-' in words[0] else '')


@pytest.mark.parametrize(
    'words', [('bert_6_384_12', 'all_minilm_l6_v2'), ('bert_6_384_12/all_minilm_l6_v2',)]
)
def test_predict_takes_two_words_for_a_model(words, run):
    status, _, err = run('predict', *words, 'The capital is [MASK].')
    # It is looked up; its file has no head for masks.
    assert status == 2 and 'has no head to predict with (it has: pooler)' in err


def test_info_of_a_name_of_the_hub(run):
    status, out, _ = run('info', 'all-MiniLM-L6-v2')
    assert status == 0 and out.startswith('bert_6_384_12, all_minilm_l6_v2\n')


@pytest.fixture(scope='module')
def words():
    return completion.read_words()


def complete(script, *line):
    """What bash offers for the last word of a line."""
    code = f'{script}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _gluon_bert\n'
    code += 'printf "%s\\n" "${COMPREPLY[@]}"; complete -p gluon-bert >&2'
    result = subprocess.run(
        ['bash', '-c', code, 'bash', 'gluon-bert', *line], capture_output=True, text=True
    )
    assert (result.returncode, result.stderr.split()[-1]) == (0, 'gluon-bert'), result.stderr
    return result.stdout.split()


@pytest.mark.parametrize(
    'line, offered',
    [
        (('',), list(COMMANDS)),
        (('inf',), ['info']),
        (('zzz',), []),
        (('list', '--sort', ''), ['name', 'params']),
        (('list', '--la'), ['--language']),
        (('list', '--language', ''), ['en', 'ko', 'multi', 'zh']),
        (('predict', 'bert-base-un'), ['bert-base-uncased']),
        (('info', 'bert_6_384_12/'), ['bert_6_384_12/all_minilm_l6_v2']),
        (('cache', 'c'), ['clear']),
        (('completion', ''), ['bash', 'fish', 'zsh']),
        (('train', 'token'), ['token-classification']),
        (('train', 'MR'), ['MRPC']),
        (('train', 'MRPC', '--warm'), ['--warmup_ratio']),
        (('plot', 'conf'), ['confusion']),
    ],
)
def test_bash_completes(words, line, offered):
    assert complete(completion._bash(words), *line) == offered


@pytest.mark.parametrize('shell', ['bash', 'fish', 'zsh'])
def test_a_command_prints_the_completion(shell, run, words, monkeypatch):
    monkeypatch.setattr(completion, 'read_words', lambda: words)
    status, out, err = run('completion', shell)
    assert (status, err) == (0, '') and all(name in out for name in COMMANDS)


def test_no_word_of_the_completion_needs_quotes(words):
    for flags in words.values():
        for row in flags.values():
            assert not [word for word in row if set(word) & set(' \'"$`\\*?;|&<>()')]


def test_an_unknown_command_has_the_nearest(capsys):
    with pytest.raises(SystemExit, match='2'):
        main(['predcit', 'x'])
    assert "'predcit' is unknown; did you mean predict?" in capsys.readouterr().err
