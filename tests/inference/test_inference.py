"""The fast form of a network against the network itself."""

from dataclasses import replace

import mxnet as mx
import numpy as np
import pytest
from conftest import Ragged

import gluon_bert as gb
from gluon_bert import kernels
from gluon_bert.inference.predictor import Predictor, default_threads
from gluon_bert.kernels.encoder import dense_layers


@pytest.fixture(params=['native', 'plain'])
def form(request, monkeypatch):
    """With and without the kernels."""
    if request.param == 'plain':
        monkeypatch.setenv('GLUON_BERT_KERNELS', '0')
    elif not kernels.load():
        pytest.skip('native kernels are not built: python -m gluon_bert.kernels')
    return request.param


def assert_same(network, batch, num_threads=1, others=()):
    """The Predictor's outputs are the network's at every valid position, within 1e-5."""
    arrays = batch.arrays()
    predictor = Predictor(network, num_threads)
    expected, found = network(*arrays, *others), predictor(*arrays, *others)
    assert type(found) is type(expected)
    parts = [(expected, found)] if isinstance(expected, mx.nd.NDArray) else zip(expected, found)
    for one, other in parts:
        one, other = one.asnumpy(), other.asnumpy()
        assert one.shape == other.shape and other.dtype == np.float32
        if one.ndim == 3 and not others:
            valid = np.arange(one.shape[1]) < batch.lengths[:, None]
            one, other = one[valid], other[valid]
        np.testing.assert_allclose(other, one, atol=1e-5 * max(1, abs(one).max()))
    return predictor


@pytest.mark.parametrize('lengths', [[1], [7, 1, 3], [12] * 5, [2] * 40], ids=str)
@pytest.mark.parametrize('num_threads', [1, 2, 3])
def test_encodings_are_the_networks(form, make_model, tiny_config, seed, lengths, num_threads):
    predictor = assert_same(make_model(), Ragged(tiny_config, lengths, seed), num_threads)
    assert predictor.is_native == (form == 'native')


@pytest.mark.parametrize(
    'changes',
    [
        {'activation': 'gelu_tanh'},
        {'activation': 'relu', 'pooler_activation': 'relu'},
        {'num_token_types': 0},
        {'units': 26, 'num_heads': 2, 'hidden_size': 33},
        {'units': 64, 'num_heads': 1, 'hidden_size': 1500},
        {'layer_norm_eps': 1e-5},
        {'max_length': 300, 'units': 32, 'num_heads': 4},
        {'max_length': 400, 'units': 64, 'num_heads': 4},
    ],
    ids=str,
)
@pytest.mark.parametrize('num_threads', [1, 2, 3])
def test_every_configuration(make_model, tiny_config, seed, changes, num_threads):
    config = replace(tiny_config, **changes)
    model = make_model(wide=0.1, **changes)
    longest = config.max_length
    for lengths in ([longest], [longest, 1, longest // 2], [3] * 9):
        assert_same(model, Ragged(config, lengths, seed), num_threads)


@pytest.mark.parametrize(
    'make',
    [
        lambda bert: bert,
        lambda bert: gb.BertClassifier(bert, 3),
        lambda bert: gb.BertForQA(bert),
        lambda bert: gb.BertTagger(bert, 5),
        lambda bert: gb.BertCrfTagger(bert, 5),
    ],
    ids=['bert', 'classifier', 'questions', 'tagger', 'crf'],
)
def test_heads(form, make_model, tiny_config, seed, make):
    network = make(make_model())
    for parameter in network.collect_params().values():
        if parameter._data is None:
            parameter.initialize(mx.init.Normal(0.2))
    assert_same(network, Ragged(tiny_config, [5, 12, 1, 9], seed), 2)


def test_without_a_pooler(form, make_model, tiny_config, seed):
    assert_same(make_model(use_pooler=False), Ragged(tiny_config, [4, 9], seed))


def test_pretraining_heads(form, make_model, tiny_config, seed):
    network = gb.BertForPretraining(make_model())
    for parameter in network.collect_params().values():
        if parameter._data is None:
            parameter.initialize(mx.init.Normal(0.2))
    positions = mx.nd.array([[0, 3], [1, 1]])
    assert_same(network, Ragged(tiny_config, [5, 4], seed, width=5), others=[positions])


@pytest.mark.weights
def test_real_weights(form, real_model):
    model, vocab = real_model
    tokenizer = gb.data.BertTokenizer(vocab)
    texts = ['A plane is taking off.', 'Where is it?', 'short', 'and a longer one, ' * 40]
    rows = [[101, *ids[:510], 102] for ids in tokenizer.encode_ids(texts)]
    batch = Ragged(model.config, [len(row) for row in rows], 1)
    batch.inputs = np.array([row + [0] * (batch.inputs.shape[1] - len(row)) for row in rows])
    batch.token_types[:] = 0
    assert_same(model, batch, 2)


def relative_error(found, expected):
    return float(np.sqrt(((found - expected) ** 2).mean() / (expected**2).mean()))


@pytest.mark.weights
@pytest.mark.parametrize('precision, most', [('bfloat16', 0.03), ('int8', 0.25)])
def test_lower_precisions_are_near(real_model, precision, most):
    model, vocab = real_model
    if not kernels.load():
        pytest.skip('native kernels are not built: python -m gluon_bert.kernels')
    texts = ['A plane is taking off.', 'Where is it?', 'short', 'and a longer one, ' * 40]
    transform = gb.data.SentenceTransform(gb.data.BertTokenizer(vocab), model.config.max_length)
    features, _ = transform.transform_batch(texts, None)
    arrays = [mx.nd.array(part) for part in gb.data.pad_batch(features, 0)]
    exact = Predictor(model)(*arrays).sequence.asnumpy()
    found = Predictor(model, 2, precision)(*arrays).sequence.asnumpy()
    assert 1e-5 < relative_error(found, exact) < most
    # All layers kept are all layers as they are; half of them lie between.
    names = dense_layers(model.config.num_layers)
    kept = Predictor(model, 1, precision, names)(*arrays).sequence.asnumpy()
    np.testing.assert_array_equal(kept, exact)
    half = Predictor(model, 1, precision, names[::2])(*arrays).sequence.asnumpy()
    assert relative_error(half, exact) < relative_error(found, exact)


@pytest.mark.parametrize('precision', ['bfloat16', 'int8'])
@pytest.mark.parametrize('num_threads', [1, 2, 3])
def test_lower_precisions_do_not_depend_on_batch_and_threads(
    make_model, tiny_config, seed, precision, num_threads
):
    if not kernels.load():
        pytest.skip('native kernels are not built: python -m gluon_bert.kernels')
    batch = Ragged(tiny_config, [7, 1, 3, 12, 2], seed)
    inputs, types, lengths = batch.arrays()
    predictor = Predictor(make_model(), num_threads, precision)
    together = predictor(inputs, types, lengths)
    for number, length in enumerate(batch.lengths):
        part = slice(number, number + 1)
        alone = predictor(inputs[part, :length], types[part, :length])
        np.testing.assert_array_equal(alone.pooled[0].asnumpy(), together.pooled[number].asnumpy())


def test_wrong_precisions(make_model, monkeypatch):
    if kernels.load():
        with pytest.raises(ValueError, match="precision='int4': expected one of"):
            Predictor(make_model(), 1, 'int4')
        with pytest.raises(ValueError, match="no dense layer '2.expand'; they are '0.query_key"):
            Predictor(make_model(), 1, 'int8', ['0.expand', '2.expand'])
    monkeypatch.setenv('GLUON_BERT_KERNELS', '0')
    with pytest.raises(ValueError, match='needs the kernels'):
        Predictor(make_model(), 1, 'int8')


def test_too_many_tokens_are_refused(form, make_model, tiny_config):
    with pytest.raises(ValueError):
        Predictor(make_model())(mx.nd.zeros((1, tiny_config.max_length + 1)))


@pytest.mark.parametrize(
    'inputs,types,lengths,message',
    [
        ([[97]], [[0]], [1], r'inputs\[0, 0\] is 97: expected a whole number from 0 to 96'),
        ([[-1]], [[0]], [1], r'inputs\[0, 0\] is -1'),
        ([[1]], [[2]], [1], r'token_types\[0, 0\] is 2'),
        ([[1, 2]], [[0, 0]], [3], r'valid_length\[0\] is 3'),
        ([[1, 2]], [[0, 0]], [0], 'whole number from 1 to 2'),
    ],
)
def test_inputs_out_of_range_are_refused(make_model, inputs, types, lengths, message):
    predictor = Predictor(make_model())
    if not predictor.is_native:
        pytest.skip('native kernels are not built: python -m gluon_bert.kernels')
    with pytest.raises(ValueError, match=message):
        predictor(*(mx.nd.array(part) for part in (inputs, types, lengths)))


def test_wrong_arguments(make_model):
    with pytest.raises(TypeError, match='Dense is no network around a BERT'):
        Predictor(mx.gluon.nn.Dense(3))
    with pytest.raises(ValueError, match='num_threads=0'):
        Predictor(make_model(), 0)


def test_threads_follow_the_environment(monkeypatch):
    monkeypatch.setenv('OMP_NUM_THREADS', '3')
    assert default_threads() == 3
    monkeypatch.setenv('OMP_NUM_THREADS', 'many')
    assert default_threads() >= 1
