"""Vectors in lower precision: the native code and NumPy give the same."""

import numpy as np
import pytest

from gluon_bert import kernels
from gluon_bert.kernels.vectors import hamming_distances, widen_half, widen_int8

needs_kernels = pytest.mark.skipif(not kernels.is_available(), reason='needs the native kernels')


def both(monkeypatch, function, *arguments):
    native = [function(*arguments, threads) for threads in (1, 3)]
    monkeypatch.setattr('gluon_bert.kernels.vectors.is_available', lambda: False)
    plain = function(*arguments)
    monkeypatch.undo()
    return [*native, plain]


@needs_kernels
def test_all_finite_halves_are_widened_exactly(monkeypatch):
    halves = np.arange(1 << 16, dtype='uint16').view('float16')
    halves = halves[np.isfinite(halves)].reshape(-1, 62)
    for result in both(monkeypatch, widen_half, halves):
        assert np.array_equal(result.view('int32'), halves.astype('float32').view('int32'))


@needs_kernels
def test_rows_of_int8_are_scaled(monkeypatch):
    random = np.random.default_rng(0)
    vectors = random.integers(-128, 128, (37, 19)).astype('int8')
    scales = random.uniform(0, 2, 37).astype('float32')
    for result in both(monkeypatch, widen_int8, vectors, scales):
        assert np.array_equal(result, vectors * scales[:, None])


@needs_kernels
@pytest.mark.parametrize('rows', [1, 5, 9001])
def test_distances_of_codes(monkeypatch, rows):
    random = np.random.default_rng(1)
    bits = random.integers(0, 2, (rows + 3, 128)).astype('uint8')
    codes = np.packbits(bits, axis=1)
    expected = (bits[:3, None].astype('int32') != bits[None, 3:]).sum(axis=2)
    for result in both(monkeypatch, hamming_distances, codes[:3], codes[3:]):
        assert np.array_equal(result, expected)
