"""A short run of fuzz.py, which says how to repeat what it finds."""

import subprocess
import sys
from pathlib import Path

import fuzz_seeds
import pytest

FUZZ = Path(__file__).parents[1] / 'fuzz.py'


@pytest.fixture(scope='module')
def readers():
    return fuzz_seeds.make_readers()


def test_every_file_is_read_as_it_is_and_refused_when_empty(readers, tmp_path):
    for name, reader in readers.items():
        folder = tmp_path / name
        fuzz_seeds.put(reader.files, folder)
        reader.read(folder)
        for file in reader.altered:
            (folder / file).write_bytes(b'')
        with pytest.raises((ValueError, FileNotFoundError)):
            reader.read(folder)


def test_altered_files_are_read_or_refused(readers, seed):
    result = subprocess.run(
        [sys.executable, str(FUZZ), '--count', '5000', '--seed', str(seed)],
        timeout=300,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output = result.stdout.decode()
    assert result.returncode == 0, output
    assert all(name in output for name in readers)
