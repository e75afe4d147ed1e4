"""Temporary files of processes that were killed are removed, those of living ones stay."""

import os
import signal
import subprocess
import sys

import pytest

from gluon_bert._internal.files import (
    atomic_path,
    new_folder,
    portable_path,
    remove_leftovers,
    staging_folder,
    write_text,
)

CHILD = """
import sys, time
from gluon_bert._internal.files import atomic_path, staging_folder
make = {'file': atomic_path, 'folder': staging_folder}[sys.argv[1]]
with make(sys.argv[2]) as path:
    (path / 'x' if path.is_dir() else path).write_text('half')
    print(path, flush=True)
    time.sleep(60)
"""


def start(kind, target):
    child = subprocess.Popen(
        [sys.executable, '-c', CHILD, kind, str(target)], stdout=subprocess.PIPE, text=True
    )
    return child, child.stdout.readline().strip()


@pytest.mark.parametrize('kind', ['file', 'folder'])
def test_only_what_a_killed_process_left_is_removed(tmp_path, kind):
    child, path = start(kind, tmp_path / 'a.b')
    try:
        remove_leftovers(tmp_path)
        write_text(tmp_path / 'a.b', 'mine')
        assert os.path.exists(path)
        child.send_signal(signal.SIGKILL)
        child.wait()
        remove_leftovers(tmp_path, 'other')
        assert os.path.exists(path)
        with (atomic_path if kind == 'file' else staging_folder)(tmp_path / 'a.b') as temporary:
            assert not os.path.exists(path)
            assert temporary.exists()
            if kind == 'file':
                temporary.write_text('new')
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    assert os.listdir(tmp_path) == ['a.b']
    assert (tmp_path / 'a.b').read_text() == ('new' if kind == 'file' else 'mine')


def test_files_of_other_names_and_links_stay(tmp_path):
    names = ['.x.part', 'x.abcdefgh.part', '.x.ABCDEFGH.part', '.x.abcdefgh', '.x.abcdefghi.part']
    for name in names:
        (tmp_path / name).write_text('')
    (tmp_path / '.x.abcdefgh.part').symlink_to(tmp_path / '.x.part')
    remove_leftovers(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted([*names, '.x.abcdefgh.part'])
    remove_leftovers(tmp_path / 'nowhere')


@pytest.mark.parametrize('error', [FileNotFoundError, OSError, KeyboardInterrupt])
def test_an_error_in_the_block_is_raised_and_leaves_nothing(tmp_path, error):
    for make in (atomic_path, staging_folder):
        with pytest.raises(error), make(tmp_path / 'a'):
            raise error
    assert os.listdir(tmp_path) == []


def test_portable_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('HOME', '/home/ada')
    assert portable_path(tmp_path / 'x' / 'y.csv') == os.path.join('x', 'y.csv')
    assert portable_path('/somewhere/else/y.csv') == 'y.csv'
    assert portable_path('~/data/y.csv') == 'y.csv'
    for text in ('y.csv', '../y.csv', '/', '', 'hf://owner/name', '--lr', '3e-5'):
        assert portable_path(text) == text


def test_a_new_folder_that_fails_leaves_no_parents(tmp_path):
    (tmp_path / 'kept').mkdir()
    for place in ('a/b/out', 'kept/c/out', 'kept/out'):
        with pytest.raises(KeyboardInterrupt), new_folder(tmp_path / place) as whole:
            (whole / 'half').write_text('x')
            raise KeyboardInterrupt
    assert list(tmp_path.rglob('*')) == [tmp_path / 'kept']
    with new_folder(tmp_path / 'a/b/out') as whole:
        (whole / 'file').write_text('x')
    assert (tmp_path / 'a/b/out/file').read_text() == 'x'


def test_a_new_folder_keeps_a_parent_that_others_use(tmp_path):
    with pytest.raises(ValueError, match='mine'), new_folder(tmp_path / 'a/out'):
        (tmp_path / 'a' / 'theirs').write_text('x')
        raise ValueError('mine')
    assert list((tmp_path / 'a').iterdir()) == [tmp_path / 'a' / 'theirs']


def test_a_file_is_no_parent_of_a_new_folder(tmp_path):
    (tmp_path / 'file').write_text('x')
    message = 'file is a file, there can be no folder in it'
    with pytest.raises(NotADirectoryError, match=message), new_folder(tmp_path / 'file/deep/out'):
        pass
    assert (tmp_path / 'file').read_text() == 'x'
