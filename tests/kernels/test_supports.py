"""The kernels decide by the configuration; what they do not know runs on MXNet's operators."""

from dataclasses import dataclass, fields, replace

import mxnet as mx
import numpy as np
import pytest
from conftest import Ragged

import gluon_bert as gb
from gluon_bert import kernels
from gluon_bert.inference.predictor import Predictor
from gluon_bert.kernels.encoder import NativeEncoder
from gluon_bert.kernels.support import _SUPPORTED, supports
from gluon_bert.kernels.training import make_trainer


@dataclass(frozen=True)
class LaterConfig(gb.BertConfig):
    """A configuration with a field that the kernels have never heard of."""

    rotary: bool = False


@pytest.fixture
def later(tiny_config):
    values = {field.name: getattr(tiny_config, field.name) for field in fields(tiny_config)}
    return LaterConfig(**values, rotary=True)


@pytest.fixture
def built():
    if not kernels.is_available():
        pytest.skip('native kernels are not built: python -m gluon_bert.kernels')


@pytest.mark.parametrize(
    'changes',
    [
        {},
        {'num_token_types': 0, 'activation': 'relu', 'pooler_activation': 'relu'},
        {'activation': 'gelu_tanh', 'layer_norm_eps': 1e-5, 'units': 26, 'num_heads': 1},
    ],
)
def test_known_configurations_are_supported(tiny_config, changes):
    assert supports(replace(tiny_config, **changes))


def test_unknown_field_is_declined_unless_it_is_as_before(later):
    assert not supports(later)
    assert supports(replace(later, rotary=False))


def test_unknown_value_is_declined(tiny_config):
    changed = replace(tiny_config)
    object.__setattr__(changed, 'activation', 'swish')
    assert not supports(changed)


def test_every_field_with_a_default_is_declined_or_known(tiny_config):
    """A field that is added to BertConfig is known to the kernels or declined by them."""
    known = {*_SUPPORTED}
    assert known <= {field.name for field in fields(gb.BertConfig)}
    for field in fields(gb.BertConfig):
        if field.name not in known:
            changed = replace(tiny_config)
            object.__setattr__(changed, field.name, object())
            assert not supports(changed), field.name


def test_declined_network_runs_on_mxnet_with_the_same_outputs(
    built, make_model, later, tiny_config, seed
):
    model = make_model()
    batch = Ragged(tiny_config, [5, 12, 1], seed)
    known, declined = Predictor(model), model(*batch.arrays())
    assert known.is_native
    model.config = later
    predictor = Predictor(model)
    assert not predictor.is_native
    for given, other in zip(predictor(*batch.arrays()), declined):
        np.testing.assert_array_equal(given.asnumpy(), other.asnumpy())
    valid = np.arange(12) < batch.lengths[:, None]
    np.testing.assert_allclose(
        predictor(*batch.arrays()).sequence.asnumpy()[valid],
        known(*batch.arrays()).sequence.asnumpy()[valid],
        atol=2e-5,
    )
    with pytest.raises(ValueError, match='rotary=True'):
        NativeEncoder(model)


def test_declined_network_trains_on_mxnet(built, make_model, later, tiny_config, seed):
    model = make_model()
    batch = Ragged(tiny_config, [5, 12, 1], seed)
    for config in (tiny_config, later):
        model.config = config
        trainer = make_trainer(model)
        assert (trainer is not None) == (config is tiny_config)
        with mx.autograd.record():
            sequence, pooled = model(*batch.arrays(), encoder=trainer)
            loss = (sequence**2).sum() + pooled.sum()
        loss.backward()
        gradient = model.embeddings.word.weight.grad().asnumpy()
        assert np.isfinite(gradient).all() and gradient.any()
    with pytest.raises(ValueError, match='a network of its configuration'):
        make_trainer(model, 'bfloat16')
