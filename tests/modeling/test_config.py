"""BertConfig refuses values out of range and names the field."""

from dataclasses import replace

import pytest


@pytest.mark.parametrize(
    'field, value',
    [
        ('vocab_size', 0),
        ('units', -1),
        ('num_layers', 1.5),
        ('num_heads', True),
        ('num_heads', 5),
        ('max_length', 0),
        ('dropout', 1.0),
        ('dropout', -0.1),
        ('layer_norm_eps', 0),
        ('activation', 'swish'),
    ],
)
def test_value_out_of_range_is_named(tiny_config, field, value):
    with pytest.raises(ValueError, match=field):
        replace(tiny_config, **{field: value})


def test_config_cannot_be_changed(tiny_config):
    with pytest.raises(AttributeError):
        tiny_config.units = 7
