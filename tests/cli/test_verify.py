"""The console script: verify, fetch, cache."""

import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from conftest import TINY
from tiny_zoo import KEY, TOKENS, error_of, tokenizer

from gluon_bert.checkpoint import write_checkpoint
from gluon_bert.checkpoint.schema import Checkpoint
from gluon_bert.data import gluonnlp_order

pytest_plugins = ['command_fixtures']


# verify


@pytest.mark.parametrize('to, target', [('gluonnlp', 'a.params'), ('tensorflow', 'a')])
def test_the_same_in_two_formats(to, target, folder, tmp_path, run):
    run('convert', folder, tmp_path / target, '--to', to)
    status, out, _ = run('verify', folder, tmp_path / target)
    assert status == 0 and 'arrays: 46 of 46 equal bit by bit' in out
    assert [line.split() for line in out.splitlines() if line.endswith(' 0')] == [
        ['sequence', '0'],
        ['pooled', '0'],
        ['next', 'sentence', '0'],
        ['masked', 'words', '0'],
    ]


def test_a_difference_is_found(folder, checkpoint, tmp_path, run):
    arrays = {**checkpoint.arrays, 'pooler.bias': checkpoint.arrays['pooler.bias'] + 0.5}
    arrays = {key: array for key, array in arrays.items() if not key.startswith('decoder')}
    write_checkpoint(replace(checkpoint, arrays=arrays), tmp_path / 'b')
    status, out, _ = run('verify', folder, tmp_path / 'b')
    assert status == 1 and 'masked words   only in A' in out
    assert re.search(r'pooler\.bias +0\.5', out) and 'arrays: 40 of 41 equal' in out
    assert run('verify', folder, tmp_path / 'b', '--tolerance', '1e3')[0] == 0


def test_other_order_of_ids_is_the_same_network(folder, checkpoint, tmp_path, run):
    order = gluonnlp_order(TOKENS)
    arrays = dict(checkpoint.arrays)
    for name in ('word_embed.0.weight', 'decoder.3.bias'):
        arrays[name] = arrays[name][order]
    swapped = tokenizer([TOKENS[number] for number in order])
    write_checkpoint(replace(checkpoint, arrays=arrays, tokenizer=swapped), tmp_path / 'b.params')
    status, out, err = run('verify', folder, tmp_path / 'b.params')
    assert status == 0 and 'arrays: 46 of 46 equal' in out
    assert '97 tokens are in both, 2 of them with another id' in err


def test_networks_of_other_widths_differ(folder, checkpoint, make_model, tmp_path, run):
    model = make_model(units=48)
    other = Checkpoint(model.checkpoint_arrays(), model.config)
    write_checkpoint(other, tmp_path / 'b')
    status, out, _ = run('verify', folder, tmp_path / 'b')
    assert status == 1 and 'the widths differ' in out


def test_not_a_number_is_a_difference(folder, checkpoint, tmp_path, run):
    arrays = {**checkpoint.arrays, 'pooler.bias': np.full(TINY.units, np.nan, 'float32')}
    write_checkpoint(replace(checkpoint, arrays=arrays), tmp_path / 'b')
    assert run('verify', folder, tmp_path / 'b')[0] == 1


# fetch, verify against a row, cache


def test_from_fetching_to_clearing(tiny_zoo, run):
    status, out, _ = run('fetch', *KEY)
    assert status == 0 and all(line.startswith(str(tiny_zoo)) for line in out.splitlines())
    _, out, _ = run('list', '--cached', '--dataset', KEY[1], '--format', 'json')
    assert [model['cached'] for model in json.loads(out)] == [True]
    status, out, _ = run('verify', '/'.join(KEY))
    assert status == 0 and 'FAIL' not in out and '46 arrays' in out
    (tiny_zoo / 'resnet.params').write_text('of another zoo')
    _, out, _ = run('cache')
    assert (
        '_'.join(KEY) in out and 'complete' in out and 'resnet.params' in out and 'unknown' in out
    )
    status, out, _ = run('cache', 'clear', '--yes')
    assert status == 0 and out.startswith('freed ') and not out.startswith('freed 0 ')
    assert [path.name for path in tiny_zoo.iterdir() if path.name[0] != '.'] == ['resnet.params']


def test_fetch_of_a_vocabulary_alone(tiny_zoo, run):
    status, out, _ = run('fetch', '--vocab-only', '/'.join(KEY))
    assert status == 0 and len(out.splitlines()) == 1
    assert not (tiny_zoo / '_'.join(KEY)).exists()


def test_fetch_says_what_could_not_be_had(tiny_zoo, monkeypatch, tmp_path, run):
    monkeypatch.setenv('MXNET_GLUON_REPO', (tmp_path / 'empty').as_uri())
    status, out, err = run('fetch', *KEY)
    assert (status, out) == (2, '') and KEY[1] in err and 'Traceback' not in err


@pytest.mark.parametrize('arguments', [[], ['--all', '/'.join(KEY)]])
def test_fetch_needs_models_or_all(arguments, tiny_zoo, run):
    assert 'expected either models or --all' in error_of(run, 'fetch', *arguments)


def test_a_damaged_file_fails(tiny_zoo, tmp_path, run):
    (file,) = (tmp_path / 'mirror').glob('*.params')
    assert run('verify', file)[0] == 0  # the row is found by name and digest
    other = tmp_path / 'other.params'
    data = bytearray(file.read_bytes())
    data[2000] ^= 1
    other.write_bytes(data)
    assert 'no row has a file with this name or digest' in error_of(run, 'verify', other)
    status, out, _ = run('verify', other, '--row', '/'.join(KEY))
    assert status == 1 and out.startswith('FAIL  other.params: sha256 ')
    other.write_bytes(data[:5000])
    status, out, _ = run('verify', other, '--row', '/'.join(KEY))
    assert status == 1 and 'not a whole MXNet parameter file' in out


def test_own_files_and_broken_downloads(tiny_zoo, tmp_path, monkeypatch, run):
    own = tiny_zoo / '_'.join(KEY) / 'model.params'
    own.parent.mkdir(parents=True)
    (file,) = (tmp_path / 'mirror').glob('*.params')
    own.write_bytes(file.read_bytes())
    part = tiny_zoo / '.downloads' / KEY[1] / 'a.zip.part'
    part.parent.mkdir(parents=True)
    part.write_bytes(b'x' * 1000)
    states = dict(
        line.split()[::4] for line in run('cache')[1].splitlines()[2:] if len(line.split()) == 5
    )
    assert states == {'_'.join(KEY): 'user', KEY[1]: 'partial'}
    monkeypatch.setattr('sys.stdin', io.StringIO('no\n'))
    status, out, err = run('cache', 'clear', '--partial')
    assert (status, out) == (0, '') and err.endswith('[y/N] nothing removed\n') and part.exists()
    monkeypatch.setattr('sys.stdin', io.StringIO('y\n'))
    assert run('cache', 'clear')[:2] == (0, 'freed 1.0 kB\n')
    assert own.exists() and not part.exists()
