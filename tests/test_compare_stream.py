"""model_zoo/compare_stream.py finds what it looks for."""
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / 'model_zoo'))
import compare_stream


def test_stream_repeats_the_lines_and_ends_with_a_whole_one(tmp_path):
    lines = ['one', 'two words', '三']
    count = compare_stream.write_stream(tmp_path / 's.txt', lines, 50)
    found = (tmp_path / 's.txt').read_text(encoding='utf-8').split('\n')
    assert len(found) == count + 1 and found[-1] == ''
    assert found[:-1] == (lines * 9)[:count]
    assert 50 <= (tmp_path / 's.txt').stat().st_size < 60


@pytest.mark.parametrize('change, agreeing', [
    (lambda rows: rows, 35), (lambda rows: rows[[*range(30), 31, 30, 32, 33, 34]], 33),
    (lambda rows: rows[[*range(10), *range(9, 34)]], 10), (lambda rows: rows + 5e-5, 35)])
def test_rows_out_of_order_or_twice_are_found(tmp_path, change, agreeing):
    rows = np.random.RandomState(3).normal(size=(7, 4)).astype('f')[np.arange(35) % 7]
    np.save(tmp_path / 'v.npy', change(rows))
    assert compare_stream.agreeing_rows(tmp_path / 'v.npy', 35, 7, chunk=4) == agreeing
    with pytest.raises(ValueError, match='35 vectors for 36 lines'):
        compare_stream.agreeing_rows(tmp_path / 'v.npy', 36, 7)
