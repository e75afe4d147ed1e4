"""BertConfig refuses values out of range and names the field."""

import json
from dataclasses import asdict, dataclass, replace

import pytest

from gluon_bert.config import VERSION, BertConfig


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
        ('embedding_units', 0),
        ('embedding_units', 1.5),
        ('share_layers', 1),
    ],
)
def test_value_out_of_range_is_named(tiny_config, field, value):
    with pytest.raises(ValueError, match=field):
        replace(tiny_config, **{field: value})


def test_shared_layers_are_bounded(tiny_config):
    with pytest.raises(ValueError, match='num_layers=1001: expected at most 1000'):
        replace(tiny_config, share_layers=True, num_layers=1001)


def test_config_cannot_be_changed(tiny_config):
    with pytest.raises(AttributeError):
        tiny_config.units = 7


def test_saved_config_is_read_again(tiny_config):
    saved = tiny_config.to_dict()
    assert saved['version'] == VERSION
    assert BertConfig.from_dict(json.loads(json.dumps(saved))) == tiny_config


def test_file_without_a_version_is_one_of_the_first(tiny_config):
    assert BertConfig.from_dict(asdict(tiny_config)) == tiny_config


@dataclass(frozen=True)
class LaterConfig(BertConfig):
    """A configuration of a later version."""

    window: int = 7


def test_field_that_an_older_file_lacks_takes_its_default(tiny_config):
    config = LaterConfig.from_dict(tiny_config.to_dict())
    assert config.window == 7 and config.units == tiny_config.units
    assert LaterConfig.from_dict({**tiny_config.to_dict(), 'window': 3}).window == 3


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'window': 3}, "unknown field 'window'"),
        ({'num_layer': 3}, "unknown field 'num_layer': .*the nearest is 'num_layers'"),
        ({'version': VERSION + 1}, f'version {VERSION + 1}.*a newer gluon_bert wrote it'),
        ({'version': '1'}, "version of the configuration is '1': expected a whole number"),
        ({'version': True}, 'version of the configuration is True'),
        ({'version': 0}, 'version of the configuration is 0'),
        ({'units': [24]}, 'neither text nor a number'),
        ({'units': '24'}, "units='24'"),
        ({'dropout': None}, 'not supported'),
        ({'activation': 'x' * 10**6}, 'activation='),
    ],
    ids=lambda value: str(value)[:40],
)
def test_saved_config_that_cannot_be_is_refused(tiny_config, changes, message):
    with pytest.raises(ValueError, match=message) as caught:
        BertConfig.from_dict({**tiny_config.to_dict(), **changes})
    assert len(str(caught.value)) < 600


def test_missing_field_is_named(tiny_config):
    saved = tiny_config.to_dict()
    del saved['units'], saved['dropout']
    with pytest.raises(ValueError, match='it has no units, dropout'):
        BertConfig.from_dict(saved)
    with pytest.raises(ValueError, match='expected an object of vocab_size'):
        BertConfig.from_dict(None)
