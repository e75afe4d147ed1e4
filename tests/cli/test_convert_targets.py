"""Where gluon-bert convert writes, what it leaves alone, and what a kill leaves behind."""

import os
import signal
import subprocess
import sys
import time

import pytest
from tiny_zoo import error_of

from gluon_bert.checkpoint import read_checkpoint, write_checkpoint

pytest_plugins = ['command_fixtures']


@pytest.mark.parametrize('name', ['m.onnx', 'm.bin', 'out/model.safetensors', 'm.PT', 'bert.ckpt'])
@pytest.mark.parametrize('to', [[], ['--to', 'tensorflow']])
def test_a_name_of_another_kind_of_file_is_refused(name, to, folder, tmp_path, run):
    message = error_of(run, 'convert', folder, tmp_path / name, *to)
    assert 'file is not written; OUT is a name that ends in .params' in message
    assert {path.name for path in tmp_path.iterdir()} == {'theirs'}


@pytest.mark.parametrize('name', ['uncased_L-2', 'bert.v2', 'v1.5', 'of.mine'])
def test_a_folder_may_have_a_dot_in_its_name(name, folder, tmp_path, run):
    assert run('convert', folder, tmp_path / name)[0] == 0
    assert read_checkpoint(tmp_path / name).config == read_checkpoint(folder).config


def test_what_is_in_the_way_is_told_and_left(folder, tmp_path, run):
    (tmp_path / 'file').write_text('mine')
    (tmp_path / 'a.params').mkdir()
    for target, message in (
        ('file', 'is a file; OUT is a folder'),
        ('file/out', 'is a file, there can be no folder in it'),
        ('a.params', 'is a folder; --to gluonnlp writes a file'),
    ):
        for more in ((), ('--overwrite',)):
            assert message in error_of(run, 'convert', folder, tmp_path / target, *more)
    assert (tmp_path / 'file').read_text() == 'mine'


@pytest.mark.parametrize('name', ['notes.txt', 'data.json', 'README.md', 'sub/config.json'])
def test_overwrite_replaces_only_checkpoints(name, folder, tmp_path, run):
    target = tmp_path / 'out'
    assert run('convert', folder, target)[0] == 0
    (target / name).parent.mkdir(exist_ok=True)
    (target / name).write_text('{}')
    message = error_of(run, 'convert', folder, target, '--overwrite')
    assert 'is not part of a checkpoint; not replaced' in message
    assert (target / name).read_text() == '{}'


def test_the_description_of_other_data_is_not_replaced(folder, tmp_path, run):
    (tmp_path / 'a.json').write_text('{"mine": 1}')
    assert 'already exists' in error_of(run, 'convert', folder, tmp_path / 'a.params')
    message = error_of(run, 'convert', folder, tmp_path / 'a.params', '--overwrite')
    assert 'a.json: ' in message and message.endswith('; not replaced\n')
    assert (tmp_path / 'a.json').read_text() == '{"mine": 1}'


def left_behind(folder):
    return [path.name for path in folder.iterdir() if path.name.startswith('.')]


@pytest.mark.parametrize('name, to', [('out', 'huggingface'), ('out.params', 'gluonnlp')])
def test_a_killed_conversion_leaves_nothing_after_the_next(name, to, folder, tmp_path, run):
    """Killed where all is written but not moved, with the former output in place."""
    target = tmp_path / 'place' / name
    assert run('convert', folder, target)[0] == 0
    code = (
        'import os, signal, sys\n'
        'from gluon_bert.cli import convert, main\n'
        'convert._check = lambda *args: os.kill(os.getpid(), signal.SIGKILL)\n'
        'main(sys.argv[1:])'
    )
    arguments = ['convert', folder, target, '--overwrite', '--dtype', 'float16']
    process = subprocess.run([sys.executable, '-c', code, *map(str, arguments)])
    assert process.returncode == -signal.SIGKILL and left_behind(target.parent)
    assert read_checkpoint(target).arrays['pooler.weight'].dtype == 'float32'
    assert run(*arguments)[0] == 0 and not left_behind(target.parent)
    assert read_checkpoint(target).arrays['pooler.weight'].dtype == 'float16'


def test_a_folder_that_a_killed_conversion_took_away_comes_back(folder, tmp_path, run):
    process = subprocess.Popen([sys.executable, '-c', ''])
    process.wait()
    left = tmp_path / f'.out.{process.pid}.abc'
    (left / 'new').mkdir(parents=True)
    os.rename(folder, left / 'old')
    message = error_of(run, 'convert', left / 'old', tmp_path / 'out')
    assert 'no such file or folder' in message or 'already exists' in message
    assert read_checkpoint(tmp_path / 'out') and not left.exists()


def test_a_running_conversion_is_left_alone(folder, tmp_path, run):
    process = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])
    try:
        left = tmp_path / f'.out.{process.pid}.abc'
        left.mkdir()
        assert run('convert', folder, tmp_path / 'out')[0] == 0 and left.is_dir()
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize('name', ['out', 'out.params'])
def test_kills_at_any_moment_lose_nothing(name, checkpoint, folder, tmp_path, run):
    """The target is the former output or the new one, and the next start cleans up."""
    target = tmp_path / 'place' / name
    assert run('convert', folder, target)[0] == 0
    code = 'import sys; from gluon_bert.cli import main; print(1, flush=True); main(sys.argv[1:])'
    arguments = ['convert', folder, target, '--overwrite', '--dtype', 'float16', '--no-check']
    for number in range(6):
        process = subprocess.Popen(
            [sys.executable, '-c', code, *map(str, arguments)], stdout=subprocess.PIPE
        )
        process.stdout.readline()
        time.sleep(0.2 * number)
        process.kill()
        process.communicate()
    write_checkpoint(checkpoint, tmp_path / 'other')
    assert run('convert', tmp_path / 'other', target, '--overwrite')[0] == 0
    assert not left_behind(target.parent)
    assert read_checkpoint(target).arrays['pooler.weight'].dtype == 'float32'
