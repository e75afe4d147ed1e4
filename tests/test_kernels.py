"""The native kernels against MXNet's own operators."""
import io
import os
import subprocess
import sys
from dataclasses import replace

import mxnet as mx
import numpy as np
import pytest
from test_bert import parameters_of
from test_training import accuracy, toy_data

from gluon_bert import BertClassifier, kernels
from gluon_bert.kernels.encoder import NativeDense
from gluon_bert.layers import AddNorm, AttentionMask, Dropout, SelfAttention
from gluon_bert.losses import cross_entropy
from gluon_bert.training import Plan, fit


@pytest.fixture(autouse=True)
def loaded():
    if not kernels.load():
        pytest.skip('native kernels are not built: python -m gluon_bert.kernels')


SHAPES = [(1, 1, 1), (3, 2, 5), (7, 3, 24), (5, 60, 129), (300, 33)]


def forward_backward(block, inputs, head_gradient, hybridized, repeat=1):
    """Output, gradients of the inputs, and of the parameters 'add'ed over ``repeat`` passes."""
    if hybridized:
        block.hybridize()
    parameters = list(block.collect_params().values())
    for parameter in parameters:
        parameter.grad_req = 'add'
        parameter.zero_grad()
    for x in inputs:
        x.attach_grad()
    for _ in range(repeat):
        with mx.autograd.record():
            y = block(*inputs)
        y.backward(head_gradient)
    return [y, *(x.grad for x in inputs), *(parameter.grad() for parameter in parameters)]


@pytest.mark.parametrize('shape', SHAPES, ids=str)
@pytest.mark.parametrize('hybridized', [False, True])
def test_add_norm_equals_mxnet_forward_and_backward(tiny_config, shape, hybridized):
    units = shape[-1]
    block = AddNorm(replace(tiny_config, units=units, num_heads=1, layer_norm_eps=1e-5))
    block.initialize()
    block.gamma.set_data(mx.nd.random.normal(shape=(units,)))
    block.beta.set_data(mx.nd.random.normal(shape=(units,)))
    arrays = [mx.nd.random.normal(3, 2, shape=shape) for _ in range(2)]
    head = mx.nd.random.normal(shape=shape)
    results = []
    for native in (False, True):
        block.native = native
        block._clear_cached_op()
        inputs = [array.copy() for array in arrays]
        results.append([part.asnumpy() for part in forward_backward(
            block, inputs, head, hybridized, repeat=2)])
    for native, plain in zip(results[1], results[0]):
        np.testing.assert_allclose(native, plain, rtol=2e-4,
                                   atol=2e-5 * max(1, abs(plain).max()))


@pytest.mark.parametrize('size', [1, 15, 16, 4096, 4097, 100_003])
def test_dropout_keeps_its_share_and_scales_it(size):
    block = Dropout(0.3)
    block.native = True
    x = mx.nd.random.uniform(1, 2, shape=(size,))
    y, gradient = forward_backward(block, [x], mx.nd.ones((size,)), hybridized=True)
    y, gradient, x = y.asnumpy(), gradient.asnumpy(), x.asnumpy()
    kept = y != 0
    np.testing.assert_allclose(y[kept], x[kept] / 0.7, rtol=1e-6)
    np.testing.assert_allclose(gradient, np.where(kept, 1 / 0.7, 0), rtol=1e-6)
    if size > 100_000:
        assert abs(kept.mean() - 0.7) < 0.01
        # neighbours, and the same places of different blocks, are independent
        for distance in (1, 16, 4096):
            both = (kept[:-distance] & kept[distance:]).mean()
            assert abs(both - 0.49) < 0.01


def test_dropout_leaves_inference_alone():
    block = Dropout(0.3)
    block.native = True
    block.hybridize()
    x = mx.nd.random.normal(shape=(50, 7))
    x.attach_grad()
    with mx.autograd.record(train_mode=False):
        y = block(x)
    y.backward()
    np.testing.assert_array_equal(y.asnumpy(), x.asnumpy())
    np.testing.assert_array_equal(x.grad.asnumpy(), 1)


def test_dropout_is_a_function_of_the_seed():
    block = Dropout(0.5)
    block.native = True
    draws = []
    for seed in (1, 1, 2):
        mx.random.seed(seed)
        with mx.autograd.record():
            draws.append(block(mx.nd.ones((1000,))).asnumpy())
    assert np.array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])


class Attention(mx.gluon.HybridBlock):
    """One attention with its mask, of queries, keys and values as they come: (T, N, 3C)."""

    def __init__(self, config, native, dropout=0.0):
        super().__init__()
        self.mask = AttentionMask(config.num_heads)
        heads = SelfAttention(replace(config, dropout=dropout))
        self.mask.native = heads.native = native
        self.attend = heads.attend    # without the parameters of the two dense layers

    def hybrid_forward(self, F, query_key_value, valid_length):
        mask = self.mask(query_key_value, valid_length)
        return self.attend(F, query_key_value, mask)


@pytest.mark.parametrize('lengths', [[1], [3, 7, 1], [33, 20], [130, 129, 48, 49], [100] * 3],
                         ids=str)
@pytest.mark.parametrize('units', [6, 64, 96])
@pytest.mark.parametrize('hybridized', [False, True])
def test_attention_equals_mxnet_forward_and_backward(tiny_config, lengths, units, hybridized):
    config = replace(tiny_config, units=units, num_heads=2)
    shape = max(lengths), len(lengths)
    valid = mx.nd.array(np.arange(shape[0])[:, None, None] < np.array(lengths)[:, None])
    array = mx.nd.random.normal(shape=(*shape, 3 * units))
    head = mx.nd.random.normal(shape=(*shape, units)) * valid
    results = []
    for native in (False, True):
        block, x = Attention(config, native), array.copy()
        block.hybridize(hybridized)
        x.attach_grad()
        with mx.autograd.record():
            y = block(x, mx.nd.array(lengths))
        y.backward(head)
        results.append([(y * valid).asnumpy(), x.grad.asnumpy()])
    for native, plain in zip(results[1], results[0]):
        np.testing.assert_allclose(native, plain, rtol=1e-4, atol=1e-5 * max(1, abs(plain).max()))
    # Padding gives nothing and gets no gradient.
    padding = ~valid.asnumpy().astype(bool)[..., 0]
    assert not y.asnumpy()[padding].any() and not x.grad.asnumpy()[padding].any()


def test_attention_drops_its_share_of_the_weights(tiny_config):
    # With equal scores and values of 1, a context is the share of weights kept, over 1 - p.
    config = replace(tiny_config, units=64, num_heads=2)
    block = Attention(config, native=True, dropout=0.25)
    x, lengths = np.zeros((300, 4, 2, 3, 32)), mx.nd.array([300, 250, 200, 3])
    x[..., 2, :] = 1
    x = mx.nd.array(x.reshape(300, 4, -1))
    np.testing.assert_allclose(block(x, lengths).asnumpy()[:200, :3], 1, rtol=1e-5)
    draws = []
    for seed in (5, 5, 6):
        mx.random.seed(seed)
        x.attach_grad()
        with mx.autograd.record():
            y = block(x, lengths)
        y.backward()
        draws.append(np.concatenate([y.asnumpy(), x.grad.asnumpy()], axis=2))
    assert np.array_equal(draws[0], draws[1]) and not np.array_equal(draws[0], draws[2])
    context, gradient = draws[0][..., :64], draws[0][..., 64:]
    assert abs(context[:200, :3].mean() - 1) < 0.01
    spread = context[:300, 0].std()
    assert abs(spread - np.sqrt(0.25 / 0.75 / 300)) < 0.1 * spread
    # Every query's share goes to the values: the backward pass drops the same weights.
    values = gradient.reshape(300, 4, 2, 3, 32)[:, :, :, 2]
    np.testing.assert_allclose(values.sum(axis=0), context.reshape(300, 4, 2, 32).sum(axis=0),
                               rtol=1e-4)


DENSE = [(1, 1, 1), (2, 5, 3), (7, 33, 18), (13, 64, 130), (200, 100, 1500), (97, 40, 3001)]


@pytest.mark.parametrize('rows, out, width', DENSE)
@pytest.mark.parametrize('num_threads', [1, 3])
def test_dense_in_float32_and_bfloat16(rows, out, width, num_threads):
    rng = np.random.RandomState(rows)
    x, weight, bias = (rng.normal(size=shape).astype('float32')
                       for shape in ((rows, width), (out, width), (out,)))
    exact = x.astype('float64') @ weight.T.astype('float64') + bias
    found = NativeDense(weight, bias)(x, num_threads)
    np.testing.assert_allclose(found, exact, atol=1e-6 * (width + 3))

    def rounded(array):
        bits = array.view('uint32')
        return ((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000).astype('uint32').view('float32')
    exact = rounded(x).astype('float64') @ rounded(weight).T.astype('float64') + bias
    found = NativeDense(weight, bias, 'bfloat16')(x, num_threads)
    np.testing.assert_allclose(found, exact, atol=1e-6 * (width + 3))


@pytest.mark.parametrize('rows, out, width', DENSE)
@pytest.mark.parametrize('num_threads', [1, 3])
def test_dense_in_int8_multiplies_whole_numbers_exactly(rows, out, width, num_threads):
    # Weights of which the largest is the limit, and rows that span 253, are whole numbers already.
    # 63 and 127 are what the weights go to, by the processor.
    rng = np.random.RandomState(rows)
    x, bias = rng.randint(-100, 154, (rows, width)), rng.randint(-9, 9, out)
    x[:, 0], x[:, -1] = -100, 153
    for limit in (63, 127):
        weight = rng.randint(-limit, limit + 1, (out, width))
        weight[:, -1] = -limit
        found = NativeDense(weight, bias, 'int8')(x, num_threads)
        exact = x @ weight.T + bias
        error = abs(found - exact).max() / max(1, abs(exact).max())
        if error < 1e-6:
            break
    else:
        pytest.fail(f'error {error}')
    # The largest sums: no pair of products overflows.
    for sign in (1, -1):
        found = NativeDense(np.full((out, width), sign * limit), bias * 0, 'int8')(
            np.full((rows, width), 253), num_threads)
        np.testing.assert_allclose(found, sign * 253 * limit * width, rtol=1e-6)


def test_dense_in_int8_scales_each_row_and_each_column():
    rng = np.random.RandomState(5)
    sizes = 10.0 ** rng.randint(-6, 6, (40, 1)), 10.0 ** rng.randint(-6, 6, (50, 1))
    x, weight = rng.normal(size=(40, 64)) * sizes[0], rng.normal(size=(50, 64)) * sizes[1]
    x[3], x[4], x[5] = 0, 9 + abs(x[4]), -abs(x[5])
    found = NativeDense(weight, np.zeros(50), 'int8')(x)
    # Each number is off by half a step of its row or column at most.
    steps = [np.ptp(np.pad(x, ((0, 0), (0, 1))), axis=1, keepdims=True) / 253,
             abs(weight).max(axis=1, keepdims=True) / 63]
    bound = (abs(x) + steps[0] / 2).sum(axis=1)[:, None] * steps[1].T / 2 + (
        steps[0] / 2 * abs(weight).sum(axis=1))
    assert (abs(found - x @ weight.T) <= 1.001 * bound).all()
    assert not found[3].any()


@pytest.mark.parametrize('processor', ['generic', 'avx2'])
def test_kernels_for_older_processors_give_the_same(processor):
    script = """if True:
        import sys, numpy as np
        from gluon_bert import kernels
        import mxnet as mx
        assert kernels.load()
        print(kernels.processor(), file=sys.stderr)
        x = mx.nd.array(np.random.RandomState(1).normal(size=(70, 2, 2 * 3 * 20)))
        x.attach_grad()
        mx.random.seed(3)
        with mx.autograd.record():
            y = mx.nd.gluon_bert_attention(x, mx.nd.array([70, 31]), mx.nd.zeros(1), heads=2,
                                           p=0.1)[0]
        y.backward()
        np.save(sys.stdout.buffer, np.concatenate([y.asnumpy().ravel(), x.grad.asnumpy().ravel()]))
    """
    found = []
    for setting in ('1', processor):
        result = subprocess.run([sys.executable, '-W', 'ignore', '-c', script], check=True,
                                capture_output=True,
                                env={**os.environ, 'GLUON_BERT_KERNELS': setting})
        found.append((result.stderr.decode().split()[-1], np.load(io.BytesIO(result.stdout))))
    if processor == 'generic':
        assert found[1][0] == 'generic'
    np.testing.assert_allclose(found[1][1], found[0][1], atol=2e-5)


@pytest.fixture
def make_classifier(make_model):
    def make(dropout):
        mx.random.seed(3)
        np.random.seed(3)
        classifier = BertClassifier(make_model(wide=0.05, dropout=dropout), dropout=dropout)
        classifier.classifier.initialize()
        classifier.hybridize(static_alloc=True)
        return classifier
    return make


def test_training_without_dropout_is_the_same_with_and_without(make_classifier, tmp_path,
                                                              monkeypatch):
    finals = []
    for setting in ('1', '0'):
        monkeypatch.setenv('GLUON_BERT_KERNELS', setting)
        model = make_classifier(dropout=0.0)
        fit(model, toy_data(), cross_entropy, Plan(epochs=2, learning_rate=1e-3),
            tmp_path, name=f'kernels{setting}')
        finals.append(parameters_of(model))
    for name, array in finals[0].items():
        np.testing.assert_allclose(finals[1][name], array, atol=2e-4)


def test_network_is_plain_again_after_training(make_classifier, tmp_path):
    model, data = make_classifier(dropout=0.1), toy_data()
    seen = []

    def evaluate(network):
        seen.append(kernels.are_used_in(network))
        return accuracy(data)(network)
    fit(model, data, cross_entropy, Plan(epochs=1), tmp_path, evaluate=evaluate)
    assert seen == [True]
    assert not kernels.are_used_in(model)
    inputs, _ = data.load([0, 1])
    model(*inputs)
    model.export(str(tmp_path / 'plain'))
    assert 'gluon_bert_' not in (tmp_path / 'plain-symbol.json').read_text()


def test_layer_outputs_of_a_network_in_training(make_model, tiny_config):
    model = make_model()
    inputs = mx.nd.array([[5, 6, 7, 0], [9, 9, 9, 9]]), mx.nd.zeros((2, 4)), mx.nd.array([3, 4])
    expected = model.layer_outputs(*inputs)
    with kernels.used_in(model):
        found = model.layer_outputs(*inputs)
        assert kernels.are_used_in(model)
    for one, other in zip(expected.attentions, found.attentions):
        np.testing.assert_array_equal(one.asnumpy(), other.asnumpy())


def test_float16_and_switched_off_networks_stay_on_mxnet(make_classifier, monkeypatch):
    model = make_classifier(0.1)
    monkeypatch.setenv('GLUON_BERT_KERNELS', '0')
    with kernels.used_in(model):
        assert not kernels.are_used_in(model)
    monkeypatch.delenv('GLUON_BERT_KERNELS')
    model.cast('float64')
    with kernels.used_in(model):
        assert not kernels.are_used_in(model)


def test_missing_compiler_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv('CXX', 'no-such-compiler')
    with pytest.raises(FileNotFoundError, match='looked for no-such-compiler'):
        kernels.build(tmp_path)


def test_failed_compilation_leaves_nothing_behind(monkeypatch, tmp_path):
    monkeypatch.setenv('CXX', 'false')
    with pytest.raises(RuntimeError, match='false failed'):
        kernels.build(tmp_path)
    assert list(tmp_path.iterdir()) == []
