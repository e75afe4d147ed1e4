"""model_zoo/compare_stream.py finds what it looks for."""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / 'model_zoo'))
import compare_stream


def test_stream_repeats_the_lines_and_ends_with_a_whole_one(tmp_path):
    lines = ['one', 'two words', '三']
    count = compare_stream.write_stream(tmp_path / 's.txt', lines, 50)
    found = (tmp_path / 's.txt').read_text(encoding='utf-8').split('\n')
    assert len(found) == count + 1 and found[-1] == ''
    assert found[:-1] == (lines * 9)[:count]
    assert 50 <= (tmp_path / 's.txt').stat().st_size < 60


@pytest.mark.parametrize(
    'change, agreeing',
    [
        (lambda rows: rows, 35),
        (lambda rows: rows[[*range(30), 31, 30, 32, 33, 34]], 33),
        (lambda rows: rows[[*range(10), *range(9, 34)]], 10),
        (lambda rows: rows + 5e-5, 35),
    ],
)
def test_rows_out_of_order_or_twice_are_found(tmp_path, change, agreeing):
    rows = np.random.RandomState(3).normal(size=(7, 4)).astype('f')[np.arange(35) % 7]
    np.save(tmp_path / 'v.npy', change(rows))
    assert compare_stream.agreeing_rows(tmp_path / 'v.npy', 35, 7, chunk=4) == agreeing
    with pytest.raises(ValueError, match='35 vectors for 36 lines'):
        compare_stream.agreeing_rows(tmp_path / 'v.npy', 36, 7)


def test_memory_over_the_stream_is_kept_and_drawn(tmp_path):
    args = argparse.Namespace(output=tmp_path / 'stream.csv', stream_model='bert_2_128_2')
    peaks = {percent: (2e8 + percent, 3e8) for percent in compare_stream.EVERY}
    path = compare_stream.write_memory(args, peaks, 1000, 50_000)
    assert path == tmp_path / 'stream_memory.csv'
    lines = path.read_text(encoding='utf-8').splitlines()
    assert len(lines) == 101
    assert lines[50] == 'bert_2_128_2,50,500,0.025,200.0,300.0'
    compare_stream.draw_memory(path, tmp_path / 'a.svg')
    text = (tmp_path / 'a.svg').read_text(encoding='utf-8')
    for label in ('resident memory', 'its peak so far', 'lines done'):
        assert f'<!-- {label} -->' in text


def test_memory_is_taken_at_every_percent(tmp_path):
    (tmp_path / '.vectors.npy.x.part').write_bytes(b'0' * 500)
    process = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1)'])
    found = compare_stream.watch(process, tmp_path, 1000)
    assert list(found) == list(range(1, 101))
    assert all(peak >= memory > 0 for memory, peak in found.values())
