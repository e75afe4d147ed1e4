"""gluon-bert pretraining-data, and the script with Google's flags."""

import sys
from pathlib import Path

import create_pretraining_data as script
import pytest
from google_reference import instances
from script_runs import run_script, undisturbed  # noqa: F401 (fixtures)
from test_google_records import DEFAULTS, made_text, rows
from test_masking import TOKENS

pytest_plugins = ['command_fixtures']


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'vocab.txt').write_text('\n'.join(TOKENS), encoding='utf-8')
    (tmp_path / 'text.txt').write_text(made_text(1, 5), encoding='utf-8')
    return tmp_path


def flags(folder, output, *more):
    return (
        f'--input_file={folder}/text.txt',
        f'--output_file={folder}/{output}',
        f'--vocab_file={folder}/vocab.txt',
        *more,
    )


def expected(folder, **changes):
    vocab = {token: number for number, token in enumerate(TOKENS)}
    text = (folder / 'text.txt').read_text('utf-8').removesuffix('\n')
    return instances([text], vocab, True, {**DEFAULTS, **changes})


@pytest.mark.parametrize(
    'more, changes',
    [
        ((), {}),
        (
            ('--do_lower_case=True', '--do_whole_word_mask=True', '--max_seq_length=40',
             '--max_predictions_per_seq=4', '--random_seed=5', '--dupe_factor=2',
             '--short_seq_prob=0.5', '--masked_lm_prob=0.3'),
            {'do_whole_word_mask': True, 'max_seq_length': 40, 'max_predictions_per_seq': 4,
             'random_seed': 5, 'dupe_factor': 2, 'short_seq_prob': 0.5, 'masked_lm_prob': 0.3},
        ),
    ],
)  # fmt: skip
def test_the_script_makes_googles_records(folder, run_script, run, more, changes):  # noqa: F811
    code, out, log = run_script(script, *flags(folder, 'out', *more))
    assert code == 0, log
    assert out == f'{folder}/out\n'
    assert rows(folder / 'out') == expected(folder, **changes)
    names = flags(folder, f'b.npz,{folder}/c.npz', *more)
    status, out, err = run('pretraining-data', *names, '--compatible', 'google')
    assert status == 0 and out == f'{folder}/b.npz\n{folder}/c.npz\n', err
    both = rows(folder / 'b.npz'), rows(folder / 'c.npz')
    assert both == (expected(folder, **changes)[::2], expected(folder, **changes)[1::2])


def test_the_command_makes_shards(folder, run):
    (folder / 'words').write_text('中国\n\n人民\n', encoding='utf-8')
    status, out, err = run(
        'pretraining-data', *flags(folder, 'a.tfrecord'), '--num-shards', '2', '--masking', 'spans',
        '--words_file', folder / 'words', '--pairing', 'sentence_order', '--nodo_lower_case',
        '--num_workers', '3',
    )  # fmt: skip
    assert status == 0, err
    assert [Path(line).name for line in out.splitlines()] == [
        'a-00000-of-00002.tfrecord', 'a-00001-of-00002.tfrecord'
    ]  # fmt: skip
    total = sum(len(rows(line)) for line in out.splitlines())
    assert f'{total} records of 5 documents' in err
    assert '2 processes make the 2 output files' in err


@pytest.mark.parametrize(
    'more, reason',
    [
        (('--max_seq_length', '3'), '--max_seq_length 3: expected a whole number from 5'),
        (('--max_predictions_per_seq', '0'), '--max_predictions_per_seq 0'),
        (('--masking', 'spans', '--do_whole_word_mask'), '--masking spans: contradicts --do_whole'),
        (('--words_file', 'none.txt'), 'none.txt: No such file'),
        (('--vocab_file', 'empty'), 'there is no tokenizer in this folder'),
        (('--vocab_file', 'text.txt'), 'text.txt'),
        (('--input_file', 'no*.txt'), 'no*.txt: no such file'),
        (('--output_file', 'a.doc'), 'a.doc: the name of a file of records ends in'),
        (('--output_file', 'a.npz,b.npz', '--num_shards', '2'), '--num_shards 2: takes one --outp'),
        (('--format', 'npy'), 'invalid choice'),
        (('--do_lower_case=no',), 'expected True or False'),
        (('--compatible=google', '--num_workers=2'), "--num_workers 2: Google's order takes one"),
    ],
)
def test_wrong_flags_are_refused_in_one_line(folder, run, more, reason, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / 'empty').mkdir()
    before = sorted(folder.iterdir())
    try:
        status, out, err = run('pretraining-data', *flags(folder, 'a.npz', *more))
    except SystemExit as error:
        status, out, err = error.code, '', None
    assert (status, out) == (2, '')
    assert err is None or (reason in err and err.count('\n') <= 2)
    assert sorted(folder.iterdir()) == before


def test_a_vocabulary_without_a_mask_token_is_refused(folder, run):
    tokens = [token for token in TOKENS if token != '[MASK]']
    (folder / 'vocab.txt').write_text('\n'.join(tokens), encoding='utf-8')
    status, _, err = run('pretraining-data', *flags(folder, 'a.npz'))
    assert status == 2 and '[MASK]' in err


def test_mxnet_is_not_imported(folder):
    import subprocess

    code = (
        'import sys; from gluon_bert import cli; assert cli.main(sys.argv[1:]) == 0; '
        "assert not {'mxnet', 'gluonnlp'} & {*sys.modules}"
    )
    arguments = ['pretraining-data', *flags(folder, 'a.npz')]
    subprocess.run([sys.executable, '-c', code, *arguments], check=True, capture_output=True)
