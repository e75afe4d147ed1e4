"""Scales of activations as text in precision.json."""

import json

import numpy as np
import pytest
from conftest import TINY

from gluon_bert.inference.precision_file import (
    PRECISION_FILE,
    LowPrecision,
    read_precision,
    write_precision,
)
from gluon_bert.inference.scale_codes import decode_scales, encode_scales, round_scales
from gluon_bert.kernels.encoder import layer_widths


@pytest.mark.parametrize('size', [1e-12, 0.03, 1.0, 700.0, 1e20])
def test_scales_are_rounded_by_two_percent_at_most_and_held_exactly(size, seed):
    rng = np.random.RandomState(seed)
    scales = size * np.exp(rng.uniform(-8, 0, 500))
    rounded = round_scales(scales)
    assert np.abs(np.log(np.array(rounded) / scales)).max() < 0.023
    assert round_scales(rounded) == rounded
    text = encode_scales(rounded)
    assert decode_scales(text) == rounded and len(text) < 1.4 * len(scales) + 8


def test_extremes():
    assert round_scales([0.0, 0.0]) == (0.0, 0.0)
    zero, least, largest = round_scales([0.0, 1e-30, 8.0])
    assert (zero, largest) == (0.0, 8.0) and least == pytest.approx(8 * 2 ** (-254 / 16), rel=1e-3)
    assert encode_scales([0.3, 0.123456]) is None and encode_scales([]) is None
    assert encode_scales([1.0, -1.0]) is None and encode_scales([np.nan]) is None


@pytest.mark.parametrize(
    'text', ['', '1', '0 ?', '0 A', '1000 AA==', 'x AA==', '0  AA==', '٣ AA==']
)
def test_other_text_is_refused(text, tmp_path):
    assert decode_scales(text) is None
    scales = {name: round_scales([1.0] * width) for name, width in layer_widths(TINY).items()}
    write_precision(tmp_path, LowPrecision('int8', activation_scales=scales))
    path = tmp_path / PRECISION_FILE
    content = json.loads(path.read_text())
    content['activation_scales']['0.expand'] = text
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match='activation_scales is'):
        read_precision(tmp_path, TINY)


def test_a_file_is_compact_and_the_older_form_is_read(tmp_path, seed):
    rng = np.random.RandomState(seed)
    widths = layer_widths(TINY)
    scales = {name: round_scales(rng.rand(width)) for name, width in widths.items()}
    low = LowPrecision('int8', activation_scales=scales)
    write_precision(tmp_path, low)
    path = tmp_path / PRECISION_FILE
    assert read_precision(tmp_path, TINY) == low
    assert path.stat().st_size < 1.5 * sum(widths.values()) + 40 * len(widths) + 100
    older = {name: list(row) for name, row in scales.items()}
    path.write_text(json.dumps({'precision': 'int8', 'activation_scales': older}))
    assert read_precision(tmp_path, TINY) == low
    # Scales that no code has are written as numbers.
    low = LowPrecision('int8', activation_scales={**scales, '1.expand': (0.123456,) * 24})
    write_precision(tmp_path, low)
    assert read_precision(tmp_path, TINY) == low
